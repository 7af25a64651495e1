"""Reports of real studies: their numbers."""

from __future__ import annotations

from dataclasses import fields
import json
import math
import pickle
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
from optuna_metasampler.explain.report.data import ReportData
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


def checked(report: Report) -> Report:
    """The report, if every form of it is well formed."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    document = json.dumps(report.to_dict(), allow_nan=False)
    assert json.loads(document, parse_constant=refuse)["study"] == report.study
    lines = str(report).split("\n")
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    assert all(line.isprintable() for line in lines)
    assert report.to_markdown().startswith("## ")
    return report


def warnings_with(report: Report, part: str) -> list[str]:
    return [warning for warning in report.warnings if part in warning]


def test_the_summary_fits_on_one_screen(report: Report) -> None:
    checked(report)
    above = str(report).partition("\n\nFindings on the parameters")[0]
    assert len(above.splitlines()) <= 40
    assert above.startswith("now: 20 trials, minimize, method auto")


def test_useful_priors_have_a_high_transfer_weight(report: Report) -> None:
    (objective,) = report.objectives
    assert objective.p_transfer is not None
    assert objective.p_transfer > 0.5
    used = [p for p in report.priors if p.used]
    assert {p.name for p in used} == {"old-0", "old-1", "old-2"}
    assert [p.weight for p in used] == sorted((p.weight or 0.0 for p in used), reverse=True)
    assert sum(p.weight or 0.0 for p in used) == pytest.approx(objective.p_transfer)
    assert sum(p.n_strongest for p in used) == len(report.weights_at) == len(used[0].weights)
    assert all(p.shared == ("act", "depth", "idle", "lr") for p in used)
    (unused,) = [p for p in report.priors if not p.used]
    assert unused.name == "odd"
    assert unused.reason is not None
    assert "none of its parameters (C)" in unused.reason
    assert unused.weight in (None, 0.0)


def test_progress_gain_and_calibration_are_measured(report: Report) -> None:
    (objective,) = report.objectives
    assert objective.progress is not None
    assert objective.progress.n_warm_start == sum(
        report.phases.get(phase, 0) for phase in ("warm-start", "probe")
    )
    assert objective.progress.share is not None
    assert 0.0 < objective.progress.share <= 1.0
    assert objective.progress.best == objective.best == report.best[0].values[0]
    assert objective.gain is not None
    assert objective.gain.n_trials == 20
    assert objective.calibration.accuracy.n_trials == len(objective.calibration.trials) > 5
    assert set(objective.statements) <= set(report.statements)


def test_parameters_are_ranked_and_their_best_values_found(priors: list[optuna.Study]) -> None:
    study = ran(optuna.samplers.RandomSampler(seed=9), 40)
    (objective,) = sampler_of(priors).report(study).objectives
    assert objective.parameters[0].name == "lr"
    parts = {p.name: p for p in objective.parameters}
    lr, act, idle = parts["lr"], parts["act"], parts["idle"]
    assert lr.clear
    assert lr.best[0] <= 0.02
    assert lr.best[-1] >= 0.005
    assert set(lr.prior_best) & set(lr.best)
    assert act.best == act.prior_best == ("relu",)
    means = dict(zip(act.values, act.posterior, strict=True))
    assert means["relu"] < means["tanh"] < means["logistic"]
    assert idle.importance < 0.02
    assert not idle.clear
    assert all(
        low <= v <= high for low, v, high in zip(lr.low, lr.posterior, lr.high, strict=True)
    )


def test_the_improvement_by_more_trials_is_forecast(report: Report) -> None:
    (objective,) = report.objectives
    forecast = objective.improvement_forecast
    assert forecast is not None
    assert forecast.n_trials == 10
    assert forecast.best == objective.best
    assert 0.0 <= forecast.probability <= 1.0


def test_misleading_priors_lose_their_weight() -> None:
    """The optimum is at the other end of `lr`: negative correlation, but no flipped sign."""
    elsewhere = []
    for i in range(3):
        study = seeded(f"elsewhere-{i}", i)
        study.optimize(lambda t: (tuned(t), (math.log10(t.params["lr"]) + 4.5) ** 2)[1], 30)
        elsewhere.append(study)
    study = ran(optuna.samplers.RandomSampler(seed=9), 30)
    report = checked(sampler_of(elsewhere).report(study))
    (objective,) = report.objectives
    assert objective.p_transfer is not None
    assert objective.p_transfer < 0.5
    assert objective.gain is not None
    assert objective.gain.nats < 0.1
    assert not warnings_with(report, "sign flipped")


def test_priors_of_the_wrong_direction_keep_their_weight_with_a_warning() -> None:
    study = ran(optuna.samplers.RandomSampler(seed=9), 30)
    report = checked(sampler_of(prior_studies(sign=-1.0, name="wrong")).report(study))
    (objective,) = report.objectives
    assert objective.p_transfer is not None
    assert objective.p_transfer > 0.9
    assert objective.gain is not None
    assert objective.gain.sign_flipped
    assert len(warnings_with(report, "sign flipped")) == 1


def test_a_study_without_priors_has_none_in_its_report() -> None:
    sampler = sampler_of()
    report = checked(sampler.report(ran(sampler, 8)))
    assert report.priors == ()
    (objective,) = report.objectives
    assert objective.gain is None
    assert objective.p_transfer is None
    assert "No prior studies." in report.statements
    assert "\nPrior studies\n" not in str(report)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_trials_are_a_warning(priors: list[optuna.Study], n: int) -> None:
    sampler = sampler_of(priors[:2])
    report = checked(sampler.report(ran(sampler, n)))
    assert report.n_trials == n
    assert [p.used for p in report.priors] == [True, True]
    assert len(report.best) == min(n, 1)
    assert len(warnings_with(report, "nothing to show yet")) == (n == 0)
    assert len(warnings_with(report, "complete: importances")) == (n > 0)


def test_priors_that_cannot_be_used_are_a_warning_with_a_remedy() -> None:
    old = seeded("old")
    old.optimize(lambda t: t.suggest_float("learning-rate", 0, 1), n_trials=3)
    sampler = sampler_of([old])
    with pytest.warns(PriorWarning):
        study = ran(sampler, 3, lambda t: t.suggest_float("learning_rate", 0, 1))
    report = checked(sampler.report(study))
    (prior,) = report.priors
    assert not prior.used
    assert len(warnings_with(report, "rename={'learning-rate': 'learning_rate'}")) == 1


def test_trials_without_a_record_are_a_warning(priors: list[optuna.Study]) -> None:
    sampler = sampler_of(priors[:1], explain=False)
    report = checked(sampler.report(ran(sampler, 8)))
    assert len(warnings_with(report, "MetaSampler(explain=False)")) == 1
    assert report.phases == {}
    assert report.weights_at == ()
    (objective,) = report.objectives
    assert objective.calibration.trials == ()
    # What the model knows is reported all the same.
    assert objective.parameters


def test_a_study_of_another_sampler_has_a_report(priors: list[optuna.Study]) -> None:
    study = ran(optuna.samplers.RandomSampler(seed=0), 8)
    report = checked(sampler_of(priors[:1]).report(study))
    assert len(warnings_with(report, "another sampler")) == 1
    assert report.objectives[0].improvement_forecast is not None


def test_without_the_priors_their_stored_weights_are_reported(priors: list[optuna.Study]) -> None:
    study = ran(sampler_of(priors[:2]), 6)
    report = checked(sampler_of().report(study))
    assert len(warnings_with(report, "(old-0, old-1)")) == 1
    assert {p.name for p in report.priors} == {"old-0", "old-1"}
    assert all(len(p.weights) == 6 and p.n_trials is None for p in report.priors)
    assert report.objectives[0].p_transfer is None


def test_a_method_without_a_model_of_its_own_is_a_warning(priors: list[optuna.Study]) -> None:
    sampler = sampler_of(priors[:2], method="mlp")
    report = checked(sampler.report(ran(sampler, 5)))
    assert report.own_model is False
    assert len(warnings_with(report, "method mlp has no Gaussian process")) == 1
    sampler = sampler_of(priors[:2], method="gp")
    report = checked(sampler.report(ran(sampler, 5)))
    assert report.own_model is True
    assert len(warnings_with(report, "method gp does not use prior studies")) == 1
    assert not any(p.used for p in report.priors)


def test_a_method_that_lacks_priors_is_reported_not_raised() -> None:
    old = seeded("old")
    old.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=4)
    sampler = sampler_of([old], method="maml")
    study = ran(optuna.samplers.RandomSampler(seed=0), 4, lambda t: t.suggest_float("x", 0, 1))
    checked(sampler.report(study))


def test_every_objective_is_reported() -> None:
    def both(trial: optuna.Trial) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return x + 0.1 * y, (1 - x) + y

    sampler = sampler_of()
    study = ran(sampler, 10, both, ("minimize", "maximize"))
    report = checked(sampler.report(study))
    assert [o.direction for o in report.objectives] == ["minimize", "maximize"]
    assert all(o.parameters and o.improvement_forecast is None for o in report.objectives)
    assert [t.number for t in report.best] == [t.number for t in study.best_trials]
    assert any(s.startswith("Objective 1: ") for s in report.statements)
    assert len(warnings_with(report, "several objectives")) == 1


def test_constraints_and_failures_are_reported() -> None:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number % 3 == 2:
            raise ValueError
        return x

    sampler = MetaSampler(seed=0, constraints_func=lambda t: [0.5 - t.params.get("x", 0.0)])
    report = checked(sampler.report(ran(sampler, 9, objective)))
    assert report.states == {"complete": 6, "fail": 3}
    assert report.best[0].values[0] >= 0.5
    assert len(warnings_with(report, "3 of 9 trials failed")) == 1


def test_conditional_parameters_are_reported() -> None:
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


def test_infinite_values_are_null_in_the_document() -> None:
    values = iter([math.inf, 1.0, -math.inf, 2.0, math.inf, math.inf])
    sampler = sampler_of()
    study = ran(sampler, 6, lambda t: next(values) + 0 * t.suggest_float("x", 0, 1))
    report = checked(sampler.report(study))
    assert report.best[0].values == (-math.inf,)
    assert report.to_dict()["best"][0]["values"] == [None]


def test_equal_outcomes_are_no_scale(priors: list[optuna.Study]) -> None:
    sampler = sampler_of(priors[:1])
    study = ran(sampler, 8, lambda t: 0 * tuned(t))
    (objective,) = checked(sampler.report(study)).objectives
    assert not objective.unit
    assert objective.improvement_forecast is None
    assert all(p.posterior == () and p.best == () for p in objective.parameters)
    assert objective.parameters[0].prior_best


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

    document = report.to_dict()
    leaves(document)
    assert document.keys() == {"version"} | {field.name for field in fields(ReportData)}


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


def test_only_a_study_can_be_reported() -> None:
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
