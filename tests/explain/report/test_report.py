"""What a report says of a study."""

from __future__ import annotations

import json
import math
import pickle
import re
from typing import Any
import warnings

from hypothesis import given, settings
from hypothesis import strategies as st
import optuna
from optuna.trial import TrialState
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.exceptions import PriorWarning
from optuna_metasampler.explain.report import Report
from tests.explain.report.studies import prior_studies, ran, sampler_of, seeded, tuned


NASTY = "\x1b[2J<script>alert('x')</script>|*_`\n" + "long " * 80 + "\ud800"


@pytest.fixture(scope="module")
def priors() -> list[optuna.Study]:
    odd = seeded("odd")
    odd.optimize(lambda t: t.suggest_float("C", 0, 1), n_trials=4)
    return [*prior_studies(), odd]


@pytest.fixture(scope="module")
def report(priors: list[optuna.Study]) -> Report:
    sampler = sampler_of(priors)
    return sampler.report(ran(sampler, 20))


def said(report: Report) -> str:
    return " ".join(" ".join(str(report).split()).split())


def checked(report: Report) -> Report:
    """Every form of the report is what it should be."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    document = json.dumps(report.to_dict(), allow_nan=False)
    assert json.loads(document, parse_constant=refuse)["study"] == report.study
    lines = str(report).split("\n")
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    assert all(line.isprintable() for line in lines)
    assert report.to_markdown().startswith("## ")
    return report


def test_it_fits_on_one_screen_and_needs_no_legend(report: Report) -> None:
    checked(report)
    above = str(report).partition("\n\nWhat was learned of each parameter")[0]
    assert len(above.splitlines()) <= 40
    assert above.startswith("now: 20 trials, minimised, method auto")


def test_priors_that_are_of_use_have_the_say(report: Report) -> None:
    assert re.search(
        r"The prior studies have (the|some) say: they are of use with a", said(report)
    )
    used = [p for p in report.priors if p.used]
    assert {p.name for p in used} == {"old-0", "old-1", "old-2"}
    assert [p.weight for p in used] == sorted((p.weight or 0.0 for p in used), reverse=True)
    assert sum(p.n_strongest for p in used) == len(report.weights_at) == len(used[0].weights)
    assert all(p.shared == ("act", "depth", "idle", "lr") for p in used)
    (skipped,) = [p for p in report.priors if not p.used]
    assert skipped.reason is not None
    assert "none of its parameters (C)" in skipped.reason
    assert f"odd: {skipped.reason}" in said(report)


def test_what_they_brought_is_told(report: Report) -> None:
    assert "The opening, " in said(report)
    assert "of the way from an average configuration" in said(report)
    assert "outcomes came out within the interval that should hold 80 %" in said(report)
    (objective,) = report.objectives
    assert objective.gain is not None
    assert objective.gain.reading in report.statements
    assert objective.forecasts.accuracy.n_trials == len(objective.forecasts.trials) > 5


def test_parameters_are_told_by_what_moves_with_them(priors: list[optuna.Study]) -> None:
    study = ran(optuna.samplers.RandomSampler(seed=9), 40)
    report = sampler_of(priors).report(study)
    (objective,) = report.objectives
    assert objective.parameters[0].name == "lr"
    parts = {p.name: p for p in objective.parameters}
    lr, act, idle = parts["lr"], parts["act"], parts["idle"]
    assert lr.clear
    assert lr.best[0] <= 0.02 and lr.best[-1] >= 0.005
    assert lr.learned.startswith("best ")
    assert "the prior studies agree" in lr.learned
    assert act.best == ("relu",)
    assert act.learned.startswith("best with 'relu': 'relu' ")
    assert act.learned.index("'tanh'") < act.learned.index("'logistic'")
    assert idle.importance < 0.1
    assert idle.learned.startswith("no effect to speak of")
    assert all(low <= v <= high for low, v, high in zip(lr.low, lr.average, lr.high, strict=True))
    assert "lr matters most" in said(report)


def test_it_says_what_more_trials_may_bring(report: Report) -> None:
    (objective,) = report.objectives
    ahead = objective.improvement_forecast
    assert ahead is not None
    assert ahead.n_trials == 10
    assert report.statements[-1].startswith("Ten more trials are ")
    assert "the probability of any improvement is" in report.statements[-1]


def test_priors_that_mislead_have_lost_their_say() -> None:
    """The least is at the other end of `lr`: it is ranked in reverse, yet nothing is mirrored."""
    elsewhere = []
    for i in range(3):
        study = seeded(f"elsewhere-{i}", i)
        study.optimize(lambda t: (tuned(t), (math.log10(t.params["lr"]) + 4.5) ** 2)[1], 30)
        elsewhere.append(study)
    study = ran(optuna.samplers.RandomSampler(seed=9), 30)
    report = checked(sampler_of(elsewhere).report(study))
    assert "The prior studies have lost their say: they are of use with a prob" in said(report)
    assert "have the say" not in said(report)
    assert not any("the other way round" in w for w in report.warnings)


def test_priors_of_the_wrong_direction_have_the_say_and_a_warning() -> None:
    study = ran(optuna.samplers.RandomSampler(seed=9), 30)
    report = checked(sampler_of(prior_studies(sign=-1.0, name="wrong")).report(study))
    assert "The prior studies have the say" in said(report)
    assert any("Look whether their direction is right" in w for w in report.warnings)


def test_a_study_without_priors_says_so() -> None:
    sampler = sampler_of()
    report = checked(sampler.report(ran(sampler, 8)))
    assert "There are no prior studies" in said(report)
    assert report.priors == ()
    assert report.objectives[0].gain is None
    assert "Prior studies" not in str(report)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_it_says_how_little_is_known_at_first(priors: list[optuna.Study], n: int) -> None:
    sampler = sampler_of(priors[:2])
    report = checked(sampler.report(ran(sampler, n)))
    assert report.n_trials == n
    assert [p.used for p in report.priors] == [True, True]
    if n == 0:
        assert any("nothing to show yet" in w for w in report.warnings)
        assert "No trial has come to a value yet" in said(report)
    else:
        word = "one trial has" if n == 1 else "two trials have"
        assert any(w.startswith(f"Only {word} come to a value") for w in report.warnings)
        assert f"of trial {report.best[0].number}." in said(report)


def test_priors_that_cannot_be_used_are_a_warning_with_a_way_out() -> None:
    old = seeded("old")
    old.optimize(lambda t: t.suggest_float("learning-rate", 0, 1), n_trials=3)
    sampler = sampler_of([old])
    with pytest.warns(PriorWarning, match="of no use here"):
        study = ran(sampler, 3, lambda t: t.suggest_float("learning_rate", 0, 1))
    report = checked(sampler.report(study))
    (warning,) = [w for w in report.warnings if "is not used" in w]
    assert "none of its parameters (learning-rate) is one of this space" in warning
    assert "rename={'learning-rate': 'learning_rate'}" in warning


def test_trials_that_keep_nothing_are_named(priors: list[optuna.Study]) -> None:
    sampler = sampler_of(priors[:1], explain=False)
    report = checked(sampler.report(ran(sampler, 5)))
    assert any("explain=False" in w for w in report.warnings)
    assert report.phases == {}
    assert "over the trials" not in str(report)
    assert report.objectives[0].forecasts.trials == ()
    # What the model knows is told all the same.
    assert report.objectives[0].parameters


def test_a_study_of_another_sampler_is_explained(priors: list[optuna.Study]) -> None:
    study = ran(optuna.samplers.RandomSampler(seed=0), 8)
    report = checked(sampler_of(priors[:1]).report(study))
    assert any("another sampler" in w for w in report.warnings)
    assert report.objectives[0].improvement_forecast is not None


def test_without_the_priors_what_trials_keep_is_told(priors: list[optuna.Study]) -> None:
    study = ran(sampler_of(priors[:2]), 6)
    report = checked(sampler_of().report(study))
    assert any("not at hand now (old-0, old-1)" in w for w in report.warnings)
    assert {p.name for p in report.priors} == {"old-0", "old-1"}
    assert all(len(p.weights) == 6 and p.n_trials is None for p in report.priors)
    assert "at the last suggestion" in said(report)


def test_a_method_without_a_model_of_its_own_says_so(priors: list[optuna.Study]) -> None:
    sampler = sampler_of(priors[:2], method="mlp")
    report = checked(sampler.report(ran(sampler, 5)))
    assert report.own_model is False
    assert any("has no Gaussian process of its own" in w for w in report.warnings)
    sampler = sampler_of(priors[:2], method="gp")
    report = checked(sampler.report(ran(sampler, 5)))
    assert any("makes no use of the prior studies" in w for w in report.warnings)
    assert not any(p.used for p in report.priors)


def test_a_method_that_lacks_priors_is_told_not_raised() -> None:
    old = seeded("old")
    old.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=4)
    sampler = sampler_of([old], method="maml")
    study = ran(optuna.samplers.RandomSampler(seed=0), 4, lambda t: t.suggest_float("x", 0, 1))
    checked(sampler.report(study))


def test_every_objective_is_told() -> None:
    def both(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return x + 0.1 * y, (1 - x) + y

    sampler = sampler_of()
    report = checked(sampler.report(ran(sampler, 10, both, ("minimize", "maximize"))))
    assert [o.direction for o in report.objectives] == ["minimize", "maximize"]
    assert all(o.parameters and o.improvement_forecast is None for o in report.objectives)
    assert "on the Pareto front" in said(report)
    assert "Objective 1: " in said(report)
    assert any("several objectives" in w for w in report.warnings)


def test_constraints_and_failures_are_told() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number % 3 == 2:
            raise ValueError
        return x

    sampler = MetaSampler(seed=0, constraints_func=lambda t: [0.5 - t.params.get("x", 0.0)])
    report = checked(sampler.report(ran(sampler, 9, objective)))
    assert report.states == {"complete": 6, "fail": 3}
    assert report.best[0].values[0] >= 0.5
    assert any("failed" in w for w in report.warnings)


def test_conditional_parameters_are_told() -> None:
    def objective(trial: optuna.Trial) -> float:
        kind = trial.suggest_categorical("kind", ["svm", "forest", None])
        if kind == "svm":
            return trial.suggest_float("C", 1e-3, 1e3, log=True) * 1e-3
        if kind == "forest":
            return 1.0 / trial.suggest_int("trees", 1, 100)
        return 2.0

    sampler = sampler_of()
    report = checked(sampler.report(ran(sampler, 12, objective)))
    assert {p.name for p in report.objectives[0].parameters} == {"kind", "C", "trees"}


def test_values_that_are_no_numbers_stay_out_of_the_document() -> None:
    values = iter([math.inf, 1.0, -math.inf, 2.0, math.inf, math.inf])
    sampler = sampler_of()
    study = ran(sampler, 6, lambda t: next(values) + 0 * t.suggest_float("x", 0, 1))
    report = checked(sampler.report(study))
    assert report.best[0].values == (-math.inf,)
    assert report.to_dict()["best"][0]["values"] == [None]
    assert "-infinite" in said(report)


def test_equal_outcomes_are_no_scale(priors: list[optuna.Study]) -> None:
    sampler = sampler_of(priors[:1])
    study = ran(sampler, 5, lambda t: 0 * tuned(t))
    (objective,) = checked(sampler.report(study)).objectives
    assert not objective.unit
    assert objective.improvement_forecast is None
    assert all(p.average == () for p in objective.parameters)
    assert "nothing known here; the prior studies say: best" in objective.parameters[0].learned


def test_hostile_names_stay_harmless() -> None:
    old = seeded(NASTY)
    choices = ["<b>", "|", math.nan, True, None, "x" * 200]
    old.optimize(lambda t: len(str(t.suggest_categorical(NASTY, choices))), n_trials=8)
    sampler = sampler_of([old])
    study = ran(
        sampler, 8, lambda t: len(str(t.suggest_categorical(NASTY, choices))), name=NASTY[:-1]
    )
    study.set_user_attr("meta:phase", NASTY)
    report = checked(sampler.report(study))
    assert "\x1b" not in str(report)
    assert "<script>" not in report.to_markdown()
    assert report.to_dict()["priors"][0]["name"] == NASTY


def test_it_is_made_of_plain_values(report: Report) -> None:
    again = pickle.loads(pickle.dumps(report))
    assert again == report
    assert str(again) == str(report)

    def leaves(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                assert isinstance(key, str)
                leaves(item)
        elif isinstance(value, list):
            for item in value:
                leaves(item)
        else:
            assert value is None or type(value) in (str, int, float, bool), value

    leaves(report.to_dict())
    assert set(report.to_dict()) >= {"version", "study", "priors", "objectives", "statements"}


def test_a_study_is_left_as_it_was(priors: list[optuna.Study]) -> None:
    params = []
    for look in (True, False):
        sampler = sampler_of(priors[:2])
        study = ran(sampler, 0)
        for _ in range(6):
            study.optimize(tuned, n_trials=1)
            if look:
                before = pickle.dumps(study.trials)
                sampler.report(study)
                assert pickle.dumps(study.trials) == before
        params.append([t.params for t in study.trials])
    assert params[0] == params[1]


def test_what_is_no_study_is_refused_in_words() -> None:
    with pytest.raises(TypeError, match=r"must be a Study of Optuna, but got str\. Load one"):
        MetaSampler().report("now")  # type: ignore[arg-type]


FLOATS = st.one_of(st.floats(-1e150, 1e150), st.sampled_from([math.inf, -math.inf]))
STATES = st.sampled_from([TrialState.COMPLETE] * 4 + [TrialState.FAIL, TrialState.PRUNED])


@settings(max_examples=10)
@given(data=st.data())
def test_no_study_makes_it_fail(data: st.DataObject) -> None:
    m = data.draw(st.integers(1, 2))
    direction = st.sampled_from(["minimize", "maximize"])
    studies = []
    for name in ("old", "new"):
        study = optuna.create_study(
            study_name=name, directions=data.draw(st.lists(direction, min_size=m, max_size=m))
        )
        distributions = {
            "x": optuna.distributions.FloatDistribution(-1, 1),
            "n": optuna.distributions.IntDistribution(1, 3),
            "c": optuna.distributions.CategoricalDistribution(["a", None, 1.5]),
        }
        for _ in range(data.draw(st.integers(0, 6))):
            state = data.draw(STATES)
            names = data.draw(st.lists(st.sampled_from(sorted(distributions)), unique=True))
            given_params = {
                "x": data.draw(st.floats(-1, 1)),
                "n": data.draw(st.integers(1, 3)),
                "c": data.draw(st.sampled_from(["a", None, 1.5])),
            }
            complete = state == TrialState.COMPLETE
            study.add_trial(
                optuna.trial.create_trial(
                    state=state,
                    values=data.draw(st.lists(FLOATS, min_size=m, max_size=m))
                    if complete
                    else None,
                    params={n: given_params[n] for n in names},
                    distributions={n: distributions[n] for n in names},
                    user_attrs=data.draw(
                        st.dictionaries(
                            st.sampled_from(
                                ["meta:phase", "meta:predicted", "meta:low", "meta:high"]
                            ),
                            st.one_of(FLOATS, st.text(max_size=3), st.none()),
                        )
                    ),
                )
            )
        studies.append(study)
    old, new = studies
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PriorWarning)
        report = checked(sampler_of([old]).report(new))
    assert len(report.objectives) == m
    report.to_html()
