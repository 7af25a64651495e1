"""State of one study between suggestions.

Light: it does not import PyTorch before a model is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from optuna_metasampler._optuna import (
    EXACT,
    LazyRandomState,
    rounded_by_storages,
    set_trial_attributes,
    trial_id,
)
from optuna_metasampler._runtime import get_logger
from optuna_metasampler.explain.trial_record import TrialRecord
from optuna_metasampler.prior_config import PriorConfig
from optuna_metasampler.priors.origin import ORIGIN


if TYPE_CHECKING:
    from optuna import Study

    from optuna_metasampler.explain.dashboard import LiveGraphs
    from optuna_metasampler.outcomes import ScalarisationWeights
    from optuna_metasampler.policies.base import Policy
    from optuna_metasampler.prior_knowledge import PriorKnowledge
    from optuna_metasampler.shortlist import Shortlists


_logger = get_logger(__name__)
K = TypeVar("K")
V = TypeVar("V")

# Trials may never end here: their worker was killed, or another process finishes them.
MAX_RUNNING = 1024
# A sampler or pruner that serves many studies keeps the state of the most recent ones.
MAX_STUDIES = 16


@dataclass(frozen=True)
class Settings:
    """Arguments of a sampler, and its source of random numbers.

    Attributes:
        priors: Prior studies or a checkpoint, and the method.
        n_startup_trials: Number of space-filling trials; ``None`` for the method's default.
        explain: Whether trials store how they were chosen.
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


class UnionSearchSpace:
    """The union of the distributions of finished trials, updated incrementally.

    A finished trial never changes, so each is read once; with 10,000 of them, reading all would
    be most of the work of a suggestion. If a trial was removed or replaced, everything is read
    again; so it is with storages that build new trial objects at every call.
    """

    def __init__(self) -> None:
        self._read: dict[int, FrozenTrial] = {}
        self._last: dict[str, tuple[int, BaseDistribution]] = {}
        self._clashing: set[str] = set()

    def __reduce__(self) -> tuple[type[UnionSearchSpace], tuple[()]]:
        """Copies start empty."""
        return type(self), ()

    def of(
        self, trials: Sequence[FrozenTrial], running: Sequence[FrozenTrial] = ()
    ) -> dict[str, BaseDistribution]:
        """The distribution of each parameter, as in the trial with the highest number.

        Args:
            trials: All trials of the study, in any state.
            running: Running trials, whose distributions count for parameters that no other has.

        Returns:
            Name to distribution, sorted by name. Single-valued ones are left out, and so are
            parameters whose distributions differ in kind: float, int or choice, log scale, or the
            set of choices.
        """
        finished = [t for t in trials if t.state.is_finished()]
        new = [t for t in finished if self._read.get(t.number) is not t]
        if len(finished) != len(self._read) + len(new):
            # A trial that was read is gone.
            self._read, self._last, self._clashing = {}, {}, set()
            new = finished
        for trial in new:
            self._add(trial)
        last, clashing = self._last, self._clashing
        if running:
            # Not remembered: the next call may find them finished, with more parameters.
            other = UnionSearchSpace()
            for trial in running:
                other._add(trial)
            last, clashing = {**other._last, **last}, other._clashing | clashing
        return {
            name: distribution
            for name, (_, distribution) in sorted(last.items())
            if name not in clashing
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


@dataclass
class StudyState:
    """State of one study. A cache: losing it costs time, not quality.

    Attributes:
        settings: Settings of the sampler.
        asked: Values handed out to the running trials served here, by trial id.
        plans: Joint configurations of trials whose parameters are new to the study, by trial id.
        recorded: Ids of the running trials whose record is stored.
        probe_logged: Whether the log says that a trial is a probe.
        origin_stored: Whether a trial says where the prior studies came from.
        search_space: The union of the distributions of its trials.
        knowledge: Prior knowledge for the study; ``None`` before prior studies are read, or before
            the learner that it tunes is known.
        seen: The distributions of the parameters that it is known to tune, where a learner's
            shipped knowledge may be used.
        policies: The policy of the study's own space, by scalarisation weights.
        plan_policies: The policy of the prior studies' common space, by scalarisation weights.
        graphs: Live graphs for optuna-dashboard; made when the first trial ends.
        shortlists: Of the parameters with very many choices, at the last suggestion.
        shortlist_seed: Decides between their choices; ``None`` before the first of these.
    """

    settings: Settings
    asked: dict[int, dict[str, Any]] = field(default_factory=dict)
    plans: dict[int, dict[str, Any]] = field(default_factory=dict)
    recorded: dict[int, None] = field(default_factory=dict)
    probe_logged: bool = False
    origin_stored: bool = False
    search_space: UnionSearchSpace = field(default_factory=UnionSearchSpace)
    knowledge: PriorKnowledge | None = None
    seen: dict[str, BaseDistribution] = field(default_factory=dict)
    policies: dict[ScalarisationWeights, PolicyOfSpace] = field(default_factory=dict)
    plan_policies: dict[ScalarisationWeights, Policy] = field(default_factory=dict)
    graphs: LiveGraphs | None = None
    shortlists: Shortlists = field(default_factory=dict)
    shortlist_seed: int | None = None

    @property
    def has_learned(self) -> bool:
        """Whether the model is available without learning from prior studies first."""
        return self.knowledge is not None or not self.settings.priors.informs

    def begin(self, trial: FrozenTrial) -> None:
        """Register a trial as served by this sampler."""
        self.asked[trial_id(trial)] = {}

    def is_shared(self, study: Study) -> bool:
        """Whether another sampler serves a running trial of the study."""
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return any(trial_id(trial) not in self.asked for trial in running)

    def space_of(
        self, trial: FrozenTrial, trials: Sequence[FrozenTrial]
    ) -> dict[str, BaseDistribution]:
        """The distributions that a trial may be given values of.

        Those of running trials are included, so that a batch is chosen jointly from its second
        trial. With prior studies not those of other samplers' trials, whose parameters come one by
        one: a plan for all parameters is worth more than a proposal for some.

        Args:
            trial: The one that is asked for.
            trials: All trials of its study, in any state.
        """
        running = [
            other
            for other in trials
            if other.state == TrialState.RUNNING
            and trial_id(other) != trial_id(trial)
            and (trial_id(other) in self.asked or not self.settings.priors.informs)
        ]
        return self.search_space.of(trials, running)

    def hand_out(self, study: Study, trial: FrozenTrial, values: Mapping[str, Any]) -> None:
        """Note values that a trial is given, and store those that the storage would round."""
        given = keep(
            self.asked, trial_id(trial), {**self.asked.get(trial_id(trial), {}), **values}
        )
        rounded = rounded_by_storages(given)
        if rounded:
            self.store(study, trial, {}, {EXACT: rounded})

    def record(self, study: Study, trial: FrozenTrial, record: TrialRecord) -> None:
        """Store with a trial how it was chosen; later records of the same trial are ignored."""
        if record.phase == "probe" and not self.probe_logged:
            self.probe_logged = True
            _logger.info(
                "Trial %d is a probe: away from the best configurations of the prior studies on "
                "purpose, to test whether these apply here. It may be bad.",
                trial.number,
            )
        if not self.settings.explain or trial_id(trial) in self.recorded:
            return
        keep(self.recorded, trial_id(trial), None)
        system = record.system_attributes()
        if self.settings.priors.origin is not None and not self.origin_stored:
            self.origin_stored = True
            system[ORIGIN] = self.settings.priors.origin
        self.store(study, trial, record.user_attributes(), system)

    def store(
        self, study: Study, trial: FrozenTrial, user: Mapping[str, Any], system: Mapping[str, Any]
    ) -> None:
        """Store attributes of a trial; later values replace earlier ones."""
        try:
            set_trial_attributes(study, trial_id(trial), user, system)
        except Exception as error:
            # Records are best effort, and never fail a trial: a wrapper's may be in no storage.
            _logger.debug("The record of trial %d could not be stored: %r", trial.number, error)

    def end(self, trial: FrozenTrial) -> None:
        """Drop the state of a trial that has ended: the storage has its values."""
        for kept in (self.asked, self.plans, self.recorded):
            kept.pop(trial_id(trial), None)


def keep(cache: dict[K, V], key: K, value: V, limit: int = MAX_RUNNING) -> V:
    """Put a value at the end of a cache, and drop the least recently used one if it is full."""
    cache.pop(key, None)
    cache[key] = value
    if len(cache) > limit:
        del cache[next(iter(cache))]
    return value


def same_kind(a: BaseDistribution, b: BaseDistribution) -> bool:
    """Whether Optuna accepts a value of ``a`` for ``b``, apart from ranges."""
    if isinstance(a, CategoricalDistribution) or isinstance(b, CategoricalDistribution):
        # The first comparison is a hundred times as fast, which counts with thousands of choices.
        return getattr(a, "choices", None) == getattr(b, "choices", ()) or a == b
    assert isinstance(a, (FloatDistribution, IntDistribution))
    assert isinstance(b, (FloatDistribution, IntDistribution))
    return type(a) is type(b) and a.log == b.log
