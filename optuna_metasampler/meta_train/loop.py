"""The one meta-training loop: draw studies, step on the meta-loss, validate on held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import math

import torch
from torch import Tensor

from optuna_metasampler._runtime import get_logger
from optuna_metasampler.meta_train.learner import Learner
from optuna_metasampler.packing import below


_logger = get_logger(__name__)
# Below this many studies none can be spared for validation.
_MIN_STUDIES_TO_VALIDATE = 4
# Steps in a row without a finite gradient, after which it will not come back.
_MAX_LOST_STEPS = 10


@dataclass(frozen=True)
class TrainConfig:
    """How long and how fast.

    Attributes:
        n_steps: Steps, at most.
        n_studies: Studies that a step sees.
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
    """Runs the loop, and says how it goes.

    Args:
        watch: Told about every step: steps made, steps to be made at most, and the newest point of
            the curve, ``None`` before the first.
        save: Given the state of the training at every point of the curve.
        resume: Such a state, to go on where it was saved.
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
        # What a method with several learners has trained so far: their states, one after another.
        self._done: list[dict[str, Tensor]] = []

    def count(self, done: int, total: int) -> None:
        """Tell who watches how far something is that has no training curve."""
        if self._watch is not None:
            self._watch(done, total, None)

    def run(self, learner: Learner, config: TrainConfig, generator: torch.Generator) -> None:
        """Train; afterwards the learner is in its best state on the held-out studies.

        A resumed training takes the very steps that the first one would have taken.

        Args:
            learner: What to train, in place.
            config: How long and how fast.
            generator: Source of all randomness, on the CPU; of the same seed where a training is
                resumed, for it also says which studies are held out.
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
        parameters = learner.parameters()
        optimizer = torch.optim.Adam(parameters, lr=config.learning_rate)
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
            rate = 0.5 * (1.0 + math.cos(math.pi * step / config.n_steps))
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * rate
            studies = used[
                torch.randint(len(used), (min(config.n_studies, len(used)),), generator=generator)
            ]
            with torch.enable_grad():
                loss = learner.meta_loss(studies, generator)
                gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            losses.append(float(loss.detach()))
            if _apply(optimizer, parameters, gradients, config.max_norm):
                n_lost = 0
            else:
                n_lost += 1
                if n_lost == _MAX_LOST_STEPS:
                    _logger.warning(
                        "Meta-training stopped at step %d: its loss is no number any more. A "
                        "smaller learning rate may help.",
                        step + 1,
                    )
                    break
            if (step + 1) % every == 0 or step + 1 == config.n_steps:
                validation = math.nan
                if len(held_out):
                    same = torch.Generator(device="cpu").manual_seed(validation_seed)
                    validation = learner.validation_loss(held_out, same)
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
        after = {f"learner.{name}": tensor for name, tensor in learner.state().items()}
        self._done.append(after | {"generator": generator.get_state()})

    def _state(
        self,
        learner: Learner,
        optimizer: torch.optim.Adam,
        generator: torch.Generator,
        lowest: float,
        n_stale: int,
        best: dict[str, Tensor] | None,
    ) -> dict[str, Tensor]:
        """All that going on needs."""
        state = {f"learner.{name}": tensor for name, tensor in learner.state().items()}
        state |= {f"best.{name}": tensor for name, tensor in (best or {}).items()}
        for i, group in enumerate(optimizer.param_groups[0]["params"]):
            for name, tensor in optimizer.state[group].items():
                state[f"optimizer.{i}.{name}"] = tensor.clone()
        for i, done in enumerate(self._done):
            state |= {f"done.{i}.{name}": tensor for name, tensor in done.items()}
        state["generator"] = generator.get_state()
        state["progress"] = torch.tensor([lowest, n_stale], dtype=torch.float64)
        rows = [(p.step, p.n_steps, p.loss, p.validation, p.best) for p in self.curve]
        state["curve"] = torch.tensor(rows, dtype=torch.float64)
        return state

    def _restore(
        self, learner: Learner, optimizer: torch.optim.Adam, generator: torch.Generator
    ) -> tuple[int, float, int, dict[str, Tensor] | None]:
        """Go back to the state that was passed in."""
        state = self._resume
        learner.load(below("learner.", state))
        for i, parameter in enumerate(optimizer.param_groups[0]["params"]):
            saved = below(f"optimizer.{i}.", state)
            if saved:
                optimizer.state[parameter] = {k: t.clone() for k, t in saved.items()}
        generator.set_state(state["generator"])
        lowest, n_stale = state["progress"].tolist()
        self.curve = [
            Point(int(step), int(n), loss, validation, bool(best))
            for step, n, loss, validation, best in state["curve"].tolist()
        ]
        return self.curve[-1].step, lowest, int(n_stale), below("best.", state) or None


def shown_by(show: Callable[[int, int, str], None]) -> Callable[[int, int, Point | None], None]:
    """A ``watch`` of a trainer that shows the loss on a progress bar."""

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


def _apply(
    optimizer: torch.optim.Adam,
    parameters: list[Tensor],
    gradients: tuple[Tensor | None, ...],
    max_norm: float,
) -> bool:
    """Make one step; ``False`` where the gradient is not finite, and no step is made."""
    squares = [float(g.square().sum()) for g in gradients if g is not None]
    norm = math.sqrt(sum(squares))
    if not math.isfinite(norm):
        return False
    scale = min(1.0, max_norm / max(norm, 1e-12))
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = None if gradient is None else gradient * scale
    optimizer.step()
    optimizer.zero_grad()
    return True
