"""What the demonstration measured: numbers, a table and a figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
import math
from pathlib import Path
import statistics
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter


_LABELS = {"MetaSampler": "MetaSampler", "Optuna's default": "TPESampler"}


@dataclass(frozen=True)
class Run:
    """One study of the target data set."""

    sampler: str
    """``MetaSampler`` or ``TPESampler``."""
    seed: int
    """The sampler's seed."""
    values: list[float]
    """Relative loss of every trial, in order."""
    seconds: list[float]
    """Seconds that the sampler and Optuna took for every trial, without the objective.

    The first includes making the sampler, and so reading the prior studies.
    """
    priors: list[dict[str, Any]]
    """`PriorWeight` of every prior study, as dictionaries; empty without prior studies."""

    @property
    def best(self) -> list[float]:
        """Smallest relative loss so far, after every trial."""
        return [min(self.values[: i + 1]) for i in range(len(self.values))]


@dataclass(frozen=True)
class DemoResult:
    """All numbers of a demonstration."""

    target: str
    """The data set that was tuned with and without prior studies."""
    n_trials: int
    """Trials of every compared study."""
    n_prior_trials: int
    """Trials of every prior study."""
    runs: list[Run]
    """The compared studies."""
    seconds: float
    """Seconds that the demonstration took."""
    versions: dict[str, str]
    """Versions of Python and of the packages."""

    def of(self, sampler: str) -> list[Run]:
        """Selects the runs of one sampler.

        Args:
            sampler: ``MetaSampler`` or ``TPESampler``.

        Returns:
            Its runs, by seed.
        """
        return sorted(
            (run for run in self.runs if run.sampler == sampler), key=lambda run: run.seed
        )

    @property
    def checkpoints(self) -> list[int]:
        """Numbers of trials after which the table shows the best value."""
        return sorted({n for n in (1, 5, 10, 20) if n < self.n_trials} | {self.n_trials})

    def median_best(self, sampler: str, n_trials: int) -> float:
        """Looks up the median over seeds of the best value.

        Args:
            sampler: ``MetaSampler`` or ``TPESampler``.
            n_trials: After how many trials.

        Returns:
            The smallest relative loss so far.
        """
        return statistics.median(run.best[n_trials - 1] for run in self.of(sampler))

    def seconds_per_suggestion(self, sampler: str) -> float:
        """Averages the time of a suggestion, over all trials and seeds.

        Args:
            sampler: ``MetaSampler`` or ``TPESampler``.

        Returns:
            Seconds, without the objective; reading the prior studies is spread over the trials.
        """
        return statistics.fmean(s for run in self.of(sampler) for s in run.seconds)

    def priors(self) -> list[dict[str, Any]]:
        """Summarises how much each prior study helped.

        Returns:
            For every prior study its ``name``, ``n_trials`` and the medians over seeds of
            ``rank_correlation`` and ``weight``, largest weight first.
        """
        by_name: dict[str, list[dict[str, Any]]] = {}
        for run in self.of("MetaSampler"):
            for prior in run.priors:
                by_name.setdefault(prior["name"], []).append(prior)
        rows = [
            {
                "name": name,
                "n_trials": found[0]["n_trials"],
                "rank_correlation": _median_of_known(p["rank_correlation"] for p in found),
                "weight": statistics.median(p["weight"] for p in found),
            }
            for name, found in by_name.items()
        ]
        return sorted(rows, key=lambda row: -row["weight"])

    def summary(self) -> str:
        """Writes the result as text.

        Returns:
            The table of best values, and the prior studies by weight.
        """
        n_seeds = len(self.of("MetaSampler"))
        head = "".join(f"{n:>9}" for n in self.checkpoints)
        lines = [
            f"Tuning {self.target}: relative loss of the best trial so far (0 is perfect, 1 is a",
            f"constant prediction), median of {n_seeds} seeds",
            "",
            f"{'after trial':<16}{head}   seconds per suggestion",
        ]
        for label, sampler in _LABELS.items():
            best = "".join(f"{self.median_best(sampler, n):>9.4f}" for n in self.checkpoints)
            lines.append(f"{label:<16}{best}   {self.seconds_per_suggestion(sampler):>22.3f}")
        lines += [
            "",
            "Which prior studies helped (medians over seeds)",
            "",
            f"{'prior study':<20}{'trials':>8}{'rank correlation':>20}{'weight':>10}",
        ]
        for row in self.priors():
            lines.append(
                f"{row['name']:<20}{row['n_trials']:>8}"
                f"{row['rank_correlation']:>20.2f}{row['weight']:>10.0%}"
            )
        lines += ["", f"{self.seconds:.0f} seconds in total."]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Gathers all numbers for a file.

        Returns:
            A dictionary of plain values: the settings, the table, and every run. None stands for
            NaN, which JSON lacks.
        """
        numbers: dict[str, Any] = {
            "target": self.target,
            "n_trials": self.n_trials,
            "n_prior_trials": self.n_prior_trials,
            "median_best": {
                sampler: {str(n): self.median_best(sampler, n) for n in self.checkpoints}
                for sampler in _LABELS.values()
            },
            "seconds_per_suggestion": {
                sampler: self.seconds_per_suggestion(sampler) for sampler in _LABELS.values()
            },
            "priors": self.priors(),
            "runs": [asdict(run) | {"best": run.best} for run in self.runs],
            "seconds": self.seconds,
            "versions": self.versions,
        }
        return {key: _without_nan(value) for key, value in numbers.items()}


def _median_of_known(values: Iterable[float]) -> float:
    """Takes the median of the values that are not NaN; NaN when there are none."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan


def _without_nan(value: Any) -> Any:
    """Replaces NaN by None."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def draw(result: DemoResult, path: Path) -> None:
    """Draws the best value so far against the number of trials, with and without prior studies.

    Args:
        result: What `run` returned.
        path: The picture to write; its suffix says the format.
    """
    # Colours of Okabe and Ito, which people with colour blindness tell apart.
    styles = {"MetaSampler": ("#0072B2", "-"), "TPESampler": ("#D55E00", "--")}
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = figure.subplots()
    trials = range(1, result.n_trials + 1)
    for label, sampler in _LABELS.items():
        color, line = styles[sampler]
        by_trial = list(zip(*(run.best for run in result.of(sampler)), strict=True))
        median = [statistics.median(best) for best in by_trial]
        axes.fill_between(
            trials,
            [min(best) for best in by_trial],
            [max(best) for best in by_trial],
            color=color,
            alpha=0.15,
            linewidth=0,
        )
        axes.plot(trials, median, line, color=color, linewidth=2, label=label)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(1, max(result.n_trials, 2))
    axes.set_xticks(result.checkpoints)
    axes.set_xlabel("trial")
    axes.set_ylabel("relative loss, best so far")
    n_seeds = len(result.of("MetaSampler"))
    axes.set_title(
        f"Tuning a network on {result.target}, after studies of four other data sets\n"
        f"(line: median of {n_seeds} seeds, band: their range; lower is better)",
        loc="left",
        fontsize=10,
    )
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper right")
    figure.savefig(path, dpi=200)
