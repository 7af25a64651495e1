"""Parameters have values even where they are not tuned."""

from __future__ import annotations

from pathlib import Path
import pickle
from typing import Any
import warnings

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
import pytest
import torch

from optuna_metasampler import Archive, MetaSampler, fit
from optuna_metasampler.exceptions import CheckpointError, MethodError, PriorWarning
from optuna_metasampler.priors.align import Alignment, pool
from optuna_metasampler.priors.constants import Constants
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import SearchSpace
from tests.studies import random_study


MINIMIZE = (StudyDirection.MINIMIZE,)
BEST_OF = {"a": 0.1, "b": 0.9}


def x_alone(trial: optuna.Trial) -> float:
    return (trial.suggest_float("x", 0, 1) - 0.3) ** 2


def both(trial: optuna.Trial) -> float:
    return x_alone(trial) + (trial.suggest_float("x2", 0, 1) - 0.6) ** 2


def in_modes(trial: optuna.Trial) -> float:
    """The best value of `x` depends on `mode`, and mode `a` is better."""
    mode = trial.suggest_categorical("mode", ["a", "b"])
    return (trial.suggest_float("x", 0, 1) - BEST_OF[mode]) ** 2 + 0.5 * (mode == "b")


def params(sampler: MetaSampler, objective: Any, n_trials: int = 1, **study: Any) -> list[Any]:
    new = optuna.create_study(sampler=sampler, **study)
    new.optimize(objective, n_trials=n_trials)
    return [t.params for t in new.trials]


@pytest.fixture(scope="module")
def without_x2() -> list[optuna.Study]:
    return [random_study(x_alone, 12, seed=i, name=f"old-{i}") for i in range(2)]


@pytest.fixture(scope="module")
def with_modes() -> list[optuna.Study]:
    return [random_study(in_modes, 20, seed=10 + i, name=f"modes-{i}") for i in range(2)]


def recorded(study: optuna.Study, distribution: Any, value: Any) -> PriorStudy:
    """The study, had its trials recorded a value of `x2`."""
    trials = tuple(
        optuna.create_trial(
            params={**t.params, "x2": value},
            distributions={**t.distributions, "x2": distribution},
            values=t.values,
        )
        for t in study.trials
    )
    return PriorStudy(study.study_name, MINIMIZE, trials)


@pytest.mark.parametrize("value", [0.2, 0.85])
def test_the_first_trial_is_where_the_prior_studies_held_a_parameter(
    without_x2: list[optuna.Study], value: float
) -> None:
    (first,) = params(MetaSampler(without_x2, prior_fixed={"x2": value}, seed=0), both)
    assert first["x2"] == pytest.approx(value)
    assert first["x"] == pytest.approx(0.3, abs=0.15)


def test_the_first_trial_joins_the_best_of_a_study_with_its_own_constant(
    without_x2: list[optuna.Study],
) -> None:
    """Not the best of one study with the constant of another."""
    held = {"old-0": {"x2": 0.2}, "old-1": {"x2": 0.7}}
    (first,) = params(MetaSampler(without_x2, prior_fixed=held, seed=0), both)
    best = {s.best_params["x"]: held[s.study_name]["x2"] for s in without_x2}
    assert first["x2"] == pytest.approx(best[first["x"]])


def test_a_study_says_itself_what_it_held_constant() -> None:
    old = random_study(x_alone, 12)
    old.set_user_attr("fixed_params", {"x2": 0.8})
    (first,) = params(MetaSampler(old, seed=0), both)
    assert first["x2"] == pytest.approx(0.8)


def test_an_archive_keeps_what_a_study_says(tmp_path: Path) -> None:
    old = random_study(x_alone, 12)
    old.set_user_attr("fixed_params", {"x2": 0.8})
    Archive.write(tmp_path / "old.metaprior", [PriorStudy.of(old)])
    (first,) = params(MetaSampler(str(tmp_path / "old.metaprior"), seed=0), both)
    assert first["x2"] == pytest.approx(0.8)


def test_constants_are_renamed_as_parameters_are(without_x2: list[optuna.Study]) -> None:
    sampler = MetaSampler(without_x2, prior_fixed={"rate": 0.8}, rename={"rate": "x2"}, seed=0)
    (first,) = params(sampler, both)
    assert first["x2"] == pytest.approx(0.8)


def test_the_name_of_a_study_comes_before_its_attribute_and_that_before_a_glob() -> None:
    studies = [PriorStudy(n, MINIMIZE, (), {"fixed_params": {"p": 1}}) for n in ("a1", "a2")]
    studies.append(PriorStudy("a3", MINIMIZE, ()))
    by_study = {"a*": {"p": 2, "q": 2}, "a1": {"p": 3}, "*3": {"q": 4}}
    found = Constants.of(None, by_study).completed(studies)
    assert [dict(s.fixed) for s in found] == [{"p": 3, "q": 2}, {"p": 1, "q": 2}, {"p": 2, "q": 4}]
    found = Constants.of(None, {"p": 5}).completed(studies)
    assert [s.fixed["p"] for s in found] == [1, 1, 5]


def test_a_study_named_like_a_glob_is_named() -> None:
    study = PriorStudy("lr[0]", MINIMIZE, (), {"fixed_params": {"p": 1}})
    (found,) = Constants.of(None, {"lr[0]": {"p": 2}}).completed([study])
    assert found.fixed == {"p": 2}


def test_trials_keep_the_values_that_they_recorded() -> None:
    study = random_study(both, 6)
    (same,) = Constants.of(None, {"x2": 0.5}).completed([PriorStudy.of(study)])
    (records,) = pool([same], MINIMIZE).records
    assert [c["x2"] for c in records.configurations] == [t.params["x2"] for t in study.trials]


@pytest.mark.parametrize("value", [0.0, 0.4, 3.0, -1])
def test_constants_count_as_if_they_had_been_recorded(
    without_x2: list[optuna.Study], value: float
) -> None:
    """Where another prior study tunes the parameter, to the last digit."""
    tunes = random_study(both, 12, seed=5, name="tunes")
    alone = type(value)(value)
    single = IntDistribution(-1, -1) if alone == -1 else FloatDistribution(alone, alone)
    had = [recorded(study, single, value) for study in without_x2]
    said = Constants.of(None, {s.name: {"x2": value} for s in had}).completed(
        [PriorStudy.of(s) for s in without_x2]
    )
    first = pool([PriorStudy.of(tunes), *said], MINIMIZE)
    second = pool([PriorStudy.of(tunes), *had], MINIMIZE)
    assert first.space == second.space
    for a, b in zip(first.tasks((1.0,)), second.tasks((1.0,)), strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
        assert torch.equal(a.mask, b.mask)


def test_suggestions_are_those_after_prior_trials_that_recorded_the_constants(
    without_x2: list[optuna.Study],
) -> None:
    tunes = random_study(both, 12, seed=5, name="tunes")
    single = FloatDistribution(0.4, 0.4)
    had = []
    for study in without_x2:
        copy = optuna.create_study(study_name=study.study_name)
        copy.add_trials(list(recorded(study, single, 0.4).trials))
        had.append(copy)
    held = {"old-*": {"x2": 0.4}}
    said = params(MetaSampler([tunes, *without_x2], prior_fixed=held, seed=0), both, 4)
    assert said == params(MetaSampler([tunes, *had], seed=0), both, 4)
    assert said != params(MetaSampler([tunes, *without_x2], seed=0), both, 4)


def test_a_parameter_that_no_prior_study_tuned_has_the_range_of_the_running_one(
    without_x2: list[optuna.Study],
) -> None:
    """As if the prior trials had drawn their constant from that range."""
    wide = FloatDistribution(1e-6, 1.0, log=True)
    had = pool([recorded(s, wide, 1e-3) for s in without_x2], MINIMIZE).tasks((1.0,))
    said = Constants.of(None, {"x2": 1e-3}).completed([PriorStudy.of(s) for s in without_x2])
    tasks = pool(said, MINIMIZE).tasks((1.0,), ranges={"x2": wide})
    assert all(torch.equal(a.x, b.x) for a, b in zip(tasks, had, strict=True))
    assert tasks[0].space == had[0].space


def test_a_new_choice_has_a_place_of_its_own() -> None:
    def tuned(trial: optuna.Trial) -> float:
        return x_alone(trial) + (trial.suggest_categorical("mode", ["a", "b"]) == "a")

    studies = [random_study(tuned, 8, name="tunes"), random_study(x_alone, 8, name="holds")]
    said = Constants.of(None, {"holds": {"mode": "c"}}).completed(map_of(studies))
    _, task = pool(said, MINIMIZE).tasks((1.0,))
    (mode,) = [p for p in task.space.parameters if p.name == "mode"]
    assert mode.choices == ("a", "b", "c")
    assert (task.x[:, mode.start + 2] == 1.0).all()


def map_of(studies: list[optuna.Study]) -> list[PriorStudy]:
    return [PriorStudy.of(study) for study in studies]


def test_a_study_that_shares_constants_alone_teaches_nothing() -> None:
    def other(trial: optuna.Trial) -> float:
        return trial.suggest_float("z", 0, 1)

    studies = [random_study(both, 8, name="tunes"), random_study(other, 8, name="other")]
    said = Constants.of(None, {"other": {"x2": 0.5}}).completed(map_of(studies))
    tasks = pool(said, MINIMIZE).tasks((1.0,), frozenset({"z"}))
    assert [task.name for task in tasks] == ["tunes"]


@pytest.mark.parametrize("mode", ["a", "b"])
def test_the_first_trial_is_the_best_at_what_is_fixed_here(
    with_modes: list[optuna.Study], mode: str
) -> None:
    def objective(trial: optuna.Trial) -> float:
        return (trial.suggest_float("x", 0, 1) - BEST_OF[mode]) ** 2

    (first,) = params(MetaSampler(with_modes, fixed={"mode": mode}, seed=0), objective)
    assert first["x"] == pytest.approx(BEST_OF[mode], abs=0.15)


def prefers_b(sampler: MetaSampler) -> None:
    """Check that the prior mean is that of mode `b` once the parameters of a study are known."""
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"x": 0.5})
    study.optimize(lambda t: (t.suggest_float("x", 0, 1) - 0.9) ** 2, n_trials=1)
    (predictor,) = sampler.snapshot(study).transfer
    at_a, at_b = predictor.features(torch.tensor([[0.1], [0.9]], dtype=torch.float64))[:, 1]
    assert at_b > at_a


def test_of_many_studies_the_first_trial_is_the_best_at_what_is_fixed_here() -> None:
    studies = [random_study(in_modes, 20, seed=30 + i, name=f"many-{i}") for i in range(10)]

    def objective(trial: optuna.Trial) -> float:
        return (trial.suggest_float("x", 0, 1) - 0.9) ** 2

    (first,) = params(MetaSampler(studies, fixed={"mode": "b"}, seed=0), objective)
    assert first["x"] == pytest.approx(0.9, abs=0.15)


def test_the_model_is_that_of_what_is_fixed_here(with_modes: list[optuna.Study]) -> None:
    """Also once the parameters of the study are known, in every later suggestion."""
    sampler = MetaSampler(with_modes, fixed={"mode": "b"}, seed=0)
    prefers_b(sampler)


def test_points_are_placed_at_what_is_fixed_here() -> None:
    own = SearchSpace.of({"x": FloatDistribution(0, 1)})
    common = SearchSpace.of(
        {
            "x": FloatDistribution(0, 1),
            "mode": CategoricalDistribution(["a", "b"]),
            "rate": FloatDistribution(1e-4, 1, log=True),
        },
        # `rate` is conditional.
        [{"x": 0.1, "mode": "a"}, {"x": 0.1, "mode": "b", "rate": 0.1}],
    )
    held = {"mode": "b", "rate": 1e-2}
    got = Alignment.of(own, common, held)(torch.tensor([[0.25]], dtype=torch.float64))
    (expected,) = common.encode([{"x": 0.25, **held}])
    assert got[0].tolist() == pytest.approx(expected.tolist())


def test_the_values_of_trials_win_over_what_is_fixed_with_a_warning(
    with_modes: list[optuna.Study],
) -> None:
    study = optuna.create_study(sampler=MetaSampler(with_modes, fixed={"mode": "b"}, seed=0))
    with pytest.warns(PriorWarning, match="`fixed` holds 'mode' at 'b', but this study tunes it"):
        study.optimize(in_modes, n_trials=4)
    tuned = optuna.create_study(sampler=MetaSampler(with_modes, seed=0))
    space = {"x": FloatDistribution(0, 1), "mode": CategoricalDistribution(["a", "b"])}
    for s in (study, tuned):
        s.enqueue_trial({"x": 0.1, "mode": "a"})
    assert study.ask(space).params["mode"] == "a"
    assert {t.params["mode"] for t in study.trials} == {"a", "b"}


def test_fixed_values_of_several_objectives_choose_their_front() -> None:
    def two(trial: optuna.Trial) -> tuple[float, float]:
        mode = trial.suggest_categorical("mode", ["a", "b"])
        x = trial.suggest_float("x", 0, 1)
        return (x - BEST_OF[mode]) ** 2, (x - BEST_OF[mode] + 0.05) ** 2 + 0.3 * (mode == "b")

    def here(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        return (x - 0.9) ** 2, (x - 0.85) ** 2

    directions = ["minimize", "minimize"]
    old = random_study(two, 30, directions=directions)
    sampler = MetaSampler(old, fixed={"mode": "b"}, seed=0)
    first, *_ = params(sampler, here, 2, directions=directions)
    assert first["x"] == pytest.approx(0.9, abs=0.2)


def test_fixed_values_apply_to_a_checkpoint(
    with_modes: list[optuna.Study], tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    fit(with_modes, path)
    sampler = MetaSampler(checkpoint=path, fixed={"mode": "b"}, seed=0)
    prefers_b(sampler)


def test_a_checkpoint_learns_from_completed_trials(
    without_x2: list[optuna.Study], tmp_path: Path
) -> None:
    studies = [random_study(both, 12, seed=5, name="tunes"), *without_x2]
    plain = fit(studies, tmp_path / "plain.safetensors")
    held = {"old-*": {"x2": 0.4, "never tuned": 1}}
    completed = fit(studies, tmp_path / "completed.safetensors", prior_fixed=held)
    assert completed.space.names == plain.space.names == ("x", "x2")
    assert completed.header.data != plain.header.data


def test_a_checkpoint_has_learned_what_priors_held_constant(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    fit(random_study(x_alone, 12), path)
    with pytest.raises(CheckpointError, match="`prior_fixed`"):
        MetaSampler(checkpoint=path, prior_fixed={"x2": 0.5})


def test_methods_that_need_the_same_parameters_do_not_take_fixed_ones(
    with_modes: list[optuna.Study],
) -> None:
    sampler = MetaSampler(with_modes, method="q-learning", fixed={"mode": "b"}, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.enqueue_trial({"x": 0.5})
    study.optimize(x_alone, n_trials=1)
    with pytest.raises(MethodError, match="exactly the parameters"):
        study.ask({"x": FloatDistribution(0, 1)})


def test_a_copied_sampler_knows_the_constants(
    without_x2: list[optuna.Study], with_modes: list[optuna.Study]
) -> None:
    def objective(trial: optuna.Trial) -> float:
        return (trial.suggest_float("x", 0, 1) - 0.9) ** 2 + trial.suggest_float("x2", 0, 1)

    sampler = MetaSampler(
        [*without_x2[:1], *with_modes],
        fixed={"mode": "b"},
        prior_fixed={"modes-*": {"x2": 0.7}, "old-0": {"x2": 0.7}},
        seed=0,
    )
    copy = pickle.loads(pickle.dumps(sampler))
    (first,) = params(copy, objective)
    assert first["x2"] == pytest.approx(0.7)
    assert params(sampler, objective) == [first]


@pytest.mark.parametrize("name", ["fixed", "prior_fixed"])
@pytest.mark.parametrize("value", ["dropout", 0.5, ["dropout"], {1: 0.5}, {"": 1}, {"p": [1]}])
def test_what_is_no_mapping_of_values_is_an_error_at_once(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"`{name}`.* but got "):
        MetaSampler(**{name: value})


def test_values_and_studies_do_not_mix() -> None:
    with pytest.raises(ValueError, match="but not both, but got"):
        MetaSampler(prior_fixed={"dropout": 0.0, "old": {"dropout": 0.0}})
    with pytest.raises(TypeError, match="`prior_fixed` of 'old' must give 'p' one value"):
        MetaSampler(prior_fixed={"old": {"p": [1]}})


@pytest.mark.parametrize("value", ["high", True, None, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["fixed", "prior_fixed"])
def test_a_number_cannot_be_held_at_something_else(name: str, value: Any) -> None:
    arguments: dict[str, Any] = {name: {"x2": value}}
    study = optuna.create_study(sampler=MetaSampler(random_study(both, 8), **arguments))
    with pytest.raises(ValueError, match=rf"`{name}` must give 'x2' a finite number, .*{value!r}"):
        study.optimize(x_alone, n_trials=1)


def test_a_misspelt_name_is_a_warning_with_what_was_meant(with_modes: list[optuna.Study]) -> None:
    study = optuna.create_study(sampler=MetaSampler(with_modes, fixed={"moed": "b"}, seed=0))
    with pytest.warns(PriorWarning, match="`fixed` holds 'moed'.*Did you mean 'mode'"):
        study.optimize(x_alone, n_trials=1)
    sampler = MetaSampler(with_modes, prior_fixed={"xx2": 0.5}, seed=0)
    with pytest.warns(PriorWarning, match="`prior_fixed` holds 'xx2'.*Did you mean 'x2'"):
        params(sampler, both, 2)


def test_a_choice_that_no_prior_study_tried_is_a_warning(with_modes: list[optuna.Study]) -> None:
    study = optuna.create_study(sampler=MetaSampler(with_modes, fixed={"mode": "c"}, seed=0))
    with pytest.warns(PriorWarning, match="'c', which no prior study has tried.*'a', 'b'"):
        study.optimize(x_alone, n_trials=2)


def test_a_study_that_does_not_exist_is_a_warning(without_x2: list[optuna.Study]) -> None:
    sampler = MetaSampler(without_x2, prior_fixed={"odl-0": {"x2": 0.5}})
    with pytest.warns(PriorWarning, match="'odl-0', but there is none. Did you mean 'old-0'"):
        sampler.inspect_priors({"x": FloatDistribution(0, 1)})


def test_an_attribute_that_is_no_mapping_is_ignored_with_a_warning() -> None:
    old = random_study(x_alone, 8)
    old.set_user_attr("fixed_params", "x2=0.5")
    with pytest.warns(PriorWarning, match="user attribute of the prior study .* is ignored"):
        params(MetaSampler(old, seed=0), both)


def test_known_constants_are_no_reason_to_warn(
    without_x2: list[optuna.Study], with_modes: list[optuna.Study]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", PriorWarning)
        params(MetaSampler(without_x2, prior_fixed={"x2": 0.5}, seed=0), both, 2)
        params(MetaSampler(with_modes, fixed={"mode": "b"}, seed=0), x_alone, 2)
        # An attribute may list everything.
        old = random_study(x_alone, 8)
        old.set_user_attr("fixed_params", {"epochs": 100, "data": "iris"})
        params(MetaSampler(old, seed=0), x_alone, 2)


def test_the_assumed_values_are_shown(with_modes: list[optuna.Study]) -> None:
    sampler = MetaSampler(
        with_modes, fixed={"mode": "b"}, prior_fixed={"rate": 0.5}, rename={"rate": "x2"}, seed=0
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(both, n_trials=2)
    row, _ = sampler.inspect_priors(study)
    notes = {p.name: p.notes for p in row.parameters}
    assert notes["mode"] == ("'b' here (fixed)",)
    assert notes["x2"] == ("named rate", "0.5 in the prior study (fixed)")
    assert row.shared == ("x", "x2")
    report = sampler.report(study)
    assert [(p.fixed, p.fixed_here) for p in report.used] == [({"x2": 0.5}, {"mode": "b"})] * 2
    assert "modes-0 and 1 more: x2=0.5 there, mode='b' here" in str(report).replace('"', "'")
    assert "x2=0.5 there" in report.to_html()


def test_values_for_some_trials_alone_are_shown() -> None:
    def partly(trial: optuna.Trial) -> float:
        value = x_alone(trial)
        return value + (trial.suggest_float("x2", 0, 1) if trial.number % 2 else 0.1)

    sampler = MetaSampler(random_study(partly, 8), prior_fixed={"x2": 0.0})
    (row,) = sampler.inspect_priors({"x": FloatDistribution(0, 1), "x2": FloatDistribution(0, 1)})
    assert {p.name: p.notes for p in row.parameters}["x2"] == (
        "0.0 in the trials without it (fixed)",
    )


def test_a_constant_of_another_kind_is_not_shared(without_x2: list[optuna.Study]) -> None:
    sampler = MetaSampler(without_x2, prior_fixed={"x2": "auto"}, seed=0)
    row, _ = sampler.inspect_priors({"x": FloatDistribution(0, 1), "x2": FloatDistribution(0, 1)})
    assert row.shared == ("x",)
    params(sampler, both, 2)
