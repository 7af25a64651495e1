"""From a study to a chart: what every drawing library shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna_metasampler._optuna import trials_of_all_brackets
from optuna_metasampler._runtime import get_logger
from optuna_metasampler.explain.plots import charts


if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from optuna_metasampler.explain.effects import Effect
    from optuna_metasampler.explain.plots.chart import Chart
    from optuna_metasampler.explain.snapshot import Snapshot


_logger = get_logger(__name__)
_MAX_PANELS = 9


def prior_weights(study: Study) -> Chart:
    """What ``plot_prior_weights`` draws."""
    return _told(charts.prior_weights(trials_of_all_brackets(study)))


def predicted_vs_observed(study: Study, objective: int) -> Chart:
    """What ``plot_predicted_vs_observed`` draws."""
    n = _checked(study, objective)
    return _told(charts.predicted_vs_observed(trials_of_all_brackets(study), objective, n))


def prior_vs_posterior(study: Study, params: Sequence[str] | None, objective: int) -> Chart:
    """What ``plot_prior_vs_posterior`` draws."""
    _checked(study, objective)
    snapshot = _snapshot(study)
    trials = trials_of_all_brackets(study)
    if snapshot is None:
        return _told(charts.nothing_yet(charts.PRIOR_VS_POSTERIOR))
    return _told(
        charts.prior_vs_posterior(
            _chosen(_effects(snapshot, objective), params), snapshot, trials, objective
        )
    )


def parameter_importances(study: Study, objective: int) -> Chart:
    """What ``plot_parameter_importances`` draws."""
    n = _checked(study, objective)
    snapshot = _snapshot(study)
    if snapshot is None:
        return _told(charts.nothing_yet(charts.PARAMETER_IMPORTANCES))
    effects = _effects(snapshot, objective)
    names = charts.prior_names(snapshot, objective)
    return _told(charts.parameter_importances(effects, names, objective, n))


def similarity_map(study: Study, objective: int) -> Chart:
    """What ``plot_similarity_map`` draws."""
    from optuna_metasampler.explain.similarity import similarity

    n = _checked(study, objective)
    snapshot = _snapshot(study)
    if snapshot is None:
        return _told(charts.nothing_yet(charts.SIMILARITY_MAP))
    return _told(charts.similarity_map(similarity(snapshot, objective), objective, n))


def regret_against_priors(study: Study, objective: int) -> Chart:
    """What ``plot_regret_against_priors`` draws."""
    n = _checked(study, objective)
    snapshot = _snapshot(study)
    if snapshot is None:
        return _told(charts.nothing_yet(charts.REGRET_AGAINST_PRIORS))
    return _told(regret_of(snapshot, trials_of_all_brackets(study), objective, n))


def regret_of(
    snapshot: Snapshot, trials: Sequence[FrozenTrial], objective: int = 0, n: int = 1
) -> Chart:
    """The best values so far, prior studies that have a say first."""
    from optuna_metasampler.explain.best_so_far import histories
    from optuna_metasampler.explain.prior_weights import relevance

    ranking = [row.name for row in relevance(snapshot.transfer)]
    return charts.regret_against_priors(
        histories(snapshot, trials, objective), ranking, objective, n
    )


def _effects(snapshot: Snapshot, objective: int) -> tuple[Effect, ...]:
    from optuna_metasampler.explain.effects import effects

    return effects(snapshot, objective)


def _snapshot(study: Study) -> Snapshot | None:
    """What the study's sampler knows; ``None`` before there is anything to know."""
    from optuna_metasampler.explain.snapshot import Snapshot

    try:
        return Snapshot.of(study)
    except ValueError as error:
        _logger.warning("%s", error)
        return None


def _chosen(effects: Sequence[Effect], params: Sequence[str] | None) -> Sequence[Effect]:
    """The parameters asked for, in that order; the most important ones if none is."""
    if params is None:
        return effects[:_MAX_PANELS]
    by_name = {effect.name: effect for effect in effects}
    unknown = [name for name in params if name not in by_name]
    if unknown:
        raise ValueError(
            f"`params` names {unknown[0]!r}, which is no parameter of the study that varies. "
            f"There are {sorted(by_name)}."
        )
    return [by_name[name] for name in params]


def _checked(study: Study, objective: int) -> int:
    """How many objectives the study has, if the one asked for is among them."""
    n = len(study.directions)
    if not 0 <= objective < n:
        raise ValueError(
            f"`objective` must be at least 0 and below {n}, the number of objectives of the "
            f"study, but got {objective}."
        )
    return n


def _told(chart: Chart) -> Chart:
    if chart.missing:
        _logger.warning("%s: nothing to draw, %s.", chart.title, chart.missing)
    return chart
