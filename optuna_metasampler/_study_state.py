"""What a sampler keeps of one study between suggestions.

Light: a study whose model is never asked does not import PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler._optuna import LazyRandomState, set_trial_attributes, trial_id
from optuna_metasampler._runtime import get_logger
from optuna_metasampler.explain.trial_record import TrialRecord
from optuna_metasampler.priors.config import PriorConfig


if TYPE_CHECKING:
    from optuna import Study

    from optuna_metasampler.explain.dashboard import LiveGraphs
    from optuna_metasampler.methods.base import Method
    from optuna_metasampler.outcomes import ScalarisationWeights
    from optuna_metasampler.policies.base import Policy
    from optuna_metasampler.prior_knowledge import PriorKnowledge
    from optuna_metasampler.surrogates.transfer import TransferPredictor


_logger = get_logger(__name__)
K = TypeVar("K")
V = TypeVar("V")

# Trials whose end is not reported here: their worker was killed, or another process tells them.
MAX_RUNNING = 1024


@dataclass(frozen=True)
class Settings:
    """What a sampler was told, and its source of random numbers.

    Attributes:
        priors: Prior studies or a checkpoint, and the method.
        n_startup_trials: Space-filling trials; ``None`` for the method's own choice.
        explain: Whether trials keep how they were chosen.
        rng: Shared with the sampler.
    """

    priors: PriorConfig
    n_startup_trials: int | None
    explain: bool
    rng: LazyRandomState


@dataclass(frozen=True)
class PolicyOfSpace:
    """A policy, and what it was built for.

    Attributes:
        policy: Chooses points of the space.
        layout: Distributions and conditions of the space.
        observed: Names of the parameters that trials of the study have had.
        without: Parameters of the prior studies that are left out; ``None`` without prior studies.
    """

    policy: Policy
    layout: object
    observed: frozenset[str]
    without: frozenset[str] | None


@dataclass
class StudyState:
    """What a sampler has worked out for one study. A cache: losing it costs time, not quality.

    Attributes:
        settings: Of the sampler.
        asked: Values handed out to the trials served here that are still running, by trial id.
        plans: Whole configurations for trials whose space is not known yet, by trial id.
        recorded: Ids of the running trials that have a record of how they were chosen.
        search_space: The union of the distributions of its trials.
        knowledge: What prior studies predict for it; ``None`` before they are read.
        knows_nothing: Whether there are no prior studies to learn from.
        method: The sampler's; ``None`` before it is first used.
        policies: The policy of the study's own space, by scalarisation weights.
        plan_policies: The policy of the prior studies' common space, by scalarisation weights.
        last_transfer: The transfer model of each objective at the last suggestion.
        graphs: Drawn while it runs; made when the first trial ends.
    """

    settings: Settings
    asked: dict[int, dict[str, Any]] = field(default_factory=dict)
    plans: dict[int, dict[str, Any]] = field(default_factory=dict)
    recorded: dict[int, None] = field(default_factory=dict)
    search_space: UnionSearchSpace = field(default_factory=lambda: UnionSearchSpace())
    knowledge: PriorKnowledge | None = None
    knows_nothing: bool = False
    method: Method[Any] | None = None
    policies: dict[ScalarisationWeights, PolicyOfSpace] = field(default_factory=dict)
    plan_policies: dict[ScalarisationWeights, Policy] = field(default_factory=dict)
    last_transfer: tuple[TransferPredictor, ...] = ()
    graphs: LiveGraphs | None = None

    @property
    def has_learned(self) -> bool:
        """Whether the model can be asked without learning from prior studies first."""
        return self.knowledge is not None or not self.settings.priors.informs

    def begin(self, trial: FrozenTrial) -> None:
        """Note that a trial is served here."""
        self.asked[trial_id(trial)] = {}

    def is_shared(self, study: Study) -> bool:
        """Whether another sampler serves a running trial of the study."""
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return any(trial_id(trial) not in self.asked for trial in running)

    def record(self, study: Study, trial: FrozenTrial, record: TrialRecord) -> None:
        """Keep with a trial how it was chosen. The first record explains all of its values."""
        if not self.settings.explain or trial_id(trial) in self.recorded:
            return
        keep(self.recorded, trial_id(trial), None)
        try:
            set_trial_attributes(
                study, trial_id(trial), record.user_attributes(), record.system_attributes()
            )
        except Exception as error:
            # A wrapper's trial may be in no storage. Explanations never fail a trial.
            _logger.debug("How trial %d was chosen could not be kept: %r", trial.number, error)

    def end(self, trial: FrozenTrial) -> None:
        """Forget what was handed out: from now on the storage has it."""
        for kept in (self.asked, self.plans, self.recorded):
            kept.pop(trial_id(trial), None)


def keep(cache: dict[K, V], key: K, value: V, limit: int = MAX_RUNNING) -> V:
    """Put a value at the end of a cache, and drop the one used longest ago if it is full."""
    cache.pop(key, None)
    cache[key] = value
    if len(cache) > limit:
        del cache[next(iter(cache))]
    return value


class UnionSearchSpace:
    """The union of the distributions of finished trials, kept from one suggestion to the next.

    A finished trial never changes, so each is read once: with 10,000 of them this is most of the
    work of a suggestion. A trial that has gone, or another one in its place, means that the study
    is another one now, and everything is read again. So it is in a storage that builds its trials
    anew at every call.
    """

    def __init__(self) -> None:
        self._read: dict[int, FrozenTrial] = {}
        self._last: dict[str, tuple[int, BaseDistribution]] = {}
        self._clashing: set[str] = set()

    def __reduce__(self) -> tuple[type[UnionSearchSpace], tuple[()]]:
        """A copy starts empty, and reads the trials of the study that it meets."""
        return type(self), ()

    def of(self, trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
        """The distribution of each parameter, as the trial of the highest number had it.

        Args:
            trials: All trials of the study, in any state.

        Returns:
            Name to distribution, sorted by name. Single-valued ones are left out, for they never
            vary, and so are parameters whose distributions are of several kinds: whether float,
            int or choice, whether on the log scale, and which choices.
        """
        finished = [t for t in trials if t.state.is_finished()]
        new = [t for t in finished if self._read.get(t.number) is not t]
        if len(finished) != len(self._read) + len(new):
            # Something that was read is not there any more.
            self._read, self._last, self._clashing = {}, {}, set()
            new = finished
        for trial in new:
            self._add(trial)
        return {
            name: distribution
            for name, (_, distribution) in sorted(self._last.items())
            if name not in self._clashing
        }

    def _add(self, trial: FrozenTrial) -> None:
        self._read[trial.number] = trial
        for name, distribution in trial.distributions.items():
            if distribution.single():
                continue
            number, last = self._last.get(name, (-1, distribution))
            if not same_kind(last, distribution):
                self._clashing.add(name)
            if trial.number > number:
                self._last[name] = trial.number, distribution


def same_kind(a: BaseDistribution, b: BaseDistribution) -> bool:
    """Whether Optuna accepts a value of ``a`` where ``b`` is asked for, ranges aside."""
    if isinstance(a, CategoricalDistribution) or isinstance(b, CategoricalDistribution):
        return a == b
    assert isinstance(a, (FloatDistribution, IntDistribution))
    assert isinstance(b, (FloatDistribution, IntDistribution))
    return type(a) is type(b) and a.log == b.log
