"""``MetaSampler``: Optuna's hooks, translated to tasks and policies; nothing numeric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from optuna_metasampler._optuna import (
    LazyRandomState,
    constraints_of,
    set_trial_attributes,
    signs_of,
    store_constraints,
    study_id,
    trial_id,
    trials_of_all_brackets,
)
from optuna_metasampler.background import Background
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.explain.trial_record import ENQUEUED, INDEPENDENT, TrialRecord
from optuna_metasampler.history import History, PendingTrial, settled
from optuna_metasampler.isolation import isolated
from optuna_metasampler.knowledge import Knowledge
from optuna_metasampler.logging import get_logger
from optuna_metasampler.methods import method_of
from optuna_metasampler.outcomes import (
    MAX_MODELLED_OBJECTIVES,
    ScalarisationWeights,
    each_alone,
    in_turn,
)
from optuna_metasampler.priors.filter import PriorFilter
from optuna_metasampler.priors.records import (
    CurveRecords,
    curves_of,
    records_of,
)
from optuna_metasampler.priors.sources import PriorLike
from optuna_metasampler.priors.study import meta_features
from optuna_metasampler.shown import UnionSearchSpace
from optuna_metasampler.space import SearchSpace, choice_key


if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from optuna_metasampler.explain.dashboard import LiveGraphs
    from optuna_metasampler.explain.report import Report
    from optuna_metasampler.methods.base import Method, Prior
    from optuna_metasampler.policies.base import Policy
    from optuna_metasampler.priors.overlap import Overlaps
    from optuna_metasampler.surrogates.transfer import TransferPredictor


_logger = get_logger(__name__)
K = TypeVar("K")
V = TypeVar("V")


@dataclass
class _StudyState:
    """What the sampler has worked out for one study. A cache: losing it costs time, not quality.

    Attributes:
        knowledge: What the prior studies say about it; ``None`` before they are read.
        policies: By weightings of the objectives: the policy for the study's own space, and the
            layout of the space that it was built for.
        plan_policies: By the same: the policy for the prior studies' common space.
        plans: Whole configurations drawn for trials whose space is not known, by trial id.
        asked: Values handed out to the trials served here that are still running, by trial id.
        last_transfer: The transfer model of each objective as it was at the last suggestion.
        told: Ids of the running trials with which is kept how they were chosen.
        shown: The distributions that its trials have shown.
        graphs: What is drawn of it while it runs; made when the first trial ends.
    """

    knowledge: Knowledge | None = None
    policies: dict[ScalarisationWeights, tuple[object, Policy]] = field(default_factory=dict)
    plan_policies: dict[ScalarisationWeights, Policy] = field(default_factory=dict)
    plans: dict[int, dict[str, Any]] = field(default_factory=dict)
    asked: dict[int, dict[str, Any]] = field(default_factory=dict)
    last_transfer: tuple[TransferPredictor, ...] = ()
    told: dict[int, None] = field(default_factory=dict)
    shown: UnionSearchSpace = field(default_factory=UnionSearchSpace)
    graphs: LiveGraphs | None = None


class MetaSampler(BaseSampler):
    """Sampler that starts where earlier studies ended.

    It learns from the trials of prior studies, conditions a surrogate on the running study at
    every suggestion, and maximises the expected improvement under it. The first trial is already
    informed by the prior studies; studies that turn out to be of no use lose their say. Without
    prior studies it is a Gaussian-process sampler.

    Parameters are matched by name; ranges, scales and choices may differ from study to study.
    Several objectives are modelled one by one, and the expected hypervolume improvement is
    maximised; with five or more, and by the other methods than ``"auto"``, ``"gp"`` and
    ``"hyperband"``, one scalarisation after the other is (ParEGO). Seeded results can be
    reproduced with one worker; with more of them their order is the operating system's.

    Args:
        prior: Prior studies: a storage URL, the path of an SQLite file, of a journal log, of a CSV
            file or of an archive, a :class:`~optuna.study.Study`, the list of
            :class:`~optuna.trial.FrozenTrial` of a study, a DataFrame, a
            :class:`~optuna_metasampler.Table` or a mapping of its arguments, an
            :class:`~optuna_metasampler.Archive`, or a list of any of these. Storages are only
            read; large ones once, see :mod:`optuna_metasampler.priors.cache`. The running study
            itself and copies of it are recognised among them and left out.
        prior_studies: Names or globs of the studies to use inside the storages and tables of
            ``prior``; all by default.
        prior_filter: Further conditions that prior studies must meet: a
            :class:`~optuna_metasampler.PriorFilter`, or a mapping of its arguments such as
            ``{"user_attrs": {"model": "resnet"}, "min_trials": 20, "newer_than": "90 days"}``.
        rename: Other names of parameters in the prior studies: ``{"name there": "name here"}``.
        method: How to learn and to choose: the name of a row of the table in the documentation, or
            a :class:`~optuna_metasampler.methods.base.Method` itself. ``"auto"`` is the best that
            we know; ``"gp"`` is its Gaussian process without any use of the priors.
        method_options: Options of the method by name, such as ``{"exploration": 0.0}``.
        checkpoint: A file that ``optuna-metasampler fit`` wrote: what was learned from prior
            studies, in place of ``prior``. It says which method it is for.
        n_startup_trials: Space-filling trials before the model. By default none with prior
            studies, and 4 to 6 without, by the number of parameters.
        independent_sampler: Draws parameters that nothing is known about;
            :class:`~optuna.samplers.RandomSampler` by default.
        seed: Seed of everything that is random.
        constraints_func: Constraints of a finished trial, as Optuna's own samplers take them:
            values above 0 are violated. The only form before Optuna 5, which has
            ``trial.set_constraint`` as well; what a trial set itself needs no argument here.
        explain: Whether each trial keeps, in user attributes that begin with ``meta:``, how it
            was chosen and what was expected of it; see
            :class:`~optuna_metasampler.explain.trial_record.TrialRecord`.

    Raises:
        TypeError: If ``prior`` or another argument is of a kind that cannot be used.
        ValueError: If ``method``, ``method_options``, ``n_startup_trials`` or ``prior_filter`` is
            out of range.
        MethodError: If the method needs prior studies and there are none; also at a suggestion, if
            the method cannot work with those that there are.
        CheckpointError: If ``checkpoint`` cannot be read, or comes with ``prior`` or ``method``.
        PriorNotFoundError: If a file or a study named in ``prior`` or ``prior_studies`` does not
            exist.
        PriorError: If a storage named in ``prior`` cannot be read.

    Example:
        >>> import optuna
        >>> from optuna_metasampler import MetaSampler
        >>> old = optuna.create_study()
        >>> old.optimize(lambda t: (t.suggest_float("x", -5, 5) - 1) ** 2, n_trials=20)
        >>> new = optuna.create_study(sampler=MetaSampler(old))
        >>> new.optimize(lambda t: (t.suggest_float("x", -5, 5) - 1.2) ** 2, n_trials=5)
    """

    def __init__(
        self,
        prior: PriorLike | Sequence[PriorLike] | None = None,
        *,
        prior_studies: str | Sequence[str] | None = None,
        prior_filter: PriorFilter | Mapping[str, Any] | None = None,
        rename: Mapping[str, str] | None = None,
        method: str | Method[Any] = "auto",
        method_options: Mapping[str, Any] | None = None,
        checkpoint: str | Path | None = None,
        n_startup_trials: int | None = None,
        independent_sampler: BaseSampler | None = None,
        seed: int | None = None,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
        explain: bool = True,
    ) -> None:
        if n_startup_trials is not None and n_startup_trials < 0:
            raise ValueError(
                f"`n_startup_trials` must be at least 0, but got {n_startup_trials}. Leave it out "
                "to let the sampler choose."
            )
        self._background = Background(
            prior, prior_studies, prior_filter, rename, method, method_options, checkpoint
        )
        self._n_startup_trials = n_startup_trials
        self._constraints_func = constraints_func
        self._explain = explain
        self._rng = LazyRandomState(seed)
        self._may_have_twins = seed is not None
        self._centre_first = independent_sampler is None
        self._independent_sampler = independent_sampler or RandomSampler(seed=seed)
        self._states: dict[tuple[str, int], _StudyState] = {}
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the lock."""
        with self._lock:
            state = self.__dict__.copy()
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled or copied sampler."""
        self.__dict__.update(state)
        self._lock = threading.RLock()
        self._may_have_twins = True

    def reseed_rng(self) -> None:
        """Draw a new seed, as Optuna asks for before each trial of a multi-threaded study."""
        with self._lock:
            self._rng.rng.seed()
            self._independent_sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Note that the trial is served here, and tell the independent sampler."""
        with self._lock:
            cache = self._state(study)
            cache.asked[trial_id(trial)] = {}
            if self._may_have_twins:
                running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
                if any(
                    other.elsewhere for other in PendingTrial.beside(trial, running, cache.asked)
                ):
                    self._part_from_twins(trial)
        self._independent_sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Forget what was handed out: from now on the storage has it, constraints included."""
        with self._lock:
            cache = self._state(study)
            cache.plans.pop(trial_id(trial), None)
            cache.asked.pop(trial_id(trial), None)
            cache.told.pop(trial_id(trial), None)
        if self._constraints_func is not None:
            store_constraints(self._constraints_func, study, trial, state)
        self._independent_sampler.after_trial(study, trial, state, values)
        if self._explain:
            self._draw(study, trial, state, values)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The union of the distributions that this study has shown, each as it was shown last.

        Never one of a prior study: Optuna refuses a value drawn from another kind of distribution
        than the one the objective then asks for.
        """
        with self._lock:
            return self._state(study).shown.common(trials_of_all_brackets(study))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose a configuration of the parameters that this study has shown.

        Conditional parameters are modelled jointly with the choices that they depend on; those
        that take no part in the proposed configuration are left out. What the trial was enqueued
        with is held, and the rest is chosen to go with it.
        """
        varying = {name: d for name, d in search_space.items() if not d.single()}
        if not varying:
            return {}
        with self._lock, isolated():
            cache = self._state(study)
            history = self._history(study, trial, cache)
            space = history.space(varying)
            scalarisation_weights = self._weightings(study, trial)
            policy = self._relative_policy(study, cache, scalarisation_weights, space, history)
            given = settled(trial)
            params, told = self._propose(
                study, cache, policy, space.pin(given), scalarisation_weights, history
            )
            if varying.keys() <= given.keys():
                told = replace(told, phase=ENQUEUED)
            self._tell(study, trial, cache, told)
            _keep(cache.asked, trial_id(trial), dict(params))
        return params

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw one parameter that this study has not shown yet.

        One joint configuration a trial is drawn from the prior studies' model, given what the
        trial already has, and handed out parameter by parameter, each fitted to the distribution
        asked for.
        """
        with self._lock:
            cache = self._state(study)
            asked = _keep(cache.asked, trial_id(trial), cache.asked.get(trial_id(trial), {}))
            value = self._planned(study, trial, cache, param_name, param_distribution)
            if value is _NOTHING:
                value = self._uninformed(study, trial, param_name, param_distribution)
                self._tell(study, trial, cache, TrialRecord(INDEPENDENT))
            asked[param_name] = value
        return value

    def recommend(self, study: Study) -> FrozenTrial:
        """The finished trial that the model holds for the best, which may not have the best value.

        Where the objective is noisy, the best value of many is a lucky draw. The model has seen
        what the neighbours of a configuration came to, and what it came to when it was tried more
        than once: the choice is the highest posterior mean among the configurations that were
        evaluated and violate no constraint (Picheny, Wagner & Ginsbourger 2013, "A benchmark of
        kriging-based infill criteria for noisy optimization"). Methods without a model of the
        outcome let the cold Gaussian process choose. Later suggestions stay what they would be.

        Args:
            study: A study of one objective.

        Returns:
            A copy of the trial; ``study.best_trial`` where fewer than 5 can be compared.

        Raises:
            RuntimeError: If the study has several objectives.
            ValueError: If no trial is complete and feasible.
        """
        best = study.best_trial
        shown = self.infer_relative_search_space(study, best)
        candidates = [
            t
            for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if shown.keys() & t.params.keys()
            and not any(v > 0 for v in constraints_of(t).values())
        ]
        if len(candidates) < _MIN_CANDIDATES:
            return best
        with self._lock, isolated():
            from optuna_metasampler.methods.default import cold_policy
            from optuna_metasampler.policies.base import ModelPolicy
            from optuna_metasampler.task import to_tensor

            cache = self._state(study)
            history = self._history(study, best, cache)
            space = history.space(shown)
            policy = self._relative_policy(study, cache, ((1.0,),), space, history)
            if not isinstance(policy, ModelPolicy):
                policy = cold_policy(space, None)
            x = to_tensor(space.encode([t.params for t in candidates]))
            (predictor,) = policy.condition(history.task(space, (1.0,)))
            expected = predictor(x).mean
        return copy.deepcopy(candidates[int(expected.argmax())])

    def snapshot(self, study: Study) -> Snapshot:
        """What is known of ``study`` now, with all of its finished trials taken into account.

        Later suggestions stay what they would be.

        Raises:
            ValueError: If no trial of the study has a parameter yet.
            MethodError: If the method cannot work with the prior studies that there are.
        """
        return self._snapshot(study, trials_of_all_brackets(study))

    def _snapshot(self, study: Study, trials: Sequence[FrozenTrial]) -> Snapshot:
        """What is known of ``study`` with these trials."""
        with self._lock, isolated():
            from optuna_metasampler.methods.default import cold_policy, cold_policy_of_objectives
            from optuna_metasampler.policies.base import ModelPolicy
            from optuna_metasampler.surrogates.gaussian_process import GaussianProcessPredictor

            cache = self._state(study)
            # Of its own: a trial that is ending is not yet what the next suggestion will read.
            shown = UnionSearchSpace().common(trials)
            if not shown:
                raise ValueError(
                    f"The study {study.study_name!r} has {len(trials)} trials, none of which has "
                    "a parameter that varies: there is nothing to show yet. Run a trial first."
                )
            history = self._history(study, None, cache, trials)
            space = history.space(shown)
            m = len(study.directions)
            scalarisation_weights = each_alone(m)
            predictors: tuple[Any, ...] = ()
            task = history.task(space, [1.0 / m] * m)
            if self._background.method.models_objectives or m == 1:
                policy = self._relative_policy(study, cache, scalarisation_weights, space, history)
                if isinstance(policy, ModelPolicy):
                    predictors = policy.condition(task)
            own = bool(predictors) and all(
                isinstance(p, GaussianProcessPredictor) for p in predictors
            )
            if not own:
                cold = cold_policy(space, 0) if m == 1 else cold_policy_of_objectives(space, m, 0)
                predictors = cold.condition(task)
            return Snapshot(
                method=self._background.method.name,
                own_model=own,
                task=task,
                signs=signs_of(study),
                predictors=predictors,
                overlaps=self._background.beside_running(study),
                priors=tuple(self._background.studies()),
                rename=dict(self._background.rename),
            )

    def report(self, study: Study) -> Report:
        """What was done in ``study`` and why; ``print`` shows it in 80 columns.

        The study is only read, later suggestions stay what they would be, and any study of Optuna
        will do: one of another process, or of another sampler, whose trials then keep nothing of
        how they were chosen. Where nothing is known yet, the report says so.

        Args:
            study: The study, with any number of trials.

        Raises:
            TypeError: If ``study`` is none.
        """
        from optuna_metasampler.explain.report import report_of

        if not isinstance(study, optuna.Study):
            raise TypeError(
                f"`study` must be a Study of Optuna, but got {type(study).__name__}. Load one "
                "with optuna.load_study(study_name=..., storage=...)."
            )
        snapshot, problem, overlaps = None, None, None
        try:
            snapshot = self.snapshot(study)
        except ValueError as error:
            # Without a trial there is nothing to model, and some methods need more prior studies.
            problem = str(error)
            overlaps = self._background.beside_running(study)
        return report_of(
            study,
            snapshot,
            method=self._background.method_name,
            overlaps=overlaps,
            problem=problem,
        )

    def transfer_predictor(self, study: Study) -> TransferPredictor | None:
        """What the model knew at the last suggestion to ``study``.

        Returns:
            The conditioned transfer model, that of the first objective where each has its own;
            ``None`` without prior studies or before the first suggestion.
        """
        return next(iter(self.transfer_predictors(study)), None)

    def transfer_predictors(self, study: Study) -> tuple[TransferPredictor, ...]:
        """The like, of every objective that has a model of its own."""
        with self._lock:
            return self._state(study).last_transfer

    def inspect_priors(self, target: Mapping[str, BaseDistribution] | Study) -> Overlaps:
        """Which of the prior studies are of use, how far, and why the others are not.

        Args:
            target: A search space (name to distribution), or the running study with at least one
                finished trial.

        Returns:
            One entry a prior study; ``print`` shows a table.
        """
        return self._background.beside(target, self._background.read())

    def _part_from_twins(self, trial: FrozenTrial) -> None:
        """Draw other numbers than workers of the same seed, and copies of this sampler, do."""
        self._rng.rng.seed([self._draw_seed(), trial.number])
        if self._centre_first:
            self._independent_sampler = RandomSampler(seed=self._draw_seed())
        else:
            self._independent_sampler.reseed_rng()

    def _uninformed(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        if self._centre_first and trial.number == 0:
            # Ranges are usually put around a guess, and choices begin with the usual one.
            space = SearchSpace.of({name: distribution})
            return space.decode(space.neutral[None])[0][name]
        return self._independent_sampler.sample_independent(study, trial, name, distribution)

    def _planned(
        self,
        study: Study,
        trial: FrozenTrial,
        cache: _StudyState,
        name: str,
        distribution: BaseDistribution,
    ) -> Any:
        """A value from the plan of the trial; ``_NOTHING`` where the priors have none."""
        if not self._background.is_of_use:
            return _NOTHING
        with isolated():
            knowledge = self._knowledge(study, cache)
            if knowledge is None or name not in knowledge.space.distributions:
                return _NOTHING
            plan = cache.plans.get(trial_id(trial))
            if plan is None or _contradicts(plan, trial.params, knowledge.space):
                plan = self._make_plan(study, trial, cache, knowledge)
            if name not in plan:
                return _NOTHING
            value = fit_value(distribution, plan[name])
            if value is not _NOTHING:
                plan[name] = value
            _keep(cache.plans, trial_id(trial), plan)
            return value

    def _make_plan(
        self, study: Study, trial: FrozenTrial, cache: _StudyState, knowledge: Knowledge
    ) -> dict[str, Any]:
        """A configuration of the prior studies' common space, given what the trial already has."""
        scalarisation_weights = self._weightings(study, trial)
        priors = [knowledge.seen_from_itself(weights) for weights in scalarisation_weights]
        space = priors[0].space
        policy = cache.plan_policies.get(scalarisation_weights)
        if policy is None:
            policy = self._policy(space, priors)
            cache.plan_policies[scalarisation_weights] = policy
        history = self._history(study, trial, cache)
        given = settled(trial)
        plan, told = self._propose(
            study, cache, policy, space.pin(given), scalarisation_weights, history
        )
        self._tell(study, trial, cache, told)
        return {**plan, **given}

    def _propose(
        self,
        study: Study,
        cache: _StudyState,
        policy: Policy,
        space: SearchSpace,
        scalarisation_weights: ScalarisationWeights,
        history: History,
    ) -> tuple[dict[str, Any], TrialRecord]:
        """Ask a policy for a configuration of ``space``, and how it came to it."""
        import torch

        from optuna_metasampler.surrogates.transfer import TransferPredictor

        generator = torch.Generator(device="cpu").manual_seed(self._draw_seed())
        # Where each objective is modelled, the one outcome of the task is their compromise.
        weights = [
            sum(column) / len(scalarisation_weights)
            for column in zip(*scalarisation_weights, strict=True)
        ]
        task = history.task(space, weights, self._background.method.models_constraints)
        for other in history.undecided(space):
            # Its worker is at this moment where we are: it will take what we would in its place.
            believed = policy.propose(history.before(task, other), generator)
            task = replace(task, pending=torch.cat([task.pending, believed.x[None]]))
        proposal = policy.propose(task, generator)
        transfer = tuple(p for p in proposal.predictors if isinstance(p, TransferPredictor))
        cache.last_transfer = transfer or cache.last_transfer
        params = space.decode(proposal.x.numpy()[None])[0]
        if not self._explain:
            return params, TrialRecord(proposal.phase.value)
        return params, TrialRecord.of(proposal, task, signs_of(study))

    def _tell(
        self, study: Study, trial: FrozenTrial, cache: _StudyState, suggestion: TrialRecord
    ) -> None:
        """Keep with a trial how it was chosen; what was told first is what led to the rest."""
        if not self._explain or trial_id(trial) in cache.told:
            return
        _keep(cache.told, trial_id(trial), None)
        try:
            set_trial_attributes(
                study,
                trial_id(trial),
                suggestion.user_attributes(),
                suggestion.system_attributes(),
            )
        except Exception as error:
            # A wrapper's trial may be in no storage. Whatever it is, no study shall fail for it.
            _logger.debug("How trial %d was chosen could not be kept: %r", trial.number, error)

    def _draw(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Draw the study for optuna-dashboard, if there is time."""
        from optuna_metasampler.explain.dashboard import LiveGraphs, trials_with, wanted

        if not wanted(study):
            return
        with self._lock:
            cache = self._state(study)
            if cache.graphs is None:
                cache.graphs = LiveGraphs()

        def known(trials: Sequence[FrozenTrial]) -> Snapshot | None:
            # To learn from prior studies takes longer than to draw, and draws random numbers.
            if self._background.is_of_use and cache.knowledge is None:
                return None
            return self._snapshot(study, trials)

        cache.graphs.refresh(study, lambda: trials_with(study, trial.number, state, values), known)

    def _history(
        self,
        study: Study,
        trial: FrozenTrial | None,
        cache: _StudyState,
        trials: Sequence[FrozenTrial] | None = None,
    ) -> History:
        """What the trials of the study say, but the one that is asked for.

        Without one, what those that have ended say. ``trials`` are those of the study, read from
        its storage by default.
        """
        if trials is None:
            trials = trials_of_all_brackets(study)
        curve_correlation = None
        if any(t.state == TrialState.PRUNED for t in trials):
            knowledge = self._knowledge(study, cache)
            curve_correlation = None if knowledge is None else knowledge.curve_correlation
        # What is meant for a trial whose space is not known, and what it was told of it.
        handed_out = {i: {**cache.plans.get(i, {}), **told} for i, told in cache.asked.items()}
        return History(
            records_of(trials, study.directions, curve_correlation=curve_correlation),
            len(trials) if trial is None else trial.number,
            () if trial is None else PendingTrial.beside(trial, trials, handed_out),
            self._curves(study, trials),
            self._features(study),
        )

    def _curves(self, study: Study, trials: Sequence[FrozenTrial]) -> CurveRecords | None:
        """What the trials showed on their way, for a method that looks at it."""
        if not self._background.learns_from_curves or len(study.directions) > 1:
            return None
        return curves_of(trials, study.directions[0])

    def _features(self, study: Study) -> Mapping[str, float]:
        """Meta-features of the study, for a method that looks at them."""
        # The bracket studies of Hyperband have no user attributes.
        return (
            meta_features(getattr(study, "user_attrs", {}))
            if self._background.learns_from_features
            else {}
        )

    def _relative_policy(
        self,
        study: Study,
        cache: _StudyState,
        scalarisation_weights: ScalarisationWeights,
        space: SearchSpace,
        history: History,
    ) -> Policy:
        """The policy for the study's own space; the last one, unless the space has changed."""
        layout = tuple((p.name, repr(p.distribution), p.activity) for p in space.parameters)
        knowledge = self._knowledge(study, cache)
        without = None
        if knowledge is not None:
            shown = {n for c in history.records.configurations for n in c}
            without = knowledge.lacking(space, shown)
        known, policy = cache.policies.get(scalarisation_weights, (None, None))
        if policy is None or known != (layout, without):
            priors: list[Prior[Any] | None] = [None] * len(scalarisation_weights)
            if knowledge is not None and without is not None:
                priors = [
                    knowledge.seen_from(space, weights, without)
                    for weights in scalarisation_weights
                ]
            policy = self._policy(space, priors)
            cache.policies[scalarisation_weights] = (layout, without), policy
        return policy

    def _policy(self, space: SearchSpace, priors: Sequence[Prior[Any] | None]) -> Policy:
        """A policy for a space, given what is known of each outcome that it models."""
        method, n_startup_trials = self._background.method, self._n_startup_trials
        if len(priors) > 1:
            return method.policy_of_objectives(space, priors, n_startup_trials)
        if priors[0] is None and method.min_studies:
            # Nothing that this method could work with: the study is served all the same.
            method = method_of("gp")
        return method.policy(space, priors[0], n_startup_trials)

    def _knowledge(self, study: Study, cache: _StudyState) -> Knowledge | None:
        """What is known of ``study`` by the prior studies; they are read at the first use."""
        if cache.knowledge is None:
            cache.knowledge = self._background.knowledge_of(study, self._draw_seed)
        return cache.knowledge

    def _weightings(self, study: Study, trial: FrozenTrial) -> ScalarisationWeights:
        m = len(study.directions)
        side_by_side = self._background.method.models_objectives and m <= MAX_MODELLED_OBJECTIVES
        return each_alone(m) if side_by_side else (in_turn(m, trial.number),)

    def _state(self, study: Study) -> _StudyState:
        # Ids are unique inside a storage only; names tell studies of two storages apart.
        key = (study.study_name, study_id(study))
        return _keep(self._states, key, self._states.get(key) or _StudyState(), _MAX_STUDIES)

    def _draw_seed(self) -> int:
        return int(self._rng.rng.randint(2**31 - 1))


class _Nothing:
    """No value; ``None`` may be a choice."""


_NOTHING = _Nothing()
# The model has no say among fewer trials.
_MIN_CANDIDATES = 5
# A sampler that serves one study after the other keeps what it worked out for the last ones only.
_MAX_STUDIES = 16
# Trials whose end it is not told of: their worker was killed, or another process tells it.
_MAX_RUNNING = 1024


def _keep(cache: dict[K, V], key: K, value: V, limit: int = _MAX_RUNNING) -> V:
    """Put a value at the end of a cache, and forget the one used longest ago if there are many."""
    cache.pop(key, None)
    cache[key] = value
    if len(cache) > limit:
        del cache[next(iter(cache))]
    return value


def fit_value(distribution: BaseDistribution, value: Any) -> Any:
    """The value of ``distribution`` nearest to ``value``, or a sentinel where they do not compare.

    Numbers are clipped to the range and rounded to the grid; a choice has to be there, type
    included, unless it is one among numbers.
    """
    if isinstance(distribution, CategoricalDistribution):
        from optuna_metasampler.priors.align import NO_CHOICE, nearest_choice

        choice = nearest_choice(distribution, value)
        return _NOTHING if choice is NO_CHOICE else choice
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _NOTHING
    space = SearchSpace.of({"value": distribution})
    return space.decode(space.encode([{"value": value}]))[0]["value"]


def _contradicts(plan: Mapping[str, Any], params: Mapping[str, Any], space: SearchSpace) -> bool:
    """Whether a trial has gone another way than its plan, in what the plan is about."""
    return any(
        name not in plan or choice_key(plan[name]) != choice_key(value)
        for name, value in params.items()
        if name in space.distributions
    )
