"""Constraint models: the probability that a trial violates no constraint and does not fail.

Every constraint that was ever violated has a Gaussian process on its values, which gives the
probability that it is satisfied (Schonlau, Welch & Jones 1998, "Global versus local search in
constrained optimization of computer models"; Gardner et al. 2014, "Bayesian optimization with
inequality constraints", ICML). Failures are a hidden constraint: a Gaussian process on labels, 1
and -1, through a normal distribution function (least-squares classification, Rasmussen & Williams
2006, section 6.5). Several slopes of that function, and a constant failure rate, are averaged with
weights from leave-one-out predictions.

As with outcomes (:mod:`optuna_metasampler.surrogates.transfer`), every prior study has a Gaussian
process of its own, fitted once in the common space of the prior studies. Their average is the mean
of a transfer hypothesis, beside a target-only one. There are such processes for each constraint
that any study violated, for running studies with a constraint of the same name; for whether a
trial violates anything, for running studies whose constraints have other names; and for whether it
fails.

Axis letters: ``n`` trials, ``q`` query points, ``d`` encoded columns, ``g`` Gaussian processes of
one constraint, ``h`` hypotheses, ``k`` prior studies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
import math

import torch
from torch import Tensor

from optuna_metasampler.surrogates.gaussian_process import (
    BasisPrior,
    GaussianProcessConfig,
    GaussianProcessPredictor,
    condition_hypotheses,
    constant_feature,
    modelled_rows,
)
from optuna_metasampler.surrogates.source_processes import SourceProcesses, most_informative
from optuna_metasampler.task import Task


# Standard deviations of the normal distribution function on labels: a gentle and a steep slope.
_SLOPES = (1.0, 0.3)
# Bonus of the transfer hypothesis before the first trial, in nats, and trials until it has faded.
_BONUS, _FADES_AFTER = 1.0, 40
# Fitting takes time; the most informative studies of every constraint come first.
_MAX_PROCESSES = 60
# Larger slacks, in medians from zero, are clipped.
_FAR = 1e3

Features = Callable[[Tensor], Tensor]
"""From points ``(q, d)`` of the running study to basis functions ``(q, j)``, differentiable."""


def slack_warp(slack: Tensor) -> Tensor:
    """The scale on which slacks are modelled: about unit spread, with a fixed zero.

    The bilog transform of SCBO (Eriksson & Poloczek 2021, arXiv:2002.08526), which compresses
    large values, in units of the median distance from zero; then divided by the spread, with one
    pseudo-trial at zero. Independent of the constraint's unit.

    Args:
        slack: Slack of each trial, shape ``(n,)``; negative where the constraint is violated; may
            be infinite.

    Returns:
        Warped slacks, finite, shape ``(n,)``; zero stays zero.
    """
    size = slack.abs()
    known = size[torch.isfinite(size) & (size > 0)]
    if len(known):
        size = torch.log1p((size / known.median()).clamp(max=_FAR))
    else:
        size = torch.ones_like(size)
    bilog = torch.sign(slack) * size
    spread = torch.cat([bilog, bilog.new_zeros(1)]).std(correction=0)
    return bilog / torch.where(spread > 0, spread, 1.0)


def label_warp(label: Tensor) -> Tensor:
    """The scale on which labels are modelled: unchanged, 1 or -1."""
    return label


def slack_task(task: Task, name: str) -> Task:
    """The slack of one constraint as the outcome of a task, for the trials where it is known.

    The slack is the negative constraint value: larger is better.
    """
    assert task.constraints is not None
    value = task.constraints[:, task.constraint_names.index(name)]
    rows = torch.nonzero(~torch.isnan(value)).squeeze(1)
    return _view(task, task.x[rows], -value[rows], task.mask[rows])


def violation_task(task: Task) -> Task:
    """Feasibility as the outcome of a task: 1 if feasible, -1 if any constraint is violated."""
    label = torch.where(task.feasible, 1.0, -1.0).to(torch.float64)
    return _view(task, task.x, label, task.mask)


def crash_task(task: Task) -> Task:
    """Failure as the outcome of a task: 1 if a trial has an outcome, -1 if it failed."""
    crashed = task.x[:0] if task.crashed is None else task.crashed
    # Tasks do not store which parameters failed trials had: assume those of the other trials.
    mask = task.mask.any(dim=0).expand(len(crashed), -1)
    label = torch.ones(len(task) + len(crashed), dtype=torch.float64)
    label[len(task) :] = -1.0
    return _view(task, torch.cat([task.x, crashed]), label, torch.cat([task.mask, mask]))


def _view(task: Task, x: Tensor, y: Tensor, mask: Tensor) -> Task:
    nothing = x[:0]
    return Task(task.space, x, y, mask, pending=nothing, tried=nothing, name=task.name)


@dataclass(frozen=True)
class PriorFeasibility:
    """Gaussian processes of the prior studies' constraints and failures.

    Attributes:
        slacks: Processes of each constraint's warped slack, by name.
        violations: Processes of feasibility labels; ``None`` if no prior trial was infeasible.
        crashes: Processes of failure labels; ``None`` if no prior trial failed.
    """

    slacks: Mapping[str, SourceProcesses]
    violations: SourceProcesses | None
    crashes: SourceProcesses | None

    @classmethod
    def fit(cls, tasks: Sequence[Task], failures: Sequence[Task] = ()) -> PriorFeasibility | None:
        """Learn from prior studies in one common space.

        Args:
            tasks: The studies.
            failures: Labels, see :func:`crash_task`, of further studies whose trials have failed.

        Returns:
            ``None`` if no prior trial violated a constraint or failed.
        """
        crashed = bool(failures) or any(task.n_crashed for task in tasks)
        violated: dict[str, None] = {}
        for task in tasks:
            if task.constraints is not None:
                bad = (task.constraints > 0).any(dim=0).tolist()
                violated |= {n: None for n, b in zip(task.constraint_names, bad, strict=True) if b}
        if not crashed and not violated:
            return None
        chosen = most_informative(tasks)
        n_most = max(_MAX_PROCESSES // (len(violated) + 2), 1)
        slacks = {}
        for name in violated:
            views = [slack_task(task, name) for task in tasks if name in task.constraint_names]
            slacks[name] = SourceProcesses.fit(most_informative(views)[:n_most], slack_warp)
        return cls(
            slacks=slacks,
            violations=_labels([violation_task(task) for task in chosen if task.constraint_names])
            if violated
            else None,
            crashes=_labels([crash_task(task) for task in chosen], failures) if crashed else None,
        )


def _labels(tasks: list[Task], failures: Sequence[Task] = ()) -> SourceProcesses:
    if failures:
        tasks = most_informative([*tasks, *failures])
    tasks = tasks[: _MAX_PROCESSES // 2]
    # Where all trials failed, nothing says how far that reaches.
    hopeless = [i for i, task in enumerate(tasks) if len(task) and bool((task.y < 0).all())]
    return SourceProcesses.fit(tasks, label_warp, local=hopeless)


@dataclass(frozen=True)
class ConstraintModel:
    """The model of one constraint, or of failures.

    The probability at a point is a weighted mean over ``h`` hypotheses, which are normal
    distribution functions of a process's standardised mean, and a constant.

    Attributes:
        process: The process, conditioned on the slacks or labels.
        features: Basis functions of the process.
        row: The process of each hypothesis, shape ``(h,)``, int64.
        variance: Variance added to that of each process, shape ``(h,)``.
        log_weights: Log weights of the hypotheses and, last, of the constant, shape ``(h + 1,)``;
            the weights sum to 1.
        log_rate: Logarithm of the constant.
    """

    process: GaussianProcessPredictor
    features: Features
    row: Tensor
    variance: Tensor
    log_weights: Tensor
    log_rate: float

    def __call__(self, x: Tensor) -> Tensor:
        """Log probability of satisfying the constraint at points ``(q, d)``: shape ``(q,)``."""
        latent = self.process.posterior.predict(x, self.features(x))
        deviation = (latent.variance[self.row] + self.variance[:, None]).sqrt()
        each = torch.special.log_ndtr(latent.mean[self.row] / deviation)
        constant = torch.full((1, len(x)), self.log_rate, dtype=torch.float64)
        total = torch.logsumexp(torch.cat([each, constant]) + self.log_weights[:, None], dim=0)
        # Rounding may exceed a probability of 1.
        return total.clamp(max=0.0)


@dataclass(frozen=True)
class FeasibilityPredictor:
    """The probability that a point is feasible: that all constraints are satisfied.

    Attributes:
        models: Constraint models, by the name of the constraint.
    """

    models: Mapping[str, ConstraintModel]

    def __call__(self, x: Tensor) -> Tensor:
        """Log probability at points ``(q, d)``: shape ``(q,)``, at most 0, differentiable.

        Constraints are treated as independent.
        """
        return torch.stack([model(x) for model in self.models.values()]).sum(0)


def _no_map(x: Tensor) -> Tensor:
    return x


@dataclass(frozen=True)
class Feasibility:
    """Learns where trials are feasible; the counterpart of a surrogate.

    Attributes:
        prior: Constraint models of prior studies; ``None`` without.
        to_prior: Maps points ``(q, d)`` of the running study's space to the common space of the
            prior studies, differentiably.
    """

    prior: PriorFeasibility | None = None
    to_prior: Callable[[Tensor], Tensor] = _no_map

    def condition(
        self, history: Task, previous: FeasibilityPredictor | None = None
    ) -> FeasibilityPredictor | None:
        """Condition on a running study. Pure.

        Constraints that no trial violated, here or in a prior study, are ignored.

        Args:
            history: The trials so far; there may be none.
            previous: The result for an earlier state of the same study. It only saves time.

        Returns:
            ``None`` if no trial was ever infeasible.
        """
        before = {} if previous is None else previous.models
        models = {}
        with torch.no_grad():
            for key, sources, task, warp in self._views(history):
                models[key] = self._model(task, sources, warp, before.get(key))
        return FeasibilityPredictor(models) if models else None

    def _views(
        self, history: Task
    ) -> list[tuple[str, SourceProcesses | None, Task, Callable[[Tensor], Tensor]]]:
        """For each constraint: its name, prior processes, own trials, and warp."""
        views: list[tuple[str, SourceProcesses | None, Task, Callable[[Tensor], Tensor]]] = []
        slacks = {} if self.prior is None else self.prior.slacks
        for i, name in enumerate(history.constraint_names):
            assert history.constraints is not None
            if name in slacks or bool((history.constraints[:, i] > 0).any()):
                task = slack_task(history, name)
                views.append((f"constraint {name}", slacks.get(name), task, slack_warp))
        violations = None if self.prior is None else self.prior.violations
        # With constraints of the same names, their values are more informative.
        if violations is not None and slacks.keys().isdisjoint(history.constraint_names):
            views.append(("violations", violations, violation_task(history), label_warp))
        crashes = None if self.prior is None else self.prior.crashes
        if crashes is not None or history.n_crashed:
            views.append(("crashes", crashes, crash_task(history), label_warp))
        return views

    def _model(
        self,
        task: Task,
        sources: SourceProcesses | None,
        warp: Callable[[Tensor], Tensor],
        previous: ConstraintModel | None,
    ) -> ConstraintModel:
        features: Features = (
            constant_feature if sources is None else _SourceFeatures(sources, self.to_prior)
        )
        basis_priors = _basis_priors(sources is not None, warp(task.y))
        posterior, thetas, n_at_fit = condition_hypotheses(
            task,
            features(task.x[modelled_rows(task)]),
            basis_priors,
            None if previous is None else previous.process,
            # A few failures would be mistaken for a trend.
            GaussianProcessConfig(trend=False, warp=warp),
        )
        process = GaussianProcessPredictor(
            task.space, posterior, posterior, thetas, n_at_fit, None
        )
        g, n = len(basis_priors), len(task)
        bonus = torch.zeros(g, dtype=torch.float64)
        if sources is not None:
            bonus[0] = _BONUS * max(1.0 - n / _FADES_AFTER, 0.0)
        if warp is slack_warp:
            # Values: the evidence is their density, and the threshold is sharp.
            weights = posterior.leave_one_out().sum(1) + bonus
            log_weights = torch.cat([weights, torch.tensor([-math.inf], dtype=torch.float64)])
            return ConstraintModel(
                process,
                features,
                torch.arange(g),
                torch.zeros(g, dtype=torch.float64),
                torch.log_softmax(log_weights, 0),
                0.0,
            )
        row = torch.arange(g).repeat_interleave(len(_SLOPES))
        slope = torch.tensor(_SLOPES, dtype=torch.float64).repeat(g) ** 2
        label = posterior.outcomes
        others = posterior.left_out()
        deviation = (others.variance[row] + slope[:, None]).sqrt()
        fit = torch.special.log_ndtr(label * others.mean[row] / deviation).sum(1)
        n_good = float((label > 0).sum())
        m = len(label)
        # The rule of succession, leaving out one label at a time.
        alike = torch.where(label > 0, n_good, m - n_good)
        chance = (alike / (m + 1)).log().sum()
        log_weights = torch.cat([fit + bonus[row] - math.log(len(_SLOPES)), chance[None]])
        return ConstraintModel(
            process,
            features,
            row,
            slope + posterior.noise[row],
            torch.log_softmax(log_weights, 0),
            math.log((n_good + 1) / (m + 2)),
        )


@dataclass(frozen=True)
class _SourceFeatures:
    """A constant, and the mean prediction of the prior studies: ``(q, 2)``."""

    sources: SourceProcesses
    to_prior: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        mean = self.sources(self.to_prior(x)).mean(1, keepdim=True)
        return torch.cat([constant_feature(x), mean], dim=1)


def _basis_priors(with_prior: bool, z: Tensor) -> list[BasisPrior]:
    """Prior of the weights of the transfer hypothesis, if any, and of the target-only one.

    Args:
        with_prior: Whether there are prior studies.
        z: Warped slacks or labels, shape ``(n,)``. They are centred on the threshold, not on their
            mean: the constant of the target-only hypothesis needs a variance that covers it.
    """
    alone = BasisPrior.constant(1 + with_prior)
    if len(z):
        alone = replace(alone, variances=alone.variances * (1.0 + z.mean() ** 2))
    if not with_prior:
        return [alone]
    mean = torch.tensor([0.0, 1.0], dtype=torch.float64)
    variances = torch.tensor([0.25, 0.25], dtype=torch.float64)
    return [BasisPrior(mean, variances, torch.zeros(2, dtype=torch.bool)), alone]
