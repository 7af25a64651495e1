"""Checkpoints: files of what a method learned from prior studies, and :func:`fit`, which learns.

A file in the format of :mod:`optuna_metasampler.packing`: named tensors, and a document with the
method and its options, search space, seed, digest of the data, versions and training curve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
import hashlib
from importlib.metadata import version
import math
from pathlib import Path
import platform
from typing import Any

import numpy as np
from optuna.study import StudyDirection
import torch
from torch import Tensor

from optuna_metasampler._arguments import checked_rename
from optuna_metasampler._file_format import packed, refusing, unpacked
from optuna_metasampler._runtime import isolated, replace_file
from optuna_metasampler.exceptions import CheckpointError, MethodError, PriorError
from optuna_metasampler.meta_train.loop import Point, Trainer, announced_learning
from optuna_metasampler.methods import METHODS, MethodName, MethodOptions, method_of
from optuna_metasampler.methods.base import Method
from optuna_metasampler.packing import below, checked
from optuna_metasampler.priors.align import Pool, pool, warn_of_renames
from optuna_metasampler.priors.constants import Constants
from optuna_metasampler.priors.sources import PriorLike, read_priors
from optuna_metasampler.priors.study import (
    PriorFilter,
    PriorFilterOptions,
    PriorStudy,
    select,
    used_studies,
)
from optuna_metasampler.space import SearchSpace, space_from_json, space_to_json
from optuna_metasampler.surrogates.prior_model import PriorModel, best_configurations
from optuna_metasampler.task import Task


KEY = "optuna-metasampler"


@dataclass(frozen=True)
class Header:
    """Origin of a checkpoint.

    Attributes:
        seed: Seed of the training.
        data: Digest of the prior studies: SHA-256 of their encoded trials.
        n_studies: Number of prior studies.
        n_trials: Total number of their trials.
        versions: Versions of this package, torch, NumPy and Python, by name.
        curve: Points of the training curve.
        finished: Whether the training has finished.
        studies: Name and number of trials of each prior study; empty in files of versions that
            did not keep them.
    """

    seed: int
    data: str
    n_studies: int
    n_trials: int
    versions: Mapping[str, str]
    curve: tuple[Point, ...]
    finished: bool
    studies: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """What a method learned from prior studies.

    Attributes:
        method: The method, with its options.
        space: The common space of the prior studies, with ``e`` columns.
        best: Their best configurations, shape ``(k, e)``.
        learned: The method's result; ``None`` before the training has finished.
        header: Origin of the checkpoint.
        training: State of an unfinished training, from which it resumes.
    """

    method: Method
    space: SearchSpace
    best: Tensor
    learned: Any
    header: Header
    training: Mapping[str, Tensor]

    def write(self, path: str | Path) -> None:
        """Write a file atomically, in place of an existing one.

        Raises:
            CheckpointError: If the space or the method cannot be stored in a file.
            OSError: If the file cannot be written.
        """
        if METHODS.get(self.method.name) is None:
            raise CheckpointError(
                f"The method {self.method.name!r} is not a method of this package, so that it "
                "could not be restored from a file."
            )
        tensors = {"best": self.best}
        if self.learned is not None:
            learned = self.method.pack(self.learned)
            tensors |= {f"learned.{name}": tensor for name, tensor in learned.items()}
        tensors |= {f"training.{name}": tensor for name, tensor in self.training.items()}
        try:
            document = {
                **asdict(self.header),
                "curve": [_without_nan(point) for point in self.header.curve],
                "method": self.method.name,
                "options": asdict(self.method),
                "space": space_to_json(self.space),
            }
            arrays = {n: t.detach().cpu().contiguous().numpy() for n, t in tensors.items()}
            content = packed(KEY, document, arrays)
        except ValueError as error:
            raise CheckpointError(str(error)) from error
        replace_file(Path(path), content)

    @classmethod
    def read(cls, path: str | Path) -> Checkpoint:
        """Read and verify a file.

        Raises:
            CheckpointError: If there is no such file, it is damaged, of another version or not a
                checkpoint, or its training has not finished.
        """
        checkpoint = cls.read_unfinished(path)
        if not checkpoint.header.finished:
            raise CheckpointError(
                f"The training of {path} is not finished. Resume it with "
                f"`optuna-metasampler fit --resume ... --out {path}`."
            )
        return checkpoint

    @classmethod
    def read_unfinished(cls, path: str | Path) -> Checkpoint:
        """Read and verify a file whose training may be unfinished; see :meth:`read`."""
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(
                f"There is no file {str(path.absolute())!r}. Check the path; a relative one "
                "starts at the current directory."
            )
        remedy = "Copy it again, or fit it again from the prior studies."
        with refusing(path, CheckpointError, "a checkpoint", remedy):
            document, arrays = unpacked(path, KEY)
            # Copies, for torch tensors must be writable.
            tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
            method = method_of(str(document["method"]), document["options"])
            space = space_from_json(document["space"])
            header = Header(
                seed=int(document["seed"]),
                data=str(document["data"]),
                n_studies=int(document["n_studies"]),
                n_trials=int(document["n_trials"]),
                versions={str(k): str(v) for k, v in document["versions"].items()},
                curve=tuple(_with_nan(point) for point in document["curve"]),
                finished=bool(document["finished"]),
                studies=tuple((str(s), int(n)) for s, n in document.get("studies", ())),
            )
            best = checked(tensors, "best", None, space.n_columns)
            learned = None
            if header.finished:
                learned = method.unpack(space, below("learned.", tensors))
            if isinstance(learned, PriorModel) and len(header.studies) == len(learned.names):
                learned = replace(learned, names=tuple(name for name, _ in header.studies))
            return cls(method, space, best, learned, header, below("training.", tensors))


# --------------------------------------------------------------------------------------------
# Learning


def fit(
    prior: PriorLike | Sequence[PriorLike],
    out: str | Path,
    *,
    prior_studies: str | Sequence[str] | None = None,
    prior_filter: PriorFilter | PriorFilterOptions | None = None,
    rename: Mapping[str, str] | None = None,
    prior_fixed: Mapping[str, Any] | None = None,
    direction: str | None = None,
    method: MethodName | str | Method = "auto",
    method_options: MethodOptions | Mapping[str, Any] | None = None,
    seed: int = 0,
    device: str = "cpu",
    resume: bool = False,
    watch: Callable[[int, int, Point | None], None] | None = None,
) -> Checkpoint:
    """Learn from prior studies, and write the result into a checkpoint.

    The checkpoint is for ``MetaSampler(checkpoint=...)``. While a method trains a network, the
    file holds the state of the training, from which a later call with ``resume`` continues with
    the same steps that the first call would have taken.

    Args:
        prior: Prior studies, as in ``MetaSampler``.
        out: The file to write, such as ``model.safetensors``; an existing one is replaced.
        prior_studies: As in ``MetaSampler``.
        prior_filter: As in ``MetaSampler``.
        rename: As in ``MetaSampler``.
        prior_fixed: As in ``MetaSampler``. Of parameters that no prior study tuned it is ignored.
        direction: ``"minimize"`` or ``"maximize"``; needed for prior studies without a direction.
        method: As in ``MetaSampler``.
        method_options: As in ``MetaSampler``.
        seed: Seed of all randomness.
        device: Device on which networks are trained, such as ``"cuda"``.
        resume: Whether to continue the training in ``out``.
        watch: Called after every step of a training with the number of steps done, the maximum
            number of steps, and the latest point of the training curve, ``None`` before the first.

    Returns:
        The checkpoint written.

    Raises:
        PriorError: If a source cannot be read, or no study can be learned from.
        MethodError: If the method needs more prior studies.
        CheckpointError: If ``resume`` finds no training, or one with other arguments; or if the
            result cannot be stored in a file.
        TypeError, ValueError: If an argument is of the wrong type or out of range.
    """
    chosen = method_of(method, method_options)
    with isolated():
        names = checked_rename(rename)
        constants = Constants.of(None, prior_fixed)
        studies = constants.completed(read_priors(prior, prior_studies))
        pooled = _pooled(studies, PriorFilter.of(prior_filter), names, direction)
        constants.check(pooled.tuned, names)
        # Their ranges are those of the running study, which is not known yet.
        tasks = pooled.tasks((1.0,), frozenset(pooled.constants))
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
            versions=_versions(),
            curve=(),
            finished=False,
            studies=tuple((task.name, len(task)) for task in tasks),
        )
        space, best = tasks[0].space, best_configurations(tasks)
        unfinished = Checkpoint(chosen, space, best, None, header, {})
        before = _unfinished(Path(out), unfinished) if resume else None
        if before is not None and before.header.finished:
            return before

        def save(state: dict[str, Tensor]) -> None:
            now = replace(header, curve=tuple(trainer.curve))
            Checkpoint(chosen, space, best, None, now, state).write(out)

        # Before learning, so that a file that cannot be written is reported at once.
        (before or unfinished).write(out)
        trainer = Trainer(watch, save, before.training or None if before else None, device)
        generator = torch.Generator(device="cpu").manual_seed(seed)
        with announced_learning(len(tasks), chosen.name):
            learned = chosen.learn(tasks, generator, trainer)
        header = replace(header, curve=tuple(trainer.curve), finished=True)
        checkpoint = Checkpoint(chosen, space, best, learned, header, {})
        checkpoint.write(out)
    return checkpoint


def _pooled(
    studies: Sequence[PriorStudy],
    prior_filter: PriorFilter,
    rename: Mapping[str, str] | None,
    direction: str | None,
) -> Pool:
    """The prior studies in one common space; warns of each that cannot be used."""
    used = used_studies(select(studies, None, prior_filter, rename))
    pooled = pool(used, _directions(used, direction), rename)
    pooled.warn_of_skipped()
    warn_of_renames(rename or {}, studies)
    if not pooled.studies:
        raise PriorError(
            f"None of {len(studies)} prior studies can be used. Their contents are shown by "
            "`optuna-metasampler inspect`."
        )
    return pooled


def _directions(studies: Sequence[PriorStudy], direction: str | None) -> list[StudyDirection]:
    """The given direction, or that of the first study that has one."""
    if direction is not None:
        if direction not in ("minimize", "maximize"):
            raise ValueError(
                f"`direction` must be 'minimize' or 'maximize', but got {direction!r}."
            )
        return [StudyDirection[direction.upper()]]
    for study in studies:
        if study.directions is not None:
            # Studies with several objectives are skipped later.
            return [study.directions[0]]
    if studies:
        raise ValueError(
            "`direction` must be given: 'minimize' or 'maximize'. The prior studies have none."
        )
    return [StudyDirection.MINIMIZE]


def _unfinished(path: Path, wanted: Checkpoint) -> Checkpoint:
    """The training to resume, if it has the same method, seed and data."""
    stored = Checkpoint.read_unfinished(path)
    for difference, a, b in (
        ("another method or other options", stored.method, wanted.method),
        ("another seed", stored.header.seed, wanted.header.seed),
        ("other prior studies", stored.header.data, wanted.header.data),
    ):
        if a != b:
            raise CheckpointError(
                f"{path} holds a training with {difference} ({a!r}, not {b!r}). Give the same "
                "arguments, or another file without resuming."
            )
    return stored


def digest_of(tasks: Sequence[Task]) -> str:
    """SHA-256 of the encoded trials of prior studies, independent of the studies' names."""
    digest = hashlib.sha256()
    for task in tasks:
        for tensor in (task.x, task.y, task.mask):
            digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    """Versions of the software that a result may depend on."""
    return {
        "optuna-metasampler": version("optuna-metasampler"),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _without_nan(point: Point) -> dict[str, Any]:
    """A point of the curve for JSON, which has no NaN."""
    return {k: None if v != v else v for k, v in asdict(point).items()}  # noqa: PLR0124


def _with_nan(row: Mapping[str, Any]) -> Point:
    """The inverse of :func:`_without_nan`."""
    number = {k: math.nan if row[k] is None else float(row[k]) for k in ("loss", "validation")}
    return Point(int(row["step"]), int(row["n_steps"]), **number, best=bool(row["best"]))
