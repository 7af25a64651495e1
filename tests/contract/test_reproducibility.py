"""A seed decides every suggestion, in any process; `reseed_rng` takes that back."""

from __future__ import annotations

from collections.abc import Callable
import copy
import json
import os
from pathlib import Path
import pickle
import subprocess
import sys
from typing import Any

import optuna
from optuna.samplers import RandomSampler
import pytest

from optuna_metasampler import MetaSampler
from tests.studies import sqlite

from . import seven_parameters
from .seven_parameters import SPACE, new_sampler, optimise, reference, suggest


# What a seed decides is decided here and in torch, in no release of Optuna.
pytestmark = pytest.mark.any_optuna

SamplerFactory = Callable[..., MetaSampler]

N_TRIALS = 8
# In a process of its own each trial counts; the model is asked from the third one on.
N_TRIALS_ELSEWHERE = 7
# Enough for a draw, and for what follows from it, to differ.
N_TRIALS_TO_DIFFER = 5


class CountingSampler(RandomSampler):
    """Counts what is forwarded to it."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed=seed)
        self.n_reseeds = 0

    def reseed_rng(self) -> None:
        self.n_reseeds += 1
        super().reseed_rng()


def suggestions_of(
    sampler: MetaSampler, n_trials: int = N_TRIALS, *, constant: bool = False
) -> list[dict[str, Any]]:
    """What the sampler suggests in a fresh study."""
    return optimise(optuna.create_study(sampler=sampler), n_trials, constant=constant)


# All outcomes equal: the order of ties must not depend on anything but the seed.
@pytest.mark.parametrize("constant", [False, True], ids=["bowl", "constant"])
def test_the_same_seed_gives_the_same_suggestions_and_another_seed_others(
    prior: str | None, constant: bool
) -> None:
    again = suggestions_of(new_sampler(prior, seed=1), constant=constant)
    assert again == reference(prior, 1, constant=constant)
    assert again != reference(prior, 2, constant=constant)


def test_priors_change_every_suggestion(prior_url: str) -> None:
    pairs = zip(reference(None, 1), reference(prior_url, 1), strict=True)
    assert all(one != other for one, other in pairs)


def test_another_process_with_another_hash_seed_gives_the_same_suggestions(
    prior: str | None,
) -> None:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    hash_seed = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"
    done = subprocess.run(
        [sys.executable, seven_parameters.__file__, prior or "", "1", str(N_TRIALS_ELSEWHERE)],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    there = json.loads(done.stdout)
    assert there["hash"] != hash("a string")
    for constant in (False, True):
        here = reference(prior, 1, constant=constant)[:N_TRIALS_ELSEWHERE]
        assert there["constant" if constant else "bowl"] == here


def test_reseeding_changes_the_suggestions_of_equal_samplers_to_different_ones(
    prior: str | None,
) -> None:
    runs = [reference(prior, 1)[:N_TRIALS_TO_DIFFER]]
    for _ in range(2):
        sampler = new_sampler(prior, seed=1)
        sampler.reseed_rng()
        runs.append(suggestions_of(sampler, N_TRIALS_TO_DIFFER))
    assert runs[0] != runs[1] != runs[2] != runs[0]


def test_reseeding_amid_a_study_changes_what_follows(make_sampler: SamplerFactory) -> None:
    studies = [optuna.create_study(sampler=make_sampler(seed=1)) for _ in range(2)]
    assert optimise(studies[0], 5) == optimise(studies[1], 5)
    studies[1].sampler.reseed_rng()
    assert optimise(studies[0], 5) != optimise(studies[1], 5)


def test_reseeding_reaches_the_independent_sampler_exactly_once(prior: str | None) -> None:
    inner = CountingSampler(seed=0)
    untouched = RandomSampler(seed=0)
    sampler = MetaSampler(prior, independent_sampler=inner, seed=0)
    sampler.reseed_rng()
    assert inner.n_reseeds == 1

    study = optuna.create_study()
    study.ask()
    (trial,) = study.trials
    draws = [
        [each.sample_independent(study, trial, *item) for item in SPACE.items()]
        for each in (inner, untouched)
    ]
    assert draws[0] != draws[1]


def test_parallel_trials_reseed_before_every_trial(prior: str | None) -> None:
    inner = CountingSampler(seed=0)
    sampler = MetaSampler(prior, independent_sampler=inner, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: seven_parameters.loss(suggest(trial)), n_trials=6, n_jobs=2)
    # More often where a trial finds another that no worker seems to serve yet.
    assert inner.n_reseeds >= 6


@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda sampler: pickle.loads(pickle.dumps(sampler))],
    ids=["deepcopy", "pickle"],
)
class TestCopies:
    def test_a_copy_of_a_fresh_seeded_sampler_suggests_the_same(
        self, prior: str | None, duplicate: Callable[[Any], Any]
    ) -> None:
        assert suggestions_of(duplicate(new_sampler(prior, seed=1))) == reference(prior, 1)

    def test_a_study_loaded_with_a_copied_sampler_continues_as_if_never_interrupted(
        self, prior: str | None, duplicate: Callable[[Any], Any], tmp_path: Path
    ) -> None:
        with sqlite(tmp_path / "parts.db") as storage:
            study = optuna.create_study(
                storage=storage, study_name="mine", sampler=new_sampler(prior, seed=1)
            )
            seen = optimise(study, 4)
            kept = duplicate(study.sampler)
        with sqlite(tmp_path / "parts.db") as storage:
            study = optuna.load_study(storage=storage, study_name="mine", sampler=kept)
            assert seen + optimise(study, 3) == reference(prior, 1)[:7]

    def test_a_copy_of_the_whole_study_continues_as_the_original_does(
        self, make_sampler: SamplerFactory, duplicate: Callable[[Any], Any]
    ) -> None:
        study = optuna.create_study(sampler=make_sampler(seed=1))
        optimise(study, 4)
        copied = duplicate(study)
        assert optimise(copied, 3) == optimise(study, 3)

    def test_a_copy_taken_amid_a_trial_finishes_it_inside_the_ranges(
        self, make_sampler: SamplerFactory, duplicate: Callable[[Any], Any]
    ) -> None:
        study = optuna.create_study(sampler=make_sampler(seed=1))
        for _ in range(4):
            trial = study.ask()
            trial.suggest_float("width", -2.0, 6.0)
            copied = duplicate(study.sampler)
            study.sampler = copied
            params = suggest(trial)
            seven_parameters.assert_all_inside(trial)
            study.tell(trial, seven_parameters.loss(params))

    def test_copying_leaves_the_original_as_it_was(
        self, prior: str | None, duplicate: Callable[[Any], Any]
    ) -> None:
        study = optuna.create_study(sampler=new_sampler(prior, seed=1))
        seen = optimise(study, 4)
        suggestions_of(duplicate(study.sampler), N_TRIALS_TO_DIFFER)
        assert seen + optimise(study, 4) == reference(prior, 1)

    def test_a_reseeded_copy_of_an_unseeded_sampler_goes_its_own_way(
        self, make_sampler: SamplerFactory, duplicate: Callable[[Any], Any]
    ) -> None:
        study = optuna.create_study(sampler=make_sampler(seed=None))
        optimise(study, 5)
        copied = duplicate(study)
        copied.sampler.reseed_rng()
        assert optimise(copied, 5) != optimise(study, 5)

    def test_copies_of_a_fresh_unseeded_sampler_do_not_share_its_randomness(
        self, make_sampler: SamplerFactory, duplicate: Callable[[Any], Any]
    ) -> None:
        sampler = make_sampler(seed=None)
        first, second = duplicate(sampler), duplicate(sampler)
        runs = [suggestions_of(each, N_TRIALS_TO_DIFFER) for each in (sampler, first, second)]
        assert runs[0] != runs[1] != runs[2] != runs[0]
