"""``optuna-metasampler fit``: learn from prior studies once, and write a checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from optuna_metasampler.cli.output import (
    as_json,
    called,
    counted,
    echo_json,
    failures,
    fixed_values,
    force,
    named_values,
    printable,
    prior_fixed,
    rename,
    renames,
    studies,
    wrong_usage,
)
from optuna_metasampler.methods import METHODS


_EXAMPLES = (
    "\b\nExamples:\n"
    "  optuna-metasampler fit --prior sqlite:///old.db --out model.safetensors\n"
    "  optuna-metasampler fit --prior old.db --studies 'xgb-*' --method maml \\\n"
    "      --option n_inner_steps=10 --out xgb.safetensors"
)


@click.command(
    short_help="Learn from prior studies once, and write a checkpoint.", epilog=_EXAMPLES
)
@click.option(
    "--prior",
    metavar="SOURCE",
    multiple=True,
    required=True,
    help="A storage URL, an SQLite file, a journal log, a CSV file of study.trials_dataframe() or "
    "an archive; can be repeated.",
)
@studies
@click.option(
    "-o",
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File to write, such as model.safetensors.",
)
@click.option("--method", type=click.Choice(list(METHODS)), default="auto", show_default=True)
@click.option(
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="Option of the method; can be repeated.",
)
@click.option(
    "--direction",
    type=click.Choice(["minimize", "maximize"]),
    help="Direction of prior studies that do not have one.",
)
@rename
@prior_fixed
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed.")
@click.option(
    "--device", default="cpu", show_default=True, help="Device for training, such as cuda."
)
@click.option("--resume", is_flag=True, help="Continue an interrupted training.")
@force
@as_json
def fit(
    prior: tuple[str, ...],
    patterns: tuple[str, ...],
    out: Path,
    method: str,
    options: tuple[str, ...],
    direction: str | None,
    rename: tuple[str, ...],
    prior_fixed: tuple[str, ...],
    seed: int,
    device: str,
    resume: bool,
    force: bool,
    json_: bool,
) -> None:
    """Learn from prior studies once, for MetaSampler(checkpoint="model.safetensors").

    The file holds arrays and a description of them; nothing in it can be executed. For methods
    that train a network, the progress bar shows the training loss and the loss on held-out
    studies, and an interrupted training can be resumed.
    """
    if out.exists() and not (force or resume):
        raise click.BadParameter(
            f"{out} exists. Choose another name, replace it with --force, or continue its "
            "training with --resume.",
            param_hint="'--out'",
        )
    if resume and not out.exists():
        raise click.BadParameter(
            f"{out} does not exist, so there is no training to continue.",
            param_hint="'--resume'",
        )
    names, values = renames(rename), named_values(options, "--option", "n_steps=100")
    held = fixed_values(prior_fixed, "--prior-fixed")
    with failures():
        from optuna_metasampler._runtime import progress
        from optuna_metasampler.checkpoint import Checkpoint
        from optuna_metasampler.checkpoint import fit as fit_priors
        from optuna_metasampler.meta_train.loop import watch_on
        from optuna_metasampler.methods import method_of

        with wrong_usage("'--option'"):
            chosen = method_of(method, values)
        _check_device(device)
        was_finished = resume and Checkpoint.read_unfinished(out).header.finished
        try:
            hint = "'--direction' or '--prior-fixed'" if held else "'--direction'"
            with (
                called("--prior"),
                wrong_usage(hint),
                progress(f"Learning ({method})", "step") as show,
            ):
                checkpoint = fit_priors(
                    list(prior),
                    out,
                    prior_studies=patterns or None,
                    rename=names,
                    prior_fixed=held,
                    direction=direction,
                    method=chosen,
                    seed=seed,
                    device=device,
                    resume=resume,
                    watch=watch_on(show),
                )
        except KeyboardInterrupt:
            raise click.ClickException(
                f"Interrupted. {out} holds the training so far. To continue, run the same command "
                "with --resume."
            ) from None
    if json_:
        document = {"out": str(out), "method": method, "options": asdict(checkpoint.method)}
        echo_json(document | asdict(checkpoint.header))
        return
    header = checkpoint.header
    click.echo(
        f"{printable(str(out))}: {method}, "
        f"{'already finished, ' if was_finished else ''}learned from "
        f"{counted(header.n_studies, 'study', 'studies')} with "
        f"{counted(header.n_trials, 'trial', 'trials')}"
    )
    best = [p for p in header.curve if p.best]
    if best:
        click.echo(
            f"Stopped at step {header.curve[-1].step:,}; the best was step {best[-1].step:,}."
        )
    if best and best[-1].validation == best[-1].validation:
        click.echo(f"Loss on held-out studies: {best[-1].validation:.4g}")


def _check_device(device: str) -> None:
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise click.BadParameter(
            f"torch cannot use {device!r}: {reason}", param_hint="'--device'"
        ) from error
