"""Why one trial was chosen."""

from __future__ import annotations

import logging

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.report import Report
from optuna_metasampler.explain.trial_record import STOPPED, WEIGHTS, Stop


SPACE = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "act": CategoricalDistribution(["relu", "tanh"]),
}
PRIOR_TRIALS = [(1e-3, "relu", 0.5), (1e-2, "relu", 0.2), (1e-1, "tanh", 0.9)]
TRIALS = [
    (1e-2, "relu", 0.3, {"phase": "warm-start", "transfer_weight": 0.7}),
    (1e-1, "relu", 2.0, {"phase": "probe", "predicted": 0.4, "low": 0.3, "high": 0.5}),
    (2e-3, "tanh", 0.4, {}),
]


def filled(name: str, sampler: optuna.samplers.BaseSampler | None = None) -> optuna.Study:
    return optuna.create_study(study_name=name, sampler=sampler)


@pytest.fixture(scope="module")
def report() -> Report:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    old = filled("old")
    for lr, act, value in PRIOR_TRIALS:
        old.add_trial(
            create_trial(
                params={"rate": lr, "act": act},
                distributions={"rate": SPACE["lr"], "act": SPACE["act"]},
                value=value,
            )
        )
    sampler = MetaSampler(old, rename={"rate": "lr"})
    study = filled("new", sampler)
    for lr, act, value, record in TRIALS:
        trial = create_trial(
            params={"lr": lr, "act": act},
            distributions=SPACE,
            value=value,
            user_attrs={f"meta:{name}": item for name, item in record.items()},
            system_attrs={WEIGHTS: [["old", 0.7]]} if record else {},
        )
        study.add_trial(trial)
    study.add_trial(
        create_trial(state=TrialState.FAIL, params={"lr": 0.5}, distributions={"lr": SPACE["lr"]})
    )
    return sampler.report(study)


def test_a_trial_of_the_warm_start_is_said_to_be_a_prior_best(report: Report) -> None:
    assert str(report.trial(0)).splitlines() == [
        "Trial 0 of new: 0.3 (complete)",
        "  lr=0.01, act='relu'",
        "  Warm start: one of the best configurations of the prior studies.",
        "  Transfer weight at its suggestion: 0.70: old 70%.",
        "  Nearest prior trial: trial 1 of old, the best of 3 there, with the same",
        "    parameters.",
    ]


def test_a_probe_is_said_to_be_one_with_its_forecast_and_the_nearest_prior_trial(
    report: Report,
) -> None:
    probe = report.trial(1)
    assert probe.statements[0].startswith("Probe: away from the best prior configurations on purp")
    assert probe.statements[1] == (
        "Forecast: 0.4 (80% interval 0.3 to 0.5); the outcome is outside the interval."
    )
    assert probe.statements[-1] == (
        "Nearest prior trial: trial 1 of old, the best of 3 there; it has lr=0.01."
    )
    assert probe.to_dict()["nearest"]["differs"] == {"lr": 0.01}


def test_of_a_trial_without_a_record_the_nearest_prior_trial_is_known(report: Report) -> None:
    assert report.trial(2).phase is None
    assert report.trial(2).statements[0] == "Nothing is stored of why it was chosen."
    assert report.trial(2).nearest is not None
    assert str(report.trial(3)).startswith("Trial 3 of new: no value (failed)")


def test_a_notebook_shows_what_is_printed(report: Report) -> None:
    assert report._repr_markdown_() == report.to_markdown()
    assert "lr=0.01, act=&#x27;relu&#x27;" in report.trial(0)._repr_html_()
    assert repr(report) == str(report)
    assert MetaSampler().inspect_priors({})._repr_html_() == "<pre>No prior studies.</pre>"


def test_a_trial_that_does_not_exist_is_an_error(report: Report) -> None:
    with pytest.raises(ValueError, match="There is no trial 9: new has 4 trials"):
        report.trial(9)


def test_the_log_says_once_that_a_trial_is_a_probe(caplog: pytest.LogCaptureFixture) -> None:
    def objective(trial: optuna.Trial) -> float:
        return (trial.suggest_float("x", 0, 1) - 0.3) ** 2

    old = filled("old", optuna.samplers.RandomSampler(seed=0))
    old.optimize(objective, n_trials=10)
    with caplog.at_level(logging.INFO, "optuna_metasampler"):
        filled("new", MetaSampler(old, seed=0)).optimize(objective, n_trials=4)
    said = [r.getMessage() for r in caplog.records if "probe" in r.getMessage()]
    assert len(said) == 1
    assert said[0].startswith("Trial 1 is a probe: away from the best configurations")


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (
            {"step": 4, "probability": 0.013, "needed": 0.2, "low": 0.3, "high": 0.9},
            "between 0.3 and 0.9",
        ),
        ({"step": 4, "probability": 0.0}, "not a number"),
    ],
)
def test_of_a_trial_that_was_stopped_the_report_says_why(
    stored: dict[str, float], said: str
) -> None:
    study = filled("stopped", MetaSampler(seed=0))
    study.add_trial(create_trial(state=TrialState.PRUNED, user_attrs={STOPPED: stored}))
    assert said in str(study.sampler.report(study).trial(0)).replace("\n    ", " ")


@pytest.mark.parametrize("stored", [None, 3, "step", {}, {"step": "four"}, {"step": None}])
def test_an_attribute_of_that_name_with_anything_else_in_it_says_nothing(stored: object) -> None:
    assert Stop.read(create_trial(state=TrialState.PRUNED, user_attrs={STOPPED: stored})) is None
