"""``optuna-metasampler builtin``: what is shipped about common learners."""

from __future__ import annotations

from typing import Any

import click

from optuna_metasampler.builtin.catalogue import LearnerParameter
from optuna_metasampler.cli.output import as_json, counted, echo_json, table, wrong_usage


@click.group()
def builtin() -> None:
    """Show what ships with the package about common learners."""


@builtin.command("list", epilog="\b\nExample:\n  optuna-metasampler builtin list")
@as_json
def list_(json_: bool) -> None:
    """List the learners that are known without any study."""
    from optuna_metasampler.builtin.catalogue import learners
    from optuna_metasampler.builtin.origin import origins

    rows: list[dict[str, Any]] = [
        {
            "learner": name,
            "data sets": len(origin.data_sets),
            "trials": origin.n_trials,
            "parameters": ", ".join(p.name for p in learners()[name].parameters),
        }
        for name, origin in origins().items()
    ]
    if json_:
        echo_json(rows)
    else:
        click.echo(table(rows, "parameters"))


@builtin.command(epilog="\b\nExample:\n  optuna-metasampler builtin show lightgbm")
@click.argument("learner")
@as_json
def show(learner: str, json_: bool) -> None:
    """Show the parameters of LEARNER and the data sets behind them."""
    from optuna_metasampler.builtin.catalogue import learner_of
    from optuna_metasampler.builtin.origin import origins

    with wrong_usage("'LEARNER'"):
        found = learner_of(learner)
    origin = origins().get(found.name)
    parameters: list[dict[str, Any]] = [
        {
            "parameter": p.name,
            "range": _range(p),
            "default": "-" if p.default is None else str(p.default),
            "also": ", ".join(sorted(p.aliases)),
        }
        for p in found.parameters
    ]
    if json_:
        data_sets = [] if origin is None else [vars(each) for each in origin.data_sets]
        echo_json({"learner": found.name, "parameters": parameters, "data_sets": data_sets})
        return
    click.echo(table(parameters, "also"))
    if origin is None:
        click.echo(f"\nNothing is shipped about {found.name} yet.")
        return
    n_trials = counted(origin.n_trials, "trial")
    click.echo(f"\nLearned from {n_trials} on {counted(len(origin.data_sets), 'data set')}:\n")
    rows: list[dict[str, Any]] = [
        {
            "data set": each.name,
            "kind": each.kind,
            "rows": each.rows,
            "features": each.features,
            "package": f"{each.package} {each.version} ({each.licence})",
        }
        for each in origin.data_sets
    ]
    click.echo(table(rows, "package"))


def _range(p: LearnerParameter) -> str:
    if p.choices:
        return ", ".join(map(str, p.choices))
    return f"{p.low:g} to {p.high:g}{', log' if p.log else ''}"
