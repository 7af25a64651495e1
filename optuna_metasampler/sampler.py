"""``MetaSampler``: Optuna's hooks, nothing else.

Light: PyTorch and everything numeric are imported with :mod:`optuna_metasampler._ask`, on first
use of a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
import inspect
from pathlib import Path
import reprlib
import threading
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from optuna_metasampler._arguments import check_integer, check_kind
from optuna_metasampler._optuna import (
    LazyRandomState,
    draw_seed,
    is_watchable,
    store_constraints,
    study_id,
    trial_id,
    trials_of_all_brackets,
)
from optuna_metasampler._runtime import isolated
from optuna_metasampler._study_state import (
    MAX_STUDIES,
    Settings,
    StudyState,
    UnionSearchSpace,
    keep,
)
from optuna_metasampler.explain.trial_record import INDEPENDENT, TrialRecord
from optuna_metasampler.prior_config import LearnerLike, PriorConfig
from optuna_metasampler.priors.constants import Constants
from optuna_metasampler.priors.sources import PriorLike
from optuna_metasampler.priors.storages import redacted
from optuna_metasampler.priors.study import PriorFilter, PriorFilterOptions
from optuna_metasampler.space import centre, is_value_of


if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from optuna_metasampler.explain.prior_studies import PriorWeight
    from optuna_metasampler.explain.report import Report
    from optuna_metasampler.explain.snapshot import Snapshot
    from optuna_metasampler.methods import MethodName, MethodOptions
    from optuna_metasampler.methods.base import Method
    from optuna_metasampler.priors.overlap import Overlaps
    from optuna_metasampler.priors.study import PriorStudy


# Of NumPy's generator.
_MAX_SEED = 2**32 - 1


class MetaSampler(BaseSampler):
    """Sampler that starts where earlier studies ended.

    It learns from the trials of prior studies, conditions a surrogate on the running study at
    every suggestion, and maximises the expected improvement under it. The first trial already
    uses the prior studies; useless ones lose their weight. Without prior studies it is a
    Gaussian-process sampler.

    Parameters are matched by name; ranges, scales and choices may differ from study to study.
    Up to 4 objectives have a model each, and the acquisition function is the expected hypervolume
    improvement. With 5 or more objectives, and with methods other than ``"auto"``, ``"gp"`` and
    ``"hyperband"``, one scalarisation after the other is optimised (ParEGO). Seeded results are
    reproducible with one worker; with several, the operating system decides their order.

    Args:
        prior: Prior studies: a storage URL, the path of an SQLite file, of a journal log, of a CSV
            file or of an archive, a storage object of Optuna or with its interface, a
            :class:`~optuna.study.Study`, the list of :class:`~optuna.trial.FrozenTrial` of a
            study, a DataFrame, a :class:`~optuna_metasampler.Table` or a mapping of its arguments,
            an :class:`~optuna_metasampler.Archive`, or a list of any of these. Storages are only
            read; large ones that are given by URL or path are cached. Damaged trials and studies
            are left out with a warning. The running study and copies of it are recognised and left
            out.
        prior_studies: Names or globs of the studies to use inside the storages and tables of
            ``prior``; all by default.
        prior_filter: Further conditions that prior studies must meet: a
            :class:`~optuna_metasampler.PriorFilter`, or a mapping of its arguments such as
            ``{"user_attrs": {"model": "resnet"}, "min_trials": 20, "newer_than": "90 days"}``.
        rename: Parameter names in the prior studies to names here:
            ``{"name there": "name here"}``.
        fixed: What the objective of this study holds constant, by name: ``{"dropout": 0.0}``. The
            model of the prior studies that tuned such a parameter is used at this value. The
            values of a parameter that the study tunes after all are those of its trials.
        prior_fixed: What the objectives of the prior studies held constant, by their own names:
            one mapping ``{"dropout": 0.0}`` for all of them, or a mapping of names or globs of
            prior studies to such mappings. A study may also say it itself, with
            ``study.set_user_attr("fixed_params", {"dropout": 0.0})``. First comes what a trial
            recorded, then ``prior_fixed`` under the study's very name, then the study's attribute,
            then ``prior_fixed`` under a glob (the last one that matches) or for all studies.
        learner: The learner that the study tunes, such as ``"lightgbm"``: without prior studies,
            the study starts from what is shipped about it. Its parameters are recognised by names
            and ranges; the others are taken to stand at the library's defaults unless ``fixed``
            says more. ``"auto"``, the default, recognises the learner once the first trial has
            shown the parameters, by them and the study's name, and stays out where it is in doubt;
            ``None`` does without.
        method: How to learn and to choose: a name from the table in the documentation, or a
            :class:`~optuna_metasampler.extension.Method`. ``"auto"`` is recommended; ``"gp"`` is
            its target-only Gaussian process, which ignores the priors.
        method_options: Options of the method by name, such as ``{"exploration": 0.0}``.
        checkpoint: A file written by ``optuna-metasampler fit``, in place of ``prior``. It
            determines the method.
        n_startup_trials: Number of space-filling trials before the model. By default 0 with prior
            studies, and 4 to 6 without, by the number of parameters.
        independent_sampler: Draws parameters that no prior study has;
            :class:`~optuna.samplers.RandomSampler` by default.
        seed: Seed of all randomness.
        constraints_func: Constraints of a finished trial, as for Optuna's own samplers: values
            above 0 are violated. The only form before Optuna 5; constraints set by
            ``trial.set_constraint`` need no argument.
        explain: Whether each trial stores, in user attributes with the prefix ``meta:``, how it
            was chosen and what was predicted for it; and one trial, where the prior studies are.

    Raises:
        TypeError: If ``prior`` or another argument has an unsupported type.
        ValueError: If ``method``, ``method_options``, ``n_startup_trials``, ``rename``, ``seed``,
            ``prior_fixed`` or ``prior_filter`` is invalid, or ``prior`` is an empty string; also
            at the first suggestion, if ``fixed`` or ``prior_fixed`` gives a parameter that prior
            studies tuned as a number something else.
        MethodError: If the method needs prior studies and there are none; also at a suggestion, if
            the given ones do not meet its requirements.
        CheckpointError: If ``checkpoint`` cannot be read, or comes with ``prior``,
            ``prior_filter``, ``prior_fixed``, ``rename`` or ``method``.
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
        prior_filter: PriorFilter | PriorFilterOptions | None = None,
        rename: Mapping[str, str] | None = None,
        fixed: Mapping[str, Any] | None = None,
        prior_fixed: Mapping[str, Any] | None = None,
        learner: LearnerLike = "auto",
        method: MethodName | str | Method = "auto",
        method_options: MethodOptions | Mapping[str, Any] | None = None,
        checkpoint: str | Path | None = None,
        n_startup_trials: int | None = None,
        independent_sampler: BaseSampler | None = None,
        seed: int | None = None,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
        explain: bool = True,
    ) -> None:
        self._arguments = _representation(locals())
        if n_startup_trials is not None:
            hint = "Omit it for the method's default."
            check_integer("n_startup_trials", n_startup_trials, 0, hint=hint)
        if seed is not None:
            check_integer("seed", seed, 0, _MAX_SEED)
        if independent_sampler is not None:
            check_kind(
                "independent_sampler", independent_sampler, BaseSampler, "a sampler of Optuna"
            )
        if constraints_func is not None and not callable(constraints_func):
            raise TypeError(
                "`constraints_func` must be a function from a trial to its constraints, but got "
                f"{constraints_func!r}."
            )
        check_kind("explain", explain, bool, "True or False")
        self._priors = PriorConfig(
            prior,
            prior_studies,
            prior_filter,
            rename,
            method,
            method_options,
            checkpoint,
            Constants.of(fixed, prior_fixed),
            learner,
        )
        self._constraints_func = constraints_func
        self._explain = explain
        self._rng = LazyRandomState(seed)
        self._settings = Settings(self._priors, n_startup_trials, explain, self._rng)
        # Another worker may have the same seed, and so may a copy of this sampler.
        self._may_share_seed = seed is not None
        self._centre_first = independent_sampler is None
        self._independent_sampler = independent_sampler or RandomSampler(seed=seed)
        self._states: dict[tuple[str, int], StudyState] = {}
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"MetaSampler({self._arguments})"

    def __getstate__(self) -> dict[str, Any]:
        """The attributes without the lock, which cannot be pickled."""
        with self._lock:
            state = self.__dict__.copy()
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled or copied sampler."""
        self.__dict__.update(state)
        self._lock = threading.RLock()
        self._may_share_seed = True

    def reseed_rng(self) -> None:
        """Draw a new seed; Optuna calls this before each trial of a multi-threaded study."""
        with self._lock:
            self._rng.rng.seed()
            self._independent_sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Register the trial, and notify the independent sampler."""
        with self._lock:
            state = self._state(study)
            state.begin(trial)
            if self._may_share_seed and state.is_shared(study):
                self._reseed_for(trial)
        self._independent_sampler.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Drop the state of the trial, store its constraints, and update the live graphs."""
        with self._lock:
            self._state(study).end(trial)
        if self._constraints_func is not None:
            store_constraints(self._constraints_func, study, trial, state)
        self._independent_sampler.after_trial(study, trial, state, values)
        if self._explain:
            self._draw(study, trial, state, values)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The union of the distributions of this study's trials, each in its latest form.

        Those of running trials are included where no other trial has the parameter.
        Never the distributions of prior studies: Optuna rejects a value from another kind of
        distribution than the objective then requests.
        """
        with self._lock:
            return self._state(study).space_of(trial, trials_of_all_brackets(study))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Propose a configuration of the parameters that this study has had.

        Conditional parameters are modelled jointly with the choices that they depend on; inactive
        ones are left out. Enqueued values are fixed, and the other values are chosen to fit them.
        """
        varying = {name: d for name, d in search_space.items() if not d.single()}
        if not varying:
            return {}
        from optuna_metasampler._ask import suggest

        with self._lock, isolated():
            return suggest(self._state(study), study, trial, varying)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A value of one parameter that is new to this study.

        One joint configuration a trial is proposed in the common space of the prior studies, given
        the trial's parameters so far, and handed out parameter by parameter, each fitted to its
        distribution. Parameters that no prior study has are drawn independently.
        """
        with self._lock:
            state = self._state(study)
            proposed = state.asked.get(trial_id(trial), {}).get(param_name)
            if isinstance(param_distribution, IntDistribution) and is_value_of(
                param_distribution, proposed
            ):
                # Optuna took it for a value out of range, because of how it rounds.
                return proposed
            found = {}
            if self._priors.informs:
                from optuna_metasampler._ask import suggest_new

                with isolated():
                    found = suggest_new(state, study, trial, param_name, param_distribution)
            if not found:
                value = self._uninformed(study, trial, param_name, param_distribution)
                found = {param_name: value}
                state.record(study, trial, TrialRecord(INDEPENDENT))
            state.hand_out(study, trial, found)
        return found[param_name]

    def recommend(self, study: Study) -> FrozenTrial:
        """The finished trial with the highest posterior mean, which may not have the best value.

        With a noisy objective the best of many values is partly luck. The posterior mean also uses
        the outcomes of similar configurations, and repeated evaluations of the same one. Only
        configurations that were evaluated and violate no constraint are compared (Picheny, Wagner
        & Ginsbourger 2013, "A benchmark of kriging-based infill criteria for noisy optimization").
        Methods without a model of the outcome use the target-only Gaussian process. Later
        suggestions are not affected.

        Args:
            study: A study of one objective.

        Returns:
            A copy of the trial; ``study.best_trial`` if fewer than 5 can be compared.

        Raises:
            RuntimeError: If the study has several objectives.
            ValueError: If no trial is complete and feasible.
        """
        from optuna_metasampler._ask import recommend

        best = study.best_trial
        with self._lock, isolated():
            distributions = self._state(study).search_space.of(trials_of_all_brackets(study))
            return recommend(self._state(study), study, best, distributions)

    def snapshot(self, study: Study) -> Snapshot:
        """The model of ``study``, conditioned on all of its finished trials.

        Later suggestions are not affected.

        Raises:
            ValueError: If no trial of the study has a parameter yet.
            MethodError: If the prior studies do not meet the requirements of the method.
        """
        return self._snapshot(study, trials_of_all_brackets(study))

    def _snapshot(self, study: Study, trials: Sequence[FrozenTrial]) -> Snapshot:
        from optuna_metasampler._ask import snapshot

        with self._lock, isolated():
            return snapshot(self._state(study), study, trials)

    def report(self, study: Study) -> Report:
        """The report of ``study``: what the sampler did, and why. ``print`` uses 80 columns.

        The study is only read, and later suggestions are not affected. It may be any study of
        Optuna, also of another process or another sampler.

        Args:
            study: The study, with any number of trials.

        Raises:
            TypeError: If ``study`` is not a study.
        """
        # Heavy, and rarely needed.
        from optuna_metasampler.explain.report import Report
        from optuna_metasampler.prior_knowledge import as_prior

        if not isinstance(study, optuna.Study):
            raise TypeError(
                f"`study` must be a Study of Optuna, but got {type(study).__name__}. Load one "
                "with optuna.load_study(study_name=..., storage=...)."
            )
        snapshot, problem, overlaps = None, None, None
        try:
            snapshot = self.snapshot(study)
        except ValueError as error:
            # There may be no trial yet, or too few prior studies for the method.
            problem = str(error)
            overlaps = self._priors.overlaps(as_prior(study), self._priors.studies())
        return Report.of(
            study,
            snapshot,
            method=self._priors.method_name,
            overlaps=overlaps,
            problem=problem,
        )

    def prior_weights(self, study: Study) -> list[PriorWeight]:
        """The weight of each prior study in the next suggestion to ``study``, the highest first.

        It is that of the report, whatever the seed, and also of a study of another process.

        Returns:
            One row a prior study that is used; empty without prior studies or before the first
            trial has a parameter.

        Raises:
            MethodError: If the prior studies do not meet the requirements of the method.
        """
        from optuna_metasampler.explain.prior_studies import prior_weights

        if not UnionSearchSpace().of(trials_of_all_brackets(study)):
            return []
        with isolated():
            return prior_weights(self.snapshot(study).transfer)

    def inspect_priors(
        self, target: Mapping[str, BaseDistribution] | Study | PriorStudy
    ) -> Overlaps:
        """Which prior studies are used, how much they share, and why the others are not used.

        Args:
            target: A search space (name to distribution), or the running study with at least one
                finished trial.

        Returns:
            One entry a prior study; ``print`` shows a table.
        """
        return self._priors.overlaps(target, self._priors.read())

    def _reseed_for(self, trial: FrozenTrial) -> None:
        """Separate the random numbers from those of workers with the same seed, and of copies."""
        self._rng.rng.seed([draw_seed(self._rng), trial.number])
        if self._centre_first:
            self._independent_sampler = RandomSampler(seed=draw_seed(self._rng))
        else:
            self._independent_sampler.reseed_rng()

    def _uninformed(
        self, study: Study, trial: FrozenTrial, name: str, distribution: BaseDistribution
    ) -> Any:
        """A value of a parameter that no prior study has."""
        categorical = isinstance(distribution, CategoricalDistribution)
        if self._centre_first and trial.number == 0 and not categorical:
            # Ranges are usually centred on a guess; choices have no such order.
            return centre(distribution)
        return self._independent_sampler.sample_independent(study, trial, name, distribution)

    def _draw(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Update the live graphs for optuna-dashboard, if the time budget allows it."""
        if not is_watchable(study):
            return
        from optuna_metasampler.explain.dashboard import LiveGraphs, trials_with

        with self._lock:
            cache = self._state(study)
            if cache.graphs is None:
                cache.graphs = LiveGraphs()

        def snapshot(trials: Sequence[FrozenTrial]) -> Snapshot | None:
            # Not if prior studies must be learned from first: slow, and it uses random numbers.
            return self._snapshot(study, trials) if cache.has_learned else None

        cache.graphs.refresh(
            study, lambda: trials_with(study, trial.number, state, values), snapshot
        )

    def _state(self, study: Study) -> StudyState:
        # Ids are unique only within a storage; names distinguish studies of two storages.
        key = (study.study_name, study_id(study))
        state = self._states.get(key)
        if state is None:
            state = StudyState(self._settings)
        return keep(self._states, key, state, MAX_STUDIES)


class _Repr(reprlib.Repr):
    """Short representations without memory addresses and passwords."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 60

    def repr_str(self, text: str, level: int) -> str:
        return super().repr_str(redacted(text) if "://" in text else text, level)

    def repr_Study(self, study: Study, level: int) -> str:
        return f"<study {study.study_name!r}>"

    def repr_instance(self, value: object, level: int) -> str:
        text = super().repr_instance(value, level)
        return f"<{type(value).__name__}>" if " at 0x" in text or "\n" in text else text


def _representation(arguments: Mapping[str, Any]) -> str:
    """Arguments that differ from their defaults, in the manner of scikit-learn."""
    short = _Repr()
    return ", ".join(
        f"{name}={short.repr(arguments[name])}"
        for name, parameter in inspect.signature(MetaSampler).parameters.items()
        if arguments[name] is not parameter.default
    )
