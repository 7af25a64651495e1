"""A report of fixed numbers, the same on every machine."""

from __future__ import annotations

from optuna_metasampler.explain.calibration import (
    Accuracy,
    Calibration,
    ForecastedTrial,
    PriorGain,
    Progress,
)
from optuna_metasampler.explain.forecasts import ImprovementForecast
from optuna_metasampler.explain.report import Report, phrases
from optuna_metasampler.explain.report.data import (
    BestTrial,
    ObjectivePart,
    ParameterPart,
    PriorPart,
)


PROGRESS = Progress(average=3.346, warm_start=0.41, best=0.00605, n_warm_start=5, share=0.879)
GAIN = PriorGain(n_trials=12, nats=0.35, error=0.1, p_transfer=0.44, sign_flipped=False)
FORECAST = ImprovementForecast(10, 0.00605, 0.00425, 0.0018, 0.0, 0.0041, 0.79)
BEST = (BestTrial(7, (0.00605,), {"lr": 0.00395, "depth": 5, "act": "relu"}),)
PRIORS = (
    PriorPart("resnet-dogs", True, None, 12, ("act", "lr"), 0.92, 0.31, (0.5, 0.6, 0.31), 2),
    PriorPart("resnet-cats", True, None, 30, ("act", "lr"), 0.4, 0.13, (0.4, 0.3, 0.13), 1),
    PriorPart("svm", False, "none of its parameters (C) is one of this space", 4),
)


def parameters() -> tuple[ParameterPart, ...]:
    lr = ParameterPart(
        name="lr",
        categorical=False,
        log=True,
        importance=0.84,
        prior_importance=0.95,
        prior_importance_low=0.9,
        prior_importance_high=0.999,
        values=(0.0001, 0.001, 0.01, 0.1),
        posterior=(4.0, 0.5, 0.25, 6.0),
        low=(3.0, 0.2, 0.1, 4.0),
        high=(5.0, 0.8, 0.4, 8.0),
        prior=(3.5, 0.6, 0.3, 5.0),
        clear=True,
        best=(0.001, 0.01),
        prior_best=(0.001, 0.01),
        finding="best from 0.001 to 0.01",
        summary=phrases.describe_effect(
            "best from 0.001 to 0.01", "mean 0.25, worst 6", "best from 0.001 to 0.01", True
        ),
    )
    act = ParameterPart(
        name="act",
        categorical=True,
        log=False,
        importance=0.12,
        prior_importance=0.06,
        prior_importance_low=0.004,
        prior_importance_high=0.1,
        values=("relu", "tanh"),
        posterior=(2.5, 2.9),
        low=(1.9, 2.0),
        high=(3.1, 3.8),
        prior=None,
        clear=False,
        best=("relu",),
        prior_best=("tanh",),
        finding="no clear effect",
        summary=phrases.describe_effect(
            "no clear effect", "possibly best with 'relu'", "best with 'tanh'", False
        ),
    )
    return lr, act


def calibration() -> Calibration:
    trials = (
        ForecastedTrial(4, "warm-start", 1.0, 0.5, 1.5, 1.2),
        ForecastedTrial(7, "model", 0.02, 0.01, 0.03, 0.00605),
        ForecastedTrial(8, "model", 0.05, 0.02, 0.08, 0.04),
    )
    return Calibration(
        trials=trials,
        accuracy=Accuracy(3, 2 / 3, 0.2077, 0.9385, 0.5, 0.0139),
        by_phase={
            "warm-start": Accuracy(1, 1.0, 0.2065, 1.0, float("nan"), 0.2),
            "model": Accuracy(2, 0.5, 0.0945, 0.9055, 1.0, 0.012),
        },
        worst=trials[1],
    )


def sample() -> Report:
    known = calibration()
    statements = (
        phrases.describe_progress(PROGRESS),
        phrases.describe_calibration(known.accuracy),
        phrases.describe_importance(parameters()) or "",
        phrases.describe_forecast(FORECAST),
    )
    objective = ObjectivePart(
        number=0,
        direction="minimize",
        best=0.00605,
        unit=True,
        p_transfer=0.44,
        gain=GAIN,
        progress=PROGRESS,
        calibration=known,
        parameters=parameters(),
        improvement_forecast=FORECAST,
        statements=statements,
    )
    return Report(
        study="new|study",
        method="auto",
        own_model=True,
        directions=("minimize",),
        states={"complete": 12, "fail": 1},
        phases={"warm-start": 4, "probe": 1, "model": 7, "mine": 1},
        until="2024-05-06T07:08:09",
        best=BEST,
        priors=PRIORS,
        weights_at=(0, 6, 12),
        objectives=(objective,),
        statements=(
            phrases.describe_best(BEST, ("minimize",)),
            phrases.describe_weight(0.44, PRIORS, [GAIN]),
            *statements,
        ),
        warnings=("1 finished trial has no stored record and is left out of calibration.",),
    )
