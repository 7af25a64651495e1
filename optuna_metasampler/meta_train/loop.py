"""The meta-training loop: draw studies, step on the meta-loss, validate on held-out studies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
import math
from typing import ClassVar

import torch
from torch import Tensor

from optuna_metasampler._runtime import announced, get_logger
from optuna_metasampler._text import counted
from optuna_metasampler.meta_train.adam import Adam
from optuna_metasampler.packing import below, pack


_logger = get_logger(__name__)
# With fewer studies none is held out for validation.
_MIN_STUDIES_TO_VALIDATE = 4
# Steps in a row without a finite gradient, after which training is lost.
_MAX_LOST_STEPS = 10


class Learner(ABC):
    """Meta-parameters and their loss over prior studies.

    A learner holds the data of its studies and is given their indices, so that the loop can hold
    some of them out. All randomness comes from the generator that is passed in, which lives on the
    CPU.

    Class attributes:
        state_name: Name of the parameters in :meth:`state`.
    """

    state_name: ClassVar[str] = "parameter"

    @property
    @abstractmethod
    def n_studies(self) -> int:
        """Number of prior studies."""

    @abstractmethod
    def parameters(self) -> list[Tensor]:
        """The meta-parameters: leaf tensors that require a gradient, always the same ones."""

    @abstractmethod
    def meta_loss(self, studies: Tensor, generator: torch.Generator) -> Tensor:
        """A scalar whose gradient with respect to the parameters is the meta-gradient.

        Its value need not mean anything: that of Reptile or of a policy gradient does not.

        Args:
            studies: Indices of the studies of the step, shape ``(g,)``, int64.
            generator: Source of all randomness.
        """

    @abstractmethod
    def validation_loss(self, studies: Tensor, generator: torch.Generator) -> float:
        """The loss on studies that were held out of training; smaller is better.

        Args:
            studies: Indices of the studies, shape ``(g,)``, int64.
            generator: Source of all randomness.
        """

    def state(self) -> dict[str, Tensor]:
        """Copies of all that training changes: the parameters, and buffers if there are any."""
        return {k: t.detach().clone() for k, t in pack(self.parameters(), self.state_name).items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore a state, in place."""
        copy_into(pack(self.parameters(), self.state_name), state)


def copy_into(tensors: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Overwrite tensors with those of the same names, in place."""
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(state[name])


@dataclass(frozen=True)
class TrainConfig:
    """Length and step size of meta-training.

    Attributes:
        n_steps: Steps, at most.
        n_studies: Studies of a step.
        learning_rate: First step size of Adam; it falls to zero along a cosine.
        max_norm: The meta-gradient is shortened to this norm.
        validation_share: Share of the studies that are held out, in ``[0, 0.5]``; at least one
            unless the share is zero, and none where there are fewer than four studies.
        n_validations: How often the loss on held-out studies is computed.
        patience: Validations in a row without a new best, after which training stops.
    """

    n_steps: int = 400
    n_studies: int = 4
    learning_rate: float = 1e-2
    max_norm: float = 10.0
    validation_share: float = 0.2
    n_validations: int = 20
    patience: int = 6


@dataclass(frozen=True)
class Point:
    """A point of the training curve.

    Attributes:
        step: Steps made.
        n_steps: Steps to be made, at most.
        loss: Mean of the meta-loss since the last point.
        validation: Loss on held-out studies; NaN where there are none.
        best: Whether it is the lowest so far.
    """

    step: int
    n_steps: int
    loss: float
    validation: float
    best: bool


class Trainer:
    """Runs the loop and reports its progress.

    Args:
        watch: Called after every step with the steps made, the steps to be made at most, and the
            newest point of the curve, ``None`` before the first.
        save: Called with the state of the training at every point of the curve.
        resume: Such a state, to continue from.
        device: Where learners keep their tensors, such as ``"cuda"``.
    """

    def __init__(
        self,
        watch: Callable[[int, int, Point | None], None] | None = None,
        save: Callable[[dict[str, Tensor]], None] | None = None,
        resume: Mapping[str, Tensor] | None = None,
        device: str = "cpu",
    ) -> None:
        self.device = device
        self.curve: list[Point] = []
        self._watch = watch
        self._save = save
        self._resume = dict(resume or {})
        # Final states of the learners trained so far, for methods with several of them.
        self._done: list[dict[str, Tensor]] = []

    def count(self, done: int, total: int) -> None:
        """Report the progress of something without a training curve."""
        if self._watch is not None:
            self._watch(done, total, None)

    def run(self, learner: Learner, config: TrainConfig, generator: torch.Generator) -> None:
        """Train; afterwards the learner is in its best state on the held-out studies.

        A resumed training takes exactly the steps that the interrupted one would have taken.

        Args:
            learner: What to train, in place.
            config: How long and how fast.
            generator: Source of all randomness, on the CPU. A resumed training needs the same
                seed, which also decides which studies are held out.
        """
        done = below(f"done.{len(self._done)}.", self._resume)
        if done:
            self._done.append(done)
            learner.load(below("learner.", done))
            generator.set_state(done["generator"])
            return
        order = torch.randperm(learner.n_studies, generator=generator)
        n_held_out = _n_held_out(learner.n_studies, config.validation_share)
        held_out, used = order[:n_held_out], order[n_held_out:]
        validation_seed = int(torch.randint(2**31 - 1, (1,), generator=generator))
        optimizer = Adam(learner.parameters())
        best: dict[str, Tensor] | None = None
        lowest, n_stale, n_lost, first = math.inf, 0, 0, 0
        if self._resume:
            first, lowest, n_stale, best = self._restore(learner, optimizer, generator)
            self._resume = {}
        every = max(1, config.n_steps // max(config.n_validations, 1))
        losses: list[float] = []
        for step in range(first, config.n_steps):
            if n_stale >= config.patience:
                break
            loss, applied = _step(learner, optimizer, used, config, step, generator)
            losses.append(loss)
            n_lost = 0 if applied else n_lost + 1
            if n_lost == _MAX_LOST_STEPS:
                _logger.warning(
                    "Meta-training stopped at step %d because its loss is not finite. Try a "
                    "smaller learning rate.",
                    step + 1,
                )
                break
            if (step + 1) % every == 0 or step + 1 == config.n_steps:
                validation = _validation(learner, held_out, validation_seed)
                # Without held-out studies the last state is the best.
                is_best = validation < lowest or not len(held_out)
                n_stale = 0 if is_best else n_stale + 1
                if is_best:
                    lowest, best = validation, learner.state()
                mean = sum(losses) / len(losses)
                self.curve.append(Point(step + 1, config.n_steps, mean, validation, is_best))
                losses = []
                if self._save is not None:
                    self._save(self._state(learner, optimizer, generator, lowest, n_stale, best))
            if self._watch is not None:
                self._watch(step + 1, config.n_steps, self.curve[-1] if self.curve else None)
        if best is not None:
            learner.load(best)
        self._done.append(pack({"learner": learner.state(), "generator": generator.get_state()}))

    def _state(
        self,
        learner: Learner,
        optimizer: Adam,
        generator: torch.Generator,
        lowest: float,
        n_stale: int,
        best: dict[str, Tensor] | None,
    ) -> dict[str, Tensor]:
        """The state of the training, from which it can be resumed."""
        moments = [{k: t.clone() for k, t in state.items()} for state in optimizer.state]
        rows = [(p.step, p.n_steps, p.loss, p.validation, p.best) for p in self.curve]
        return pack(
            {
                "learner": learner.state(),
                "best": best or {},
                "optimizer": moments,
                "done": self._done,
                "generator": generator.get_state(),
                "progress": torch.tensor([lowest, n_stale], dtype=torch.float64),
                "curve": torch.tensor(rows, dtype=torch.float64),
            }
        )

    def _restore(
        self, learner: Learner, optimizer: Adam, generator: torch.Generator
    ) -> tuple[int, float, int, dict[str, Tensor] | None]:
        """Restore the state that was passed in."""
        state = self._resume
        learner.load(below("learner.", state))
        for i, moments in enumerate(optimizer.state):
            moments.update({k: t.clone() for k, t in below(f"optimizer.{i}.", state).items()})
        generator.set_state(state["generator"])
        lowest, n_stale = state["progress"].tolist()
        self.curve = [
            Point(int(step), int(n), loss, validation, bool(best))
            for step, n, loss, validation, best in state["curve"].tolist()
        ]
        return self.curve[-1].step, lowest, int(n_stale), below("best.", state) or None


@contextmanager
def announced_learning(n_studies: int, method: str) -> Iterator[None]:
    """Log that a method learns, and in how many seconds it was done."""
    studies = counted(n_studies, "prior study", "prior studies")
    before = f"Learning from {studies} (method {method})"
    with announced(_logger, before, f"Learned from {studies}"):
        yield


def watch_on(show: Callable[[int, int, str], None]) -> Callable[[int, int, Point | None], None]:
    """A trainer's ``watch`` that shows the loss on a progress bar."""

    def watch(step: int, n_steps: int, point: Point | None) -> None:
        remark = "" if point is None else f"loss {point.loss:.3f}"
        if point is not None and not math.isnan(point.validation):
            remark += f", held out {point.validation:.3f}"
        show(step, n_steps, remark)

    return watch


def _n_held_out(n_studies: int, share: float) -> int:
    if n_studies < _MIN_STUDIES_TO_VALIDATE or share <= 0.0:
        return 0
    return max(1, round(share * n_studies))


def _step(
    learner: Learner,
    optimizer: Adam,
    used: Tensor,
    config: TrainConfig,
    step: int,
    generator: torch.Generator,
) -> tuple[float, bool]:
    """Make one step on some of the studies ``used``: the loss, and whether it was finite."""
    n_studies = min(config.n_studies, len(used))
    studies = used[torch.randint(len(used), (n_studies,), generator=generator)]
    with torch.enable_grad():
        loss = learner.meta_loss(studies, generator)
        gradients = torch.autograd.grad(loss, optimizer.parameters, allow_unused=True)
    norm = math.sqrt(sum(float(g.square().sum()) for g in gradients if g is not None))
    if math.isfinite(norm):
        scale = min(1.0, config.max_norm / max(norm, 1e-12))
        decay = 0.5 * (1.0 + math.cos(math.pi * step / config.n_steps))
        optimizer.step(
            [None if g is None else g * scale for g in gradients], config.learning_rate * decay
        )
    return float(loss.detach()), math.isfinite(norm)


def _validation(learner: Learner, held_out: Tensor, seed: int) -> float:
    """The loss on held-out studies, with the same random numbers every time; NaN without any."""
    if not len(held_out):
        return math.nan
    return learner.validation_loss(held_out, torch.Generator(device="cpu").manual_seed(seed))
