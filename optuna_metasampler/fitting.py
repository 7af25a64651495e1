"""Meta-training as a product: learn from prior studies once, and keep it in a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.study import StudyDirection

from optuna_metasampler.exceptions import (
    CheckpointError,
    MethodError,
    PriorError,
)
from optuna_metasampler.methods import method_of
from optuna_metasampler.priors.filter import PriorFilter
from optuna_metasampler.priors.selection import kept, select
from optuna_metasampler.priors.sources import PriorLike, resolve
from optuna_metasampler.priors.study import PriorStudy


if TYPE_CHECKING:
    from torch import Tensor

    from optuna_metasampler.checkpoint import Checkpoint
    from optuna_metasampler.meta_train.loop import Point
    from optuna_metasampler.methods import MethodName, MethodOptions
    from optuna_metasampler.methods.base import Method
    from optuna_metasampler.task import Task


def fit(
    prior: PriorLike | Sequence[PriorLike],
    out: str | Path,
    *,
    prior_studies: str | Sequence[str] | None = None,
    prior_filter: PriorFilter | Mapping[str, Any] | None = None,
    rename: Mapping[str, str] | None = None,
    direction: str | None = None,
    method: MethodName | Method = "auto",
    method_options: MethodOptions | Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    watch: Callable[[int, int, Point | None], None] | None = None,
) -> Checkpoint:
    """Learn from prior studies and write what was learned into a file.

    The file is given to ``MetaSampler(checkpoint=...)``. While a method that trains a network is
    at it, the file holds the state of the training, which a later call with ``resume`` goes on
    from; it takes the very steps that the first call would have taken.

    Args:
        prior: Prior studies, as ``MetaSampler`` takes them.
        out: The file to write, such as ``model.safetensors``; what is there is replaced.
        prior_studies: As in ``MetaSampler``.
        prior_filter: As in ``MetaSampler``.
        rename: As in ``MetaSampler``.
        direction: ``"minimize"`` or ``"maximize"``, where the studies do not say it themselves.
        method: As in ``MetaSampler``.
        method_options: As in ``MetaSampler``.
        seed: Seed of everything that is random.
        device: Where networks are trained, such as ``"cuda"``.
        resume: Whether to go on with the training that ``out`` holds.
        watch: Told about every step of a training: steps made, steps to be made at most, and the
            newest point of the curve, ``None`` before the first.

    Returns:
        What was written.

    Raises:
        PriorError: If a source cannot be read, or no study can be learned from.
        MethodError: If the method needs more prior studies.
        CheckpointError: If ``resume`` finds no training, or one of something else; or if what was
            learned cannot be written to a file.
        TypeError, ValueError: If an argument is of a kind or a value that cannot be used.
    """
    import torch

    from optuna_metasampler.checkpoint import Checkpoint, Header, digest_of, versions
    from optuna_metasampler.isolation import isolated
    from optuna_metasampler.meta_train.loop import Trainer
    from optuna_metasampler.surrogates.prior_model import best_configurations

    chosen = method_of(method, method_options)
    with isolated():
        tasks = _tasks(prior, prior_studies, PriorFilter.of(prior_filter), rename, direction)
        if len(tasks) < chosen.min_studies:
            raise MethodError(
                f"The method {chosen.name!r} learns from {chosen.min_studies} or more prior "
                f"studies, but {len(tasks)} can be used."
            )
        header = Header(
            seed=seed,
            data=digest_of(tasks),
            n_studies=len(tasks),
            n_trials=sum(map(len, tasks)),
            versions=versions(),
            curve=(),
            finished=False,
        )
        space, best = tasks[0].space, best_configurations(tasks)
        unfinished = Checkpoint(chosen, space, best, None, header, {})
        before = _unfinished(Path(out), unfinished) if resume else None
        if before is not None and before.header.finished:
            return before

        def save(state: dict[str, Tensor]) -> None:
            now = replace(header, curve=tuple(trainer.curve))
            Checkpoint(chosen, space, best, None, now, state).write(out)

        # Before anything is learned: what cannot be written is better known at once.
        (before or unfinished).write(out)
        trainer = Trainer(watch, save, before.training or None if before else None, device)
        generator = torch.Generator(device="cpu").manual_seed(seed)
        learned = chosen.learn(tasks, generator, trainer)
        header = replace(header, curve=tuple(trainer.curve), finished=True)
        checkpoint = Checkpoint(chosen, space, best, learned, header, {})
        checkpoint.write(out)
    return checkpoint


def _tasks(
    prior: PriorLike | Sequence[PriorLike],
    prior_studies: str | Sequence[str] | None,
    prior_filter: PriorFilter,
    rename: Mapping[str, str] | None,
    direction: str | None,
) -> list[Task]:
    """The prior studies in one common space; a warning for each that cannot be used."""
    from optuna_metasampler.priors.align import pool

    studies = [study for source in resolve(prior, prior_studies) for study in source.read()]
    used = kept(select(studies, None, prior_filter, rename))
    pooled = pool(used, _directions(used, direction), rename)
    pooled.warn_of_skipped(stacklevel=4)
    if not pooled.studies:
        raise PriorError(
            f"None of {len(studies)} prior studies can be learned from. "
            "`optuna-metasampler inspect` shows what they hold."
        )
    return pooled.tasks((1.0,))


def _directions(studies: Sequence[PriorStudy], direction: str | None) -> list[StudyDirection]:
    """The direction of bare trials, or that of the first study that says its own."""
    if direction is not None:
        if direction not in ("minimize", "maximize"):
            raise ValueError(
                f"`direction` must be 'minimize' or 'maximize', but got {direction!r}."
            )
        return [StudyDirection[direction.upper()]]
    for study in studies:
        if study.directions is not None:
            # The others are skipped where they have another number of objectives.
            return [study.directions[0]]
    if studies:
        raise ValueError(
            "`direction` must be given, for the prior studies do not say whether less or more is "
            "better."
        )
    return [StudyDirection.MINIMIZE]


def _unfinished(path: Path, wanted: Checkpoint) -> Checkpoint:
    """The training to go on with, if it is one of the same thing."""
    found = type(wanted).read_unfinished(path)
    there, here = found.header, wanted.header
    for what, a, b in (
        ("another method or other options", found.method, wanted.method),
        ("another seed", there.seed, here.seed),
        ("other prior studies", there.data, here.data),
    ):
        if a != b:
            raise CheckpointError(
                f"{path} holds a training with {what} ({a!r}, not {b!r}). Give the same again, or "
                "another file without resuming."
            )
    return found
