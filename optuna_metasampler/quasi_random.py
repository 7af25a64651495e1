"""Points that are spread evenly over a search space."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from optuna_metasampler.space import SearchSpace


def quasi_random(space: SearchSpace, n: int, generator: torch.Generator) -> Tensor:
    """Scrambled Sobol points of the space, or plain random ones past its dimension: ``(n, d)``."""
    p = len(space.parameters)
    seed = int(torch.randint(2**31, (1,), generator=generator))
    if 0 < p <= SobolEngine.MAXDIM:
        engine = SobolEngine(p, scramble=True, seed=seed)  # type: ignore[no-untyped-call]
        u = engine.draw(n, dtype=torch.float64)
    else:
        u = torch.rand((n, p), generator=generator, dtype=torch.float64)
    return torch.from_numpy(space.spread(u.numpy()))
