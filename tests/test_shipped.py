"""What is shipped about common learners: ``MetaSampler(learner=...)``."""

from __future__ import annotations

from collections.abc import Callable
import logging
from pathlib import Path
import pickle
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
import pytest

from optuna_metasampler import MetaSampler, shipped
from optuna_metasampler.builtin.catalogue import learner_of
from optuna_metasampler.builtin.origin import origins
from optuna_metasampler.exceptions import CheckpointError, MethodError, PriorWarning
from optuna_metasampler.shipped import Shipped, knowledge_of


Objective = Callable[[optuna.Trial], float]


def value(learning_rate: float, num_leaves: int, fraction: float) -> float:
    return abs(learning_rate - 0.05) + abs(num_leaves - 40) / 100 + (fraction - 0.6) ** 2


def plain(trial: optuna.Trial) -> float:
    return value(
        trial.suggest_float("learning_rate", 1e-3, 0.5, log=True),
        trial.suggest_int("num_leaves", 4, 256, log=True),
        trial.suggest_float("colsample_bytree", 0.3, 1.0),
    )


def otherwise(trial: optuna.Trial) -> float:
    """The same parameters under other names in the same order, one in another unit."""
    return value(
        10 ** trial.suggest_float("log10_eta", -3, -0.3010299956639812),
        trial.suggest_int("numLeaves", 4, 256, log=True),
        trial.suggest_float("feature_fraction", 0.3, 1.0),
    )


def nobodys(trial: optuna.Trial) -> float:
    return trial.suggest_float("x", -1, 1) ** 2 + trial.suggest_float("learning_rate", 0, 1)


def run(objective: Objective, n: int, **arguments: Any) -> optuna.Study:
    study = optuna.create_study(sampler=MetaSampler(seed=1, **arguments))
    study.optimize(objective, n_trials=n)
    return study


def values(study: optuna.Study) -> list[float | None]:
    return [trial.value for trial in study.trials]


def test_the_first_trial_is_already_chosen_by_what_is_shipped() -> None:
    study = run(plain, 1, learner="lightgbm")
    assert study.trials[0].user_attrs["meta:phase"] == "warm-start"
    assert study.trials[0].params != run(plain, 1, learner="xgboost").trials[0].params


def test_another_learner_knows_something_else() -> None:
    assert values(run(plain, 4, learner="lightgbm")) != values(run(plain, 4, learner=None))


def test_names_and_units_make_no_difference() -> None:
    for a, b in zip(
        values(run(plain, 6, learner="lightgbm")),
        values(run(otherwise, 6, learner="lightgbm")),
        strict=True,
    ):
        assert a == pytest.approx(b, rel=1e-6)


def test_a_seeded_study_is_reproducible() -> None:
    assert values(run(plain, 6, learner="lightgbm")) == values(run(plain, 6, learner="lightgbm"))


def test_a_learner_is_recognised_after_the_first_trial(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("optuna_metasampler"), "propagate", True)
    caplog.set_level(logging.INFO, "optuna_metasampler")
    study = run(plain, 4, learner="auto")
    said = [r.getMessage() for r in caplog.records if "lightgbm" in r.getMessage()]
    assert len(said) == 1
    assert "num_leaves" in said[0]
    assert study.trials[0].params == run(plain, 1, learner=None).trials[0].params
    assert study.sampler.prior_weights(study)[0].name == shipped.title("lightgbm")


@pytest.mark.parametrize("learner", ["auto", "lightgbm"])
def test_no_trial_is_spent_on_testing_what_is_shipped(learner: str) -> None:
    phases = [t.user_attrs["meta:phase"] for t in run(plain, 4, learner=learner).trials]
    assert "probe" not in phases
    assert phases[1] == "warm-start"


def test_a_learner_is_recognised_from_the_second_trial_on_unless_that_is_switched_off() -> None:
    assert values(run(plain, 4)) == values(run(plain, 4, learner="auto"))
    assert values(run(plain, 1)) == values(run(plain, 1, learner=None))
    assert values(run(plain, 4)) != values(run(plain, 4, learner=None))


@pytest.mark.parametrize(
    ("name", "learner"), [("titanic-xgb-3", "xgboost"), ("trees", None), ("xgb-or-lgbm", None)]
)
def test_the_name_of_the_study_decides_what_the_parameters_leave_open(
    name: str, learner: str | None
) -> None:
    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 0.01, 0.3, log=True)
        return abs(rate - 0.05) + trial.suggest_int("max_depth", 3, 9) / 100

    study = optuna.create_study(study_name=name, sampler=MetaSampler(seed=1))
    study.optimize(objective, n_trials=4)
    assert values(study) == values(run(objective, 1, learner=None)) + values(study)[1:]
    weights = study.sampler.prior_weights(study)
    assert [w.name for w in weights] == ([shipped.title(learner)] if learner else [])


def test_parameters_of_nobodys_learner_are_suggested_as_without() -> None:
    assert values(run(nobodys, 8, learner="auto")) == values(run(nobodys, 8, learner=None))


def test_a_learner_that_no_parameter_belongs_to_is_warned_of_and_does_no_harm() -> None:
    with pytest.warns(PriorWarning, match="lightgbm"):
        study = run(lambda t: t.suggest_float("x", -1, 1) ** 2, 6, learner="lightgbm")
    assert len({trial.params["x"] for trial in study.trials}) == 6


@pytest.mark.parametrize(
    ("learner", "size"),
    [
        ("lightgbm", "n_estimators"),
        ("xgboost", "n_estimators"),
        ("catboost", "iterations"),
        ("hist_gradient_boosting", "max_iter"),
    ],
)
def test_what_the_objective_holds_constant_changes_what_is_suggested(
    learner: str, size: str
) -> None:
    def best(n_trees: int) -> float:
        study = run(plain, 3, learner=learner, fixed={size: n_trees})
        return float(study.trials[0].params["learning_rate"])

    # Few trees need large steps.
    assert best(10) > best(1000)


def test_a_constant_beyond_all_that_was_tried_counts_as_the_nearest_that_was() -> None:
    many = [
        values(run(plain, 4, learner="lightgbm", fixed={"n_estimators": n}))
        for n in (1000, 100_000)
    ]
    assert many[0] == many[1]


def test_untuned_parameters_stand_at_the_defaults_of_the_library() -> None:
    found = Shipped.of("lightgbm", {"learning_rate": FloatDistribution(0.01, 0.3)}, {})
    assert found.defaults["lightgbm:num_leaves"] == 31
    assert "lightgbm:learning_rate" not in found.defaults
    # 0 is not on the logarithmic scale that regularisation was tried on.
    assert found.defaults["lightgbm:reg_alpha"] == 1e-8


@pytest.mark.parametrize("learner", ["lightgbm", "xgboost"])
def test_the_first_learning_rate_suits_the_default_number_of_trees_unless_that_is_tuned(
    learner: str,
) -> None:
    # Alone it may well be all that is tuned, and slow learning takes more than 100 trees.
    def rate(*before: str) -> float:
        study = optuna.create_study(sampler=MetaSampler(learner=learner, seed=0))
        trial = study.ask()
        for name in before:
            trial.suggest_int(name, 10, 1000, log=True)
        return trial.suggest_float("learning_rate", 1e-3, 0.5, log=True)

    assert 0.03 < rate() < 0.3
    assert rate("n_estimators") < 0.03


def test_a_name_of_the_learner_with_a_range_of_something_else_is_not_taken_for_it() -> None:
    """A forest's `max_features` is a share in what is shipped; here it is a count."""
    found = Shipped.of("lightgbm", {"num_leaves": FloatDistribution(1e5, 1e6)}, {})
    assert "num_leaves" not in found.checkpoint.space.names


def test_the_layout_of_a_translated_space_is_that_of_the_original() -> None:
    own = {"log10_eta": FloatDistribution(-3, -1), "lgbm__num_leaves": IntDistribution(2, 64)}
    space = Shipped.of("lightgbm", own, {}).checkpoint.space
    original = knowledge_of("lightgbm").space
    given = {"learning_rate": 0.02, "num_leaves": 17, "subsample": 0.7}
    translated = {"log10_eta": -1.6989700043360187, "lgbm__num_leaves": 17}
    translated |= {"lightgbm:subsample": 0.7}
    assert space.encode([translated]) == pytest.approx(original.encode([given]))


@pytest.mark.parametrize("name", origins())
def test_what_is_shipped_is_whole(name: Any) -> None:
    found, origin = knowledge_of(name), origins()[name]
    assert {p.name for p in found.space.parameters} <= {
        p.name for p in learner_of(name).parameters
    }
    assert found.header.n_studies == len(origin.data_sets) == len(found.learned.names)
    assert found.header.n_trials == origin.n_trials == sum(found.learned.n_trials)
    assert not {d.name for d in origin.data_sets} & {
        "iris", "wine", "breast_cancer", "digits", "diabetes"
    }  # fmt: skip


def test_all_that_is_shipped_is_small() -> None:
    folder = Path(shipped.__file__).parent / "builtin"
    assert sum(file.stat().st_size for file in folder.glob("*.safetensors")) < 4e6


def test_a_damaged_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(
        (Path(shipped.__file__).parent / "builtin/lightgbm.safetensors").read_bytes()
    )
    content[-100] ^= 1
    (tmp_path / "lightgbm.safetensors").write_bytes(bytes(content))
    monkeypatch.setattr(shipped, "files", lambda package: tmp_path)
    knowledge_of.cache_clear()
    with pytest.raises(CheckpointError, match=r"lightgbm\.safetensors"):
        run(plain, 1, learner="lightgbm")
    knowledge_of.cache_clear()


@pytest.mark.parametrize("wrong", ["LGBMClassifier", "nothing", 3, ""])
def test_a_learner_that_is_not_known_is_refused_with_the_names_that_are(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="lightgbm"):
        MetaSampler(learner=wrong)


def test_a_learner_and_a_method_that_does_not_use_it_are_refused() -> None:
    with pytest.raises(MethodError, match="'gp'"):
        MetaSampler(learner="lightgbm", method="gp")


def test_prior_studies_come_first() -> None:
    prior = run(plain, 8, learner=None)
    with_learner = run(plain, 4, prior=prior, learner="lightgbm")
    assert values(with_learner) == values(run(plain, 4, prior=prior, learner=None))


def test_a_pickled_sampler_goes_on_as_the_original() -> None:
    study = run(plain, 3, learner="lightgbm")
    copied = pickle.loads(pickle.dumps(study.sampler))
    again = optuna.create_study(sampler=copied)
    again.add_trials(study.trials)
    study.optimize(plain, n_trials=1)
    again.optimize(plain, n_trials=1)
    assert again.trials[-1].user_attrs["meta:phase"] == study.trials[-1].user_attrs["meta:phase"]


def test_several_objectives_are_optimised_without_it() -> None:
    study = optuna.create_study(
        directions=["minimize", "maximize"], sampler=MetaSampler(seed=1, learner="lightgbm")
    )
    study.optimize(lambda t: (plain(t), t.params["num_leaves"]), n_trials=8)
    assert len(study.trials) == 8


def test_a_batch_of_running_trials_gets_different_configurations() -> None:
    study = optuna.create_study(sampler=MetaSampler(seed=1, learner="lightgbm"))
    trials = [study.ask() for _ in range(3)]
    outcomes = [plain(trial) for trial in trials]
    assert len({tuple(trial.params.values()) for trial in trials}) == 3
    for trial, outcome in zip(trials, outcomes, strict=True):
        study.tell(trial, outcome)
    study.optimize(plain, n_trials=3)
    assert len(study.trials) == 6


def test_a_pruned_trial_is_learned_from() -> None:
    def objective(trial: optuna.Trial) -> float:
        loss = plain(trial)
        trial.report(loss, 0)
        if trial.number % 2:
            raise optuna.TrialPruned
        return loss

    study = run(objective, 6, learner="lightgbm")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED"] * 3


def test_the_overlap_with_a_space_is_shown_as_of_one_study() -> None:
    sampler = MetaSampler(learner="lightgbm", fixed={"n_estimators": 300})
    space = {"lr": FloatDistribution(1e-3, 1.0, log=True), "x": FloatDistribution(0, 1)}
    (row,) = sampler.inspect_priors(space)
    assert row.name == shipped.title("lightgbm")
    assert [p.name for p in row.parameters if p.shared] == ["lr"]
    assert not [p.name for p in row.parameters if p.name.startswith("lightgbm:")]
    assert not list(MetaSampler(learner="auto").inspect_priors(space))


def test_a_report_lists_what_is_shipped_as_one_source() -> None:
    study = run(plain, 6, learner="lightgbm")
    text = str(study.sampler.report(study))
    assert f"{origins()['lightgbm'].n_trials:,}" in text
    assert not [d.name for d in origins()["lightgbm"].data_sets if d.name in text]
