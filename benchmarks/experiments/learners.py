"""Shipped knowledge: learners tuned live, on data sets that it has not seen.

For a data set of the records, the knowledge is learned again without it and its neighbours in the
alphabet, four at a time. The five data sets of scikit-learn are in no record. Every trial trains
the learner, as its record was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import functools
from typing import Any, cast
from unittest import mock

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler

from benchmarks.experiment import Experiment, Options, Record, Summary, finished
from benchmarks.learner_records import knowledge
from benchmarks.learner_records.catalogue import HELD_OUT, SOURCES, Kind, Source
from benchmarks.learner_records.data import DataSet, load
from benchmarks.learner_records.knowledge import SHIPPED
from benchmarks.learner_records.learners import LEARNERS
from benchmarks.learner_records.store import ARCHIVES, Store
from benchmarks.learner_records.unit import evaluate, names_of_metrics
from benchmarks.markdown import blocks, paragraph, table
from benchmarks.problems.base import Distribution, seed_of, suggest_one
from benchmarks.samplers import COLD, GP, SAMPLERS, TPE
from benchmarks.statistics import first_at_or_below, log_regret, t_interval
from optuna_metasampler import MetaSampler, shipped
from optuna_metasampler.builtin.catalogue import LearnerName, learners
from optuna_metasampler.checkpoint import Checkpoint


KNOWS = "MetaSampler(learner=...)"
RECOGNISES = 'MetaSampler(learner="auto")'
NEGATED = "its knowledge negated"
PEERS = (TPE, GP, COLD, KNOWS, RECOGNISES)
_INFORMED = (KNOWS, RECOGNISES, NEGATED)
N_TRIALS = 30
# Regrets below a hundredth of the distance from a random trial to the best count as equal.
FLOOR = 0.01
SHOWN = (1, 3, 5, 10, N_TRIALS)
# Learning takes longer than a study, so that data sets share what is learned without them.
_LEFT_OUT_TOGETHER = 4

SPACES = {
    "wide": "all parameters, as in the records",
    "narrow": "the most popular parameters around the defaults",
    "part": "two or three parameters, the others at the defaults",
}
"""Name to what is tuned."""

_FOREST: dict[str, Distribution] = {
    "n_estimators": IntDistribution(50, 200),
    "max_depth": IntDistribution(4, 20),
    "max_features": FloatDistribution(0.2, 1.0),
    "min_samples_split": IntDistribution(2, 10),
    "min_samples_leaf": IntDistribution(1, 10),
}
_NARROW: dict[str, dict[str, Distribution]] = {
    "lightgbm": {
        "n_estimators": IntDistribution(50, 200),
        "learning_rate": FloatDistribution(0.03, 0.3, log=True),
        "num_leaves": IntDistribution(15, 63),
        "min_child_samples": IntDistribution(5, 50),
        "subsample": FloatDistribution(0.6, 1.0),
        "colsample_bytree": FloatDistribution(0.6, 1.0),
    },
    "xgboost": {
        "n_estimators": IntDistribution(50, 200),
        "learning_rate": FloatDistribution(0.05, 0.5, log=True),
        "max_depth": IntDistribution(3, 9),
        "min_child_weight": FloatDistribution(0.5, 10, log=True),
        "subsample": FloatDistribution(0.6, 1.0),
        "colsample_bytree": FloatDistribution(0.6, 1.0),
    },
    "catboost": {
        "iterations": IntDistribution(100, 600),
        "learning_rate": FloatDistribution(0.02, 0.3, log=True),
        "depth": IntDistribution(3, 8),
        "l2_leaf_reg": FloatDistribution(1, 10, log=True),
        "random_strength": FloatDistribution(0.1, 10, log=True),
        "rsm": FloatDistribution(0.5, 1.0),
    },
    "hist_gradient_boosting": {
        "max_iter": IntDistribution(50, 200),
        "learning_rate": FloatDistribution(0.03, 0.3, log=True),
        "max_leaf_nodes": IntDistribution(15, 63),
        "min_samples_leaf": IntDistribution(5, 50),
        "l2_regularization": FloatDistribution(1e-3, 10, log=True),
        "max_features": FloatDistribution(0.5, 1.0),
    },
    "random_forest": _FOREST,
    "extra_trees": _FOREST,
    "svm": {
        "C": FloatDistribution(0.1, 10, log=True),
        "kernel": CategoricalDistribution(("rbf", "linear", "poly", "sigmoid")),
        "gamma": FloatDistribution(1e-3, 1.0, log=True),
    },
}
_PART = {
    "lightgbm": ("learning_rate", "num_leaves", "min_child_samples"),
    "xgboost": ("learning_rate", "max_depth", "reg_lambda"),
    "catboost": ("learning_rate", "depth", "l2_leaf_reg"),
    "hist_gradient_boosting": ("learning_rate", "max_leaf_nodes", "min_samples_leaf"),
    "random_forest": ("max_depth", "max_features", "min_samples_leaf"),
    "extra_trees": ("max_depth", "max_features", "min_samples_leaf"),
    "svm": ("C", "gamma"),
}


@dataclass(frozen=True)
class Job:
    """A study of a learner on a data set."""

    learner: str
    data_set: str
    space: str
    seed: int
    peer: str


def jobs(options: Options) -> list[Job]:
    """Every peer; negated knowledge in the wide spaces only."""
    n_seeds = options.settings["seeds"]
    return [
        Job(learner, data_set, space, seed, peer)
        for learner in SHIPPED
        for space in SPACES
        for data_set in (*HELD_OUT, *_recorded(learner))
        for seed in range(n_seeds if data_set in HELD_OUT else 1)
        for peer in (*PEERS, *([NEGATED] if space == "wide" else []))
    ]


def run(job: Job, options: Options) -> dict[str, Any]:
    """One study: the loss of every trial, ``None`` where the learner failed."""
    del options
    name = cast("LearnerName", job.learner)
    data, learner = data_set_of(job.data_set), LEARNERS[name]
    metric = names_of_metrics(learner, data)[0]
    distributions = space_of(name, data.kind, job.space)
    parameters = {p.name: p for p in learner.parameters(data.kind)}
    defaults: dict[str, Any] = {
        n: p.default for n, p in parameters.items() if n not in distributions
    }

    def objective(trial: optuna.Trial) -> float:
        values: dict[str, Any] = {}
        for parameter, distribution in distributions.items():
            known = parameters.get(parameter)
            if known is None or known.applies({**defaults, **values}):
                values[parameter] = suggest_one(trial, parameter, distribution)
        stages = [int(values.pop(learner.size.name, learner.size.default))] if learner.size else []
        value = evaluate(learner, data, values, stages)["metrics"][metric][-1]
        if value is None:
            raise optuna.TrialPruned
        return float(-value if metric == "accuracy" else value)

    # The seed of a study is that of all peers.
    seed = seed_of(job.learner, job.data_set, job.space, job.seed) % 1000
    left_out = () if job.data_set in HELD_OUT else _left_out(job)
    found = _knowledge(name, left_out) if job.peer in _INFORMED else None
    if found is not None and job.peer == NEGATED:
        found = _negated(found)
    with mock.patch.object(shipped, "knowledge_of", return_value=found):
        study = optuna.create_study(sampler=_sampler(job.peer, name, seed))
        study.optimize(objective, n_trials=N_TRIALS)
    return {"values": [t.value if t.state.name == "COMPLETE" else None for t in study.trials]}


def space_of(name: LearnerName, kind: Kind, space: str) -> dict[str, Distribution]:
    """What is tuned of a learner."""
    if space == "narrow":
        return _NARROW[name]
    learner = LEARNERS[name]
    own = {p.name for p in learner.parameters(kind)}
    own |= {learner.size.name} if learner.size else set()
    own = own if space == "wide" else own & set(_PART[name])
    return {
        p.name: cast("Distribution", p.distribution)
        for p in learners()[name].parameters
        if p.name in own
    }


@functools.lru_cache(maxsize=4)
def data_set_of(name: str) -> DataSet:
    """A data set of the records, or one of scikit-learn's."""
    if name not in HELD_OUT:
        return load({source.name: source for source in SOURCES}[name], ARCHIVES)
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")()
    x, y = np.asarray(found.data, dtype=float), np.asarray(found.target)
    deviation = 1.0
    kind: Kind = "classification"
    if name == "diabetes":
        kind, deviation = "regression", float(y.std())
        y = (y - y.mean()) / deviation
    return DataSet(Source(name, "scikit-learn", "", kind, "target"), x, y, deviation)


def _recorded(learner: str) -> list[str]:
    """The data sets that a learner has a tuned log of."""
    return sorted({r["data_set"] for r in _records(learner) if r["part"] == "tuned"})


@functools.cache
def _records(learner: str) -> list[Record]:
    return list(Store().published(learner))


def _left_out(job: Job) -> tuple[str, ...]:
    """The data set of a study, and those that its knowledge does not know either."""
    names = _recorded(job.learner)
    start = names.index(job.data_set) // _LEFT_OUT_TOGETHER * _LEFT_OUT_TOGETHER
    return tuple(names[start : start + _LEFT_OUT_TOGETHER])


@functools.lru_cache(maxsize=2)
def _knowledge(name: LearnerName, left_out: tuple[str, ...]) -> Checkpoint:
    features = {row["name"]: row["features"] for row in Store().manifest()}
    records = [dict(r) for r in _records(name) if r["data_set"] not in left_out]
    found = knowledge.learn(name, records, features)
    model = replace(
        found.learned, weights=found.learned.weights.double(), collection=shipped.title(name)
    )
    return replace(found, learned=model)


def _negated(found: Checkpoint) -> Checkpoint:
    model = found.learned
    return replace(found, learned=replace(model, weights=-model.weights, offsets=-model.offsets))


def _sampler(peer: str, name: LearnerName, seed: int) -> BaseSampler:
    if peer in _INFORMED:
        return MetaSampler(learner="auto" if peer == RECOGNISES else name, seed=seed)
    return SAMPLERS[peer](list, seed)


def summarize(records: Sequence[Record]) -> Summary:
    """Differences of mean log10 regret, a row a learner, space and kind of data set."""
    done = finished(records)
    curves = _curves(done)
    rows = []
    for learner in SHIPPED:
        for space in SPACES:
            for held_out in (False, True):
                keys = [
                    key
                    for key in curves
                    if key[0] == learner and key[2] == space and (key[1] in HELD_OUT) == held_out
                ]
                of = {
                    peer: {key: curves[key][peer] for key in keys if peer in curves[key]}
                    for peer in (*PEERS, NEGATED)
                }
                if of[KNOWS]:
                    rows.append(_row(learner, space, held_out, of))
    return {"rows": rows, "n_trials": N_TRIALS, "lines": _lines(curves)}


def _lines(curves: dict[tuple[str, str, str], dict[str, np.ndarray]]) -> dict[str, Any]:
    """The mean curves of four samplers, over all learners' data sets that are left out."""
    peers = {
        TPE: "Optuna's default, TPE",
        COLD: "`MetaSampler(learner=None)`",
        RECOGNISES: "`MetaSampler()`",
        KNOWS: "`MetaSampler()` with `learner=`",
    }
    whole = [
        of
        for (_, data_set, space), of in curves.items()
        if space == "wide" and data_set not in HELD_OUT and all(peer in of for peer in peers)
    ]
    if not whole:
        return {}
    means = {peer: np.mean([of[peer] for of in whole], axis=0) for peer in peers}
    end = float(means[TPE][-1])
    rows = [
        {
            "peer": peers[peer],
            "reached": _said(first_at_or_below(curve, end)),
            **{f"at{n}": float(10 ** curve[n - 1]) for n in SHOWN},
        }
        for peer, curve in means.items()
    ]
    return {"n": len(whole), "rows": rows}


def _said(trials: float) -> str:
    return f"{trials:.0f}" if trials <= N_TRIALS else f"more than {N_TRIALS}"


def _curves(done: Sequence[Record]) -> dict[tuple[str, str, str], dict[str, np.ndarray]]:
    """Log10 regrets after each trial, the mean over seeds, by problem and peer.

    The best value of all runs of a problem is the optimum, and the median of the first ten trials
    of TPE, which are random, is a regret of 1.
    """
    values: dict[tuple[str, str, str], dict[str, list[np.ndarray]]] = {}
    for r in done:
        key = r["learner"], r["data_set"], r["space"]
        losses = np.array([np.inf if v is None else v for v in r["values"]])
        values.setdefault(key, {}).setdefault(r["peer"], []).append(losses)
    found = {}
    for key, by_peer in values.items():
        if TPE not in by_peer:
            continue
        best = min(losses.min() for runs in by_peer.values() for losses in runs)
        middle = float(np.median(np.concatenate([losses[:10] for losses in by_peer[TPE]])))
        width = max(middle - best, 1e-12)
        found[key] = {
            peer: np.mean(
                [
                    log_regret(
                        np.minimum((np.minimum.accumulate(x) - best) / width, 1 / FLOOR), FLOOR
                    )
                    for x in runs
                ],
                axis=0,
            )
            for peer, runs in by_peer.items()
        }
    return found


def _row(
    learner: str, space: str, held_out: bool, of: dict[str, dict[Any, np.ndarray]]
) -> dict[str, Any]:
    def gap(peer: str, other: str, trial: int | None = None) -> list[float]:
        return [
            float(
                (curve - of[other][key]).mean()
                if trial is None
                else (curve - of[other][key])[trial - 1]
            )
            for key, curve in of[peer].items()
            if key in of[other]
        ]

    whole = gap(KNOWS, COLD)
    third = [
        float(curve[2] - of[COLD][key][9]) for key, curve in of[KNOWS].items() if key in of[COLD]
    ]
    return {
        "learner": learner,
        "space": space,
        "data": "scikit-learn's" if held_out else "left out",
        "n": len(whole),
        "cold": t_interval(whole),
        "ahead": float(np.mean(np.array(whole) < 0)) if whole else None,
        "third": t_interval(third),
        "tpe": t_interval(gap(KNOWS, TPE)),
        "gp": t_interval(gap(KNOWS, GP)),
        **{f"at{n}": t_interval(gap(KNOWS, COLD, n)) for n in SHOWN},
        "auto": t_interval(gap(RECOGNISES, COLD)),
        "negated": t_interval(gap(NEGATED, COLD)),
    }


def tables(summary: Summary) -> dict[str, str]:
    """The gain over the same sampler without it, over others, and what negated knowledge costs."""
    head = [("learner", "{learner}"), ("space", "{space}"), ("data sets", "{n} {data}")]
    gains = [
        *head,
        ("trials 1 to 30", "{cold:diff}"),
        ("ahead on", "{ahead:.0%}"),
        *((f"trial {n}", f"{{at{n}:diff}}") for n in SHOWN),
    ]
    others = [
        *head,
        ("its trial 3 - trial 10 without", "{third:diff}"),
        ("against TPE", "{tpe:diff}"),
        ("against GPSampler", "{gp:diff}"),
        ("recognised", "{auto:diff}"),
        ("negated", "{negated:diff}"),
    ]
    rows = summary["rows"]
    found = {"learners": blocks(table(rows, gains), table(rows, others))}
    if lines := summary["lines"]:
        four = [
            ("left to gain after", "{peer}"),
            *((f"trial {n}", f"{{at{n}:.0%}}") for n in SHOWN),
            (f"trials to where {TPE} is after {summary['n_trials']}", "{reached}"),
        ]
        note = """Geometric mean of {n} studies; what the median random configuration leaves to
            gain is 100%."""
        found["learners-first"] = blocks(table(lines["rows"], four), paragraph(note, lines))
    return found


EXPERIMENT = Experiment(
    name="learners",
    title="learners tuned live with what is shipped about them, data sets left out",
    job=Job,
    jobs=jobs,
    run=run,
    summarize=summarize,
    tables=tables,
    shared=("learner", "data_set", "space", "seed"),
    settings={"seeds": 5},
)
