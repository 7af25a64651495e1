"""What was recorded is suggested as it was, to the last digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.prior_knowledge import fit_value
from optuna_metasampler.space import SearchSpace, as_recorded
from tests.studies import sqlite


SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-5, 0.1, log=True),
    "decay": FloatDistribution(1e-4, 3e-1, log=True),
    "share": FloatDistribution(-5.0, 10.0),
    "top": FloatDistribution(0.0, 0.5),
    "bottom": FloatDistribution(1e-3, 0.7, log=True),
    "grid": FloatDistribution(0.1, 2.3, step=0.1),
    "units": IntDistribution(3, 1000, log=True),
    "even": IntDistribution(-4, 40, step=2),
}
WRITTEN = {
    "rate": 0.001,
    "decay": 0.01,
    "share": 0.3,
    "top": 0.5,
    "bottom": 0.001,
    "grid": 0.7,
    "units": 37,
    "even": 6,
}
DRAWN = {**WRITTEN, "rate": 0.0019193274518310532, "share": -4.999134178237489, "top": 1e-9}


def study_with_best(best: dict[str, Any], storage: Any = None, shift: int = 0) -> optuna.Study:
    """Trials of the random sampler, and a better one."""
    study = optuna.create_study(
        study_name=f"old-{shift}",
        storage=storage,
        sampler=optuna.samplers.RandomSampler(seed=shift),
    )
    for i in range(8):
        study.tell(study.ask(SPACE), 1.0 + i)
    study.add_trial(optuna.create_trial(params=best, distributions=SPACE, value=0.0))
    return study


def first_suggestion(prior: Any, wider: bool = False) -> dict[str, Any]:
    space = dict(SPACE)
    if wider:
        space["rate"] = FloatDistribution(1e-6, 1.0, log=True)
        space["share"] = FloatDistribution(-7.0, 11.0)
    return optuna.create_study(sampler=MetaSampler(prior, seed=0)).ask(space).params


@pytest.mark.parametrize("best", [WRITTEN, DRAWN], ids=["written", "drawn"])
def test_the_best_of_a_prior_study_is_suggested_exactly_as_it_was(
    best: dict[str, Any], tmp_path: Path
) -> None:
    old = [study_with_best(best), study_with_best(best, shift=1)]
    assert first_suggestion(old) == best
    assert first_suggestion(old, wider=True) == best
    with sqlite(tmp_path / "old.db") as storage:
        for shift in range(2):
            study_with_best(best, storage, shift)
    assert first_suggestion(str(tmp_path / "old.db")) == best


def test_the_best_is_exact_where_the_model_knows_the_space_of_the_study() -> None:
    """From the second suggestion on another space is that of the model: the study's own."""
    other = {"rate": 0.07, "share": 7.3, "bottom": 0.21, "grid": 1.9, "units": 700, "even": 30}
    best = [WRITTEN, {**WRITTEN, **other}]
    study = optuna.create_study(
        sampler=MetaSampler([study_with_best(b, shift=i) for i, b in enumerate(best)], seed=0)
    )
    for i in range(5):
        study.tell(study.ask(SPACE), 1.0 + i)
    tried = [t.params for t in study.trials if t.user_attrs["meta:phase"] == "warm-start"]
    assert len(tried) >= 2
    assert all(params in best for params in tried)


floats = st.floats(-1e9, 1e9, allow_subnormal=False)


@given(floats, floats, floats, st.booleans())
@example(a=1e-5, b=0.1, c=0.001, log=False)
@example(a=-1e308, b=1e308, c=0.3, log=False)
@settings(max_examples=300)
def test_every_recorded_number_of_a_range_comes_back_as_it_was(
    a: float, b: float, c: float, log: bool
) -> None:
    low, value, high = sorted((a, b, c))
    if log:
        low, value, high = (np.exp(x / 1e8) for x in (low, value, high))
    assume(low < high)
    distribution = FloatDistribution(float(low), float(high), log=log)
    space = SearchSpace.of({"p": distribution})
    (decoded,) = space.decode(space.project(space.encode([{"p": float(value)}])))
    known = np.unique([low, value])
    assert as_recorded(distribution, decoded["p"], known) == value
    assert fit_value(distribution, float(value)) == value
    ends = space.decode(np.array([[0.0], [1.0]]))
    assert [end["p"] for end in ends] == [distribution.low, distribution.high]


@pytest.mark.parametrize("value", [0.3 + 1e-9, 0.3 - 1e-9])
def test_a_number_that_is_only_near_a_recorded_one_stays(value: float) -> None:
    assert as_recorded(FloatDistribution(0.0, 1.0), value, np.array([0.3])) == value


def test_a_recorded_number_out_of_range_is_never_suggested() -> None:
    distribution = FloatDistribution(0.0, 0.5)
    assert as_recorded(distribution, 0.5, np.array([np.nextafter(0.5, 1)])) == 0.5
