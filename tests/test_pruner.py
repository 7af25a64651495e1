"""``MetaPruner`` in real studies."""

from __future__ import annotations

import copy
import math
from pathlib import Path
import pickle
from typing import Any
import warnings

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import PatientPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial
import pytest

from optuna_metasampler import MetaPruner, MetaSampler
from optuna_metasampler.exceptions import PriorNotFoundError, PriorWarning
from optuna_metasampler.explain.trial_record import STOPPED, Stop


N_STEPS = 20
FLOAT = optuna.distributions.FloatDistribution(0.0, 10.0)


def losses(level: float, n_steps: int = N_STEPS) -> list[float]:
    return [level + 2.0 / step for step in range(1, n_steps + 1)]


def trained(level: float, n_steps: int = N_STEPS, sign: float = 1.0) -> optuna.trial.FrozenTrial:
    """A trial that went to its end."""
    curve = {step: sign * loss for step, loss in enumerate(losses(level, n_steps), start=1)}
    return create_trial(
        params={"level": level},
        distributions={"level": FLOAT},
        value=curve[n_steps],
        intermediate_values=curve,
    )


def study_of(*levels: float, pruner: MetaPruner | None = None, **options: Any) -> optuna.Study:
    study = optuna.create_study(pruner=pruner or MetaPruner(), **options)
    study.add_trials([trained(level) for level in levels])
    return study


def stopped_at(study: optuna.Study, values: dict[int, float] | list[float]) -> int | None:
    """The step at which a new trial with these values is stopped."""
    trial = study.ask()
    curve = values if isinstance(values, dict) else dict(enumerate(values, start=1))
    for step, value in curve.items():
        trial.report(value, step)
        if trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return step
    study.tell(trial, list(curve.values())[-1])
    return None


def objective(trial: optuna.Trial) -> float:
    level = trial.suggest_float("level", 0.0, 1.0)
    for step, loss in enumerate(losses(level), start=1):
        trial.report(loss, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return losses(level)[-1]


def outcomes(study: optuna.Study) -> list[tuple[TrialState, int | None]]:
    return [(trial.state, trial.last_step) for trial in study.trials]


def test_a_trial_far_behind_is_stopped_and_says_why() -> None:
    study = study_of(0.1, 0.2, 0.3)
    step = stopped_at(study, losses(3.0))
    assert step is not None
    assert step < N_STEPS / 2
    why = study.trials[-1].user_attrs[STOPPED]
    assert why["step"] == step
    assert why["probability"] < 0.02
    assert why["needed"] == pytest.approx(losses(0.1)[-1])
    assert why["needed"] < why["low"] < why["high"]


def test_a_trial_that_is_ahead_of_all_others_is_not_stopped() -> None:
    study = study_of(0.3, 0.4, 0.5)
    assert stopped_at(study, losses(0.1)) is None
    assert STOPPED not in study.trials[-1].user_attrs


def test_the_first_trial_is_never_stopped() -> None:
    study = optuna.create_study(pruner=MetaPruner())
    assert stopped_at(study, losses(100.0)) is None


def test_the_second_trial_can_be_stopped() -> None:
    assert stopped_at(study_of(0.1), losses(5.0)) is not None


@pytest.mark.parametrize("n_startup_trials", [1, 3, 5])
def test_no_trial_is_stopped_before_the_startup_trials_have_ended(n_startup_trials: int) -> None:
    pruner = MetaPruner(n_startup_trials=n_startup_trials)
    study = optuna.create_study(pruner=pruner)
    study.add_trials([trained(0.1)] * (n_startup_trials - 1))
    assert stopped_at(study, losses(9.0)) is None
    assert stopped_at(study, losses(30.0)) is not None


def test_no_trial_is_stopped_before_the_warmup_steps() -> None:
    study = study_of(0.1, 0.2, pruner=MetaPruner(n_warmup_steps=7))
    assert stopped_at(study, losses(9.0)) == 7


def test_a_probability_of_zero_stops_nothing() -> None:
    study = study_of(0.1, 0.2, pruner=MetaPruner(min_probability=0.0))
    assert stopped_at(study, losses(1e6)) is None


def test_the_higher_the_probability_asked_for_the_earlier_a_trial_is_stopped() -> None:
    steps = [
        stopped_at(study_of(0.1, 0.3, 0.5, pruner=MetaPruner(min_probability=p)), losses(0.9))
        for p in (0.4, 0.1, 0.01)
    ]
    found = [N_STEPS if step is None else step for step in steps]
    assert found == sorted(found)
    assert found[0] < found[-1]


def test_a_larger_share_of_best_trials_spares_more() -> None:
    levels = np.linspace(0.1, 1.0, 20).tolist()
    strict = stopped_at(study_of(*levels), losses(0.55))
    mild = stopped_at(study_of(*levels, pruner=MetaPruner(best_share=0.8)), losses(0.55))
    assert strict is not None
    assert mild is None


def test_both_directions_are_treated_alike() -> None:
    up = optuna.create_study(pruner=MetaPruner(), direction="maximize")
    up.add_trials([trained(level, sign=-1.0) for level in (0.1, 0.2)])
    down = study_of(0.1, 0.2)
    for level in (0.15, 0.4, 0.8, 3.0):
        assert stopped_at(up, [-loss for loss in losses(level)]) == stopped_at(down, losses(level))
    assert up.trials[-1].user_attrs[STOPPED]["needed"] == pytest.approx(-losses(0.1)[-1])


def test_a_loss_that_is_no_number_stops_the_trial() -> None:
    study = study_of(0.1, 0.2)
    assert stopped_at(study, {1: 0.5, 2: math.nan, 3: 0.1}) == 2
    assert Stop.read(study.trials[-1]) == Stop(2)


def test_an_infinite_loss_is_a_bad_one() -> None:
    assert stopped_at(study_of(0.1, 0.2), {1: math.inf}) == 1
    assert stopped_at(study_of(0.3, 0.4), {1: -math.inf, 2: -math.inf}) is None


def test_steps_may_be_irregular_start_anywhere_and_go_beyond_the_others() -> None:
    study = study_of(0.1, 0.2, 0.3)
    assert stopped_at(study, {3: 5.0, 4: 4.9, 11: 4.8}) is not None
    ahead = losses(0.05)
    assert stopped_at(study, {step: ahead[step - 1] for step in (2, 7, 19)}) is None
    # Nothing is left to save after the last step of the others.
    assert stopped_at(study, {N_STEPS: 50.0, 1000: 50.0}) is None


def test_a_value_that_is_reported_again_changes_nothing() -> None:
    study = study_of(0.1, 0.2)
    trial = study.ask()
    trial.report(0.15, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's: the step is already reported
        trial.report(50.0, 5)
    assert not trial.should_prune()


def test_a_trial_that_has_reported_nothing_is_not_stopped() -> None:
    assert not study_of(0.1, 0.2).ask().should_prune()


def test_trials_without_reports_count_for_nothing() -> None:
    study = optuna.create_study(pruner=MetaPruner())
    study.add_trials(
        [create_trial(params={"level": 0.1}, distributions={"level": FLOAT}, value=0.0)] * 5
    )
    assert stopped_at(study, losses(50.0)) is None


def test_a_single_report_is_no_curve() -> None:
    study = optuna.create_study(pruner=MetaPruner())
    for level in (0.1, 0.2, 0.3):
        once = trained(level)
        once.intermediate_values = {3: level}
        study.add_trial(once)
    assert stopped_at(study, {1: 60.0, 2: 50.0}) is None


def test_the_end_of_a_curve_is_the_value_that_the_objective_returned() -> None:
    study = optuna.create_study(pruner=MetaPruner())
    for level in (0.1, 0.2, 0.3):
        best = trained(level)
        best.values = [0.01]
        study.add_trial(best)
    trial = study.ask()
    for step in range(1, 6):
        trial.report(8.0, step)
    assert trial.should_prune()
    assert study.trials[-1].user_attrs[STOPPED]["needed"] == 0.01


def test_a_study_of_several_objectives_is_refused_by_optuna() -> None:
    study = optuna.create_study(directions=["minimize"] * 2, pruner=MetaPruner())
    with pytest.raises(NotImplementedError):
        study.ask().should_prune()


def test_prior_curves_are_learned_from(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    old = optuna.create_study(study_name="old", storage=url)
    old.add_trials([trained(level) for level in np.linspace(0.0, 1.0, 15).tolist()])
    pruner = MetaPruner(url, prior_studies="ol*", prior_filter={"min_trials": 10})
    study = study_of(0.1, 0.3, pruner=pruner)
    # Equal gains in all earlier curves: a distance that is seen early stays.
    with_priors = stopped_at(study, losses(0.9))
    without = stopped_at(study_of(0.1, 0.3), losses(0.9))
    assert with_priors is not None
    assert without is None or with_priors <= without


def test_prior_studies_of_the_other_direction_are_read_by_their_own() -> None:
    old = optuna.create_study(study_name="old", direction="maximize")
    old.add_trials([trained(level, sign=-1.0) for level in np.linspace(0.0, 1.0, 9).tolist()])
    same = optuna.create_study(study_name="same")
    same.add_trials([trained(level) for level in np.linspace(0.0, 1.0, 9).tolist()])
    first, second = (study_of(0.1, 0.3, pruner=MetaPruner(prior)) for prior in (old, same))
    assert stopped_at(first, losses(0.9)) == stopped_at(second, losses(0.9))


def test_the_running_study_is_not_its_own_prior_study() -> None:
    study = study_of(*np.linspace(0.1, 1.0, 9).tolist())
    study.pruner = MetaPruner(study)
    alone = study_of(*np.linspace(0.1, 1.0, 9).tolist())
    assert stopped_at(study, losses(0.7)) == stopped_at(alone, losses(0.7))


def test_reversed_prior_curves_stop_no_good_trial() -> None:
    # In these, whoever is ahead ends behind.
    rng = np.random.default_rng(0)
    reversed_studies = []
    for i in range(3):
        old = optuna.create_study(study_name=f"reversed {i}")
        for level in rng.uniform(size=15).tolist():
            curve = {step: 5.0 - 5.0 * level for step in range(1, N_STEPS)} | {N_STEPS: level}
            old.add_trial(
                create_trial(
                    params={"level": level},
                    distributions={"level": FLOAT},
                    value=level,
                    intermediate_values=curve,
                )
            )
        reversed_studies.append(old)
    study = study_of(*np.linspace(0.2, 1.0, 9).tolist(), pruner=MetaPruner(reversed_studies))
    assert stopped_at(study, losses(0.05)) is None


def test_a_source_that_is_gone_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    optuna.create_study(study_name="old", storage=f"sqlite:///{path}").add_trial(trained(0.1))
    pruner = MetaPruner(f"sqlite:///{path}")
    path.unlink()
    study = study_of(0.1, pruner=pruner)
    with pytest.warns(PriorWarning, match="left out"):
        assert stopped_at(study, losses(9.0)) is not None


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_copy_decides_alike(copied: Any) -> None:
    pruner = MetaPruner(study_of(0.1, 0.5, 0.9), n_warmup_steps=2)
    used = study_of(0.1, 0.3, pruner=pruner)
    first = stopped_at(used, losses(0.9))
    assert stopped_at(study_of(0.1, 0.3, pruner=copied(pruner)), losses(0.9)) == first


def storages(tmp_path: Path) -> dict[str, BaseStorage]:
    return {
        "memory": InMemoryStorage(),
        "sqlite": RDBStorage(f"sqlite:///{tmp_path / 'new.db'}"),
        "journal": JournalStorage(JournalFileBackend(str(tmp_path / "new.log"))),
    }


@pytest.mark.parametrize("kind", ["memory", "sqlite", "journal"])
def test_it_decides_alike_in_every_storage_and_after_resuming(kind: str, tmp_path: Path) -> None:
    whole = optuna.create_study(sampler=RandomSampler(seed=1), pruner=MetaPruner())
    whole.optimize(objective, n_trials=24)
    assert len({state for state, _ in outcomes(whole)}) == 2

    storage, sampler = storages(tmp_path)[kind], RandomSampler(seed=1)
    for n_trials in (5, 19):
        study = optuna.create_study(
            study_name="resumed",
            storage=storage,
            sampler=sampler,
            pruner=MetaPruner(),
            load_if_exists=True,
        )
        study.optimize(objective, n_trials=n_trials)
    assert outcomes(study) == outcomes(whole)


def test_several_threads_share_one_pruner() -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=0), pruner=MetaPruner())
    study.optimize(objective, n_trials=40, n_jobs=4)
    states = [state for state, _ in outcomes(study)]
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}


def test_one_pruner_serves_several_studies() -> None:
    pruner = MetaPruner()
    easy, hard = study_of(5.0, 6.0, pruner=pruner), study_of(0.1, 0.2, pruner=pruner)
    assert stopped_at(easy, losses(4.5)) is None
    assert stopped_at(hard, losses(4.5)) is not None


def test_a_patient_pruner_waits_for_it() -> None:
    study = study_of(0.1, 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.pruner = PatientPruner(MetaPruner(), patience=3)
    found = stopped_at(study, [9.0 + step for step in range(N_STEPS)])
    assert found is not None
    assert found > 3


@pytest.mark.parametrize(
    "sampler",
    [
        TPESampler(seed=0),
        MetaSampler(seed=0),
        MetaSampler(seed=0, method="hyperband"),
    ],
    ids=["tpe", "auto", "hyperband"],
)
def test_it_saves_steps_with_any_sampler(sampler: Any) -> None:
    study = optuna.create_study(sampler=sampler, pruner=MetaPruner())
    study.optimize(objective, n_trials=20)
    assert sum(step or 0 for _, step in outcomes(study)) < 20 * N_STEPS
    assert study.best_value < 0.3


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"min_probability": -0.1}, ValueError),
        ({"min_probability": 1.5}, ValueError),
        ({"min_probability": math.nan}, ValueError),
        ({"min_probability": "0.1"}, TypeError),
        ({"min_probability": True}, TypeError),
        ({"best_share": 2.0}, ValueError),
        ({"n_startup_trials": 0}, ValueError),
        ({"n_startup_trials": 1.5}, TypeError),
        ({"n_warmup_steps": -1}, ValueError),
        ({"prior": 3}, TypeError),
        ({"prior": "nowhere.db"}, PriorNotFoundError),
    ],
)
def test_a_bad_argument_is_refused_by_name(
    options: dict[str, Any], error: type[Exception], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=next(iter(options))):
        MetaPruner(**options)
