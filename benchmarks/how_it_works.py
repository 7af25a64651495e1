"""Runs real studies and draws what happens inside of them, for `docs/how-it-works.md`.

Usage: ``python -m benchmarks.how_it_works [--draw]``; ``--draw`` draws from the result file alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
import io
import json
import math
from pathlib import Path
import platform
import statistics
from typing import Any

import click
from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np
import optuna
from PIL import Image
import torch

from optuna_metasampler import MetaSampler
from optuna_metasampler.surrogates.transfer import TransferPredictor


FOLDER = Path(__file__).parent / "results" / "how_it_works"
RESULT = FOLDER / "how_it_works.json"

Result = Mapping[str, Any]

N_PRIOR_TRIALS = 40
N_SLICE_PRIOR_TRIALS = 20
N_TRIALS = 30
SEEDS = range(5)
# Two related studies, one with the wrong sign: what differs is where the optimum is.
SHIFTS = {"cats": (-0.12, 0.05), "dogs": (0.10, -0.08), "wrong sign": (0.0, 0.0)}
ASKS = (1, 4, 9)
_GRID = 121

_ORANGE, _BLUE, _GREEN, _GREY = "#D55E00", "#0072B2", "#009E73", "#777777"


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


def prior_studies(names: Sequence[str]) -> list[optuna.Study]:
    """Studies of Optuna's default sampler, as they are in users' storages."""
    studies = []
    for seed, name in enumerate(SHIFTS):
        sampler = optuna.samplers.TPESampler(seed=seed)
        study = optuna.create_study(study_name=name, sampler=sampler)
        sign = -1 if name == "wrong sign" else 1
        study.optimize(
            lambda t, n=name, s=sign: objective(t, SHIFTS[n], s), n_trials=N_PRIOR_TRIALS
        )
        studies.append(study)
    return [study for study in studies if study.study_name in names]


# --- Running ----------------------------------------------------------------------------------


def opening() -> dict[str, Any]:
    """One study in two dimensions: where it looked, and what was best in the prior studies."""
    priors = prior_studies(["cats", "dogs"])
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    study.optimize(lambda t: objective(t, (0.0, 0.0)), n_trials=12)
    return {
        "favourites": {p.study_name: [p.best_params["x"], p.best_params["y"]] for p in priors},
        "trials": [[t.params["x"], t.params["y"], t.value] for t in study.trials],
    }


def say() -> dict[str, Any]:
    """By trial: the say of prior studies, and the best value so far, over seeds."""
    mixtures = {
        "2 related": ["cats", "dogs"],
        "2 related, 1 wrong": ["cats", "dogs", "wrong sign"],
        "1 wrong": ["wrong sign"],
        "no prior study": [],
    }
    found: dict[str, Any] = {}
    for label, names in mixtures.items():
        runs = []
        for seed in SEEDS:
            sampler = MetaSampler(prior_studies(names) or None, seed=seed)
            study = optuna.create_study(sampler=sampler)
            weights: list[dict[str, float]] = []
            for _ in range(N_TRIALS):
                trial = study.ask()
                study.tell(trial, objective(trial, (0.0, 0.0)))
                weights.append({r.name: r.weight for r in sampler.prior_weights(study)})
            best = np.minimum.accumulate([t.value for t in study.trials]).tolist()
            runs.append({"seed": seed, "weights": weights, "best": best})
        found[label] = runs
    return found


def slices() -> list[dict[str, Any]]:
    """One parameter: what the two models expect everywhere, at some of the suggestions."""
    priors = []
    for seed, shift in enumerate((-0.1, 0.06)):
        prior = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        prior.optimize(
            lambda t, s=shift: slope(t.suggest_float("x", 0, 1), s), n_trials=N_SLICE_PRIOR_TRIALS
        )
        priors.append(prior)
    sampler = MetaSampler(priors, seed=2)
    study = optuna.create_study(sampler=sampler)
    grid = np.linspace(0.0, 1.0, _GRID)
    panels = []
    for n in range(1, max(ASKS) + 1):
        trial = study.ask()
        x = trial.suggest_float("x", 0, 1)
        predictor = next(iter(sampler.transfer_predictors(study)), None)
        if n in ASKS and isinstance(predictor, TransferPredictor):
            panels.append(_panel(n, x, predictor, grid, study))
        study.tell(trial, slope(x, 0.0))
    return panels


def _panel(
    n: int,
    asked: float,
    predictor: TransferPredictor,
    grid: np.ndarray[Any, Any],
    study: optuna.Study,
) -> dict[str, Any]:
    """What was believed when trial `n` was asked for, on the models' scale: higher is better."""
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
        "say": predictor.p_transfer,
        "prior": _rounded(prior),
        "transfer": [_rounded(each.mean[0]), _rounded(each.stddev[0])],
        "twin": [_rounded(each.mean[1]), _rounded(each.stddev[1])],
    }


def _rounded(values: torch.Tensor) -> list[float]:
    return [round(v, 4) for v in values.tolist()]


# --- Drawing ----------------------------------------------------------------------------------


def draw(result: Result, folder: Path) -> list[Path]:
    """Draw all figures from the result alone; returns their files."""
    drawn = []
    for function in (draw_opening, draw_say, draw_slices):
        path = folder / f"{function.__name__.removeprefix('draw_')}.png"
        buffer = io.BytesIO()
        function(result).savefig(buffer, dpi=110)
        with Image.open(buffer) as image:
            image.convert("RGB").quantize(96).save(path, optimize=True)
        drawn.append(path)
    return drawn


def draw_opening(result: Result) -> Figure:
    """The objective from above, with the trials in their order."""
    found = result["opening"]
    figure = Figure(figsize=(7.4, 4.6), layout="constrained")
    axes = figure.subplots()
    grid = np.linspace(0, 1, 81)
    heights = np.array([[bowl(x, y) for x in grid] for y in grid])
    axes.contour(grid, grid, heights, levels=12, colors="#bbbbbb", linewidths=0.7)
    xs, ys, _ = zip(*found["trials"], strict=True)
    axes.plot(xs, ys, "o", color=_ORANGE, markersize=14, label="trials, in their order")
    for number, (x, y) in enumerate(zip(xs, ys, strict=True), 1):
        axes.annotate(str(number), (x, y), ha="center", va="center", color="white", fontsize=8)
    for (name, (x, y)), marker in zip(found["favourites"].items(), "sD", strict=True):
        axes.plot(
            x,
            y,
            marker,
            color=_BLUE,
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
    _tidy(axes)
    return figure


def draw_say(result: Result) -> Figure:
    """The say of the prior studies, and what it does to the best value so far."""
    found = result["say"]
    figure = Figure(figsize=(9.2, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    n = range(1, result["n_trials"] + 1)
    curves = {
        "2 related": (_ORANGE, "-"),
        "2 related, 1 wrong": (_GREEN, "-"),
        "1 wrong": (_BLUE, "-"),
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
    left.plot(n, _median(wrong), ":", color=_GREEN, label="of the 3, the wrong one alone")
    left.set(xlabel="trial", ylabel="say of the prior studies", ylim=(-0.03, 1.03))
    right.set(xlabel="trial", ylabel="best value so far", yscale="log")
    drawn = {line.get_label(): line for axes in (right, left) for line in axes.get_lines()}
    shown = {label: line for label, line in drawn.items() if not str(label).startswith("_")}
    figure.legend(
        shown.values(),
        [str(label) for label in shown],
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize=8,
    )
    for axes in (left, right):
        _tidy(axes)
    return figure


def draw_slices(result: Result) -> Figure:
    """The two models and what the prior studies say, at three suggestions."""
    panels = result["slices"]
    figure = Figure(figsize=(9.2, 3.6), layout="constrained")
    grid = np.linspace(0, 1, _GRID)
    all_axes = figure.subplots(1, len(panels), sharey=True)
    for axes, panel in zip(all_axes, panels, strict=True):
        axes.plot(grid, panel["prior"], ":", color="black", label="prior studies alone")
        for key, colour, label in (
            ("transfer", _ORANGE, "model that builds on them"),
            ("twin", _BLUE, "twin without them"),
        ):
            mean, spread = map(np.array, panel[key])
            axes.plot(grid, mean, color=colour, label=label)
            axes.fill_between(grid, mean - spread, mean + spread, color=colour, alpha=0.15)
        if panel["seen"]:
            axes.plot(*zip(*panel["seen"], strict=True), "o", color="black", label="trials so far")
        axes.axvline(panel["asked"], color=_GREEN, linestyle="--", label="suggested next")
        axes.set(xlabel="x", title=f"Trial {panel['trial']}: say {panel['say']:.0%}", ylim=(-3, 3))
        axes.title.set_fontsize(10)
        _tidy(axes)
    all_axes[0].set_ylabel("outcome on the models' scale,\nhigher is better")
    handles, labels = all_axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return figure


def _median(rows: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


@click.command(help=__doc__)
@click.option("--draw", "only_draw", is_flag=True, help="Draw from the result file, run nothing.")
def main(only_draw: bool) -> None:
    """Run, keep and draw."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not only_draw:
        result = {
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in ("optuna", "torch", "numpy")},
            "n_trials": N_TRIALS,
            "n_prior_trials": N_PRIOR_TRIALS,
            "opening": opening(),
            "say": say(),
            "slices": slices(),
        }
        RESULT.write_text(json.dumps(result, separators=(",", ":")) + "\n", encoding="utf-8")
    for path in draw(json.loads(RESULT.read_text(encoding="utf-8")), FOLDER):
        click.echo(path)


if __name__ == "__main__":
    main()
