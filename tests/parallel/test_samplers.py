"""Several samplers at one study: what each believes of the others."""

from __future__ import annotations

from datetime import datetime, timedelta
import pickle

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState
import pytest

from optuna_metasampler import MetaSampler
from tests.parallel.problem import NAMES, configurations, loss, write_priors


N_WORKERS = 6


@pytest.fixture(scope="module")
def priors() -> list[optuna.Study]:
    return write_priors(optuna.storages.InMemoryStorage())


def workers(samplers: list[MetaSampler]) -> list[optuna.Study]:
    """The same study, opened once a sampler, as processes would."""
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name="new", storage=storage)
    return [optuna.load_study(study_name="new", storage=storage, sampler=s) for s in samplers]


def bests(priors: list[optuna.Study]) -> set[tuple[object, ...]]:
    return configurations([p.best_trial for p in priors])


@pytest.mark.parametrize("order", [range(N_WORKERS), (3, 5, 0, 4, 1, 2)], ids=str)
def test_workers_that_start_together_share_out_the_best_of_the_priors(
    priors: list[optuna.Study], order: list[int]
) -> None:
    """In any order of theirs: four of the best, one probe, and one of the model."""
    studies = workers([MetaSampler(priors, seed=0) for _ in range(N_WORKERS)])
    trials = [study.ask() for study in studies]
    for i in order:
        loss(trials[i])
    taken = [configurations([t]) for t in studies[0].trials]
    assert len(set.union(*taken)) == N_WORKERS
    assert [bool(c & bests(priors)) for c in taken[:5]] == [True, False, True, True, True]


def test_a_trial_that_is_known_in_part_is_believed_to_go_on_as_its_worker_would(
    priors: list[optuna.Study],
) -> None:
    """The workers suggest one parameter each in turn, so that all are known in part only."""
    studies = workers([MetaSampler(priors, seed=0) for _ in range(4)])
    trials = [study.ask() for study in studies]
    for trial in trials:
        trial.suggest_float("x", 0, 1)
    for trial in trials:
        loss(trial)
    taken = [configurations([t]) for t in studies[0].trials]
    assert [bool(c & bests(priors)) for c in taken] == [True, False, True, True]
    assert len(set.union(*taken)) == 4


def test_an_enqueued_trial_is_known_before_it_has_asked_for_anything(
    priors: list[optuna.Study],
) -> None:
    first, second = workers([MetaSampler(priors, seed=0) for _ in range(2)])
    alone = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    alone.optimize(loss, n_trials=1)
    incumbent = alone.trials[0].params
    # Another one runs with the incumbent; the probe comes second.
    first.enqueue_trial(incumbent)
    first.ask()
    trial = second.ask()
    loss(trial)
    assert not configurations([second.trials[1]]) & bests(priors)


def test_workers_of_one_seed_without_priors_differ() -> None:
    studies = workers([MetaSampler(seed=0) for _ in range(N_WORKERS)])
    for trial in [study.ask() for study in studies]:
        loss(trial)
    assert len(configurations(studies[0].trials)) == N_WORKERS


def test_copies_of_a_sampler_in_the_middle_of_a_study_differ() -> None:
    sampler = MetaSampler()
    study = optuna.create_study(study_name="new", sampler=sampler)
    study.optimize(loss, n_trials=1)
    copies = [pickle.loads(pickle.dumps(sampler)) for _ in range(3)]
    studies = workers(copies)
    for trial in [study.ask() for study in studies]:
        loss(trial)
    assert len(configurations(studies[0].trials)) == 3


def test_a_seeded_sampler_alone_is_repeatable_whatever_it_has_asked_for_before() -> None:
    """Its own running trials are no other worker's."""
    tried = []
    for _ in range(2):
        study = optuna.create_study(sampler=MetaSampler(seed=0))
        for trial in [study.ask() for _ in range(3)]:
            study.tell(trial, loss(trial))
        study.optimize(loss, n_trials=4)
        tried.append([t.params for t in study.trials])
    assert tried[0] == tried[1]


def lost(number: int, minutes: float, x: float | None = None) -> FrozenTrial:
    """A trial whose worker was killed some time ago."""
    params = {} if x is None else {"x": x}
    return FrozenTrial(
        number=number,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now() - timedelta(minutes=minutes),
        datetime_complete=None,
        params=params,
        distributions={name: FloatDistribution(0, 1) for name in params},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=number,
    )


def test_trials_without_parameters_whose_workers_are_gone_are_passed_over(
    priors: list[optuna.Study],
) -> None:
    """The first trial is a prior incumbent; a trial believed to be running would take that."""
    (study,) = workers([MetaSampler(priors, seed=0)])
    for number in range(3):
        study.add_trial(lost(number, minutes=60))
    trial = study.ask()
    loss(trial)
    alone = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    alone.optimize(loss, n_trials=1)
    assert study.trials[3].params == alone.trials[0].params


def test_lost_trials_do_not_keep_a_study_from_its_optimum() -> None:
    """A dozen lost all around, the optimum among them: it is found to the same precision."""

    def value(trial: optuna.Trial) -> float:
        return (trial.suggest_float("x", 0, 1) - 0.5) ** 2

    (study,) = workers([MetaSampler(seed=0)])
    for number in range(12):
        study.add_trial(lost(number, minutes=60, x=number / 11))
    study.optimize(value, n_trials=15)
    assert study.best_value < 1e-3


def test_a_small_space_is_shared_out_without_a_repetition() -> None:
    """Two samplers with four running trials each, which know of each other."""

    def value(trial: optuna.Trial) -> float:
        return trial.suggest_int("a", 0, 5) + (trial.suggest_categorical("b", "xyzw") == "y")

    studies = workers([MetaSampler(seed=0), MetaSampler(seed=0)])
    # A space is known from the first trial that ends.
    studies[0].optimize(value, n_trials=1)
    running: list[tuple[optuna.Study, optuna.Trial, float]] = []
    for i in range(23):
        study = studies[i % 2]
        trial = study.ask()
        running.append((study, trial, value(trial)))
        if len(running) == 8:
            ended, trial, result = running.pop(0)
            ended.tell(trial, result)
    assert len({tuple(sorted(t.params.items())) for t in studies[0].trials}) == 24


@pytest.mark.parametrize("informed", [True, False])
def test_a_study_that_is_resumed_ends_as_well_as_one_that_is_not(
    priors: list[optuna.Study], informed: bool
) -> None:
    """Its suggestions are others: other random candidates, and a fit that starts afresh."""
    given = priors if informed else None
    whole = optuna.create_study(sampler=MetaSampler(given, seed=0))
    whole.optimize(loss, n_trials=20)
    resumed = optuna.create_study(sampler=MetaSampler(given, seed=0))
    for _ in range(2 if informed else 20):
        resumed.sampler = MetaSampler(given, seed=0)
        resumed.optimize(loss, n_trials=10 if informed else 1)
    assert max(whole.best_value, resumed.best_value) < 2e-3


def test_threads_of_one_sampler_spread_out(priors: list[optuna.Study]) -> None:
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    study.optimize(loss, n_trials=16, n_jobs=8)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 16
    assert len(configurations(study.trials)) == 16
    assert all(set(NAMES) == t.params.keys() for t in study.trials)
