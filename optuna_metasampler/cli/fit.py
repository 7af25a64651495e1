"""``optuna-metasampler fit``: learn from prior studies once, and keep it in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
import json
from pathlib import Path
from typing import Any

import click

from optuna_metasampler.cli.output import (
    as_json,
    counted,
    echo_json,
    failures,
    force,
    printable,
    rename,
    renames,
    wrong_usage,
)
from optuna_metasampler.methods import METHODS


_EXAMPLES = (
    "\b\nExamples:\n"
    "  optuna-metasampler fit --prior sqlite:///old.db --out model.safetensors\n"
    "  optuna-metasampler fit --prior old.db --studies 'xgb-*' --method maml \\\n"
    "      --option n_inner_steps=10 --out xgb.safetensors"
)


@click.command(epilog=_EXAMPLES)
@click.option(
    "--prior",
    metavar="SOURCE",
    multiple=True,
    required=True,
    help="A storage URL, an SQLite file, a journal log, a CSV file of study.trials_dataframe() or "
    "an archive; may be given more than once.",
)
@click.option(
    "--studies",
    metavar="GLOB",
    multiple=True,
    help="Only studies of this name; may be given more than once.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file to write, such as model.safetensors.",
)
@click.option("--method", type=click.Choice(list(METHODS)), default="auto", show_default=True)
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="An option of the method; may be given more than once.",
)
@click.option(
    "--direction",
    type=click.Choice(["minimize", "maximize"]),
    help="What is better, where the studies do not say it themselves.",
)
@rename
@click.option("--seed", type=int, default=0, show_default=True, help="Of all that is random.")
@click.option("--device", default="cpu", show_default=True, help="Such as cuda.")
@click.option("--resume", is_flag=True, help="Go on with the training in the file.")
@force
@as_json
def fit(
    prior: tuple[str, ...],
    studies: tuple[str, ...],
    out: Path,
    method: str,
    options: tuple[str, ...],
    direction: str | None,
    rename: tuple[str, ...],
    seed: int,
    device: str,
    resume: bool,
    force: bool,
    json_: bool,
) -> None:
    """Learn from prior studies once, for MetaSampler(checkpoint="model.safetensors").

    The file holds numbers and a description, and nothing that can be executed. Where a network is
    trained the bar shows the loss and that on studies held out, and an interrupted training can be
    resumed.
    """
    if out.exists() and not (force or resume):
        raise click.BadParameter(
            f"{out} exists. Give another name, --force to replace it, or --resume to go on with "
            "the training in it.",
            param_hint="'--out'",
        )
    if resume and not out.exists():
        raise click.BadParameter(
            f"{out} does not exist, so there is no training to go on with.",
            param_hint="'--resume'",
        )
    names, values = renames(rename), _options(options)
    with failures():
        from optuna_metasampler._runtime import progress
        from optuna_metasampler.checkpoint import Checkpoint
        from optuna_metasampler.checkpoint import fit as fit_priors
        from optuna_metasampler.meta_train.loop import shown_by
        from optuna_metasampler.methods import method_of

        with wrong_usage("'--option'"):
            chosen = method_of(method, values)
        _check_device(device)
        was_finished = resume and Checkpoint.read_unfinished(out).header.finished
        try:
            with wrong_usage("'--direction'"), progress(f"Learning ({method})", "step") as show:
                checkpoint = fit_priors(
                    list(prior),
                    out,
                    prior_studies=studies or None,
                    rename=names,
                    direction=direction,
                    method=chosen,
                    seed=seed,
                    device=device,
                    resume=resume,
                    watch=shown_by(show),
                )
        except KeyboardInterrupt:
            raise click.ClickException(
                f"Interrupted. {out} holds the training so far; the same command with --resume "
                "goes on from there."
            ) from None
    if json_:
        document = {"out": str(out), "method": method, "options": asdict(checkpoint.method)}
        echo_json(document | asdict(checkpoint.header))
        return
    header = checkpoint.header
    click.echo(
        f"{printable(str(out))}: {method}, "
        f"{'finished before, ' if was_finished else ''}learned from "
        f"{counted(header.n_studies, 'study', 'studies')} with "
        f"{counted(header.n_trials, 'trial', 'trials')}"
    )
    best = [p for p in header.curve if p.best]
    if best:
        click.echo(f"Stopped at step {header.curve[-1].step:,}; kept step {best[-1].step:,}.")
    if best and best[-1].validation == best[-1].validation:
        click.echo(f"Loss on the studies held out: {best[-1].validation:.4g}")


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise click.BadParameter(
            f"torch cannot use {device!r} here: {reason}", param_hint="'--device'"
        ) from error


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    """The mapping that ``--option NAME=VALUE`` asks for; values are JSON, or else strings."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not (name and separator):
            raise click.BadParameter(
                f"must be NAME=VALUE, such as n_steps=100, but got {pair!r}.",
                param_hint="'--option'",
            )
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found
