"""The sampler in live studies: what a user relies on beyond Optuna's contract."""

from __future__ import annotations

from pathlib import Path
import statistics
import subprocess
import sys
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
import pytest

from optuna_metasampler import MetaSampler, fit
from optuna_metasampler.exceptions import MethodError, PriorWarning
from optuna_metasampler.outcomes import simplex_lattice
from optuna_metasampler.prior_knowledge import fit_value
from tests.studies import random_study


def loss(trial: optuna.Trial, rate: float = 3e-3) -> float:
    """A conditional, mixed problem whose optimum is (``rate``, depth 4, "tree", shrinkage 0.1)."""
    lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    depth = trial.suggest_int("depth", 1, 9)
    model = trial.suggest_categorical("model", ["net", "tree", None])
    value = abs(depth - 4) / 4 + abs((lr / rate) ** 0.3 - 1)
    if model == "tree":
        return value + abs(trial.suggest_float("shrinkage", 0.0, 1.0) - 0.1)
    if model == "net":
        return value + 0.5 + 0.1 * trial.suggest_int("layers", 1, 4)
    return value + 2


def finished(rate: float, seed: int, n: int = 40, **kwargs: Any) -> optuna.Study:
    study = optuna.create_study(
        study_name=f"rate-{rate}-{seed}", sampler=optuna.samplers.TPESampler(seed=seed), **kwargs
    )
    study.optimize(lambda t: loss(t, rate), n_trials=n)
    return study


@pytest.fixture(scope="module")
def priors() -> list[optuna.Study]:
    return [finished(rate, seed) for seed, rate in enumerate((2e-3, 3e-3, 5e-3))]


def test_the_first_trial_is_already_good(priors: list[optuna.Study]) -> None:
    """Better than the median random trial by far, for every one of ten seeds."""
    random = random_study(loss, 200)
    usual = statistics.quantiles([t.values[0] for t in random.trials], n=20)[0]
    for seed in range(10):
        study = optuna.create_study(sampler=MetaSampler(priors, seed=seed))
        study.optimize(loss, n_trials=1)
        assert study.best_value < usual


def test_the_first_trial_takes_the_whole_branch_from_the_priors(
    priors: list[optuna.Study],
) -> None:
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    study.optimize(loss, n_trials=1)
    params = study.trials[0].params
    assert params["model"] == "tree"
    assert abs(params["shrinkage"] - 0.1) < 0.15


def test_priors_from_a_file_do_what_priors_in_memory_do(
    priors: list[optuna.Study], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    for prior in priors:
        optuna.copy_study(
            from_study_name=prior.study_name, from_storage=prior._storage, to_storage=url
        )
    tried = []
    for given in (url, sorted(priors, key=lambda p: p.study_name)):
        study = optuna.create_study(sampler=MetaSampler(given, seed=0))
        study.optimize(loss, n_trials=6)
        tried.append([t.params for t in study.trials])
    assert tried[0] == tried[1]


def test_a_branch_that_is_new_to_the_study_is_drawn_from_the_priors(
    priors: list[optuna.Study],
) -> None:
    """Nine enqueued trials show the study one branch only; the other is entered informed."""
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    for i in range(9):
        study.enqueue_trial({"model": "net", "depth": i + 1})
    study.enqueue_trial({"model": "tree"})
    study.optimize(loss, n_trials=10)
    assert abs(study.trials[9].params["shrinkage"] - 0.1) < 0.3


def test_inactive_parameters_are_not_asked_for_and_active_ones_are_modelled(
    priors: list[optuna.Study],
) -> None:
    sampler = MetaSampler(priors, seed=0)
    study = optuna.create_study(sampler=sampler)
    for model in ("net", "tree", None):
        study.enqueue_trial({"model": model})
    study.optimize(loss, n_trials=12)
    trial = study.ask()
    space = sampler.infer_relative_search_space(study, trial._cached_frozen_trial)
    assert space.keys() == {"lr", "depth", "model", "shrinkage", "layers"}
    params = sampler.sample_relative(study, trial._cached_frozen_trial, space)
    branch = {"net": {"layers"}, "tree": {"shrinkage"}, None: set()}[params["model"]]
    assert params.keys() == {"lr", "depth", "model"} | branch


def test_no_configuration_of_a_small_discrete_space_is_tried_twice() -> None:
    def objective(trial: optuna.Trial) -> float:
        a = trial.suggest_int("a", 0, 4)
        b = trial.suggest_categorical("b", [True, False])
        return float(a) + (trial.suggest_categorical("c", "xyz") == "y" if b else 0.5)

    study = optuna.create_study(sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=20)
    assert len({tuple(sorted(t.params.items())) for t in study.trials}) == 20
    study.optimize(objective, n_trials=3)  # nothing new is left
    assert len(study.trials) == 23


def test_a_failed_configuration_of_a_discrete_space_is_not_tried_again() -> None:
    def objective(trial: optuna.Trial) -> float:
        a, b = trial.suggest_int("a", 0, 3), trial.suggest_int("b", 0, 3)
        if a == b:
            raise RuntimeError
        return float(a - b)

    study = optuna.create_study(sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=16, catch=RuntimeError)
    assert len({tuple(t.params.items()) for t in study.trials}) == 16


def test_eight_open_trials_are_eight_different_ones(priors: list[optuna.Study]) -> None:
    for prior in (None, priors):
        study = optuna.create_study(sampler=MetaSampler(prior, seed=0))
        study.optimize(loss, n_trials=6)
        for _ in range(8):
            loss(study.ask())
        asked = [t.params for t in study.trials[6:]]
        assert len({tuple(sorted(p.items(), key=str)) for p in asked}) == 8
        rates = [p["lr"] for p in asked]
        assert max(rates) / min(rates) > 1.5


def test_eight_open_first_trials_are_eight_different_ones(priors: list[optuna.Study]) -> None:
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    for _ in range(8):
        loss(study.ask())
    asked = [tuple(sorted(t.params.items(), key=str)) for t in study.trials]
    assert len(set(asked)) == 8


def test_results_are_learned_from_at_once() -> None:
    """A pit around the last trial: the next suggestion is somewhere else."""
    study = optuna.create_study(sampler=MetaSampler(n_startup_trials=0, seed=0))
    for x in (0.1, 0.5, 0.9):
        study.add_trial(
            optuna.create_trial(
                params={"x": x}, distributions={"x": FloatDistribution(0, 1)}, value=-x
            )
        )
    first = study.ask()
    x1 = first.suggest_float("x", 0, 1)
    assert x1 > 0.7
    study.tell(first, 100.0)
    second = study.ask()
    assert abs(second.suggest_float("x", 0, 1) - x1) > 0.02


@pytest.mark.parametrize("directions", [["minimize", "maximize"], ["minimize"] * 3])
@pytest.mark.parametrize("with_prior", [False, True])
def test_several_objectives_are_better_served_than_by_chance(
    directions: list[str], with_prior: bool
) -> None:
    """Distance to the ideal point along many directions; the seed is fixed."""

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        x = [trial.suggest_float(f"x{i}", 0, 1) for i in range(4)]
        g = 1 + sum((v - 0.5) ** 2 for v in x[1:]) * 4
        values = [x[0] * g, (1 - x[0]) * g, g]
        return tuple(
            v if d == "minimize" else -v for v, d in zip(values, directions, strict=False)
        )

    def quality(study: optuna.Study) -> float:
        """Mean over directions in the plane of how near the front has come to the ideal."""
        signs = [1 if d == "minimize" else -1 for d in directions]
        points = [[s * v for s, v in zip(signs, t.values, strict=True)] for t in study.trials]
        total = 0.0
        for weights in simplex_lattice(len(directions)):
            total += min(max(w * v for w, v in zip(weights, p, strict=True)) for p in points)
        return total

    old = random_study(objective, 40, seed=99, directions=directions)
    ours = optuna.create_study(
        directions=directions, sampler=MetaSampler(old if with_prior else None, seed=0)
    )
    chance = optuna.create_study(directions=directions, sampler=RandomSampler(seed=0))
    ours.optimize(objective, n_trials=15)
    chance.optimize(objective, n_trials=15)
    assert quality(ours) < quality(chance)


def two_objectives(trial: optuna.Trial) -> tuple[float, float]:
    """The first wants ``x`` at 0.2, the second at 0.7; both want ``y`` at 0.4 and choice "b"."""
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    other = (y - 0.4) ** 2 + (trial.suggest_categorical("c", ["a", "b"]) == "a")
    return (x - 0.2) ** 2 + other, (x - 0.7) ** 2 + other


@pytest.fixture(scope="module")
def old_two() -> optuna.Study:
    return random_study(two_objectives, 40, seed=5, directions=["minimize"] * 2)


def test_several_objectives_have_a_transfer_model_each(old_two: optuna.Study) -> None:
    sampler = MetaSampler(old_two, seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(two_objectives, n_trials=6)
    first, second = sampler.snapshot(study).transfer
    assert first.surrogate.model is not second.surrogate.model
    (row,) = sampler.prior_weights(study)
    assert row.rank_correlation > 0
    assert 0 < row.weight <= 1


@pytest.mark.parametrize("method", ["auto", "gp", "hyperband", "portfolio"])
def test_seeded_studies_of_several_objectives_can_be_reproduced(
    method: str, old_two: optuna.Study
) -> None:
    tried = []
    for _ in range(2):
        sampler = MetaSampler(old_two, method=method, seed=4)
        study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
        study.optimize(two_objectives, n_trials=7)
        tried.append([t.params for t in study.trials])
    assert tried[0] == tried[1]


def test_a_checkpoint_of_one_objective_is_refused_for_several(tmp_path: Path) -> None:
    old = random_study(lambda t: two_objectives(t)[0], 10, name="old")
    path = tmp_path / "model.safetensors"
    fit(old, path, method="auto", seed=0)
    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=MetaSampler(checkpoint=path, seed=0)
    )
    with pytest.raises(MethodError, match="one objective"):
        study.optimize(two_objectives, n_trials=1)


def test_an_objective_in_which_the_prior_study_is_constant_is_learned_all_the_same() -> None:
    directions = ["minimize"] * 2
    old = random_study(lambda t: (two_objectives(t)[0], 1.0), 20, directions=directions)
    study = optuna.create_study(directions=directions, sampler=MetaSampler(old, seed=0))
    study.optimize(two_objectives, n_trials=8)
    assert len(study.trials) == 8


def test_many_objectives_are_scalarised() -> None:
    """With five of them: there is no model of each."""
    sampler = MetaSampler(seed=0, n_startup_trials=2)
    study = optuna.create_study(directions=["maximize"] * 5, sampler=sampler)
    study.optimize(
        lambda t: tuple(-((t.suggest_float("x", 0, 1) - i / 4) ** 2) for i in range(5)),
        n_trials=8,
    )
    assert len({t.params["x"] for t in study.trials}) == 8


@pytest.mark.parametrize("n", [1, 2])
def test_prior_studies_with_another_number_of_objectives_are_left_out(
    n: int, old_two: optuna.Study
) -> None:
    one = random_study(lambda t: two_objectives(t)[0], 5)
    sampler = MetaSampler(old_two if n == 1 else one, seed=0)
    study = optuna.create_study(directions=["minimize"] * n, sampler=sampler)
    with pytest.warns(PriorWarning, match="objective"):
        study.optimize(lambda t: two_objectives(t)[:n], n_trials=2)
    assert len(study.trials) == 2


def test_the_method_gp_makes_no_use_of_the_priors(priors: list[optuna.Study]) -> None:
    tried = []
    for sampler in (MetaSampler(priors, method="gp", seed=3), MetaSampler(seed=3)):
        study = optuna.create_study(sampler=sampler)
        study.optimize(loss, n_trials=8)
        tried.append([t.params for t in study.trials])
    assert tried[0] == tried[1]


def test_the_running_study_is_not_its_own_prior(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    finished(3e-3, 0, storage=url)
    study = optuna.create_study(study_name="now", storage=url)
    study.optimize(loss, n_trials=5)
    sampler = MetaSampler(url, seed=0)
    resumed = optuna.load_study(study_name="now", storage=url, sampler=sampler)
    resumed.optimize(loss, n_trials=3)
    (predictor,) = sampler.snapshot(resumed).transfer
    assert predictor.surrogate.model.names == ("rate-0.003-0",)


def test_a_prior_that_cannot_be_used_is_named_once_and_does_not_stop_the_study(
    priors: list[optuna.Study],
) -> None:
    empty = optuna.create_study(study_name="empty-one")
    study = optuna.create_study(sampler=MetaSampler([*priors, empty], seed=0))
    with pytest.warns(PriorWarning, match="'empty-one' is left out: it has no finished") as seen:
        study.optimize(loss, n_trials=4)
    assert len([w for w in seen if w.category is PriorWarning]) == 1
    assert all(t.state.name == "COMPLETE" for t in study.trials)


def test_a_study_without_any_usable_prior_goes_on_without() -> None:
    empty = optuna.create_study(study_name="empty-one")
    study = optuna.create_study(sampler=MetaSampler(empty, seed=0))
    with pytest.warns(PriorWarning, match="empty-one"):
        study.optimize(loss, n_trials=12)
    assert len(study.trials) == 12


def test_a_rename_that_is_no_mapping_is_an_error() -> None:
    with pytest.raises(TypeError, match="`rename` must map names"):
        MetaSampler(rename="lr")  # type: ignore[arg-type]


def test_parameters_that_the_priors_do_not_know_leave_the_plan_as_it_is(
    priors: list[optuna.Study],
) -> None:
    """The plan for the first trial is made once, however many unknown parameters lie between."""

    def objective(trial: optuna.Trial) -> float:
        for i in range(3):
            trial.suggest_float(f"new{i}", 0, 1)
        value = loss(trial)
        trial.suggest_float("newest", 0, 1)
        return value

    with_new = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    with_new.optimize(objective, n_trials=1)
    without = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    without.optimize(loss, n_trials=1)
    params = with_new.trials[0].params
    assert {name: params[name] for name in without.trials[0].params} == without.trials[0].params


def test_a_negative_number_of_startup_trials_is_an_error() -> None:
    with pytest.raises(ValueError, match="`n_startup_trials` must be at least 0, but got -1"):
        MetaSampler(n_startup_trials=-1)


def test_parameters_with_other_names_are_found_by_rename() -> None:
    def renamed(trial: optuna.Trial) -> float:
        return abs(trial.suggest_float("learning_rate", 0, 1) - 0.8)

    old = random_study(renamed, 30)
    sampler = MetaSampler(old, rename={"learning_rate": "lr"}, seed=0)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: abs(t.suggest_float("lr", 0, 1) - 0.8), n_trials=1)
    assert study.best_value < 0.1


def test_a_prior_of_another_range_scale_and_choice_set_still_helps() -> None:
    def old_objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 1e-4, 10, log=True)
        return abs(x - 0.4) + (trial.suggest_categorical("c", ["b", "a"]) == "b")

    def new_objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        return abs(x - 0.4) + (trial.suggest_categorical("c", ["a", "b", "new"]) == "b")

    old = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    old.optimize(old_objective, n_trials=50)
    for seed in range(3):
        study = optuna.create_study(sampler=MetaSampler(old, seed=seed))
        study.optimize(new_objective, n_trials=3)
        assert study.best_value < 0.1


def test_a_first_trial_without_priors_does_not_wait_for_torch() -> None:
    code = (
        "import sys, optuna\n"
        "from optuna_metasampler import MetaSampler\n"
        "study = optuna.create_study(sampler=MetaSampler())\n"
        "study.ask().suggest_float('x', 0, 1)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("distribution", "value", "expected"),
    [
        (FloatDistribution(0, 1), 7.0, 1.0),
        (FloatDistribution(0, 1, step=0.25), 0.3, 0.25),
        (IntDistribution(1, 9, step=4), 6, 5),
        (IntDistribution(1, 9), 3.4, 3),
        (FloatDistribution(1e-3, 1, log=True), -2, 1e-3),
        (CategoricalDistribution([1, True, "a"]), True, True),
    ],
)
def test_a_value_is_fitted_to_what_is_asked_for(
    distribution: BaseDistribution, value: Any, expected: Any
) -> None:
    got = fit_value(distribution, value)
    assert got == pytest.approx(expected)
    assert type(got) is type(expected)


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_weights_of_objectives_are_positive_and_sum_to_one(m: int) -> None:
    lattice = simplex_lattice(m)
    assert len(set(lattice)) == len(lattice) >= m
    for weights in lattice:
        assert min(weights) > 0
        assert sum(weights) == pytest.approx(1.0)


def test_priors_with_other_names_only_cause_one_warning(
    priors: list[optuna.Study],
) -> None:
    study = optuna.create_study(sampler=MetaSampler(priors, seed=0))
    with pytest.warns(
        PriorWarning, match=r"\(depth, layers, lr.*one of this study \(x\).*rename"
    ) as seen:
        study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=4)
    assert len([w for w in seen if w.category is PriorWarning]) == 1
    assert len(study.trials) == 4


@pytest.mark.parametrize("numbers_before", [True, False])
def test_a_choice_of_numbers_and_a_number_are_read_as_each_other(numbers_before: bool) -> None:
    def as_choice(trial: optuna.Trial) -> float:
        return float(abs(trial.suggest_categorical("size", [8, 16, 32, 64]) - 32))

    def as_number(trial: optuna.Trial) -> float:
        return abs(trial.suggest_int("size", 4, 100) - 32)

    old = random_study(as_number if numbers_before else as_choice, 20)
    study = optuna.create_study(sampler=MetaSampler(old, seed=0))
    # With PriorWarning an error, the priors have to be of use.
    study.optimize(as_choice if numbers_before else as_number, n_trials=4)
    assert abs(study.trials[0].params["size"] - 32) <= 2
    assert abs(study.best_params["size"] - 32) <= 2
