"""Learning curves of networks on 34 data sets, from the surrogate of YAHPO Gym.

LCBench (Zimmer, Lindauer & Hutter 2021, arXiv:2006.13799) trained 2,000 networks of 7
hyperparameters for 52 epochs on each data set; the surrogate (Pfisterer et al. 2022,
arXiv:2109.03670) is a network that was fitted to all of their curves. Its file ``model.onnx``
(``lcbench`` of github.com/slds-lmu/yahpo_data) and the ``encoding.json`` beside it belong into the
folder ``yahpo_lcbench`` of the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems.base import Parameter, seed_of, suggest
from benchmarks.problems.tables import FolderSuite
from benchmarks.problems.training import Loop


N_EPOCHS = 52
N_SOURCES = 5

_COLUMNS = (
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "num_layers",
    "max_units",
    "max_dropout",
)
# Of the surrogate's outputs: validation cross-entropy.
_LOSS = 2


class LCBenchCurves:
    """The surrogate.

    Args:
        folder: Where its files are, beside the tables of the last epoch.

    Raises:
        FileNotFoundError: If they are not there.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "model.onnx"
        if not path.exists():
            raise FileNotFoundError(
                f"No {path}: {__name__} says where to get it, and the encoding.json beside it."
            )
        # Of the extra "bench", and slow to import.
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = InferenceSession(str(path), options)
        encoding = json.loads((folder / "encoding.json").read_text(encoding="utf-8"))
        self._codes: dict[str, int] = encoding["OpenML_task_id"]
        suite = FolderSuite(folder)
        self.parameters: tuple[Parameter, ...] = suite.parameters
        self.tasks: tuple[str, ...] = suite.tasks

    def losses(self, task: str, params: Mapping[str, Any]) -> NDArray[np.float64]:
        """Validation cross-entropy after 1, 2, ... epochs, shape ``(N_EPOCHS,)``."""
        epochs = np.arange(1, N_EPOCHS + 1)
        constant = np.tile([float(params[name]) for name in _COLUMNS], (N_EPOCHS, 1))
        numbers = np.column_stack([epochs, constant]).astype(np.float32)
        codes = np.full((N_EPOCHS, 1), self._codes[task], np.int32)
        (found,) = self._session.run(["output"], {"x_cat": codes, "x_cont": numbers})
        losses: NDArray[np.float64] = found[:, _LOSS].astype(np.float64)
        return losses

    def sources(self, target: str, seed: int) -> tuple[str, ...]:
        """A draw of other tasks."""
        others = [task for task in self.tasks if task != target]
        draw = np.random.default_rng(seed_of("lcbench curves", target, seed)).permutation(others)
        return tuple(draw[:N_SOURCES].tolist())


@functools.cache
def curves(data: Path) -> LCBenchCurves:
    """The surrogate in a folder of tables; once a process."""
    return LCBenchCurves(data / "yahpo_lcbench")


def loop(data: Path, seed: int) -> Loop:
    """The surrogate as a training loop, with other prior studies for every seed."""
    found = curves(data)
    return Loop(
        # Every second one: what the pruner does was chosen on the others.
        targets=found.tasks[1::2],
        sources=lambda target: found.sources(target, seed),
        losses=lambda trial, task: found.losses(task, suggest(trial, found.parameters)).tolist(),
        n_epochs=N_EPOCHS,
    )
