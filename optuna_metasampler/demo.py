"""A demonstration on real models: what four finished studies are worth to a fifth.

One small neural network (scikit-learn's ``MLPClassifier`` or ``MLPRegressor``) is tuned on the
five data sets that come with scikit-learn. The search space is the same for all: eight
parameters, numerical on linear and log scales, integer, categorical, and one that exists for one
solver only. The value to minimise is the *relative loss*: the cross-validated loss (log loss for
classes, squared error for numbers) divided by the loss of a constant prediction. 0 is perfect,
1 is no better than a constant.

Four of the data sets are tuned with Optuna's default sampler, and these studies are kept in a
SQLite file. The fifth, the target, is then tuned by ``MetaSampler``, which reads those four
studies, and by Optuna's default sampler, which does not, with the same budget and seeds.

Nothing is picked by its outcome: the target is the data set with the most rows (the case where
earlier, cheaper studies are wanted most), and the seeds are 0, 1, 2, and so on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
import functools
from importlib.metadata import version
import json
import math
import multiprocessing
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
import os
from pathlib import Path
import platform
import statistics
import time
from typing import Any
import warnings

import optuna

from optuna_metasampler import __version__
from optuna_metasampler.sampler import MetaSampler


DATA_SETS = ("breast_cancer", "diabetes", "digits", "iris", "wine")
"""The data sets that come with scikit-learn, in alphabetical order."""

N_PRIOR_TRIALS = 30
"""Trials of every prior study."""

_N_EPOCHS = 20
_N_FOLDS = 3
# A diverged or wildly overconfident network: without a ceiling, one such trial hides all others.
_MAX_RELATIVE_LOSS = 10.0
# Every prior study has a seed of its own, also apart from those of the compared studies: with a
# shared one, Optuna's default sampler would start all of them with the same random trials.
_PRIOR_SEED = {name: 1000 + i for i, name in enumerate(DATA_SETS)}
# Written as the last thing of a prior study. A study without it is incomplete or of an older
# version of this file, and is made again.
_RECIPE_KEY = "optuna_metasampler:demo"
_RECIPE = {"version": 1, "n_trials": N_PRIOR_TRIALS}
_LABELS = {"MetaSampler": "MetaSampler", "Optuna's default": "TPESampler"}
_PACKAGES = ("optuna", "torch", "scikit-learn", "numpy")


# --- The problem ---------------------------------------------------------------------------


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    """Asks for one setting of the network.

    Args:
        trial: The trial that is asked.

    Returns:
        The eight parameters by name; ``momentum`` is there for the solver ``sgd`` only.
    """
    params: dict[str, Any] = {
        "hidden_units": trial.suggest_int("hidden_units", 8, 128, log=True),
        "n_layers": trial.suggest_int("n_layers", 1, 3),
        "activation": trial.suggest_categorical("activation", ["relu", "tanh", "logistic"]),
        "batch_size": trial.suggest_int("batch_size", 16, 256, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "alpha": trial.suggest_float("alpha", 1e-6, 10.0, log=True),
        "solver": trial.suggest_categorical("solver", ["adam", "sgd"]),
    }
    if params["solver"] == "sgd":
        params["momentum"] = trial.suggest_float("momentum", 0.0, 0.99)
    return params


@functools.cache
def _load(data_set: str) -> tuple[Any, Any]:
    """Loads a data set that comes with scikit-learn.

    Args:
        data_set: One of `DATA_SETS`.

    Returns:
        Inputs, shape ``(n, d)``, and targets, shape ``(n,)``; numerical targets are standardised.
    """
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{data_set}")(return_X_y=True)
    if _is_regression(data_set):
        y = (y - y.mean()) / y.std()
    return x, y


def _is_regression(data_set: str) -> bool:
    return data_set == "diabetes"


def evaluate(data_set: str, params: Mapping[str, Any]) -> float:
    """Cross-validates one setting of the network.

    Args:
        data_set: One of `DATA_SETS`.
        params: What `suggest` returned.

    Returns:
        The relative loss, at least 0 and at most 10; smaller is better.
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import log_loss, mean_squared_error
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = _load(data_set)
    regression = _is_regression(data_set)
    network = (MLPRegressor if regression else MLPClassifier)(
        hidden_layer_sizes=(params["hidden_units"],) * params["n_layers"],
        activation=params["activation"],
        solver=params["solver"],
        alpha=params["alpha"],
        batch_size=params["batch_size"],
        learning_rate_init=params["learning_rate"],
        momentum=params.get("momentum", 0.0),
        max_iter=_N_EPOCHS,
        random_state=0,
    )
    folds = (KFold if regression else StratifiedKFold)(_N_FOLDS, shuffle=True, random_state=0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # The short training is the point, and small data sets have folds below `batch_size`.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Got `batch_size` less than 1 or larger")
        try:
            prediction = cross_val_predict(
                make_pipeline(StandardScaler(), network),
                x,
                y,
                cv=folds,
                method="predict" if regression else "predict_proba",
            )
        except ValueError as error:
            if "non-finite" not in str(error):
                raise
            return _MAX_RELATIVE_LOSS  # the solver diverged
    if not np.isfinite(prediction).all():
        return _MAX_RELATIVE_LOSS
    if regression:
        loss, constant = mean_squared_error(y, prediction), float(np.var(y))
    else:
        share = np.bincount(y) / len(y)
        loss, constant = log_loss(y, prediction), -float(share @ np.log(share))
    return min(float(loss / constant), _MAX_RELATIVE_LOSS)


def largest_data_set() -> str:
    """Finds the data set with the most rows.

    Returns:
        One of `DATA_SETS`.
    """
    return max(DATA_SETS, key=lambda name: len(_load(name)[0]))


# --- The studies, run in worker processes --------------------------------------------------


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
    """`PriorRelevance` of every prior study, as dictionaries; empty without prior studies."""

    @property
    def best(self) -> list[float]:
        """Smallest relative loss so far, after every trial."""
        return [min(self.values[: i + 1]) for i in range(len(self.values))]


class _Stopped(Exception):
    """Raised in a worker when the demo was interrupted."""


# Set in the worker processes by `_start_worker`.
_n_done: Synchronized[int]
_stop: Event


def _start_worker(n_done: Synchronized[int], stop: Event) -> None:
    """Prepares a worker process.

    Args:
        n_done: Counts the finished trials of all workers.
        stop: Set when the workers shall end.
    """
    import signal

    global _n_done, _stop
    _n_done, _stop = n_done, stop
    # Ctrl-C reaches all processes of a terminal; the parent answers it and sets `stop`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Imported here so that neither sampler's times include it.
    import sklearn.neural_network  # noqa: F401
    import torch

    torch.set_num_threads(1)


def _optimize(study: optuna.Study, data_set: str, n_trials: int) -> list[float]:
    """Runs trials, counting them.

    Args:
        study: The study to run.
        data_set: One of `DATA_SETS`.
        n_trials: How many trials to run.

    Returns:
        Seconds that every trial took outside the objective.
    """
    seconds = []
    for _ in range(n_trials):
        if _stop.is_set():
            raise _Stopped
        start = time.perf_counter()
        trial = study.ask()
        params = suggest(trial)
        asked = time.perf_counter()
        value = evaluate(data_set, params)
        evaluated = time.perf_counter()
        study.tell(trial, value)
        seconds.append(asked - start + time.perf_counter() - evaluated)
        with _n_done.get_lock():
            _n_done.value += 1
    return seconds


def _run_prior(data_set: str) -> list[optuna.trial.FrozenTrial]:
    """Tunes a data set for a prior study, in memory."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=_PRIOR_SEED[data_set]))
    _optimize(study, data_set, N_PRIOR_TRIALS)
    return study.trials


def _run_target(
    data_set: str, seed: int, n_trials: int, prior: str | None, prior_studies: list[str]
) -> Run:
    """Tunes the target data set once, with `MetaSampler` if there is a prior storage."""
    start = time.perf_counter()
    sampler: optuna.samplers.BaseSampler
    if prior is None:
        sampler = optuna.samplers.TPESampler(seed=seed)
    else:
        sampler = MetaSampler(prior, prior_studies=prior_studies, seed=seed)
    made = time.perf_counter() - start
    study = optuna.create_study(study_name=_study_name(data_set), sampler=sampler)
    seconds = _optimize(study, data_set, n_trials)
    seconds[0] += made
    weights = sampler.prior_weights(study) if isinstance(sampler, MetaSampler) else []
    return Run(
        sampler=type(sampler).__name__,
        seed=seed,
        values=[trial.value for trial in study.trials if trial.value is not None],
        seconds=seconds,
        priors=[asdict(prior) for prior in weights],
    )


# --- The parent process --------------------------------------------------------------------


def _study_name(data_set: str) -> str:
    return f"demo-{data_set}"


def _missing_priors(storage: optuna.storages.BaseStorage, data_sets: Sequence[str]) -> list[str]:
    """Deletes half-written prior studies, and says which data sets are still to be tuned."""
    missing = []
    complete = {
        summary.study_name: summary.user_attrs.get(_RECIPE_KEY) == _RECIPE
        for summary in optuna.get_all_study_summaries(storage, include_best_trial=False)
    }
    for data_set in data_sets:
        name = _study_name(data_set)
        if complete.get(name, False):
            continue
        if name in complete:
            optuna.delete_study(study_name=name, storage=storage)
        missing.append(data_set)
    return missing


def _save_prior(
    storage: optuna.storages.BaseStorage,
    data_set: str,
    trials: Sequence[optuna.trial.FrozenTrial],
) -> None:
    study = optuna.create_study(storage=storage, study_name=_study_name(data_set))
    study.add_trials(trials)
    study.set_user_attr(_RECIPE_KEY, _RECIPE)


@contextmanager
def _single_threaded_children() -> Iterator[None]:
    """Lets processes started meanwhile use one thread each for linear algebra."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keeps Optuna's log lines out of the progress bar."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


@dataclass(frozen=True)
class DemoResult:
    """All numbers of a demonstration."""

    target: str
    """The data set that was tuned with and without prior studies."""
    n_trials: int
    """Trials of every compared study."""
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
            A dictionary of plain values: the settings, the table, and every run.
        """
        return {
            "target": self.target,
            "n_trials": self.n_trials,
            "n_prior_trials": N_PRIOR_TRIALS,
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


def _median_of_known(values: Iterable[float]) -> float:
    """Takes the median of the values that are not NaN; NaN when there are none."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan


def _without_nan(value: Any) -> Any:
    """Replaces NaN, which JSON lacks, by None."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def run(
    out: Path,
    *,
    target: str | None = None,
    n_trials: int = 20,
    n_seeds: int = 8,
    n_jobs: int = 2,
) -> DemoResult:
    """Runs the demonstration.

    Args:
        out: Folder for ``prior.db``, ``demo.png`` and ``demo.json``; made if missing. Prior
            studies that are complete in ``prior.db`` are used again.
        target: The data set to tune with and without prior studies, one of `DATA_SETS`. None
            takes the one with the most rows.
        n_trials: Trials of every compared study.
        n_seeds: Repeats of the comparison, with the seeds 0, 1, and so on.
        n_jobs: Worker processes.

    Returns:
        All numbers, also written to ``demo.json``.

    Raises:
        ValueError: If `target` is not one of `DATA_SETS`.
    """
    from tqdm import tqdm

    start = time.perf_counter()
    if target is None:
        target = largest_data_set()
    elif target not in DATA_SETS:
        raise ValueError(f"`target` must be one of {', '.join(DATA_SETS)}, but got {target!r}.")
    prior_sets = [name for name in DATA_SETS if name != target]
    # Named one by one: a study of the target itself, left by another run, must not be read.
    prior_studies = [_study_name(name) for name in prior_sets]

    out.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{(out / 'prior.db').resolve().as_posix()}"
    context = multiprocessing.get_context("spawn")
    n_done: Synchronized[int] = context.Value("i", 0)
    stop = context.Event()
    with _quiet_optuna(), _single_threaded_children():
        storage = optuna.storages.RDBStorage(url)
        missing = _missing_priors(storage, prior_sets)
        # The slowest first, so that no worker is left alone with it.
        missing.sort(key=lambda name: -len(_load(name)[0]))
        n_total = len(missing) * N_PRIOR_TRIALS + 2 * n_seeds * n_trials
        with (
            tqdm(total=n_total, unit="trial", smoothing=0.05, disable=None) as bar,
            ProcessPoolExecutor(
                n_jobs, mp_context=context, initializer=_start_worker, initargs=(n_done, stop)
            ) as pool,
        ):
            try:
                bar.set_description("Prior studies")
                making = {pool.submit(_run_prior, name): name for name in missing}
                done: dict[str, list[optuna.trial.FrozenTrial]] = {}
                for made in _as_completed(making, bar, n_done):
                    done[making[made]] = made.result()
                    # In one order, whoever comes first: what is learned depends on it a little.
                    while missing and missing[0] in done:
                        name = missing.pop(0)
                        _save_prior(storage, name, done[name])

                bar.set_description(f"Tuning {target}")
                tuning = [
                    pool.submit(_run_target, target, seed, n_trials, prior, prior_studies)
                    for seed in range(n_seeds)
                    for prior in (url, None)
                ]
                for _ in _as_completed(tuning, bar, n_done):
                    pass
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    result = DemoResult(
        target=target,
        n_trials=n_trials,
        runs=[future.result() for future in tuning],
        seconds=time.perf_counter() - start,
        versions={"optuna-metasampler": __version__, "python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES},
    )
    numbers = json.dumps(_without_nan(result.to_json()), indent=1, allow_nan=False)
    (out / "demo.json").write_text(numbers + "\n", encoding="utf-8")
    draw(result, out / "demo.png")
    return result


def _as_completed(
    futures: Iterable[Future[Any]], bar: Any, n_done: Synchronized[int]
) -> Iterator[Future[Any]]:
    """Yields futures as they end, moving the progress bar meanwhile.

    An error of a worker is raised here.
    """
    pending = set(futures)
    while pending:
        ended, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
        bar.update(n_done.value - bar.n)
        for future in ended:
            future.result()
            yield future


def draw(result: DemoResult, path: Path) -> None:
    """Draws the best value so far against the number of trials, with and without prior studies.

    Args:
        result: What `run` returned.
        path: The picture to write; its suffix says the format.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

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
