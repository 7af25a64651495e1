"""What happens inside of real studies, drawn for `docs/how-it-works.md`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import functools
import math
import statistics
from typing import Any

from matplotlib.figure import Figure
import numpy as np
import optuna
import torch

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.plots import BLUE, GREEN, ORANGE, tidy
from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.trial_record import TrialRecord
from optuna_metasampler.extension import Policy, Predictor, Priors, Proposal, SearchSpace, Task
from optuna_metasampler.methods.default import Auto
from optuna_metasampler.surrogates.transfer import TransferPredictor


N_PRIOR_TRIALS = 40
N_SLICE_PRIOR_TRIALS = 20
N_TRIALS = 30
N_DESIGN_TRIALS = 12
# Two related studies, one with the wrong sign: what differs is where the optimum is.
SHIFTS = {"cats": (-0.12, 0.05), "dogs": (0.10, -0.08), "wrong sign": (0.0, 0.0)}
ASKS = (1, 4, 9)
_GRID = 121
_GREY = "#777777"

DESIGN, WEIGHT, SLICES = "initial_design", "prior_weight", "slices"
MIXTURES = {
    "2 related": ("cats", "dogs"),
    "2 related, 1 wrong": ("cats", "dogs", "wrong sign"),
    "1 wrong": ("wrong sign",),
    "no prior study": (),
}
"""Prior studies by what they are called in the figure."""


@dataclass(frozen=True)
class Job:
    """A study, or a few of one kind: what it shows, and its prior studies."""

    part: str
    mixture: str = ""
    seed: int = 0


def jobs(options: Options) -> list[Job]:
    """One study in two dimensions, one in one, and some over seeds for each mixture of priors."""
    seeds = range(options.settings["seeds"])
    weights = [Job(WEIGHT, mixture, seed) for mixture in MIXTURES for seed in seeds]
    return [Job(DESIGN), *weights, Job(SLICES)]


def run(job: Job, options: Options) -> dict[str, Any]:
    """One part."""
    del options
    if job.part == DESIGN:
        return initial_design()
    return slices() if job.part == SLICES else prior_weight(job.mixture, job.seed)


# --- Studies ----------------------------------------------------------------------------------


def bowl(x: float, y: float, shift: tuple[float, float] = (0.0, 0.0)) -> float:
    """Two valleys in the unit square, the deeper one at (0.7, 0.35) moved by `shift`."""
    u, v = x - 0.7 - shift[0], y - 0.35 - shift[1]
    deep = 1.0 * math.exp(-(u * u / 0.05 + v * v / 0.03))
    shallow = 0.6 * math.exp(-((x - 0.2) ** 2 / 0.04 + (y - 0.75) ** 2 / 0.05))
    return 1.0 - max(deep, shallow) + 0.3 * (u * u + v * v)


def objective(trial: optuna.Trial, shift: tuple[float, float], sign: int = 1) -> float:
    """`bowl` in two parameters."""
    return sign * bowl(trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1), shift)


def slope(x: float, shift: float) -> float:
    """One parameter: a wide valley with a ripple, moved by `shift`."""
    u = x - 0.6 - shift
    return 4.0 * u * u + 0.15 * math.sin(18.0 * u)


@functools.cache
def _prior_study(name: str) -> optuna.Study:
    """A study of Optuna's default sampler, as they are in users' storages."""
    sampler = optuna.samplers.TPESampler(seed=list(SHIFTS).index(name))
    study = optuna.create_study(study_name=name, sampler=sampler)
    sign = -1 if name == "wrong sign" else 1
    study.optimize(lambda t: objective(t, SHIFTS[name], sign), n_trials=N_PRIOR_TRIALS)
    return study


def initial_design() -> dict[str, Any]:
    """One study in two dimensions: where it looked, and what was best in the prior studies."""
    priors = [_prior_study(name) for name in ("cats", "dogs")]
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    study.optimize(lambda t: objective(t, (0.0, 0.0)), n_trials=N_DESIGN_TRIALS)
    return {
        "prior_incumbents": {
            p.study_name: [p.best_params["x"], p.best_params["y"]] for p in priors
        },
        "trials": [[t.params["x"], t.params["y"], t.value] for t in study.trials],
    }


@dataclass(frozen=True)
class Watched(Auto):
    """The default method, which keeps the model of each suggestion."""

    seen: list[Predictor] = field(default_factory=list)

    def policy(self, space: SearchSpace, priors: Priors, n_startup_trials: int | None) -> Policy:
        """The default policy, watched."""
        return _WatchedPolicy(super().policy(space, priors, n_startup_trials), self.seen)


@dataclass(frozen=True)
class _WatchedPolicy:
    policy: Policy
    seen: list[Predictor]

    def propose(self, history: Task, generator: torch.Generator) -> Proposal:
        """The policy's proposal."""
        proposal = self.policy.propose(history, generator)
        self.seen.extend(proposal.predictors)
        return proposal


def prior_weight(mixture: str, seed: int) -> dict[str, Any]:
    """By trial: the weight of each prior study, and the best value so far."""
    priors = [_prior_study(name) for name in MIXTURES[mixture]]
    sampler = MetaSampler(priors or None, seed=seed, learner=None)
    study = optuna.create_study(sampler=sampler)
    weights: list[dict[str, float]] = []
    for _ in range(N_TRIALS):
        trial = study.ask()
        study.tell(trial, objective(trial, (0.0, 0.0)))
        record = TrialRecord.read(study.trials[-1])
        weights.append({} if record is None else dict(record.weights))
    best = np.minimum.accumulate([t.values[0] for t in study.trials]).tolist()
    return {"weights": weights, "best": best}


def slices() -> dict[str, Any]:
    """One parameter: what the two models expect everywhere, at some of the suggestions."""
    priors = [_slice_prior(seed, shift) for seed, shift in enumerate((-0.1, 0.06))]
    method = Watched()
    study = optuna.create_study(sampler=MetaSampler(priors, method=method, seed=2))
    grid = np.linspace(0.0, 1.0, _GRID)
    panels = []
    for n in range(1, max(ASKS) + 1):
        trial = study.ask()
        x = trial.suggest_float("x", 0, 1)
        predictor = method.seen[-1]
        if n in ASKS and isinstance(predictor, TransferPredictor):
            panels.append(_panel(n, x, predictor, grid, study))
        study.tell(trial, slope(x, 0.0))
    return {"panels": panels}


def _slice_prior(seed: int, shift: float) -> optuna.Study:
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(
        lambda t: slope(t.suggest_float("x", 0, 1), shift), n_trials=N_SLICE_PRIOR_TRIALS
    )
    return study


def _panel(
    n: int,
    asked: float,
    predictor: TransferPredictor,
    grid: np.ndarray[Any, Any],
    study: optuna.Study,
) -> dict[str, Any]:
    """What the models expected when trial `n` was asked for, on their scale: higher is better."""
    x = torch.as_tensor(grid)[:, None]
    with torch.no_grad():
        each = predictor.each(x)
        prior = predictor.features(x)[:, 1]
        seen = [t.params["x"] for t in study.trials if t.value is not None]
        outcomes = predictor.posterior.outcomes[: len(seen)]
    return {
        "trial": n,
        "asked": asked,
        "seen": [[a, float(b)] for a, b in zip(seen, outcomes, strict=True)],
        "p_transfer": predictor.p_transfer,
        "prior": _rounded(prior),
        "transfer": [_rounded(each.mean[0]), _rounded(each.stddev[0])],
        "target_only": [_rounded(each.mean[1]), _rounded(each.stddev[1])],
    }


def _rounded(values: torch.Tensor) -> list[float]:
    return [round(v, 4) for v in values.tolist()]


# --- Figures ----------------------------------------------------------------------------------


def summarize(records: Sequence[Record]) -> Summary:
    """The parts, studies over seeds by their mixture of priors."""
    done = finished(records)
    return {
        "n_seeds": len({r["seed"] for r in done if r["part"] == WEIGHT}),
        DESIGN: _part(done, DESIGN),
        SLICES: _part(done, SLICES),
        WEIGHT: {
            mixture: [
                {name: r[name] for name in ("seed", "weights", "best")}
                for r in done
                if r["mixture"] == mixture
            ]
            for mixture in MIXTURES
        },
    }


def _part(records: Sequence[Record], part: str) -> dict[str, Any] | None:
    names = ("prior_incumbents", "trials", "panels")
    found = [{n: r[n] for n in names if n in r} for r in records if r["part"] == part]
    return found[0] if found else None


def tables(summary: Summary) -> dict[str, str]:
    """There are none."""
    del summary
    return {}


def figures(summary: Summary) -> dict[str, Figure]:
    """One a part that there are studies for."""
    draw = {DESIGN: _draw_design, WEIGHT: _draw_weight, SLICES: _draw_slices}
    weights = summary[WEIGHT] if all(summary[WEIGHT].values()) else None
    parts = {**summary, WEIGHT: weights}
    return {name: draw[name](parts[name]) for name in draw if parts[name] is not None}


def _draw_design(found: Mapping[str, Any]) -> Figure:
    """The objective from above, with the trials in their order."""
    figure = Figure(figsize=(7.4, 4.6), layout="constrained")
    axes = figure.subplots()
    grid = np.linspace(0, 1, 81)
    heights = np.array([[bowl(x, y) for x in grid] for y in grid])
    axes.contour(grid, grid, heights, levels=12, colors="#bbbbbb", linewidths=0.7)
    xs, ys, _ = zip(*found["trials"], strict=True)
    axes.plot(xs, ys, "o", color=ORANGE, markersize=14, label="trials, in their order")
    for number, (x, y) in enumerate(zip(xs, ys, strict=True), 1):
        axes.annotate(str(number), (x, y), ha="center", va="center", color="white", fontsize=8)
    for (name, (x, y)), marker in zip(found["prior_incumbents"].items(), "sD", strict=True):
        axes.plot(
            x,
            y,
            marker,
            color=BLUE,
            fillstyle="none",
            markersize=19,
            markeredgewidth=2,
            label=f'best of "{name}"',
        )
    best = np.unravel_index(heights.argmin(), heights.shape)
    axes.plot(grid[best[1]], grid[best[0]], "x", color="black", markersize=9, label="optimum")
    axes.set(xlabel="x", ylabel="y", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    figure.legend(
        loc="outside right upper", frameon=False, fontsize=8, labelspacing=2.2, handletextpad=1.4
    )
    tidy(axes, grid=False)
    return figure


def _draw_weight(found: Mapping[str, Any]) -> Figure:
    """The weight of the prior studies, and what it does to the best value so far."""
    figure = Figure(figsize=(9.2, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    n = range(1, N_TRIALS + 1)
    curves = {
        "2 related": (ORANGE, "-"),
        "2 related, 1 wrong": (GREEN, "-"),
        "1 wrong": (BLUE, "-"),
        "no prior study": (_GREY, "--"),
    }
    for label, (colour, line) in curves.items():
        runs = found[label]
        if label != "no prior study":
            totals = [[sum(w.values()) for w in run["weights"]] for run in runs]
            left.plot(n, _median(totals), line, color=colour, label=label)
            for total in totals:
                left.plot(n, total, color=colour, alpha=0.2, linewidth=0.8)
        right.plot(n, _median([run["best"] for run in runs]), line, color=colour, label=label)
    wrong = [[w.get("wrong sign", 0.0) for w in r["weights"]] for r in found[list(curves)[1]]]
    left.plot(n, _median(wrong), ":", color=GREEN, label="of the 3, the wrong one alone")
    left.set(xlabel="trial", ylabel="weight of the prior studies", ylim=(-0.03, 1.03))
    right.set(xlabel="trial", ylabel="best value so far", yscale="log")
    drawn = {line.get_label(): line for axes in (right, left) for line in axes.get_lines()}
    labelled = {label: line for label, line in drawn.items() if not str(label).startswith("_")}
    figure.legend(
        labelled.values(),
        [str(label) for label in labelled],
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize=8,
    )
    for axes in (left, right):
        tidy(axes, grid=False)
    return figure


def _draw_slices(found: Mapping[str, Any]) -> Figure:
    """The two models and what the prior studies predict, at three suggestions."""
    panels = found["panels"]
    figure = Figure(figsize=(9.2, 3.6), layout="constrained")
    grid = np.linspace(0, 1, _GRID)
    all_axes = figure.subplots(1, len(panels), sharey=True)
    for axes, panel in zip(all_axes, panels, strict=True):
        axes.plot(grid, panel["prior"], ":", color="black", label="prior studies alone")
        for key, colour, label in (
            ("transfer", ORANGE, "transfer model"),
            ("target_only", BLUE, "target-only model"),
        ):
            mean, spread = map(np.array, panel[key])
            axes.plot(grid, mean, color=colour, label=label)
            axes.fill_between(grid, mean - spread, mean + spread, color=colour, alpha=0.15)
        if panel["seen"]:
            axes.plot(*zip(*panel["seen"], strict=True), "o", color="black", label="trials so far")
        axes.axvline(panel["asked"], color=GREEN, linestyle="--", label="suggested next")
        axes.set(
            xlabel="x",
            title=f"Trial {panel['trial']}: transfer weight {panel['p_transfer']:.0%}",
            ylim=(-3, 3),
        )
        axes.title.set_fontsize(10)
        tidy(axes, grid=False)
    all_axes[0].set_ylabel("outcome on the models' scale,\nhigher is better")
    handles, labels = all_axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return figure


def _median(rows: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.median(column) for column in zip(*rows, strict=True)]


EXPERIMENT = Experiment(
    name="how_it_works",
    title="what happens inside of studies, for the documentation",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    figures=figures,
    settings={"seeds": 5},
)
