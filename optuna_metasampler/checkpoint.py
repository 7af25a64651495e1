"""Checkpoints: what a method learned from prior studies, in a file of numbers and a JSON header.

A file in the format of safetensors (named arrays behind a JSON header), so that other tools can
look into it and nothing in it is ever executed. The header's metadata say what the numbers are:
method and options, search space, format, seed, digest of the data, versions, training curve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
import hashlib
import json
import math
from pathlib import Path
import platform
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from optuna_metasampler.exceptions import CheckpointError
from optuna_metasampler.files import replace_file
from optuna_metasampler.meta_train.loop import Point
from optuna_metasampler.methods import METHODS, method_of
from optuna_metasampler.methods.base import Method
from optuna_metasampler.packing import below, checked
from optuna_metasampler.space import SearchSpace, space_from_json, space_to_json
from optuna_metasampler.task import Task


if TYPE_CHECKING:
    from types import ModuleType

SUFFIX = ".safetensors"
FORMAT = "optuna-metasampler"
VERSION = 1
_MAX_FILE_BYTES = 2**29


@dataclass(frozen=True)
class Header:
    """What a checkpoint says about itself.

    Attributes:
        seed: Seed of the training.
        data: Digest of the prior studies: SHA-256 of their encoded trials.
        n_studies: Number of prior studies.
        n_trials: Their number of trials.
        versions: Of this package, torch, NumPy and Python, by name.
        curve: Points of the training curve.
        finished: Whether the training came to its end.
    """

    seed: int
    data: str
    n_studies: int
    n_trials: int
    versions: Mapping[str, str]
    curve: tuple[Point, ...]
    finished: bool


@dataclass(frozen=True)
class Checkpoint:
    """What a method learned from prior studies.

    Attributes:
        method: The method, with its options.
        space: The common space of the prior studies, with ``e`` columns.
        best: Their best configurations, shape ``(k, e)``.
        learned: What the method keeps of them; ``None`` before the training is finished.
        header: Where it comes from.
        training: State of a training that is not finished, to go on from.
    """

    method: Method
    space: SearchSpace
    best: Tensor
    learned: Any
    header: Header
    training: Mapping[str, Tensor]

    def write(self, path: str | Path) -> None:
        """Write a file, in place of what is there; it is there whole or not at all.

        Raises:
            CheckpointError: If the space or the method cannot be expressed in a file.
            ImportError: If safetensors is not installed.
            OSError: If the file cannot be written.
        """
        if METHODS.get(self.method.name) is None:
            raise CheckpointError(
                f"The method {self.method.name!r} is not one of the table of methods, so that a "
                "file could not say what to make of its numbers."
            )
        tensors = {"best": self.best}
        if self.learned is not None:
            packed = self.method.pack(self.learned)
            tensors |= {f"learned.{name}": tensor for name, tensor in packed.items()}
        tensors |= {f"training.{name}": tensor for name, tensor in self.training.items()}
        header = asdict(self.header) | {"curve": [_without_nan(p) for p in self.header.curve]}
        document = {
            "version": VERSION,
            "method": self.method.name,
            "options": asdict(self.method),
            "space": self._space_document(),
            "tensors": _digest(tensors),
            **header,
        }
        # A single entry: several would be written in an order of chance.
        metadata = {FORMAT: json.dumps(document, sort_keys=True)}
        safetensors = _safetensors()
        contiguous = {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}
        replace_file(Path(path), safetensors.save(contiguous, metadata=metadata))

    def _space_document(self) -> list[dict[str, Any]]:
        try:
            return space_to_json(self.space)
        except ValueError as error:
            raise CheckpointError(str(error)) from error

    @classmethod
    def read(cls, path: str | Path) -> Checkpoint:
        """Read and check a file.

        Raises:
            CheckpointError: If there is no such file, or it is damaged, of another version or not
                a checkpoint at all, or its training is not finished.
            ImportError: If safetensors is not installed.
        """
        checkpoint = cls.read_unfinished(path)
        if not checkpoint.header.finished:
            raise CheckpointError(
                f"The training behind {path} is not finished. Go on with "
                f"`optuna-metasampler fit --resume ... --out {path}`."
            )
        return checkpoint

    @classmethod
    def read_unfinished(cls, path: str | Path) -> Checkpoint:
        """Read and check a file whose training may go on; see :meth:`read`."""
        path = Path(path)
        metadata, tensors = _contents(path)
        if FORMAT not in metadata:
            raise CheckpointError(
                f"{path} holds tensors, but not those of this package. Give a file that "
                "`optuna-metasampler fit` wrote."
            )
        with _refusing(path):
            document = json.loads(metadata[FORMAT])
            version = document["version"]
            if version != VERSION:
                raise CheckpointError(
                    f"{path} is a checkpoint of version {version!r}; this version of the package "
                    f"reads {VERSION}. Fit it again from the prior studies."
                )
            if document["tensors"] != _digest(tensors):
                raise ValueError("its numbers are not those that its header is about")
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
            )
            best = checked(tensors, "best", None, space.n_columns)
            learned = None
            if header.finished:
                learned = method.unpack(space, below("learned.", tensors))
            return cls(method, space, best, learned, header, below("training.", tensors))


def digest_of(tasks: Sequence[Task]) -> str:
    """SHA-256 of the encoded trials of prior studies, whatever the studies are called."""
    digest = hashlib.sha256()
    for task in tasks:
        for tensor in (task.x, task.y, task.mask):
            digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """The versions that a result may depend on."""
    from importlib.metadata import version

    return {
        "optuna-metasampler": version("optuna-metasampler"),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and numbers."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name].detach().cpu().numpy())
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _without_nan(point: Point) -> dict[str, Any]:
    """A point of the curve for JSON, which has no NaN."""
    return {k: None if v != v else v for k, v in asdict(point).items()}  # noqa: PLR0124


def _with_nan(row: Mapping[str, Any]) -> Point:
    """The inverse of :func:`_without_nan`."""
    number = {k: math.nan if row[k] is None else float(row[k]) for k in ("loss", "validation")}
    return Point(int(row["step"]), int(row["n_steps"]), **number, best=bool(row["best"]))


def _safetensors() -> ModuleType:
    try:
        import safetensors.torch
    except ModuleNotFoundError as error:
        if error.name != "safetensors":
            raise
        raise ImportError(
            "Checkpoints need the package safetensors, which is missing. Run: "
            "pip install 'optuna-metasampler[cli]'"
        ) from None
    module: ModuleType = safetensors.torch
    return module


def _contents(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata and the tensors of a file of safetensors."""
    _safetensors()
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(
            f"There is no file {str(path.absolute())!r}. Check the path; a relative one starts at "
            "the current directory."
        )
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise CheckpointError(f"{path} is larger than a checkpoint ever is.")
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged or is no checkpoint: {error}. Copy it again from where it was "
            "made, or fit it again from the prior studies."
        ) from error


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what a bad header brings about into one error that says what to do."""
    try:
        yield
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise CheckpointError(
            f"{path} is damaged or was made by another version of this package: {what}. Fit it "
            "again from the prior studies."
        ) from error
