"""The sampler put together with the other parts of Optuna, as users put them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
import pickle
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler
from optuna.storages import RDBStorage
from optuna.study import MaxTrialsCallback, Study
from optuna.trial import FrozenTrial, Trial, TrialState
import pytest

from optuna_metasampler import MetaSampler
from tests.studies import random_study, sqlite

from .seven_parameters import SPACE, assert_all_inside


SamplerFactory = Callable[..., MetaSampler]

# Two startup trials without priors, so that most of these ask the model.
N_TRIALS = 5

# Experimental in Optuna, and so it says at every use.
experimental = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def suggest(trial: Trial) -> float:
    """Three of the seven parameters, which the prior studies know."""
    width = trial.suggest_float("width", -2.0, 6.0)
    depth = trial.suggest_int("depth", 1, 9)
    activation = trial.suggest_categorical("activation", ("relu", "tanh", None, True, 0.5))
    return (width - 3) ** 2 / 8 + (depth - 5) ** 2 / 16 + (activation != "relu")


def cold() -> MetaSampler:
    """A sampler without priors, for what priors have no part in."""
    return MetaSampler(n_startup_trials=2, seed=0)


def states_of(study: Study) -> list[TrialState]:
    return [trial.state for trial in study.trials]


@experimental
class TestPartialFixedSampler:
    @pytest.mark.parametrize("activation", [None, True])
    def test_a_choice_that_is_not_a_string_may_be_fixed(
        self, make_sampler: SamplerFactory, activation: Any
    ) -> None:
        fixed = {"activation": activation}
        study = optuna.create_study(sampler=PartialFixedSampler(fixed, make_sampler()))
        study.optimize(suggest, n_trials=N_TRIALS)
        assert [trial.params["activation"] for trial in study.trials] == [activation] * N_TRIALS
        assert {type(trial.params["activation"]) for trial in study.trials} == {type(activation)}
        for trial in study.trials:
            assert_all_inside(trial)

    def test_a_name_that_the_objective_does_not_ask_for_changes_nothing(
        self, make_sampler: SamplerFactory
    ) -> None:
        studies = [
            optuna.create_study(sampler=sampler)
            for sampler in (make_sampler(), PartialFixedSampler({"alien": 1}, make_sampler()))
        ]
        for study in studies:
            study.optimize(suggest, n_trials=N_TRIALS)
        assert [t.params for t in studies[0].trials] == [t.params for t in studies[1].trials]

    @pytest.mark.parametrize("depth", [-2, 40])
    def test_a_number_may_be_fixed_outside_of_its_range_and_is_learned_from(
        self, make_sampler: SamplerFactory, depth: int
    ) -> None:
        sampler = make_sampler()
        study = optuna.create_study(sampler=PartialFixedSampler({"depth": depth}, sampler))
        with pytest.warns(UserWarning, match="out of range"):
            study.optimize(suggest, n_trials=3)
        assert [trial.params["depth"] for trial in study.trials] == [depth] * 3
        study.sampler = sampler
        study.optimize(suggest, n_trials=2)
        for trial in study.trials[3:]:
            assert_all_inside(trial)

    def test_a_choice_that_does_not_exist_is_the_users_error_and_breaks_no_later_trial(
        self,
    ) -> None:
        sampler = cold()
        study = optuna.create_study(sampler=PartialFixedSampler({"activation": "no"}, sampler))
        with pytest.raises(ValueError, match="'no' not in"):
            study.optimize(suggest, n_trials=1)
        study.sampler = sampler
        study.optimize(suggest, n_trials=3)
        assert states_of(study) == [TrialState.FAIL] + [TrialState.COMPLETE] * 3

    def test_what_is_fixed_may_change_amid_a_study(self) -> None:
        sampler = cold()
        study = optuna.create_study(sampler=sampler)
        stages: list[dict[str, Any]] = [{}, {"width": 0.5}, {"width": 1.5, "depth": 2}]
        for fixed in stages:
            study.sampler = PartialFixedSampler(fixed, sampler)
            study.optimize(suggest, n_trials=2)
            for trial in study.trials[-2:]:
                assert fixed.items() <= trial.params.items()
                assert_all_inside(trial)


class TestEnqueuedTrials:
    @pytest.mark.parametrize(("kind", "best"), [("low", 0.2), ("high", 0.8)])
    def test_the_rest_of_a_trial_is_chosen_to_go_with_what_is_enqueued(
        self, kind: str, best: float
    ) -> None:
        def branches(trial: Trial) -> float:
            # What is enqueued stands last, so that nothing but the queue tells of it.
            height = trial.suggest_float("height", 0.0, 1.0)
            best = {"low": 0.2, "high": 0.8}[trial.suggest_categorical("kind", ("low", "high"))]
            return (height - best) ** 2

        study = optuna.create_study(sampler=cold())
        study.optimize(branches, n_trials=14)
        study.enqueue_trial({"kind": kind})
        study.optimize(branches, n_trials=1)
        assert study.trials[-1].params["kind"] == kind
        assert study.trials[-1].params["height"] == pytest.approx(best, abs=0.2)

    # Optuna warns of an enqueued value outside of its range, and uses it.
    @pytest.mark.filterwarnings("ignore:Fixed parameter .* with value .* is out of range")
    @pytest.mark.parametrize(
        "params",
        [
            {"width": 1.0},
            {"width": 1.0, "depth": 3, "activation": None},
            {"width": 1.0, "alien": 5},
            {"depth": 50},
            {},
        ],
        ids=["partly", "wholly", "with an alien", "outside", "nothing"],
    )
    def test_what_is_enqueued_is_kept_early_and_late(
        self, make_sampler: SamplerFactory, params: dict[str, Any]
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())
        study.enqueue_trial(params)
        study.optimize(suggest, n_trials=3)
        study.enqueue_trial(params)
        study.optimize(suggest, n_trials=1)
        known = {name: value for name, value in params.items() if name != "alien"}
        for trial in (study.trials[0], study.trials[3]):
            assert known.items() <= trial.params.items()
            assert trial.params.keys() == {"width", "depth", "activation"}

    def test_all_that_is_known_may_be_enqueued_where_a_new_parameter_comes(self) -> None:
        study = optuna.create_study(sampler=cold())
        study.optimize(suggest, n_trials=3)
        params = study.trials[-1].params
        study.enqueue_trial(params)
        study.optimize(
            lambda trial: trial.suggest_float("new", 0.0, 1.0) + suggest(trial), n_trials=1
        )
        assert params.items() <= study.trials[-1].params.items()
        assert_all_inside(study.trials[-1])

    def test_a_choice_that_does_not_exist_fails_one_trial_only(self) -> None:
        study = optuna.create_study(sampler=cold())
        study.optimize(suggest, n_trials=3)
        study.enqueue_trial({"activation": "no"})
        study.optimize(suggest, n_trials=3, catch=(ValueError,))
        assert states_of(study)[3:] == [TrialState.FAIL] + [TrialState.COMPLETE] * 2

    def test_a_queue_is_worked_through_by_threads(self) -> None:
        study = optuna.create_study(sampler=cold())
        for depth in range(1, 7):
            study.enqueue_trial({"depth": depth})
        study.optimize(suggest, n_trials=6, n_jobs=2)
        assert sorted(trial.params["depth"] for trial in study.trials) == [1, 2, 3, 4, 5, 6]


class TestTrialsFromElsewhere:
    def test_a_whole_study_may_be_added_from_another_space(
        self, make_sampler: SamplerFactory
    ) -> None:
        other = optuna.create_study(sampler=RandomSampler(seed=0))

        def objective(trial: Trial) -> float:
            value = trial.suggest_float("width", 100.0, 900.0)
            return (
                value + trial.suggest_int("depth", -40, 0, step=4) + trial.suggest_int("b", 1, 4)
            )

        other.optimize(objective, n_trials=6)
        study = optuna.create_study(sampler=make_sampler())
        study.add_trials(other.trials)
        study.optimize(suggest, n_trials=N_TRIALS)
        assert states_of(study) == [TrialState.COMPLETE] * (6 + N_TRIALS)
        for trial in study.trials[6:]:
            assert trial.params.keys() == {"width", "depth", "activation"}
            assert_all_inside(trial)

    def test_added_trials_are_learned_from(self) -> None:
        width = {"width": FloatDistribution(-2.0, 6.0)}
        study = optuna.create_study(sampler=MetaSampler(seed=0))
        study.add_trials(
            [
                optuna.create_trial(params={"width": x}, distributions=width, value=(x - 3.0) ** 2)
                for x in (-2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 5.0, 6.0)
            ]
        )
        assert study.ask(width).params["width"] == pytest.approx(3.0, abs=0.5)

    @pytest.mark.parametrize("state", [TrialState.FAIL, TrialState.PRUNED])
    def test_a_study_may_consist_of_unsuccessful_trials(
        self, make_sampler: SamplerFactory, state: TrialState
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())
        study.add_trials(
            [
                optuna.create_trial(
                    state=state,
                    params={"width": float(x), "depth": 3},
                    distributions={name: SPACE[name] for name in ("width", "depth")},
                    intermediate_values={1: float(x)},
                )
                for x in range(4)
            ]
        )
        study.optimize(suggest, n_trials=3)
        for trial in study.trials[4:]:
            assert_all_inside(trial)

    def test_a_copied_study_goes_on_with_what_the_original_has_learned(
        self, make_sampler: SamplerFactory, tmp_path: Path
    ) -> None:
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(
            study_name="from", storage=storage, sampler=make_sampler(seed=1)
        )
        study.optimize(suggest, n_trials=N_TRIALS)
        optuna.copy_study(
            from_study_name="from", from_storage=storage, to_storage=storage, to_study_name="to"
        )
        copies = [
            optuna.load_study(study_name=name, storage=storage, sampler=make_sampler(seed=2))
            for name in ("from", "to")
        ]
        for each in copies:
            each.optimize(suggest, n_trials=2)
        assert [t.params for t in copies[0].trials] == [t.params for t in copies[1].trials]


class TestAskAndTell:
    def test_a_batch_with_fixed_distributions_is_told_in_another_order(
        self, make_sampler: SamplerFactory
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())
        space = {name: SPACE[name] for name in ("width", "depth", "activation")}
        for _ in range(2):
            batch = [study.ask(space) for _ in range(4)]
            assert len({str(sorted(trial.params.items(), key=str)) for trial in batch}) == 4
            for trial in reversed(batch):
                assert trial.distributions == space
                assert_all_inside(trial)
                study.tell(trial.number, float(trial.number))
        assert states_of(study) == [TrialState.COMPLETE] * 8

    def test_fixed_distributions_meet_an_enqueued_trial(self) -> None:
        study = optuna.create_study(sampler=cold())
        space = {name: SPACE[name] for name in ("width", "depth")}
        for _ in range(4):
            study.enqueue_trial({"depth": 7})
            trial = study.ask(space)
            assert trial.params["depth"] == 7
            assert_all_inside(trial)
            study.tell(trial, trial.params["width"])

    def test_another_objective_may_be_tuned_from_the_middle_on(
        self, make_sampler: SamplerFactory
    ) -> None:
        study = optuna.create_study(sampler=make_sampler())
        study.optimize(suggest, n_trials=3)
        # Optuna allows a parameter to change in its range only.
        spaces: list[dict[str, BaseDistribution]] = [
            {"width": FloatDistribution(50.0, 60.0)},
            {"width": FloatDistribution(0.0, 1.0, step=0.5), "heads": IntDistribution(1, 8)},
            {"heads": IntDistribution(20, 90), "depth": IntDistribution(5, 5)},
        ]
        for space in spaces:
            for _ in range(2):
                trial = study.ask(space)
                assert trial.distributions == space
                assert_all_inside(trial)
                study.tell(trial, 1.0)


class TestTheLoopOfOptimize:
    def test_callbacks_see_every_trial_and_one_of_them_stops_the_study(self) -> None:
        seen: list[int] = []

        def watch(study: Study, trial: FrozenTrial) -> None:
            seen.append(trial.number)
            if trial.number == 3:
                study.stop()

        study = optuna.create_study(sampler=cold())
        study.optimize(suggest, n_trials=50, callbacks=[watch])
        assert seen == [0, 1, 2, 3]

    def test_a_limit_counts_the_trials_of_the_whole_study(self) -> None:
        study = optuna.create_study(sampler=cold())
        study.optimize(suggest, n_trials=2)
        study.optimize(suggest, n_trials=50, callbacks=[MaxTrialsCallback(5)])
        assert len(study.trials) == 5

    def test_options_of_the_loop_are_none_of_the_samplers_concern(self) -> None:
        study = optuna.create_study(sampler=cold())
        study.optimize(suggest, n_trials=4, timeout=600, gc_after_trial=True)
        plain = optuna.create_study(sampler=cold())
        plain.optimize(suggest, n_trials=4)
        assert [t.params for t in study.trials] == [t.params for t in plain.trials]

    # Optuna marks its progress bar as experimental.
    @experimental
    def test_a_progress_bar_may_be_shown(self) -> None:
        study = optuna.create_study(sampler=cold())
        study.optimize(suggest, n_trials=3, show_progress_bar=True)
        assert states_of(study) == [TrialState.COMPLETE] * 3

    def test_an_exception_that_is_not_caught_leaves_a_study_that_goes_on(self) -> None:
        study = optuna.create_study(sampler=cold())

        def objective(trial: Trial) -> float:
            value = suggest(trial)
            if trial.number == 2:
                raise KeyboardInterrupt
            return value

        with pytest.raises(KeyboardInterrupt):
            study.optimize(objective, n_trials=5)
        study.optimize(objective, n_trials=2)
        assert states_of(study) == [
            TrialState.COMPLETE,
            TrialState.COMPLETE,
            TrialState.FAIL,
            TrialState.COMPLETE,
            TrialState.COMPLETE,
        ]

    # Optuna 4.9 and newer: the terminator will move elsewhere.
    @pytest.mark.filterwarnings("ignore:.* has been deprecated:FutureWarning")
    @experimental
    def test_the_terminator_may_end_the_study(self) -> None:
        from optuna.terminator import (
            BestValueStagnationEvaluator,
            StaticErrorEvaluator,
            Terminator,
            TerminatorCallback,
        )

        terminator = Terminator(
            BestValueStagnationEvaluator(max_stagnation_trials=2), StaticErrorEvaluator(0.0), 3
        )
        study = optuna.create_study(sampler=cold())
        study.optimize(
            lambda trial: suggest(trial) * 0.0,
            n_trials=50,
            callbacks=[TerminatorCallback(terminator)],
        )
        assert len(study.trials) < 10

    @pytest.mark.filterwarnings("ignore:.* has been deprecated:FutureWarning")
    @experimental
    def test_the_bound_of_regret_is_computed_from_its_trials(self) -> None:
        from optuna.terminator import RegretBoundEvaluator

        study = optuna.create_study(sampler=MetaSampler(n_startup_trials=2, seed=0))
        study.optimize(lambda trial: trial.suggest_float("width", -2.0, 6.0) ** 2, n_trials=6)
        assert RegretBoundEvaluator().evaluate(study.trials, study.direction) >= 0.0


class TestOtherSamplers:
    def test_a_sampler_that_switches_may_delegate_to_it(
        self, make_sampler: SamplerFactory
    ) -> None:
        study = optuna.create_study(sampler=Switching([make_sampler(), RandomSampler(seed=0)]))
        study.optimize(suggest, n_trials=2 * N_TRIALS)
        assert states_of(study) == [TrialState.COMPLETE] * 2 * N_TRIALS
        for trial in study.trials:
            assert_all_inside(trial)

    def test_a_sampler_that_delegates_suggests_what_it_would_alone(self) -> None:
        alone = optuna.create_study(sampler=cold())
        wrapped = optuna.create_study(sampler=Switching([cold()]))
        for study in (alone, wrapped):
            study.optimize(suggest, n_trials=N_TRIALS)
        assert [t.params for t in alone.trials] == [t.params for t in wrapped.trials]

    def test_it_takes_over_a_study_of_another_sampler_and_gives_it_back(
        self, make_sampler: SamplerFactory
    ) -> None:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
        study.optimize(suggest, n_trials=12)
        study.sampler = make_sampler()
        study.optimize(suggest, n_trials=3)
        study.sampler = optuna.samplers.TPESampler(seed=0)
        study.optimize(suggest, n_trials=2)
        assert states_of(study) == [TrialState.COMPLETE] * 17
        for trial in study.trials:
            assert_all_inside(trial)

    def test_it_learns_from_the_trials_of_another_sampler(self) -> None:
        def bowl(trial: Trial) -> float:
            return (trial.suggest_float("width", -2.0, 6.0) - 3.0) ** 2

        study = random_study(bowl, 12)
        study.sampler = MetaSampler(seed=0)
        study.optimize(bowl, n_trials=3)
        assert min(abs(trial.params["width"] - 3.0) for trial in study.trials[-3:]) < 0.2

    @pytest.mark.parametrize("what", ["study", "sampler"])
    def test_it_is_pickled_with_an_independent_sampler_of_ones_own(
        self, prior: str | None, what: str
    ) -> None:
        sampler = MetaSampler(prior, independent_sampler=RandomSampler(seed=3), seed=0)
        study = optuna.create_study(sampler=sampler)
        study.optimize(suggest, n_trials=3)
        if what == "study":
            study = pickle.loads(pickle.dumps(study))
        else:
            study.sampler = pickle.loads(pickle.dumps(sampler))
        study.optimize(suggest, n_trials=2)
        assert states_of(study) == [TrialState.COMPLETE] * 5


class Switching(BaseSampler):
    """Delegates every trial to the next of some samplers, as OptunaHub's AutoSampler does."""

    def __init__(self, samplers: Sequence[BaseSampler]) -> None:
        self._samplers = samplers

    def _current(self, trial: FrozenTrial) -> BaseSampler:
        return self._samplers[trial.number % len(self._samplers)]

    def reseed_rng(self) -> None:
        for sampler in self._samplers:
            sampler.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial, *rest: Any) -> Any:
        return self._current(trial).infer_relative_search_space(study, trial, *rest)

    def sample_relative(self, study: Study, trial: FrozenTrial, *rest: Any) -> Any:
        return self._current(trial).sample_relative(study, trial, *rest)

    def sample_independent(self, study: Study, trial: FrozenTrial, *rest: Any) -> Any:
        return self._current(trial).sample_independent(study, trial, *rest)

    def before_trial(self, study: Study, trial: FrozenTrial, *rest: Any) -> None:
        self._current(trial).before_trial(study, trial, *rest)

    def after_trial(self, study: Study, trial: FrozenTrial, *rest: Any) -> None:
        self._current(trial).after_trial(study, trial, *rest)


def _retry_once() -> dict[str, Any]:
    """The argument of a storage that tries a lost trial again, by its name in this Optuna."""
    name = "RetryHeartbeatStaleTrialCallback"
    if hasattr(optuna.storages, name):
        return {"heartbeat_stale_trial_callback": getattr(optuna.storages, name)(max_retry=1)}
    callback = optuna.storages.RetryFailedTrialCallback(max_retry=1)
    return {"failed_trial_callback": callback}


class TestHeartbeat:
    @experimental
    @pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed to be used with")
    def test_a_trial_whose_worker_died_is_tried_again_with_the_same_parameters(
        self, tmp_path: Path
    ) -> None:
        heartbeat = {"heartbeat_interval": 1, "grace_period": 1, **_retry_once()}
        with sqlite(tmp_path / "study.db", **heartbeat) as storage:
            study = optuna.create_study(storage=storage, sampler=cold())
            study.optimize(suggest, n_trials=3)
            lost = study.ask()
            suggest(lost)
            _stop_heart(storage, lost)
            study.optimize(suggest, n_trials=2)
            assert study.trials[lost.number].state == TrialState.FAIL
            (retried,) = (t for t in study.trials if t.system_attrs.get("failed_trial") == 3)
            assert retried.state == TrialState.COMPLETE
            assert retried.params == lost.params
            assert len(study.trials) == 6


def _stop_heart(storage: RDBStorage, trial: Trial) -> None:
    """Leave the trial with a heartbeat of long ago, as a worker does that was killed."""
    from sqlalchemy import text

    storage.record_heartbeat(trial._trial_id)
    with storage.engine.begin() as connection:
        connection.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))


class TestHistory:
    def test_parameters_that_come_and_go_are_all_modelled(self) -> None:
        study = optuna.create_study(sampler=cold())
        objectives: list[Callable[[Trial], float]] = [
            lambda t: t.suggest_int("x", 0, 10),
            lambda t: t.suggest_int("y", 0, 10) + t.suggest_float("z", -3, 3),
            lambda t: (
                t.suggest_int("y", 0, 10)
                + t.suggest_float("z", -3, 3)
                + t.suggest_float("u", 1e-2, 1e2, log=True)
                + (t.suggest_categorical("v", ["A", "B", "C"]) == "A")
            ),
            lambda t: t.suggest_float("u", 1e-2, 1e2, log=True),
            lambda t: t.suggest_int("y", 0, 10) + t.suggest_int("w", 2, 8, log=True),
            lambda t: t.suggest_int("x", 0, 10),
        ]
        for objective in objectives:
            study.optimize(objective, n_trials=2)
            for trial in study.trials[-2:]:
                assert_all_inside(trial)
        space = study.sampler.infer_relative_search_space(study, study.trials[-1])
        assert list(space) == ["u", "v", "w", "x", "y", "z"]

    def test_completed_and_pruned_trials_need_no_parameter_in_common(self) -> None:
        study = optuna.create_study(sampler=cold())

        def objective(trial: Trial) -> float:
            if trial.number == 0:
                trial.suggest_float("one", 0.0, 1.0)
                raise optuna.TrialPruned
            if trial.number == 1:
                trial.suggest_float("two", 0.0, 1.0)
            return 0.0

        study.optimize(objective, n_trials=4)
        assert states_of(study) == [TrialState.PRUNED] + [TrialState.COMPLETE] * 3

    def test_each_state_of_a_trial_leads_to_another_suggestion(self) -> None:
        suggestions = {
            state: _suggestion_after(
                [
                    optuna.create_trial(
                        state=state if number % 2 else TrialState.COMPLETE,
                        params={"width": 0.5 * number - 2.0},
                        distributions={"width": SPACE["width"]},
                        value=_value_in(state, number),
                        intermediate_values={0: 9.0 - number},
                    )
                    for number in range(17)
                ]
            )
            for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        }
        assert len(set(suggestions.values())) == 3

    def test_waiting_trials_change_no_suggestion(self) -> None:
        done = [
            optuna.create_trial(
                params={"width": x},
                distributions={"width": SPACE["width"]},
                value=(x - 3.0) ** 2,
            )
            for x in (-2.0, -1.0, 1.0, 2.0, 5.0, 6.0)
        ]
        waiting = optuna.create_trial(
            state=TrialState.WAITING, system_attrs={"fixed_params": {"width": 3.0}}
        )
        sampler = MetaSampler(n_startup_trials=0, seed=0)
        study = optuna.create_study(sampler=sampler)
        study.add_trials([*done, waiting])
        trial = optuna.create_trial(state=TrialState.RUNNING)
        trial.number = len(study.trials)
        there = sampler.sample_relative(study, trial, {"width": SPACE["width"]})
        assert there["width"] == _suggestion_after(done)

    def test_a_running_trial_is_not_suggested_again(self, make_sampler: SamplerFactory) -> None:
        study = optuna.create_study(sampler=make_sampler())
        space: dict[str, BaseDistribution] = {"depth": IntDistribution(1, 9)}
        study.tell(study.ask(space), 1.0)
        depths = [study.ask(space).params["depth"] for _ in range(6)]
        assert len(set(depths)) == 6

    def test_a_study_that_has_converged_goes_on(self, make_sampler: SamplerFactory) -> None:
        # Distances of 1e-5 and repetitions make a kernel matrix all but singular.
        width: dict[str, BaseDistribution] = {"width": FloatDistribution(0.0, 1.0)}
        places = [(i + 1) / 10 for i in range(10)]
        places += [(i + 1) / 1e5 for i in range(20)] + [0.0] * 10
        study = optuna.create_study(sampler=make_sampler())
        study.add_trials(
            [
                optuna.create_trial(params={"width": x}, distributions=width, value=x)
                for x in places
            ]
        )
        for _ in range(2):
            trial = study.ask(width)
            assert_all_inside(trial)
            study.tell(trial, trial.params["width"])


def _value_in(state: TrialState, number: int) -> float | None:
    return (0.5 * number - 3.1) ** 2 if state == TrialState.COMPLETE or number % 2 == 0 else None


def _suggestion_after(trials: Sequence[FrozenTrial]) -> float:
    """What is suggested next in a study of these trials."""
    study = optuna.create_study(sampler=MetaSampler(n_startup_trials=0, seed=0))
    study.add_trials(trials)
    value: float = study.ask({"width": SPACE["width"]}).params["width"]
    return value
