"""The learner of few-shot networks: one for every update rule.

Axis letters: as in :mod:`.surrogate`; ``k`` prior studies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from optuna_metasampler.meta_train.episodes import Episodes, StudyRecords
from optuna_metasampler.meta_train.loop import Learner
from optuna_metasampler.methods.few_shot.rules import Rule
from optuna_metasampler.methods.few_shot.surrogate import FewShotNetworks, adapt, outputs
from optuna_metasampler.task import Task


@dataclass(frozen=True)
class EpisodeConfig:
    """Sizes of episodes.

    Attributes:
        n_context: The fewest and the most context trials of a step's episodes; the number is drawn
            anew for every step, because a running study has few trials first and more later.
        n_target: Target trials.
        n_repeats: Episodes that validation draws from each held-out study, once with the fewest
            and once with the most context trials.
    """

    n_context: tuple[int, int] = (4, 20)
    n_target: int = 24
    n_repeats: int = 8


class FewShotLearner(Learner):
    """Meta-learns the weights of an ensemble, and optionally its inner step sizes.

    The members differ by their first weights, their episodes, and a bootstrap sample of the
    studies each, whose counts weigh the loss: the ensemble has to be uncertain of everything that
    differs from study to study.

    Args:
        tasks: Prior studies of one space.
        networks: The ensemble before training.
        rule: The update rule.
        learn_rates: Whether the inner step sizes are meta-parameters too, one for every weight.
        generator: Source of all randomness, on the CPU.
        config: Sizes of episodes.
        device: Where the tensors are kept.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        networks: FewShotNetworks,
        rule: Rule,
        learn_rates: bool,
        generator: torch.Generator,
        config: EpisodeConfig | None = None,
        device: str = "cpu",
    ) -> None:
        self.records = StudyRecords.of(tasks, device)
        self.config = config or EpisodeConfig()
        self._networks = networks
        self._rule = rule
        self._weights = [w.detach().clone().to(device).requires_grad_() for w in networks.weights]
        # Logarithms: a step size never changes its sign, and Adam, whose steps have about one
        # size, changes small and large ones by the same factor.
        self._log_rates = [
            torch.zeros_like(w).add(rate.to(device)).log().requires_grad_()
            if learn_rates
            else rate.to(device)
            for rate, w in zip(networks.rates, self._weights, strict=True)
        ]
        self._learn_rates = learn_rates
        k = len(tasks)
        draws = torch.randint(k, (self.n_members, k), generator=generator)
        counts = torch.zeros((self.n_members, k)).scatter_add_(1, draws, torch.ones(draws.shape))
        self._counts = counts.to(device)

    @property
    def n_members(self) -> int:
        """Networks of the ensemble, ``m``."""
        return len(self._weights[0])

    @property
    def n_studies(self) -> int:
        """See :class:`Learner`."""
        return len(self.records.sizes)

    def parameters(self) -> list[Tensor]:
        """See :class:`Learner`."""
        return [*self._weights, *(self._log_rates if self._learn_rates else [])]

    def meta_loss(self, studies: Tensor, generator: torch.Generator) -> Tensor:
        """See :class:`Learner`; the rule's loss, summed over members, mean over episodes."""
        fewest, most = self.config.n_context
        n_context = int(torch.randint(fewest, most + 1, (1,), generator=generator))
        m, g = self.n_members, len(studies)
        flat = self.records.episodes(studies.repeat(m), n_context, self.config.n_target, generator)
        episodes = _unflatten(flat, m, g)
        weights, rates = _beside(self._weights, g), [_lifted(r) for r in self._rates()]
        loss = self._rule(weights, rates, episodes)
        return (self._counts[:, studies.to(loss.device)] * loss).mean(1).sum()

    def validation_loss(self, studies: Tensor, generator: torch.Generator) -> float:
        """See :class:`Learner`; as :func:`few_shot_loss`."""
        return few_shot_loss(self.networks(), self.records, studies, self.config, generator)

    def networks(self) -> FewShotNetworks:
        """The current ensemble, detached, on the learner's device."""
        return FewShotNetworks(
            tuple(w.detach().clone() for w in self._weights),
            tuple(rate.detach().clone() for rate in self._rates()),
            self._networks.n_steps,
            self._networks.pull,
        )

    def _rates(self) -> list[Tensor]:
        return [r.exp() for r in self._log_rates] if self._learn_rates else self._log_rates


def few_shot_loss(
    networks: FewShotNetworks,
    records: StudyRecords,
    studies: Tensor,
    config: EpisodeConfig,
    generator: torch.Generator,
) -> float:
    """Mean squared error of the ensemble's mean on targets, after the inner steps on contexts.

    Args:
        networks: The ensemble.
        records: Prior studies, on the networks' device.
        studies: Which of them, shape ``(g,)``.
        config: Sizes of episodes; half of them have the fewest context trials and half the most.
        generator: Source of all randomness.
    """
    total = 0.0
    repeated = studies.repeat(config.n_repeats)
    for n_context in config.n_context:
        episodes = records.episodes(repeated, n_context, config.n_target, generator)
        weights = adapt(
            _beside(networks.weights, len(repeated)),
            [_lifted(rate) for rate in networks.rates],
            episodes.context_x,
            episodes.context_z,
            networks.n_steps,
            networks.pull,
        )
        with torch.no_grad():
            mean = outputs(weights, episodes.target_x, episodes.context_x).mean(0)
            total += float((mean - episodes.target_z).square().mean())
    return total / len(config.n_context)


def _beside(weights: Sequence[Tensor], g: int) -> list[Tensor]:
    """Every member's weights once an episode: ``(m, i, o)`` to ``(m, g, i, o)``."""
    return [w.unsqueeze(1).expand(-1, g, -1, -1) for w in weights]


def _lifted(rate: Tensor) -> Tensor:
    """Step sizes for ``(m, g, i, o)``; a number stays a number."""
    return rate.unsqueeze(1) if rate.dim() else rate


def _unflatten(episodes: Episodes, m: int, g: int) -> Episodes:
    """Episodes with leading axes ``(m, g)`` for ``m * g`` of them."""
    parts = episodes.context_x, episodes.context_z, episodes.target_x, episodes.target_z
    return Episodes(*(part.reshape(m, g, *part.shape[1:]) for part in parts))
