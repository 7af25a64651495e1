"""Plots of real studies, in both libraries: what is drawn are the numbers that there are."""

from __future__ import annotations

from collections.abc import Callable
import json
import logging
import math
from typing import Any

from matplotlib import pyplot
from matplotlib.axes import Axes
import numpy as np
import optuna
import pytest

from optuna_metasampler import MetaSampler, visualization
from optuna_metasampler.explain.dashboard import MAX_LENGTH
from optuna_metasampler.explain.effects import effects
from optuna_metasampler.explain.plots import charts
from optuna_metasampler.explain.plots.chart import (
    MAX_NAMED,
    OF_STUDIES,
    PRIORS,
    THIS_STUDY,
    log_ticks,
    short_names,
)
from optuna_metasampler.explain.plots.plotly import figure_on_any_ground, to_json
from optuna_metasampler.explain.prior_studies import BestSoFar, Convergence
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.explain.trial_record import TrialRecord


NAMES = [name for name in visualization.__all__ if name.startswith("plot_")]
OF_TRIALS = ("plot_prior_weights", "plot_predicted_vs_observed")
PlotStudy = Callable[[optuna.Study], Any]


def objective(trial: optuna.Trial, optimum: float = 0.3) -> float:
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    act = trial.suggest_categorical("act", ["relu", "tanh", None])
    value = (math.log10(rate) + 2 + optimum) ** 2 + 0.3 * (act == "tanh")
    return value + (0.1 * trial.suggest_int("n", 1, 4) if act == "relu" else 0.0)


def prior_studies(n: int) -> list[optuna.Study]:
    studies = []
    for i in range(n):
        sampler = optuna.samplers.RandomSampler(seed=i)
        study = optuna.create_study(study_name=f"old-{i}", sampler=sampler)
        study.optimize(lambda t, i=i: objective(t, 0.3 + 0.02 * i), n_trials=12)
        studies.append(study)
    return studies


@pytest.fixture(scope="module")
def warm() -> optuna.Study:
    study = optuna.create_study(study_name="new", sampler=MetaSampler(prior_studies(3), seed=0))
    study.optimize(objective, n_trials=12)
    return study


def cold(n_trials: int, direction: str = "minimize") -> optuna.Study:
    study = optuna.create_study(direction=direction, sampler=MetaSampler(seed=0))
    study.optimize(objective, n_trials=n_trials)
    return study


def two_objectives() -> optuna.Study:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=MetaSampler(seed=0))
    study.optimize(lambda t: (objective(t), -objective(t, 0.6)), n_trials=7)
    return study


def drawn(study: optuna.Study, name: str) -> tuple[Any, Any]:
    """A plot in both libraries."""
    pyplot.close("all")
    return getattr(visualization, name)(study), getattr(visualization.matplotlib, name)(study)


def axes_of(plot: Any) -> list[Axes]:
    return [axes for axes in np.ravel(np.asarray(plot, dtype=object)) if axes.get_visible()]


def trace(figure: Any, name: str) -> Any:
    (found,) = [t for t in figure.data if t.name == name]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_both_libraries_draw_the_same_panels(warm: optuna.Study, name: str) -> None:
    figure, drawn_axes = drawn(warm, name)
    panels = [a for a in axes_of(drawn_axes) if a.get_label() != "<colorbar>"]
    assert len(figure.data) > 0
    assert len({t.xaxis or "x" for t in figure.data}) == len(panels)
    first = figure.layout.xaxis.title.text
    assert (first or "") == panels[0].get_xlabel()
    assert figure.layout.title.text.split("<br>")[0].startswith(
        (panels[0].get_title(loc="left") or panels[0].figure.get_suptitle()).split("\n")[0]
    )


def test_weights_are_those_that_trials_store(warm: optuna.Study) -> None:
    figure, _ = drawn(warm, "plot_prior_weights")
    records = [TrialRecord.read(t) for t in warm.trials]
    for name in ("old-0", "old-1", "old-2"):
        expected = [dict(s.weights)[name] for s in records if s is not None]
        assert list(trace(figure, name).y) == pytest.approx(expected, abs=1e-6)
    stacked = np.sum([t.y for t in figure.data if t.stackgroup], axis=0)
    assert stacked == pytest.approx(np.ones(12))
    phases = {t.name: list(t.x) for t in figure.data if t.name.startswith("phase")}
    assert phases["phase: probe"] == [1]


def test_forecasts_and_outcomes_are_those_that_trials_store(warm: optuna.Study) -> None:
    figure, drawn_axes = drawn(warm, "plot_predicted_vs_observed")
    points = {
        (x, y) for t in figure.data if t.mode == "markers" for x, y in zip(t.x, t.y, strict=True)
    }
    expected = {
        (t.value, s.forecasts[0].predicted)
        for t in warm.trials
        if (s := TrialRecord.read(t)) is not None and s.forecasts
    }
    assert points == expected
    inside = sum(
        s.forecasts[0].low <= t.value <= s.forecasts[0].high  # type: ignore[operator]
        for t in warm.trials
        if (s := TrialRecord.read(t)) is not None and s.forecasts
    )
    assert f"{inside} of {len(expected)} outcomes" in figure.layout.title.text
    (axes,) = axes_of(drawn_axes)
    assert any(len(c.get_offsets()) for c in axes.collections if hasattr(c, "get_offsets"))


def test_importances_are_those_of_the_model(warm: optuna.Study) -> None:
    figure, _ = drawn(warm, "plot_parameter_importances")
    known = effects(Snapshot.of(warm))
    here = sorted(trace(figure, "this study").x)
    assert here == pytest.approx(sorted(e.importance for e in known))
    assert sorted(figure.layout.yaxis.ticktext) == sorted(e.name for e in known)


def test_panels_are_the_parameters_asked_for(warm: optuna.Study) -> None:
    figure = visualization.plot_prior_vs_posterior(warm, params=["n", "rate"])
    assert figure.layout.xaxis.title.text == "n"
    assert figure.layout.xaxis2.title.text == "rate"
    assert figure.layout.xaxis2.type == "log"
    with pytest.raises(ValueError, match="names 'depth', which is no parameter"):
        visualization.plot_prior_vs_posterior(warm, params=["depth"])


def test_the_study_is_compared_with_its_prior_studies(warm: optuna.Study) -> None:
    figure, _ = drawn(warm, "plot_regret_against_priors")
    own = trace(figure, "this study").y
    assert list(own) == sorted(own, reverse=True)
    assert own[-1] == 0.0
    assert {t.name for t in figure.data} >= {"old-0", "old-1", "old-2", "this study"}


def test_every_study_is_on_the_map(warm: optuna.Study) -> None:
    figure, _ = drawn(warm, "plot_similarity_map")
    assert len(trace(figure, "prior study").x) == 3
    (star,) = [t for t in figure.data if t.name.startswith("this study")]
    assert (list(star.x), list(star.y)) == ([0], [0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_trials", [0, 1, 7])
def test_a_study_without_priors_is_drawn_as_far_as_it_goes(
    name: str, n_trials: int, caplog: pytest.LogCaptureFixture
) -> None:
    figure, drawn_axes = drawn(cold(n_trials), name)
    assert axes_of(drawn_axes)
    if not figure.data:
        assert figure.layout.title.text
        assert [r for r in caplog.records if r.levelno == logging.WARNING]


@pytest.mark.parametrize("name", NAMES)
def test_each_objective_has_a_plot(name: str) -> None:
    study = two_objectives()
    if name == "plot_prior_weights":
        return
    for objective_number in (0, 1):
        plot: Callable[..., Any] = getattr(visualization, name)
        assert plot(study, objective=objective_number).layout.title.text
    with pytest.raises(ValueError, match="below 2, the number of objectives"):
        plot(study, objective=2)


def test_maximised_values_are_drawn_in_the_users_terms() -> None:
    study = cold(8, "maximize")
    figure = visualization.plot_predicted_vs_observed(study)
    assert min(x for t in figure.data if t.mode == "markers" for x in t.x) >= 0.0
    assert "larger is better" in visualization.plot_prior_vs_posterior(study).layout.title.text


@pytest.mark.parametrize("name", NAMES)
def test_with_another_sampler_only_the_stored_records_are_drawn(
    warm: optuna.Study, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler())
    study.add_trials(warm.trials)
    plot: PlotStudy = getattr(visualization, name)
    if name in OF_TRIALS:
        assert plot(study).data
    else:
        with pytest.raises(TypeError, match="is a RandomSampler, which has no model to show"):
            plot(study)


def test_thirty_prior_studies_leave_room_for_the_plot() -> None:
    study = optuna.create_study(sampler=MetaSampler(prior_studies(30), seed=0))
    study.optimize(objective, n_trials=4)
    figure = visualization.plot_prior_weights(study)
    areas = [t.name for t in figure.data if t.stackgroup]
    assert len(areas) == MAX_NAMED + 2
    assert f"others ({30 - MAX_NAMED})" in areas


def test_long_names_are_shortened_to_different_ones() -> None:
    names = [f"study {'x' * 40} {i} of the year 2024" for i in range(3)]
    short = short_names([*names, "a", "a"])
    assert list(short) == [*names, "a"]
    assert len(set(short.values())) == 4
    assert max(map(len, short.values())) <= 24 + len(" (3)")


def test_names_are_escaped() -> None:
    hostile = "<b onclick='x()'>$a$\x1b[31m" + "long " * 40
    prior = optuna.create_study(study_name=hostile)
    prior.optimize(objective, n_trials=8)
    study = optuna.create_study(sampler=MetaSampler(prior, seed=0))
    study.optimize(objective, n_trials=3)
    for name in NAMES:
        figure, _ = drawn(study, name)
        text = figure.to_json(engine="json")
        assert "<b onclick" not in text
        assert "\\u001b" not in text
        assert max((len(t.name) for t in figure.data), default=0) < 120


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_small_and_is_json(name: str) -> None:
    text = to_json(getattr(visualization, name)(cold(40)).to_plotly_json())
    json.loads(text, parse_constant=pytest.fail)
    assert len(text) < 20_000


def test_a_missing_library_is_an_error_with_a_remedy(
    warm: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "plotly.graph_objects", None)
    with pytest.raises(ImportError, match="pip install plotly"):
        visualization.plot_prior_weights(warm)


def test_a_thousand_prior_studies_fit_one_attribute() -> None:
    steps = tuple(range(1, 16))
    values = tuple(0.123456789 / i for i in steps)
    each = tuple(BestSoFar(f"study {i}", steps, values, values) for i in range(1000))
    chart = charts.regret_chart(Convergence(each[0], each))
    assert len(to_json(figure_on_any_ground(chart, 15))) < MAX_LENGTH
    (panel,) = chart.panels
    assert f"others ({1000 - MAX_NAMED})" in {layer.name for layer in panel.layers}


def test_every_trial_lies_inside_of_a_log_axis(warm: optuna.Study) -> None:
    figure = visualization.plot_prior_vs_posterior(warm, params=["rate"])
    low, high = (10**end for end in figure.layout.xaxis.range)
    assert low < 1e-4
    assert high > 1.0
    (axes,) = axes_of(visualization.matplotlib.plot_prior_vs_posterior(warm, params=["rate"]))
    assert axes.get_xlim() == pytest.approx((low, high))
    assert axes.get_xscale() == "log"


def test_both_libraries_draw_the_same_numbers(warm: optuna.Study) -> None:
    figure, drawn_axes = drawn(warm, "plot_regret_against_priors")
    (axes,) = axes_of(drawn_axes)
    lines = {tuple(line.get_ydata()) for line in axes.get_lines()}
    assert lines == {tuple(t.y) for t in figure.data}
    figure, drawn_axes = drawn(warm, "plot_predicted_vs_observed")
    (axes,) = axes_of(drawn_axes)
    points = {tuple(p) for c in axes.collections for p in np.asarray(c.get_offsets()).tolist()}
    assert points >= {
        (x, y) for t in figure.data if t.mode == "markers" for x, y in zip(t.x, t.y, strict=True)
    }


def test_another_direction_or_unit_is_measured_against_itself() -> None:
    prior = optuna.create_study(study_name="accuracy", direction="maximize")
    prior.optimize(lambda t: 100 - objective(t), n_trials=15)
    study = optuna.create_study(sampler=MetaSampler(prior, seed=0))
    study.optimize(objective, n_trials=6)
    figure = visualization.plot_regret_against_priors(study)
    assert "Each study is ranked among its own trials" in figure.layout.title.text
    for name in ("accuracy", "this study"):
        heights = list(trace(figure, name).y)
        assert heights == sorted(heights, reverse=True)
        assert heights[-1] == 0.0
        assert heights[0] < 1.0


def test_one_bad_trial_sets_no_scale() -> None:
    assert charts.bulk([*(0.1 * i for i in range(12)), 900.0]) == pytest.approx((0.0, 1.1))
    assert charts.bulk([1.0, 1.0]) == (1.0, 1.0)


def test_predictions_and_outcomes_have_one_range(warm: optuna.Study) -> None:
    layout = visualization.plot_predicted_vs_observed(warm).layout
    assert list(layout.xaxis.range) == list(layout.yaxis.range)


def test_a_log_axis_has_a_few_short_labels() -> None:
    assert log_ticks((1e-5, 1e-1)) == {1e-5: "1e-5", 1e-3: "0.001", 1e-1: "0.1"}
    assert log_ticks((2.0, 200.0)) == {3.0: "3", 10.0: "10", 30.0: "30", 100.0: "100"}
    assert list(log_ticks((20.0, 60.0)).values()) == ["20", "50"]


def test_this_study_and_its_priors_have_the_same_colours_in_all_plots(
    warm: optuna.Study,
) -> None:
    effect = visualization.plot_prior_vs_posterior(warm, params=["rate"])
    shares = visualization.plot_parameter_importances(warm)
    regret = visualization.plot_regret_against_priors(warm)
    ours = {
        trace(effect, "posterior").line.color,
        trace(shares, "this study").marker.color,
        trace(regret, "this study").line.color,
    }
    theirs = {
        trace(effect, "prior").line.color,
        trace(shares, "prior studies together").marker.color,
    }
    assert (ours, theirs) == ({THIS_STUDY}, {PRIORS})
    assert THIS_STUDY not in OF_STUDIES


def test_a_map_of_few_studies_is_left_out_of_the_page(warm: optuna.Study) -> None:
    found = charts.of_model(Snapshot.of(warm), warm.trials, (), 0)
    assert "similarity" not in found
