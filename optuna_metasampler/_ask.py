"""One ask: from the trials of a study to its next configuration.

The only heavy border: :mod:`optuna_metasampler.sampler` imports this module on first use of a
model; all modules below import at the top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import copy
from dataclasses import replace
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState
import torch

from optuna_metasampler._claims import claim, claimed
from optuna_metasampler._optuna import (
    draw_seed,
    is_feasible,
    signs_of,
    trial_id,
    trials_of_all_brackets,
)
from optuna_metasampler._study_state import PolicyOfSpace, StudyState, UnionSearchSpace, keep
from optuna_metasampler.explain.forecasts import record_of
from optuna_metasampler.explain.snapshot import Snapshot
from optuna_metasampler.explain.trial_record import ENQUEUED, TrialRecord
from optuna_metasampler.history import (
    History,
    PendingTrial,
    finished_trials,
    fixed_params,
    observations,
)
from optuna_metasampler.methods import method_of
from optuna_metasampler.methods.base import AlignedPrior
from optuna_metasampler.methods.default import cold_policy
from optuna_metasampler.outcomes import (
    MAX_MODELLED_OBJECTIVES,
    ScalarisationWeights,
    lattice_weights,
    unit_weights,
)
from optuna_metasampler.policies.base import ModelPolicy, Policy
from optuna_metasampler.prior_knowledge import (
    NO_VALUE,
    PriorKnowledge,
    as_prior,
    fit_value,
)
from optuna_metasampler.priors.study import meta_features, without
from optuna_metasampler.shortlist import (
    Shortlists,
    Trials,
    best_first,
    many_choices,
    shortlists,
)
from optuna_metasampler.space import SearchSpace, as_stored, equal_key
from optuna_metasampler.surrogates.gaussian_process import GaussianProcessPredictor
from optuna_metasampler.task import to_tensor


# With fewer trials, `recommend` returns the best one.
_MIN_CANDIDATES = 5
# A configuration that another worker takes at the same moment is given up, so many times.
_MAX_ATTEMPTS = 5


def suggest(
    state: StudyState,
    study: Study,
    trial: FrozenTrial,
    distributions: Mapping[str, BaseDistribution],
) -> dict[str, Any]:
    """The next configuration, over the parameters that the study has had before."""
    for _ in range(_MAX_ATTEMPTS):
        trials = trials_of_all_brackets(study)
        params, record = _suggested(state, study, trial, distributions, trials)
        ended = {t.number for t in trials if t.state.is_finished()}
        if claim(state, study, trial, distributions, params, ended):
            break
    state.record(study, trial, record)
    state.hand_out(study, trial, params)
    return params


def _suggested(
    state: StudyState,
    study: Study,
    trial: FrozenTrial,
    distributions: Mapping[str, BaseDistribution],
    trials: Sequence[FrozenTrial],
) -> tuple[dict[str, Any], TrialRecord]:
    """A configuration for a trial, given all trials of its study, and why it was chosen."""
    _see(state, study, distributions)
    history = _history(state, study, trial, trials, distributions)
    fixed = fixed_params(trial)
    fixed = {**_opening(state, study, fixed, distributions), **fixed}
    if many_choices(distributions):
        state.shortlists = _shortlists(state, study, distributions, history, fixed)
    space = history.space(distributions, state.shortlists)
    weights = _weights(state, study, trial)
    policy = _policy(state, study, weights, space, history)
    params, record = _propose(state, study, policy, space.pin(fixed), weights, history)
    if distributions.keys() <= fixed.keys():
        record = replace(record, phase=ENQUEUED)
    return params, record


def suggest_new(
    state: StudyState, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
) -> dict[str, Any]:
    """The value of a parameter that is new to the study, by name; empty if no prior study has it.

    It is part of a joint configuration that is proposed once a trial, in the common space of the
    prior studies.
    """
    _see(state, study, {**trial.distributions, name: distribution})
    knowledge = _prior_knowledge(state, study)
    if knowledge is None or name not in knowledge.space.distributions:
        return {}
    plan = state.plans.get(trial_id(trial))
    if plan is None or _contradicts(plan, trial.params, knowledge.space):
        plan = _make_plan(state, study, trial, knowledge)
    if name not in plan:
        return {}
    value = fit_value(distribution, plan[name])
    if value is not NO_VALUE:
        value = plan[name] = as_stored(distribution, value)
    keep(state.plans, trial_id(trial), plan)
    return {} if value is NO_VALUE else {name: value}


def recommend(
    state: StudyState,
    study: Study,
    best: FrozenTrial,
    distributions: Mapping[str, BaseDistribution],
) -> FrozenTrial:
    """The feasible trial with the highest posterior mean; ``best`` if there are fewer than 5."""
    candidates = [
        t
        for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if distributions.keys() & t.params.keys() and is_feasible(t)
    ]
    if len(candidates) < _MIN_CANDIDATES:
        return best
    _see(state, study, distributions)
    history = _history(state, study, best, trials_of_all_brackets(study))
    space = history.space(distributions, _shortlists(state, study, distributions, history))
    policy = _policy(state, study, ((1.0,),), space, history)
    if not isinstance(policy, ModelPolicy):
        policy = cold_policy(space, None)
    x = to_tensor(space.encode([t.params for t in candidates]))
    (predictor,) = policy.condition(history.task(space, (1.0,)))
    return copy.deepcopy(candidates[int(predictor(x).mean.argmax())])


def snapshot(state: StudyState, study: Study, trials: Sequence[FrozenTrial]) -> Snapshot:
    """The model conditioned on all finished trials of a study.

    It depends on the trials and on the prior studies alone: not on the seed of the sampler, nor on
    the models that earlier suggestions left behind.

    Args:
        state: State of the study.
        study: The study.
        trials: Its trials; one that is just ending need not be in the storage yet.

    Raises:
        ValueError: If no trial has a parameter that varies.
    """
    # Not the cached search space of the study, which lacks a trial that is just ending.
    distributions = UnionSearchSpace().of(trials)
    if not distributions:
        raise ValueError(
            f"The study {study.study_name!r} has {len(trials)} trials, none of which has "
            "a parameter that varies: there is nothing to show yet. Run a trial first."
        )
    config = state.settings.priors
    # Learning again would take long.
    fresh = StudyState(state.settings, knowledge=state.knowledge)
    _see(fresh, study, distributions)
    history = _history(fresh, study, None, trials)
    space = history.space(distributions, _shortlists(fresh, study, distributions, history))
    m = len(study.directions)
    task = history.task(space, [1.0 / m] * m)
    predictors: tuple[Any, ...] = ()
    if config.method.models_objectives or m == 1:
        policy = _policy(fresh, study, unit_weights(m), space, history)
        if isinstance(policy, ModelPolicy):
            predictors = policy.condition(task)
    if state.knowledge is None:
        state.knowledge = fresh.knowledge
    own = bool(predictors) and all(isinstance(p, GaussianProcessPredictor) for p in predictors)
    if not own:
        predictors = cold_policy(space, 0, m).condition(task)
    running = as_prior(study)
    return Snapshot(
        method=config.method_name,
        own_model=own,
        task=task,
        signs=signs_of(study),
        predictors=predictors,
        overlaps=config.overlaps(running, config.studies()),
        priors=tuple(without(config.studies(), running)),
        rename=dict(config.rename),
    )


def _make_plan(
    state: StudyState, study: Study, trial: FrozenTrial, knowledge: PriorKnowledge
) -> dict[str, Any]:
    """A configuration of the prior studies' common space, given the trial's fixed parameters."""
    weights = _weights(state, study, trial)
    priors = [knowledge.before_first_trial(w) for w in weights]
    space = priors[0].space
    policy = state.plan_policies.get(weights)
    if policy is None:
        policy = state.plan_policies[weights] = _new_policy(state, space, priors)
    history = _history(state, study, trial, trials_of_all_brackets(study))
    history = history.completed(knowledge.held, space)
    fixed = {**knowledge.held, **fixed_params(trial)}
    plan, record = _propose(state, study, policy, space.pin(fixed), weights, history)
    state.record(study, trial, record)
    return {**plan, **fixed}


def _propose(
    state: StudyState,
    study: Study,
    policy: Policy,
    space: SearchSpace,
    weights: ScalarisationWeights,
    history: History,
) -> tuple[dict[str, Any], TrialRecord]:
    """A configuration of ``space``, and the record of why it was chosen."""
    settings = state.settings
    generator = torch.Generator(device="cpu").manual_seed(draw_seed(settings.rng))
    # Where each objective has a model, the single outcome of the task is their mean.
    compromise = [sum(column) / len(weights) for column in zip(*weights, strict=True)]
    task = history.task(space, compromise, state.settings.priors.method.models_constraints)
    for other in history.undecided(space):
        # Its worker is choosing at this moment: predict that it takes our choice.
        expected = policy.propose(history.before(task, other), generator).x
        task = replace(task, pending=torch.cat([task.pending, expected[None]]))
    proposal = policy.propose(task, generator)
    params = space.decode(proposal.x.numpy()[None])[0]
    if (knowledge := _prior_knowledge(state, study)) is not None:
        params = knowledge.as_recorded(params, space)
    if not settings.explain:
        return params, TrialRecord(proposal.phase.value)
    return params, record_of(proposal, task, signs_of(study))


def _history(
    state: StudyState,
    study: Study,
    trial: FrozenTrial | None,
    trials: Sequence[FrozenTrial],
    distributions: Mapping[str, BaseDistribution] | None = None,
) -> History:
    """The other trials of a study; without ``trial``, the finished ones only.

    Args:
        state: State of the study.
        study: The study.
        trial: The one that is asked for.
        trials: All of them.
        distributions: Of the parameters that other workers may have claimed values of.
    """
    method, directions = state.settings.priors.method, study.directions
    curve_correlation = None
    if any(t.state == TrialState.PRUNED for t in trials):
        knowledge = _prior_knowledge(state, study)
        curve_correlation = None if knowledge is None else knowledge.curve_correlation
    handed_out = {i: {**state.plans.get(i, {}), **given} for i, given in state.asked.items()}
    claims = {
        trial_id(t): claimed(t, distributions or {})
        for t in trials
        if t.state == TrialState.RUNNING
    }
    has_curves = method.learns_from_curves and len(directions) == 1
    return History(
        finished_trials(trials, directions, curve_correlation=curve_correlation),
        len(trials) if trial is None else trial.number,
        () if trial is None else PendingTrial.beside(trial, trials, handed_out, claims),
        observations(trials, directions[0]) if has_curves else None,
        # The bracket studies of Hyperband have no user attributes.
        meta_features(getattr(study, "user_attrs", {})) if method.learns_from_features else {},
    )


def _opening(
    state: StudyState,
    study: Study,
    fixed: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
) -> dict[str, Any]:
    """Values with which enqueued parameters, that only prior studies have had, are active."""
    unknown = fixed.keys() - distributions.keys()
    knowledge = _prior_knowledge(state, study) if unknown else None
    if knowledge is None or unknown.isdisjoint(knowledge.space.names):
        return {}
    opening = knowledge.space.pin(fixed).opening()
    found = {n: fit_value(d, opening[n]) for n, d in distributions.items() if n in opening}
    return {name: value for name, value in found.items() if value is not NO_VALUE}


def _shortlists(
    state: StudyState,
    study: Study,
    distributions: Mapping[str, BaseDistribution],
    history: History,
    fixed: Mapping[str, Any] | None = None,
) -> Shortlists:
    """Shortlists of the parameters with very many choices.

    Args:
        state: State of the study.
        study: The study.
        distributions: Name to distribution.
        history: Its trials.
        fixed: Values of the trial that is asked for; ``None`` if none is, in which case no random
            number is drawn.
    """
    if not many_choices(distributions):
        return {}
    if state.shortlist_seed is None and fixed is not None:
        state.shortlist_seed = draw_seed(state.settings.rng)
    knowledge = _prior_knowledge(state, study)
    theirs = () if knowledge is None else knowledge.space.parameters
    finished = history.finished
    trials = Trials(
        ranked=[finished.configurations[i] for i in best_first(finished.outcomes)],
        others=[*finished.failed, *(r.params for r in history.running)],
        fixed=fixed,
        known={p.name: p.choices for p in theirs},
    )
    return shortlists(distributions, trials, state.shortlist_seed or 0, state.shortlists)


def _policy(
    state: StudyState,
    study: Study,
    weights: ScalarisationWeights,
    space: SearchSpace,
    history: History,
) -> Policy:
    """The policy for the study's own space; cached until the space changes."""
    layout = space.layout
    observed = frozenset(n for c in history.finished.configurations for n in c)
    last = state.policies.get(weights)
    if last is not None and (last.layout, last.observed) == (layout, observed):
        return last.policy
    knowledge = _prior_knowledge(state, study)
    # Before a first trial has ended, all parameters of the prior studies may still come.
    begins = knowledge is not None and not observed and not history.finished.failed
    names = knowledge.space.names if knowledge is not None and begins else observed
    without = None if knowledge is None else knowledge.missing(space, names)
    if last is not None and (last.layout, last.without) == (layout, without):
        policy = last.policy
    else:
        priors: list[AlignedPrior | None] = [None] * len(weights)
        if knowledge is not None and without is not None:
            priors = [knowledge.aligned(space, w, without) for w in weights]
        policy = _new_policy(state, space, priors)
    state.policies[weights] = PolicyOfSpace(policy, layout, observed, without)
    return policy


def _new_policy(
    state: StudyState, space: SearchSpace, priors: Sequence[AlignedPrior | None]
) -> Policy:
    """A policy for a space, with the aligned prior of each outcome that it models."""
    method, n_startup_trials = state.settings.priors.method, state.settings.n_startup_trials
    first = priors[0]
    if first is not None and not first.ranked:
        return cold_policy(space, n_startup_trials, len(priors), first.feasibility)
    if None in priors and method.min_studies:
        # The method cannot work without prior studies: use the target-only model instead.
        method = method_of("gp")
    return method.policy(space, priors, n_startup_trials)


def _see(state: StudyState, study: Study, distributions: Mapping[str, BaseDistribution]) -> None:
    """Note parameters of a study, and translate what is shipped about its learner into them."""
    config = state.settings.priors
    if config.learner is None or len(study.directions) > 1:
        return
    seen = {**state.seen, **distributions}
    if seen == state.seen:
        return
    state.seen = seen
    knowledge = PriorKnowledge.of_learner(config, study.study_name, seen, state.knowledge)
    if knowledge is None or knowledge is state.knowledge:
        return
    if state.knowledge is not None:
        # What is planned for running trials has the names that were known before.
        names = dict(zip(state.knowledge.space.names, knowledge.space.names, strict=True))
        for key, plan in state.plans.items():
            state.plans[key] = {names.get(name, name): value for name, value in plan.items()}
    state.knowledge = knowledge
    state.policies.clear()
    state.plan_policies.clear()


def _prior_knowledge(state: StudyState, study: Study) -> PriorKnowledge | None:
    """Prior knowledge for the study; prior studies are read on first use."""
    settings = state.settings
    if state.knowledge is None and settings.priors.learner is None:
        state.knowledge = PriorKnowledge.of(
            settings.priors, study, lambda: draw_seed(settings.rng)
        )
    return state.knowledge


def _weights(state: StudyState, study: Study, trial: FrozenTrial) -> ScalarisationWeights:
    m = len(study.directions)
    if state.settings.priors.method.models_objectives and m <= MAX_MODELLED_OBJECTIVES:
        return unit_weights(m)
    return (lattice_weights(m, trial.number),)


def _contradicts(plan: Mapping[str, Any], params: Mapping[str, Any], space: SearchSpace) -> bool:
    """Whether a trial deviates from its plan, in parameters of ``space``."""
    return any(
        name not in plan or equal_key(plan[name]) != equal_key(value)
        for name, value in params.items()
        if name in space.distributions
    )
