"""A sampler is a guest: in the process of a training script, in threads, in odd studies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
import contextlib
from contextlib import AbstractContextManager
import math
from pathlib import Path
import random
import threading
from typing import Any, NoReturn, TypeVar
import warnings

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import PartialFixedSampler
from optuna.study import Study
from optuna.trial import Trial, TrialState
import pytest
from threadpoolctl import threadpool_info, threadpool_limits
import torch

from optuna_metasampler import MetaSampler
from tests.studies import sqlite

from .seven_parameters import (
    SPACE,
    assert_all_inside,
    loss,
    new_sampler,
    optimise,
    reference,
    suggest,
)


SamplerFactory = Callable[..., MetaSampler]
T = TypeVar("T")

# Two startup trials without priors, so that most of these ask the model.
N_TRIALS = 6

# A thread count that is no machine's default, so that a changed one shows.
N_THREADS = 3


def suggestions_of(sampler: MetaSampler) -> list[dict[str, Any]]:
    """What the sampler suggests in a fresh study."""
    return optimise(optuna.create_study(sampler=sampler), N_TRIALS)


def torch_settings() -> dict[str, Any]:
    """The settings of this thread that a user may have changed."""
    return {
        "default dtype": torch.get_default_dtype(),
        "default device": torch.empty(0).device,
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "anomalies": torch.is_anomaly_enabled(),
    }


@contextlib.contextmanager
def changed(change: Callable[[T], None], value: T, before: T) -> Iterator[None]:
    """Change a setting, and change it back."""
    change(value)
    try:
        yield
    finally:
        change(before)


def threads(n_threads: int) -> AbstractContextManager[None]:
    return changed(torch.set_num_threads, n_threads, torch.get_num_threads())


def default_dtype(dtype: torch.dtype) -> AbstractContextManager[None]:
    return changed(torch.set_default_dtype, dtype, torch.get_default_dtype())


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "default dtype float64": lambda: default_dtype(torch.float64),
    "default dtype float16": lambda: default_dtype(torch.float16),
    # A tensor made without saying where has no values on this device.
    "default device meta": lambda: changed(torch.set_default_device, "meta", None),
    "default device cuda": lambda: changed(torch.set_default_device, "cuda", None),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "one thread": lambda: threads(1),
    "three threads": lambda: threads(N_THREADS),
    "deterministic algorithms": lambda: changed(torch.use_deterministic_algorithms, True, False),
}


@pytest.fixture(params=SETTINGS)
def setting(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[Any]]:
    """One way in which a training script leaves torch."""
    if "cuda" in request.param and not torch.cuda.is_available():
        pytest.skip("There is no CUDA device.")
    return SETTINGS[request.param]


def global_states() -> tuple[object, ...]:
    """The states of the generators that users seed, in a form that compares."""
    numpy_state = [np.asarray(part).tolist() for part in np.random.get_state()]  # noqa: NPY002
    return torch.get_rng_state().tolist(), numpy_state, random.getstate()


@pytest.fixture
def global_seeds() -> Iterator[Callable[[int], None]]:
    """Seeds all global generators, as a training script does; undone after the test."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002

    def seed_all(seed: int) -> None:
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)

    yield seed_all
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    random.setstate(states[2])


def forbidden(*args: Any, **kwargs: Any) -> NoReturn:
    """Stands in for a function that sets something which the whole process shares."""
    raise AssertionError(f"Set global state: {args}, {kwargs}")


@pytest.mark.any_optuna
class TestTheUsersProcess:
    def test_a_setting_of_torch_survives_and_changes_no_suggestion(
        self, prior: str | None, setting: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        expected = reference(prior)[:N_TRIALS]
        with setting():
            before = torch_settings()
            suggestions = suggestions_of(new_sampler(prior, 0))
            assert torch_settings() == before
        assert suggestions == expected

    def test_a_setting_that_comes_and_goes_changes_no_suggestion(
        self, prior: str | None, setting: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        study = optuna.create_study(sampler=new_sampler(prior, 0))
        suggestions = []
        for number in range(N_TRIALS):
            with contextlib.nullcontext() if number % 2 else setting():
                suggestions += optimise(study, 1)
        assert suggestions == reference(prior)[:N_TRIALS]

    @pytest.mark.parametrize("seed", [0, None])
    def test_asking_leaves_the_global_generators_untouched(
        self,
        make_sampler: SamplerFactory,
        global_seeds: Callable[[int], None],
        seed: int | None,
    ) -> None:
        global_seeds(123)
        before = global_states()
        sampler = make_sampler(seed)
        suggestions_of(sampler)
        sampler.reseed_rng()
        assert global_states() == before

    def test_suggestions_do_not_depend_on_the_global_seeds(
        self, prior: str | None, global_seeds: Callable[[int], None]
    ) -> None:
        expected = reference(prior)[:N_TRIALS]
        global_seeds(1)
        assert suggestions_of(new_sampler(prior, 0)) == expected

    def test_unseeded_suggestions_do_not_follow_the_global_seeds(
        self, make_sampler: SamplerFactory, global_seeds: Callable[[int], None]
    ) -> None:
        runs = []
        for _ in range(2):
            global_seeds(123)
            runs.append(suggestions_of(make_sampler(seed=None)))
        assert runs[0] != runs[1]

    def test_asking_never_sets_global_state_even_for_a_moment(
        self, make_sampler: SamplerFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Set and restored is not enough: another thread of the user looks in between.
        for owner, name in (
            (torch, "manual_seed"),
            (torch, "seed"),
            (torch, "set_rng_state"),
            (torch.random, "manual_seed"),
            (torch.random, "set_rng_state"),
            (torch, "set_default_dtype"),
            (torch, "set_default_device"),
            (torch, "use_deterministic_algorithms"),
            (np.random, "seed"),
            (np.random, "set_state"),
            (random, "seed"),
            (random, "setstate"),
        ):
            monkeypatch.setattr(owner, name, forbidden)
        suggestions_of(make_sampler())

    def test_asking_leaves_the_thread_pools_of_numpy_and_scipy_as_they_were(
        self, make_sampler: SamplerFactory
    ) -> None:
        def pools() -> dict[str, int]:
            return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}

        sampler = make_sampler()
        suggestions_of(sampler)  # loads what the sampler needs
        with threads(N_THREADS), threadpool_limits(limits=2, user_api="blas"):
            before = pools()
            suggestions_of(sampler)
            assert pools() == before

    def test_asking_leaves_numpys_error_handling_and_the_warning_filters_as_they_were(
        self, make_sampler: SamplerFactory
    ) -> None:
        before = np.geterr(), list(warnings.filters)
        suggestions_of(make_sampler())
        assert (np.geterr(), list(warnings.filters)) == before


@pytest.mark.any_optuna
class TestThreads:
    def test_four_threads_that_ask_at_once_leave_the_thread_count_as_it_was(
        self, make_sampler: SamplerFactory
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())
        optimise(study, N_TRIALS)
        start, finish = threading.Barrier(4), threading.Barrier(4)

        def ask(_: int) -> tuple[int, dict[str, Any]]:
            start.wait(timeout=60)
            trial = study.ask()
            params = suggest(trial)
            finish.wait(timeout=60)
            study.tell(trial, loss(params))
            assert_all_inside(trial)
            return torch.get_num_threads(), torch_settings()

        with threads(N_THREADS):
            settings = torch_settings()
            for _ in range(3):
                # New threads each time: torch gives a new thread the number that was set last
                # in any thread, so a number which is restored in the wrong order stays.
                with ThreadPoolExecutor(4) as pool:
                    counts = list(pool.map(ask, range(4)))
                assert counts == [(N_THREADS, settings)] * 4
                assert torch_settings() == settings
                with ThreadPoolExecutor(1) as pool:
                    assert pool.submit(torch.get_num_threads).result() == N_THREADS

    def test_four_samplers_that_are_asked_at_once_leave_the_thread_count_as_it_was(
        self, make_sampler: SamplerFactory
    ) -> None:
        studies = [optuna.create_study(sampler=make_sampler()) for _ in range(4)]
        start, finish = threading.Barrier(4), threading.Barrier(4)

        def run(study: Study) -> int:
            start.wait(timeout=60)
            optimise(study, N_TRIALS)
            finish.wait(timeout=60)
            return torch.get_num_threads()

        with threads(N_THREADS):
            with ThreadPoolExecutor(4) as pool:
                assert list(pool.map(run, studies)) == [N_THREADS] * 4
            assert torch.get_num_threads() == N_THREADS
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(torch.get_num_threads).result() == N_THREADS

    @pytest.mark.parametrize("storage", ["memory", "sqlite"])
    def test_four_jobs_share_one_sampler(
        self, make_sampler: SamplerFactory, storage: str, tmp_path: Path
    ) -> None:
        opened = sqlite(tmp_path / "now.db") if storage == "sqlite" else contextlib.nullcontext()
        with opened as database:
            study = optuna.create_study(storage=database, sampler=make_sampler())
            study.optimize(lambda trial: loss(suggest(trial)), n_trials=16, n_jobs=4)
            trials = study.get_trials()
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 16
        for trial in trials:
            assert set(trial.params) == set(SPACE)
            assert_all_inside(trial)

    def test_threads_with_a_study_each_share_one_sampler(
        self, make_sampler: SamplerFactory
    ) -> None:
        sampler = make_sampler()

        def run(number: int) -> Study:
            study = optuna.create_study(sampler=sampler)

            def objective(trial: Trial) -> float:
                # The same names at every study, and another kind at every second one.
                x = trial.suggest_float("width", 10.0 * number, 10.0 * number + 1.0)
                if number % 2:
                    return x + trial.suggest_int("depth", 1, 9)
                return x + len(trial.suggest_categorical("depth", ["a", "bb"]))

            study.optimize(objective, n_trials=5)
            return study

        with ThreadPoolExecutor(4) as pool:
            for study in pool.map(run, range(4)):
                for trial in study.trials:
                    assert trial.state == TrialState.COMPLETE
                    assert_all_inside(trial)


class TestOtherCompany:
    def test_one_sampler_serves_two_studies_alternately(
        self, make_sampler: SamplerFactory
    ) -> None:
        sampler = make_sampler()
        # Both have the study id 0, and their trials the same ids.
        first, second = (optuna.create_study(sampler=sampler) for _ in range(2))
        second_space: dict[str, BaseDistribution] = {
            "width": FloatDistribution(100.0, 200.0, log=True),
            "rate": CategoricalDistribution(("low", "high")),
            "momentum": FloatDistribution(0.0, 1.0),
        }
        for number in range(N_TRIALS):
            optimise(first, 1)
            trial = second.ask(second_space)
            second.tell(trial, trial.params["width"] + trial.params["momentum"])
            assert_all_inside(first.trials[number])
            assert_all_inside(trial)
            assert set(trial.params) == set(second_space)

    # Prior studies of one objective cannot tell anything where there are two.
    @pytest.mark.filterwarnings("ignore::optuna_metasampler.exceptions.PriorWarning")
    def test_one_sampler_serves_studies_of_other_directions_alternately(
        self, make_sampler: SamplerFactory
    ) -> None:
        sampler = make_sampler()
        alone = optuna.create_study(direction="maximize", sampler=sampler)
        pair = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
        for _ in range(N_TRIALS):
            for study in (alone, pair):
                trial = study.ask()
                value = loss(suggest(trial))
                study.tell(trial, [value, -value][: len(study.directions)])
                assert_all_inside(trial)

    def test_open_trials_of_two_studies_are_not_mixed_up(
        self, make_sampler: SamplerFactory
    ) -> None:
        sampler = make_sampler()
        first, second = (optuna.create_study(sampler=sampler) for _ in range(2))
        for _ in range(N_TRIALS):
            one, two = first.ask(), second.ask()
            one.suggest_float("width", -2.0, 6.0)
            two.suggest_categorical("width", ["narrow", "wide"])
            one.suggest_int("depth", 1, 9)
            two.suggest_float("depth", 100.0, 101.0)
            for study, trial in ((first, one), (second, two)):
                assert_all_inside(trial)
                study.tell(trial, float(trial.number))

    def test_brackets_of_hyperband_are_served(self, make_sampler: SamplerFactory) -> None:
        pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3)
        study = optuna.create_study(sampler=make_sampler(), pruner=pruner, study_name="brackets")

        def objective(trial: Trial) -> float:
            value = loss(suggest(trial))
            for step in range(1, 10):
                trial.report(value + 1.0 / step, step)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return value

        study.optimize(objective, n_trials=16)
        states = {trial.state for trial in study.trials}
        assert states <= {TrialState.COMPLETE, TrialState.PRUNED}
        for trial in study.trials:
            assert_all_inside(trial)

    # PartialFixedSampler is experimental in Optuna.
    @pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
    def test_a_partial_fixed_sampler_may_wrap_it(self, make_sampler: SamplerFactory) -> None:
        fixed = {"depth": 3, "activation": "tanh", "rate": 0.01}
        sampler = PartialFixedSampler(fixed, make_sampler())
        study = optuna.create_study(sampler=sampler)
        for params in optimise(study, N_TRIALS):
            assert {name: params[name] for name in fixed} == fixed
        for trial in study.trials:
            assert_all_inside(trial)

    def test_every_parameter_may_be_fixed_but_one(self, make_sampler: SamplerFactory) -> None:
        study = optuna.create_study(sampler=make_sampler())
        fixed: dict[str, Any] = {
            "width": 1.0,
            "rate": 0.1,
            "dropout": 0.5,
            "depth": 3,
            "units": 16,
            "activation": None,
        }
        for _ in range(N_TRIALS):
            study.enqueue_trial(fixed)
        for params in optimise(study, N_TRIALS):
            assert {name: params[name] for name in fixed} == fixed
        for trial in study.trials:
            assert_all_inside(trial)


def bad_tell(study: Study, trial: Trial, outcome: float | TrialState) -> None:
    """Tell a value, or that there is none."""
    if isinstance(outcome, TrialState):
        study.tell(trial, state=outcome)
    elif math.isnan(outcome):
        # Optuna says that it stores the trial as failed.
        with pytest.warns(UserWarning, match="The value nan is not acceptable"):
            study.tell(trial, outcome)
    else:
        study.tell(trial, outcome)


class TestOddRecords:
    @pytest.mark.parametrize(
        "outcomes",
        [
            pytest.param([0.0], id="constant"),
            pytest.param([1e300, 1e300], id="huge constant"),
            pytest.param([math.nan], id="nan only"),
            pytest.param([math.inf], id="infinite only"),
            pytest.param([-math.inf], id="negative infinite only"),
            pytest.param([math.inf, 1.0, -math.inf, 2.0], id="infinite among finite"),
            pytest.param([math.nan, 1.0, 2.0], id="nan among finite"),
            pytest.param([1e308, -1e308, 0.0], id="huge"),
            pytest.param([1e-320, 0.0, -1e-320], id="tiny"),
            pytest.param([1e9, 1e9 + 1e-6], id="nearly constant"),
            pytest.param([TrialState.FAIL], id="failed only"),
            pytest.param([TrialState.PRUNED], id="pruned without a report only"),
            pytest.param([TrialState.FAIL, 1.0, TrialState.PRUNED, 2.0], id="mixed states"),
        ],
    )
    def test_no_outcome_stops_the_study(
        self, make_sampler: SamplerFactory, outcomes: list[float | TrialState]
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())
        for number in range(8):
            trial = study.ask()
            suggest(trial)
            assert_all_inside(trial)
            bad_tell(study, trial, outcomes[number % len(outcomes)])

    @pytest.mark.parametrize("report", [1.0, math.nan, math.inf])
    def test_pruned_trials_with_a_report_do_not_stop_the_study(
        self, make_sampler: SamplerFactory, report: float
    ) -> None:
        study = optuna.create_study(direction="maximize", sampler=make_sampler())
        for number in range(8):
            trial = study.ask()
            params = suggest(trial)
            assert_all_inside(trial)
            if number % 3:
                trial.report(report, step=number)
                study.tell(trial, state=TrialState.PRUNED)
            else:
                study.tell(trial, loss(params))

    def test_trials_that_never_finish_do_not_stop_the_study(
        self, make_sampler: SamplerFactory
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())
        for number in range(8):
            abandoned = study.ask()
            if number % 2:
                abandoned.suggest_float("width", -2.0, 6.0)
            (params,) = optimise(study, 1)
            assert set(params) == set(SPACE)
        for trial in study.trials:
            assert_all_inside(trial)

    # Optuna warns of each enqueued value outside of the range, and uses it.
    @pytest.mark.filterwarnings("ignore:Fixed parameter .* with value .* is out of range")
    def test_enqueued_values_outside_of_their_ranges_do_not_stop_the_study(
        self, make_sampler: SamplerFactory
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())
        outside = [
            {"width": 99.0},
            {"rate": 1e9, "depth": -5},
            {"units": 100_000, "batch": 9, "dropout": 0.123},
            {"rate": 1e-30},
        ]
        for params in outside:
            study.enqueue_trial(params)
        optimise(study, len(outside))
        for trial, params in zip(study.trials, outside, strict=True):
            assert params.items() <= trial.params.items()
        optimise(study, 4)
        for trial in study.trials[len(outside) :]:
            assert_all_inside(trial)

    def test_ask_with_fixed_distributions_suggests_inside_each_of_them(
        self, make_sampler: SamplerFactory
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())
        spaces: list[dict[str, BaseDistribution]] = [
            SPACE,
            {**SPACE, "width": FloatDistribution(50.0, 60.0)},
            {name: SPACE[name] for name in ("rate", "depth")},
            {"width": FloatDistribution(-2.0, -1.0), "new": IntDistribution(0, 1)},
            {},
        ]
        for number in range(3 * len(spaces)):
            space = spaces[number % len(spaces)]
            trial = study.ask(space)
            assert trial.distributions == space
            assert_all_inside(trial)
            study.tell(trial, float(number))

    def test_trials_added_by_hand_do_not_stop_the_study(
        self, make_sampler: SamplerFactory
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())
        narrow = {"width": FloatDistribution(-2.0, 0.0), "rate": SPACE["rate"]}
        added = [
            optuna.create_trial(value=1.0),
            optuna.create_trial(state=TrialState.FAIL),
            optuna.create_trial(
                params={"width": -1.0, "rate": 0.5}, distributions=narrow, value=2
            ),
            optuna.create_trial(
                params={"width": 77.0, "extra": "a"},
                distributions={
                    "width": FloatDistribution(70.0, 80.0),
                    "extra": CategoricalDistribution(("a",)),
                },
                value=math.inf,
            ),
            optuna.create_trial(
                state=TrialState.PRUNED,
                params={"depth": 4},
                distributions={"depth": IntDistribution(1, 20)},
                intermediate_values={0: 1.0, 5: math.nan},
            ),
            optuna.create_trial(
                state=TrialState.RUNNING,
                params={"depth": 4},
                distributions={"depth": SPACE["depth"]},
            ),
        ]
        for trial in added:
            study.add_trial(trial)
            optimise(study, 2)
        by_hand = {3 * index for index in range(len(added))}
        for trial in study.trials:
            if trial.number not in by_hand:
                assert set(trial.params) == set(SPACE)
                assert_all_inside(trial)

    def test_an_objective_without_parameters_runs(self, make_sampler: SamplerFactory) -> None:
        study = optuna.create_study(sampler=make_sampler())
        study.optimize(lambda trial: 1.0, n_trials=4)
        assert all(trial.params == {} for trial in study.trials)

    def test_a_failing_objective_does_not_stop_the_study(
        self, make_sampler: SamplerFactory
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())

        def objective(trial: Trial) -> float:
            trial.suggest_float("width", -2.0, 6.0)
            if trial.number % 2:
                raise ArithmeticError
            return loss(suggest(trial))

        study.optimize(objective, n_trials=8, catch=(ArithmeticError,))
        assert [trial.state for trial in study.trials] == [
            TrialState.COMPLETE,
            TrialState.FAIL,
        ] * 4

    def test_a_parameter_whose_range_moves_is_suggested_inside_the_new_range(
        self, make_sampler: SamplerFactory
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())

        def objective(trial: Trial) -> float:
            low = 3.0 * trial.number
            return trial.suggest_float("width", low, low + 2.0)

        study.optimize(objective, n_trials=8)
        for trial in study.trials:
            assert_all_inside(trial)
