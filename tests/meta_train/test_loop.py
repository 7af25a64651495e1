"""The loop that everything is meta-trained in."""

from __future__ import annotations

from collections.abc import Mapping
import logging
import math

import pytest
import torch
from torch import Tensor

from optuna_metasampler.meta_train.loop import Point, TrainConfig, Trainer, watch_on
from tests.tasks import generator


class Means:
    """Learns one number for all studies, the least squares one; each study is a number."""

    def __init__(self, values: list[float], start: float = 0.0) -> None:
        self.values = torch.tensor(values)
        self.guess = torch.tensor([start], requires_grad=True)
        self.n_calls = torch.zeros(())
        self.seen: set[int] = set()

    @property
    def n_studies(self) -> int:
        return len(self.values)

    def parameters(self) -> list[Tensor]:
        return [self.guess]

    def meta_loss(self, studies: Tensor, generator: torch.Generator) -> Tensor:
        self.n_calls += 1
        self.seen |= set(studies.tolist())
        noise = 0.01 * torch.randn(len(studies), generator=generator)
        return (self.values[studies] + noise - self.guess).square().mean()

    def validation_loss(self, studies: Tensor, generator: torch.Generator) -> float:
        self.held_out = set(studies.tolist())
        return float((self.values[studies] - self.guess.detach()).square().mean())

    def state(self) -> dict[str, Tensor]:
        return {"guess": self.guess.detach().clone(), "n_calls": self.n_calls.clone()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            self.guess.copy_(state["guess"])
            self.n_calls.copy_(state["n_calls"])


CONFIG = TrainConfig(n_steps=200, learning_rate=0.1, n_validations=10)


def test_what_is_trained_comes_to_the_minimum() -> None:
    learner = Means([1.0, 2.0, 3.0])
    Trainer().run(learner, TrainConfig(n_steps=400, n_studies=16, learning_rate=0.1), generator())
    assert learner.guess.tolist() == [pytest.approx(2.0, abs=0.3)]


def test_held_out_studies_are_never_trained_on() -> None:
    learner = Means([float(i) for i in range(10)])
    Trainer().run(learner, CONFIG, generator())
    assert len(learner.held_out) == 2
    assert not learner.held_out & learner.seen
    assert learner.held_out | learner.seen == set(range(10))


@pytest.mark.parametrize(("n", "share"), [(3, 0.2), (10, 0.0)])
def test_few_studies_or_a_share_of_zero_leave_none_to_validate_on(n: int, share: float) -> None:
    learner, trainer = Means([1.0] * n), Trainer()
    Trainer().run(learner, TrainConfig(n_steps=50, validation_share=share), generator())
    trainer.run(learner, TrainConfig(n_steps=50, validation_share=share), generator())
    assert all(math.isnan(p.validation) and p.best for p in trainer.curve)
    assert learner.seen == set(range(n))


def test_training_ends_early_and_goes_back_to_the_best_state() -> None:
    # The held-out study lies on the way: the loss on it falls at first, and then rises.
    values = [10.0] * 9
    order = torch.randperm(10, generator=generator())
    values.insert(int(order[0]), 3.0)
    values[int(order[1])] = 3.0
    learner, trainer = Means(values), Trainer()
    trainer.run(learner, TrainConfig(n_steps=1000, learning_rate=0.1, patience=3), generator())
    steps = [p.step for p in trainer.curve]
    assert steps[-1] < 1000
    best = [p for p in trainer.curve if p.best][-1]
    assert steps.index(best.step) == len(steps) - 4
    assert learner.validation_loss(order[:2], generator()) == pytest.approx(best.validation)


def test_the_curve_says_loss_and_validation() -> None:
    trainer = Trainer()
    trainer.run(Means([1.0] * 5), CONFIG, generator())
    assert [p.step for p in trainer.curve] == list(range(20, 201, 20))[: len(trainer.curve)]
    assert trainer.curve[-1].loss < trainer.curve[0].loss
    assert min(p.validation for p in trainer.curve) < trainer.curve[0].validation


def test_the_same_seed_gives_the_same_weights() -> None:
    a, b = Means([1.0, 2.0, 5.0, 7.0]), Means([1.0, 2.0, 5.0, 7.0])
    for learner in (a, b):
        Trainer().run(learner, CONFIG, generator(3))
    assert torch.equal(a.guess, b.guess)


def test_a_resumed_training_takes_the_very_steps_of_an_uninterrupted_one() -> None:
    values = [float(i) for i in range(8)]
    states: list[dict[str, Tensor]] = []
    whole = Means(values)
    first = Trainer(save=states.append)
    first.run(whole, CONFIG, generator())
    resumed = Means(values, start=99.0)
    second = Trainer(resume=states[3])
    second.run(resumed, CONFIG, generator())
    assert torch.equal(whole.guess, resumed.guess)
    assert torch.equal(whole.n_calls, resumed.n_calls)
    assert second.curve == first.curve


def test_of_several_learners_the_trained_ones_are_not_trained_again() -> None:
    states: list[dict[str, Tensor]] = []
    first, one, two = Trainer(save=states.append), Means([1.0, 2.0]), Means([5.0, 7.0])
    draw = generator()
    first.run(one, CONFIG, draw)
    n_of_first = len(states)
    first.run(two, CONFIG, draw)
    again, other = Means([1.0, 2.0]), Means([5.0, 7.0])
    second, draw = Trainer(resume=states[n_of_first + 2]), generator()
    second.run(again, CONFIG, draw)
    assert not again.seen
    second.run(other, CONFIG, draw)
    assert torch.equal(again.guess, one.guess)
    assert torch.equal(other.guess, two.guess)


class Diverging(Means):
    """Its loss is no number from the 30th call on."""

    def meta_loss(self, studies: Tensor, generator: torch.Generator) -> Tensor:
        loss = super().meta_loss(studies, generator)
        return loss * math.nan if self.n_calls > 30 else loss


def test_a_loss_that_is_no_number_ends_the_training_in_the_best_state(
    caplog: pytest.LogCaptureFixture,
) -> None:
    learner = Diverging([1.0] * 5)
    with caplog.at_level(logging.WARNING, logger="optuna_metasampler"):
        Trainer().run(learner, CONFIG, generator())
    assert "step 40" in caplog.text
    assert bool(torch.isfinite(learner.guess))


def test_steps_are_shown_with_the_newest_losses() -> None:
    lines: list[tuple[int, int, str]] = []
    watch = watch_on(lambda *line: lines.append(line))
    Trainer(watch).run(Means([1.0] * 5), TrainConfig(n_steps=20, n_validations=2), generator())
    assert [step for step, _, _ in lines] == list(range(1, 21))
    assert lines[0][2] == ""
    assert "loss" in lines[-1][2]
    assert "held out" in lines[-1][2]
    watch(1, 2, Point(1, 2, 0.5, math.nan, True))
    assert lines[-1] == (1, 2, "loss 0.500")
