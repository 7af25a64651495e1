"""Simulated objectives for training, made from prior studies: each study's Gaussian process.

Axis letters: ``k`` prior studies, ``n`` trials of a study, ``g`` objectives side by side, ``r``
points of each, ``d`` encoded columns, ``m`` waves of a random function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import torch
from torch import Tensor

from optuna_metasampler.surrogates.gaussian_process import matern52
from optuna_metasampler.surrogates.source_processes import SourceProcesses, most_informative
from optuna_metasampler.task import Task


_N_WAVES = 64


@dataclass(frozen=True)
class Objectives:
    """Functions of one space, ``g`` side by side, differentiable in the points.

    Attributes:
        x: Scaled points of each one's study, zero-padded, shape ``(g, n, d)``.
        scale: Columns' factors, shape ``(g, 1, d)``.
        alpha: Kernel weights of the points, zero at the padding, shape ``(g, n, 1)``.
        offset: Constant part, shape ``(g, 1)``.
        frequency: Frequencies of the waves of the random part, shape ``(g, d, m)``.
        phase: Their phases, shape ``(g, 1, m)``.
        amplitude: Their amplitudes, shape ``(g, m, 1)``.
    """

    x: Tensor
    scale: Tensor
    alpha: Tensor
    offset: Tensor
    frequency: Tensor
    phase: Tensor
    amplitude: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Outcomes at points ``(g, r, d)``, about normal quantiles of ranks: shape ``(g, r)``."""
        x = x * self.scale
        study = (matern52(x, self.x) @ self.alpha).squeeze(2) + self.offset
        waves = torch.cos(x @ self.frequency + self.phase)
        return study + (waves @ self.amplitude).squeeze(2)


@dataclass(frozen=True)
class Simulators:
    """Prior studies as cheap objectives.

    The objective is the posterior mean of the study's own Gaussian process, on normal quantiles of
    ranks, plus a random smooth function. A future study resembles the prior ones without equalling
    any of them: a policy that is trained on these alone memorises their few optima and ignores the
    outcomes.

    Attributes:
        sources: The posterior means, of ``k`` studies.
        variation: Standard deviation of the random function, 0 for none.
    """

    sources: SourceProcesses
    variation: float

    @classmethod
    def of(
        cls,
        tasks: Sequence[Task],
        variation: float,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Simulators:
        """Fit a Gaussian process to each of the most informative studies, which share a space."""
        fitted = SourceProcesses.fit(most_informative(tasks))
        moved = {name: t.to(device=device, dtype=dtype) for name, t in vars(fitted).items()}
        return cls(SourceProcesses(**moved), variation)

    def __len__(self) -> int:
        return len(self.sources.x)

    def draw(self, studies: Tensor, generator: torch.Generator) -> Objectives:
        """One objective for each given study; a study that occurs twice gets two.

        The random part is a draw from a Gaussian process with the study's own lengthscales, by
        random Fourier features (Rahimi & Recht 2007, "Random features for large-scale kernel
        machines", NIPS): the frequencies of a Matern kernel of smoothness 5/2 are those of a
        Student distribution with 5 degrees of freedom.

        Args:
            studies: Indices of the studies, shape ``(g,)``.
            generator: Source of all randomness, on the CPU.
        """
        scale = self.sources.scale[studies]
        g, d = len(studies), scale.shape[2]
        normal = torch.randn((g, d, _N_WAVES), generator=generator, dtype=scale.dtype)
        five = torch.randn((5, g, 1, _N_WAVES), generator=generator, dtype=scale.dtype)
        phase = torch.rand((g, 1, _N_WAVES), generator=generator, dtype=scale.dtype)
        weight = torch.randn((g, _N_WAVES, 1), generator=generator, dtype=scale.dtype)
        return Objectives(
            x=self.sources.x[studies],
            scale=scale,
            alpha=self.sources.alpha[studies],
            offset=self.sources.offset[studies][:, None],
            frequency=(normal / five.square().mean(0).sqrt()).to(scale.device),
            phase=(2 * math.pi * phase).to(scale.device),
            amplitude=(self.variation * math.sqrt(2 / _N_WAVES) * weight).to(scale.device),
        )
