"""Write the figures of `benchmarks/results` into the README, so that no number is typed by hand.

Usage: ``python -m benchmarks.report`` (``--check`` only says whether the README is up to date).
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from benchmarks.overhead import table


ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def demo_block() -> str:
    """What `make demo` measured, in one sentence and a table."""
    result = json.loads((RESULTS / "demo.json").read_text(encoding="utf-8"))
    counts = list(next(iter(result["median_best"].values())))
    names = {"MetaSampler": "`MetaSampler`", "TPESampler": "Optuna's default (`TPESampler`)"}
    n_seeds = len(result["runs"]) // 2
    versions = result["versions"]
    lines = [
        "Real tuning, as `make demo` does it: a scikit-learn network on "
        f"`{result['target']}`. The priors are {len(result['priors'])}",
        f"finished studies of {result['n_prior_trials']} trials on *other* data sets. Relative "
        "loss of the best trial so far,",
        f"median of {n_seeds} seeds, lower is better, Optuna {versions['optuna']}. One "
        "problem, told as it came out:",
        "",
        "| after trial | " + " | ".join(counts) + " |",
        "|---|" + "---|" * len(counts),
    ]
    for sampler, best in result["median_best"].items():
        cells = " | ".join(f"{best[n]:.4f}" for n in counts)
        lines.append(f"| {names[sampler]} | {cells} |")
    return "\n".join(lines)


def overhead_block() -> str:
    """What `make bench-overhead` measured."""
    result = json.loads((RESULTS / "overhead.json").read_text(encoding="utf-8"))
    n_seeds = len({row["seed"] for row in result["rows"]})
    return "\n".join(
        [
            f"One `ask`, all `suggest_*` and one `tell` at {result['n_trials']} trials, medians; "
            f"the priors have {result['n_prior_trials']} trials",
            f"each. Compare the ratios (range over {n_seeds} runs), not the seconds of a machine.",
            "",
            table(result),
        ]
    )


def with_block(text: str, name: str, block: str) -> str:
    """The text with everything between the two markers of ``name`` replaced."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    return f"{head}{begin}\n{block}\n{end}{tail}"


def readme(text: str) -> str:
    """The README with the current figures."""
    return with_block(with_block(text, "demo", demo_block()), "overhead", overhead_block())


@click.command()
@click.option("--check", is_flag=True, help="Only say whether the README is up to date.")
def main(check: bool) -> None:
    """Write the measured figures into README.md."""
    path = ROOT / "README.md"
    before = path.read_text(encoding="utf-8")
    after = readme(before)
    if check and before != after:
        raise click.ClickException("README.md is not up to date; run python -m benchmarks.report.")
    if not check:
        path.write_text(after, encoding="utf-8")
        click.echo("README.md has the figures of benchmarks/results.")


if __name__ == "__main__":
    main()
