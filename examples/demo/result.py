"""What the demonstration measured: a table, a conclusion and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
import numpy as np


WARM = "MetaSampler, old studies"
COLD = "MetaSampler, no old studies"
ENQUEUED = "TPE, old bests enqueued"
TPE = "TPE (Optuna's default)"

# Colours of Okabe and Ito, which people with colour blindness tell apart.
_STYLES: dict[str, dict[str, Any]] = {
    WARM: {"color": "#D55E00", "linewidth": 2.6, "zorder": 5},
    COLD: {"color": "#D55E00", "linewidth": 1.6, "linestyle": (0, (1, 1))},
    ENQUEUED: {"color": "#0072B2", "linewidth": 1.6, "linestyle": "--"},
    TPE: {"color": "#0072B2", "linewidth": 1.6},
}
_FEW = 3


@dataclass(frozen=True)
class Result:
    """All numbers of a demonstration."""

    n_old_trials: int
    """Trials of every old study."""
    values: dict[str, dict[str, list[list[float]]]]
    """The log loss of every trial: by data set, by sampler, a list for each seed."""
    reports: dict[str, str]
    """`MetaSampler`'s report on the first new study of each data set."""
    seconds: float
    """How long all of it took."""
    versions: dict[str, str]
    """Of Python and of the packages."""

    @property
    def n_seeds(self) -> int:
        """Repeats of the comparison."""
        return min(len(runs) for each in self.values.values() for runs in each.values())

    @property
    def n_trials(self) -> int:
        """Trials of every new study."""
        return len(self.best(next(iter(self.values)), TPE))

    @property
    def shown(self) -> list[int]:
        """The trials that the table shows."""
        return sorted({n for n in (1, _FEW, 5, 10) if n < self.n_trials} | {self.n_trials})

    def best(self, data_set: str, sampler: str) -> np.ndarray:
        """The smallest log loss so far, after every trial; the mean over seeds."""
        best = np.minimum.accumulate(np.array(self.values[data_set][sampler]), axis=1)
        mean: np.ndarray = best.mean(axis=0)
        return mean

    def by_gain(self) -> list[str]:
        """The data sets, that where old studies helped most first.

        This is by the ratio of the mean log loss to that of Optuna's default sampler.
        """

        def ratio(data_set: str) -> float:
            return float(self.best(data_set, WARM).mean() / self.best(data_set, TPE).mean())

        return sorted(self.values, key=ratio)

    def table(self) -> dict[str, dict[str, dict[str, float]]]:
        """The smallest log loss so far: by data set, by sampler, by number of trials."""
        return {
            data_set: {
                sampler: {str(n): float(self.best(data_set, sampler)[n - 1]) for n in self.shown}
                for sampler in each
            }
            for data_set, each in self.values.items()
        }

    def conclusion(self) -> str:
        """What the numbers say, whatever they are."""
        last = self.n_trials
        needed = []
        for name in self.by_gain():
            as_good = self.best(name, WARM) <= self.best(name, TPE)[-1]
            n = str(as_good.argmax() + 1) if as_good.any() else f"more than {last}"
            needed.append(f"{n} on {name}")

        def ahead(sampler: str, n_trials: int) -> str:
            gaps = [self.best(name, WARM) - self.best(name, sampler) for name in self.values]
            return f"{sum(gap[n_trials - 1] < 0 for gap in gaps)} of {len(gaps)}"

        return (
            f"What Optuna's default sampler reaches in {last} trials, MetaSampler with old "
            f"studies reaches in {', '.join(needed[:-1])} and {needed[-1]}. It is ahead of that "
            f"sampler on {ahead(TPE, _FEW)} data sets after {_FEW} trials and on "
            f"{ahead(TPE, last)} after {last}; with the old bests enqueued there, on "
            f"{ahead(ENQUEUED, _FEW)} and {ahead(ENQUEUED, last)}."
        )

    def summary(self) -> str:
        """The table, as text."""
        width = max(map(len, _STYLES)) + 2
        lines = [
            f"Log loss of the best trial so far (mean of {self.n_seeds} seeds; lower is better)",
            "",
            f"{'after trial':<{width}}" + "".join(f"{n:>8}" for n in self.shown),
        ]
        for data_set, samplers in self.table().items():
            lines.append(data_set)
            for sampler, losses in samplers.items():
                cells = "".join(f"{loss:>8.3f}" for loss in losses.values())
                lines.append(f"{f'  {sampler}':<{width}}{cells}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """All numbers, for a file."""
        return {
            "n_trials": self.n_trials,
            "n_old_trials": self.n_old_trials,
            "n_seeds": self.n_seeds,
            "conclusion": self.conclusion(),
            "table": self.table(),
            "values": self.values,
            "seconds": self.seconds,
            "versions": self.versions,
        }

    def figure(self) -> Figure:
        """The smallest log loss so far against trials, a panel for each data set."""
        figure = Figure(figsize=(9.6, 3.2), layout="constrained")
        panels = figure.subplots(1, len(self.values))
        trials = range(1, self.n_trials + 1)
        for axes, (data_set, samplers) in zip(panels, self.values.items(), strict=True):
            for sampler in samplers:
                axes.plot(trials, self.best(data_set, sampler), label=sampler, **_STYLES[sampler])
            axes.set(title=data_set, xlabel="trial", xticks=self.shown)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
        panels[0].set_ylabel(f"best log loss so far\n(mean of {self.n_seeds} seeds)")
        lines, labels = panels[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=4, frameon=False)
        return figure
