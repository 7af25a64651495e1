"""The trial that the model holds for the best, where outcomes are noisy and where they are not."""

from __future__ import annotations

from collections import Counter
import copy

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import create_trial
import pytest

from optuna_metasampler import MetaSampler


def truth(params: dict[str, float]) -> float:
    return (params["x"] - 0.3) ** 2 + 0.5 * (params["y"] + 0.4) ** 2


def noisy_study(seed: int, noise: float, n: int = 40) -> optuna.Study:
    """Random search, so that nothing but the choice differs; noise in units of the spread."""
    rng = np.random.default_rng(seed)
    study = optuna.create_study(sampler=RandomSampler(seed=seed))

    def objective(trial: optuna.Trial) -> float:
        params = {name: trial.suggest_float(name, -1.0, 1.0) for name in ("x", "y")}
        return truth(params) + noise * SPREAD * float(rng.standard_normal())

    study.optimize(objective, n_trials=n)
    return study


# Standard deviation of `truth` over its space.
SPREAD = 0.54


def test_under_noise_the_choice_of_the_model_is_truly_better_than_the_best_value() -> None:
    """Fifty studies with noise of the outcomes' own spread, in pairs.

    The mean difference has to be 1.65 standard errors below zero, which a choice no better than
    the best value gets with 5% of seeds. On 40 other studies it was 0.61 standard deviations, so
    that a program as good as this one fails with fewer than 1% of seeds.
    """
    differences = []
    for seed in range(50):
        study = noisy_study(seed, 1.0)
        chosen = MetaSampler(seed=0).recommend(study)
        differences.append(truth(chosen.params) - truth(study.best_params))
    error = np.std(differences, ddof=1) / np.sqrt(len(differences))
    assert np.mean(differences) < -1.65 * error


def test_without_noise_the_choice_is_the_best_trial() -> None:
    for seed in range(5):
        study = noisy_study(seed, 0.0)
        assert truth(MetaSampler().recommend(study).params) == pytest.approx(
            truth(study.best_params), abs=1e-3
        )


def repeated(outcomes: dict[str, list[float]]) -> optuna.Study:
    study = optuna.create_study()
    kinds = CategoricalDistribution(sorted(outcomes))
    for kind, values in outcomes.items():
        for value in values:
            study.add_trial(
                create_trial(params={"kind": kind}, distributions={"kind": kinds}, value=value)
            )
    return study


def test_a_configuration_that_was_lucky_once_and_bad_since_is_not_chosen() -> None:
    study = repeated(
        {"lucky": [0.0, 1.0, 1.1, 0.9, 1.0], "steady": [0.3, 0.35, 0.25, 0.3, 0.3], "bad": [2.0]}
    )
    assert study.best_params["kind"] == "lucky"
    assert MetaSampler().recommend(study).params["kind"] == "steady"


def test_enqueued_repeats_with_other_outcomes_are_taken_as_they_are() -> None:
    study = optuna.create_study(sampler=MetaSampler(seed=0))
    rng = np.random.default_rng(0)
    for _ in range(6):
        study.enqueue_trial({"x": 0.5})
    study.optimize(
        lambda t: t.suggest_float("x", 0.0, 1.0) + 0.1 * float(rng.standard_normal()), n_trials=12
    )
    assert [t.params["x"] for t in study.trials[:6]] == [0.5] * 6
    assert MetaSampler().recommend(study).params["x"] < 0.5


def test_a_finite_space_that_is_exhausted_is_asked_for_its_promising_points_again() -> None:
    rng = np.random.default_rng(0)
    study = optuna.create_study(sampler=MetaSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        level = trial.suggest_int("level", 0, 9)
        return abs(level - 3) / 3 + 0.1 * float(rng.standard_normal())

    study.optimize(objective, n_trials=30)
    assert len({t.params["level"] for t in study.trials[:10]}) == 10
    again = Counter(t.params["level"] for t in study.trials[10:])
    # Three levels of ten: 6 of 20 by chance.
    assert sum(again[level] for level in (2, 3, 4)) >= 15


def test_what_violates_a_constraint_is_not_chosen() -> None:
    study = optuna.create_study()
    space = {"x": FloatDistribution(0.0, 1.0)}
    for i in range(12):
        study.add_trial(
            create_trial(
                params={"x": i / 12},
                distributions=dict(space),
                value=i / 12,
                system_attrs={"constraints": [1.0 if i < 6 else -1.0]},
            )
        )
    assert MetaSampler().recommend(study).number == 6


def test_few_trials_are_left_to_optuna() -> None:
    study = repeated({"a": [1.0, 0.0], "b": [0.5]})
    assert MetaSampler().recommend(study) == study.best_trial


def test_there_has_to_be_a_trial_and_one_objective() -> None:
    with pytest.raises(ValueError, match="No trials"):
        MetaSampler().recommend(optuna.create_study())
    with pytest.raises(RuntimeError, match="multi-objective"):
        MetaSampler().recommend(optuna.create_study(directions=["minimize", "minimize"]))


@pytest.mark.parametrize("method", ["auto", "portfolio"])
def test_a_recommendation_changes_no_later_suggestion(method: str) -> None:
    priors = [noisy_study(seed, 0.1, 15) for seed in (100, 101)]
    study = noisy_study(0, 0.3, 8)
    study.sampler = MetaSampler(priors, method=method, seed=0)
    study.tell(study.ask({"x": FloatDistribution(-1, 1), "y": FloatDistribution(-1, 1)}), 1.0)
    copied = copy.deepcopy(study)
    recommended = MetaSampler.recommend(study.sampler, study)  # type: ignore[arg-type]
    recommended.params.clear()
    following = []
    for s in (study, copied):
        asked = s.ask({"x": FloatDistribution(-1, 1), "y": FloatDistribution(-1, 1)})
        following.append(asked.params)
    assert following[0] == following[1]
    assert all(t.params for t in study.trials)
