"""``MetaPruner``: stops trials that will hardly end among the best, by the curves of others.

Light: what is numeric is imported with :mod:`optuna_metasampler.curve_model`, on first use.
"""

from __future__ import annotations

from collections.abc import Sequence
import math
import threading
from typing import TYPE_CHECKING, Any

from optuna.pruners import BasePruner
from optuna.trial import TrialState

from optuna_metasampler._arguments import check_integer, check_share
from optuna_metasampler._optuna import (
    set_trial_attributes,
    sign_of,
    signed_curve,
    study_id,
    trial_id,
)
from optuna_metasampler._runtime import get_logger
from optuna_metasampler._study_state import MAX_STUDIES, keep
from optuna_metasampler.explain.trial_record import STOPPED, Stop
from optuna_metasampler.priors.sources import PriorLike, read, resolve
from optuna_metasampler.priors.study import (
    PriorFilter,
    PriorFilterOptions,
    PriorStudy,
    select,
    used_studies,
)


if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from optuna_metasampler.curve_model import CurveModel, CurvePredictor


_logger = get_logger(__name__)


class MetaPruner(BasePruner):
    """Pruner that stops a trial once it is unlikely to end among the best.

    From the values that a trial has reported it forecasts where the trial would end, by earlier
    curves like it: those of the study itself, of prior studies, and power laws. Each counts by how
    well it has forecast the trials of this study that went to their end, so that priors whose
    curves go differently lose their weight. A trial that is ahead of where all of those were at
    its step is never stopped. Others can be, from the second trial on. The pruner works with any
    sampler, with several workers and in studies that are resumed.

    A trial that was stopped has a user attribute ``meta:pruned`` with the ``step``, the
    ``probability`` of ending among the best, the value ``needed`` for that, and the ends ``low``
    and ``high`` of an interval that the final value would have been in four times out of five.

    Args:
        prior: Prior studies whose trials reported values, in any form that
            :class:`~optuna_metasampler.MetaSampler` takes. Optional.
        prior_studies: Names or globs of the studies to use inside the storages and tables of
            ``prior``; all by default.
        prior_filter: Further conditions that prior studies must meet, as for
            :class:`~optuna_metasampler.MetaSampler`.
        min_probability: A trial is stopped if the probability that it ends among the best is
            lower. 0 stops none.
        best_share: The share of the study's trials that are the best; one trial at least.
        n_startup_trials: The number of trials that must have gone to their end before any is
            stopped.
        n_warmup_steps: A trial is not stopped before it has reported a value at this step.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a number is out of range, or ``prior`` is an empty string.
        PriorNotFoundError: If a file or a study named in ``prior`` or ``prior_studies`` does not
            exist.
        PriorError: If a storage named in ``prior`` cannot be read.

    Example:
        >>> import optuna
        >>> from optuna_metasampler import MetaPruner
        >>> def objective(trial):
        ...     rate = trial.suggest_float("rate", 1e-3, 1.0, log=True)
        ...     for step in range(1, 31):
        ...         loss = abs(rate - 0.1) + 1 / step
        ...         trial.report(loss, step)
        ...         if trial.should_prune():
        ...             raise optuna.TrialPruned
        ...     return loss
        >>> study = optuna.create_study(pruner=MetaPruner())
        >>> study.optimize(objective, n_trials=10)
    """

    def __init__(
        self,
        prior: PriorLike | Sequence[PriorLike] | None = None,
        *,
        prior_studies: str | Sequence[str] | None = None,
        prior_filter: PriorFilter | PriorFilterOptions | None = None,
        min_probability: float = 0.02,
        best_share: float = 0.05,
        n_startup_trials: int = 1,
        n_warmup_steps: int = 0,
    ) -> None:
        check_share("min_probability", min_probability)
        check_share("best_share", best_share)
        check_integer("n_startup_trials", n_startup_trials, 1)
        check_integer("n_warmup_steps", n_warmup_steps, 0)
        self._sources = resolve(prior, prior_studies)
        self._filter = PriorFilter.of(prior_filter)
        self._min_probability = float(min_probability)
        self._best_share = float(best_share)
        self._n_startup_trials = int(n_startup_trials)
        self._n_warmup_steps = int(n_warmup_steps)
        self._priors: list[PriorStudy] | None = None
        self._curves: dict[object, _Curves] = {}
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        """The attributes, without the lock and what can be learned again."""
        state = {**self.__dict__, "_priors": None, "_curves": {}}
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled or copied pruner."""
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to stop a trial; see :meth:`BasePruner.prune`.

        A trial whose last value is not a number is stopped: trainings do not recover from that.
        """
        step = trial.last_step
        if step is None or step < self._n_warmup_steps or self._min_probability == 0.0:
            return False
        ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        with self._lock:
            curves = self._curves_of(study)
            curves.update(ended)
            if len(curves.finals) < self._n_startup_trials or step >= curves.horizon:
                return False
            if math.isnan(trial.intermediate_values[step]):
                stop = Stop(step)
            else:
                best = max(1, math.ceil(self._best_share * len(ended)))
                needed = sorted(curves.finals)[-min(best, len(curves.finals))]
                curve = signed_curve(trial, curves.sign)
                if curves.predictor.leads(curve):
                    return False
                forecast = curves.predictor.forecast(curve)
                probability = forecast.probability_above(needed)
                if probability >= self._min_probability:
                    return False
                low, high = sorted(curves.sign * forecast.quantile(p) for p in (0.1, 0.9))
                stop = Stop(step, round(probability, 4), curves.sign * needed, low, high)
        set_trial_attributes(study, trial_id(trial), {STOPPED: stop.to_dict()}, {})
        return True

    def _curves_of(self, study: Study) -> _Curves:
        key = study.study_name, study_id(study)
        found = self._curves.get(key)
        if found is None:
            sign = sign_of(study.direction)
            found = _Curves(sign, self._model(study, sign))
        return keep(self._curves, key, found, MAX_STUDIES)

    def _model(self, study: Study, sign: float) -> CurveModel:
        from optuna_metasampler.curve_model import CurveModel

        if self._priors is None:
            self._priors = read(self._sources)
        used = used_studies(select(self._priors, PriorStudy.of(study), self._filter))
        whole = []
        for prior in used:
            own_sign = sign if prior.directions is None else sign_of(prior.directions[0])
            whole.append([c for t in prior.trials if (c := _whole_curve(t, own_sign))])
        if used:
            n = sum(map(len, whole))
            _logger.info("The pruner knows %d whole curves of %d prior studies.", n, len(used))
        return CurveModel.of(whole)


class _Curves:
    """The whole curves of one study, and forecasts by them.

    Args:
        sign: -1 if smaller values are better, else 1.
        model: What is known of curves before the study has any.

    Attributes:
        finals: The final values; larger is better.
        horizon: The last step of a whole training.
        predictor: Gives forecasts; absent before the first whole curve.
    """

    predictor: CurvePredictor

    def __init__(self, sign: float, model: CurveModel) -> None:
        self.sign = sign
        self.finals: list[float] = []
        self.horizon = 0
        self._model = model
        self._whole: dict[int, dict[int, float]] = {}
        self._seen: set[int] = set()

    def update(self, ended: Sequence[FrozenTrial]) -> None:
        """Take in the trials that have ended since."""
        new = [t for t in ended if t.number not in self._seen]
        self._seen.update(t.number for t in new)
        whole = {t.number: c for t in new if (c := _whole_curve(t, self.sign))}
        if not whole:
            return
        self._whole.update(whole)
        curves = [self._whole[number] for number in sorted(self._whole)]
        self.finals = [curve[max(curve)] for curve in curves]
        self.horizon = max(map(max, curves))
        self.predictor = self._model.given(curves)


def _whole_curve(trial: FrozenTrial, sign: float) -> dict[int, float] | None:
    """The curve of a trial that went to its end, with the value that it returned as the last.

    ``None`` for other trials, and for a single point, which is no curve.
    """
    if trial.state != TrialState.COMPLETE or len(trial.values or ()) != 1:
        return None
    curve = signed_curve(trial, sign)
    if len(curve) < 2 or math.isnan(trial.values[0]):
        return None
    curve[max(curve)] = sign * trial.values[0]
    return curve
