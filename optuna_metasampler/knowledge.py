"""What the prior studies say about one running study."""

from __future__ import annotations

from collections.abc import Iterable
import logging
from typing import TYPE_CHECKING, Any
import warnings

from optuna_metasampler.exceptions import PriorWarning
from optuna_metasampler.methods import Prior


if TYPE_CHECKING:
    from optuna_metasampler.priors.align import Pool
    from optuna_metasampler.space import SearchSpace
    from optuna_metasampler.surrogates.prior_mean import PriorModel

_logger = logging.getLogger(__name__)
_MAX_NAMES_SHOWN = 8


class PriorKnowledge:
    """Learns from a pool of prior studies when it is first asked, and remembers.

    Args:
        pool: The prior studies in their common space.
        seed: Seed of what is random in learning.
    """

    def __init__(self, pool: Pool, seed: int) -> None:
        self.pool = pool
        self._seed = seed
        self._models: dict[tuple[tuple[float, ...], frozenset[str]], PriorModel] = {}
        self._warned = False

    def lacking(self, space: SearchSpace, shown: Iterable[str]) -> frozenset[str] | None:
        """Parameters that the running study lacks; ``None`` if it shares none.

        What every trial of the priors has and no trial of the running study has is not part of it:
        the model is trained to do without. What only some trials have may be yet to come.

        Args:
            space: The space of the running study.
            shown: Names of the parameters that its trials have had.
        """
        from optuna_metasampler.priors.align import shared_names

        own, seen = space.distributions, set(shown)
        theirs = self.pool.space.parameters
        shared = shared_names(space, self.pool.space)
        if shared:
            return frozenset(
                p.name
                for p in theirs
                if p.name not in shared
                and (p.name in own or (p.activity is None and p.name not in seen))
            )
        if theirs and not self._warned:
            self._warned = True
            warnings.warn(
                "The prior studies are of no use here: none of their parameters "
                f"({_listed(p.name for p in theirs)}) is one of this study ({_listed(own)}). "
                "Where only the names differ, pass `rename={'name there': 'name here'}`.",
                PriorWarning,
                stacklevel=2,
            )
        return None

    def model(self, weights: tuple[float, ...], without: frozenset[str]) -> PriorModel:
        """What is learned for these weights of the objectives, without some of the parameters."""
        import torch

        from optuna_metasampler.surrogates.prior_mean import PriorModel

        key = (weights, without)
        if key not in self._models:
            tasks = self.pool.tasks(weights, without)
            generator = torch.Generator(device="cpu").manual_seed(self._seed)
            self._models[key] = PriorModel.fit(tasks, generator)
            _logger.info("Learned from %d prior studies.", len(tasks))
        return self._models[key]

    def seen_from(
        self, space: SearchSpace, weights: tuple[float, ...], without: frozenset[str]
    ) -> Prior:
        """The knowledge as a policy of ``space`` needs it."""
        from optuna_metasampler.priors.align import Alignment, fitted, shared_names
        from optuna_metasampler.task import to_tensor

        model = self.model(weights, without)
        best = [fitted(c, space) for c in model.space.decode(model.best.numpy())]
        favourites = to_tensor(space.project(space.encode(best)))
        shared = shared_names(space, model.space)
        unknown = tuple(name for name in space.names if name not in shared)
        return Prior(model, Alignment.of(space, model.space), favourites, unknown)

    def seen_from_itself(self, weights: tuple[float, ...]) -> Prior:
        """The knowledge as a policy of the common space needs it."""
        model = self.model(weights, frozenset())
        return Prior(model, _same, model.best)


def _same(x: Any) -> Any:
    """The map of the common space to itself."""
    return x


def _listed(names: Iterable[str]) -> str:
    known = sorted(names)
    more = f" and {len(known) - _MAX_NAMES_SHOWN} more" if len(known) > _MAX_NAMES_SHOWN else ""
    return ", ".join(known[:_MAX_NAMES_SHOWN]) + more
