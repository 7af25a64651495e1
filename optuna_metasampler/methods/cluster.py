"""``cluster``: prior studies in groups, and another method on the group that is nearest.

Task clustering in the sense of Thrun & O'Sullivan 1996, "Discovering structure in multiple
learning tasks: the TC algorithm", ICML: tasks are grouped by how much they help each other, and a
new task learns from the group that is most like it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
import json
from typing import Any, ClassVar

import torch
from torch import Tensor

from optuna_metasampler.meta_train.clustering import (
    behaviour,
    distances,
    group,
    group_means,
    shared_features,
    standardized,
)
from optuna_metasampler.meta_train.loop import Trainer
from optuna_metasampler.methods import method_of
from optuna_metasampler.methods.base import Method, Prior
from optuna_metasampler.methods.options import one_of, whole
from optuna_metasampler.packing import below, checked
from optuna_metasampler.policies.base import Policy
from optuna_metasampler.policies.nearest_group import NearestGroupPolicy
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.prior_model import (
    SourceProcesses,
    best_configurations,
    most_informative,
)
from optuna_metasampler.task import Task


# Methods whose result is something that a study starts from.
_BASES = ("fine-tune", "maml", "reptile", "meta-sgd", "imaml", "deep-kernel", "auto")


@dataclass(frozen=True)
class Groups:
    """What is learned: groups of studies, and a model of each.

    Attributes:
        members: Numbers of the studies of each group.
        learned: What the base method learned from each group.
        best: Best configurations of each group's studies, shapes ``(k_g, e)``.
        sources: Gaussian processes of all studies.
        names: Names of the meta-features that all studies have.
        features: Their values, shape ``(k, f)``.
    """

    members: tuple[tuple[int, ...], ...]
    learned: tuple[Any, ...]
    best: tuple[Tensor, ...]
    sources: SourceProcesses
    names: tuple[str, ...]
    features: Tensor

    def predictions(self, x: Tensor) -> Tensor:
        """Each group's mean prediction at points ``(n, e)``, shape ``(n, g)``."""
        return group_means(self.sources(x), self.members)

    def belief(self, features: Mapping[str, float]) -> Tensor:
        """How near each group is thought to be before any trial, shape ``(g,)``, in ``[-1, 1]``.

        By the distance of the meta-features to the group's mean where the running study has all of
        them, and by the group's share of the studies otherwise.
        """
        sizes = torch.tensor([len(m) for m in self.members], dtype=torch.float64)
        if not self.names or not all(name in features for name in self.names):
            return sizes / sizes.sum()
        own = torch.tensor([features[name] for name in self.names], dtype=torch.float64)
        z = standardized(self.features, self.features)
        centres = torch.stack([z[list(m)].mean(0) for m in self.members])
        squared = (standardized(own, self.features) - centres).square().mean(1)
        return 2.0 * torch.exp(-squared) - 1.0


@dataclass(frozen=True)
class Cluster(Method[Groups]):
    """Groups the prior studies, and learns one model a group by another method.

    Attributes:
        base: The method that learns from each group: ``"fine-tune"``, ``"maml"``, ``"reptile"``,
            ``"meta-sgd"``, ``"imaml"``, ``"deep-kernel"`` or ``"auto"``.
        base_options: Options of that method.
        max_groups: The most groups that are formed.
    """

    name: ClassVar[str] = "cluster"
    min_studies: ClassVar[int] = 2
    learns_from_features: ClassVar[bool] = True
    models_constraints: ClassVar[bool] = True

    base: str = "fine-tune"
    base_options: Mapping[str, Any] = field(default_factory=dict)
    max_groups: int = 4

    def __post_init__(self) -> None:
        """Refuse options out of range.

        Raises:
            ValueError: If one is.
        """
        one_of("base", self.base, _BASES)
        if not isinstance(self.base_options, Mapping):
            raise ValueError(
                "`base_options` must be a mapping of options of the base method, but got "
                f"{self.base_options!r}."
            )
        whole("max_groups", self.max_groups, 1)
        method_of(self.base, self.base_options)

    def learn(self, tasks: Sequence[Task], generator: torch.Generator, trainer: Trainer) -> Groups:
        """See :meth:`Method.learn`."""
        base = method_of(self.base, self.base_options)
        chosen = most_informative(tasks)
        sources = SourceProcesses.fit(chosen, watch=trainer.count)
        names, features = shared_features(chosen)
        apart = distances(behaviour(sources, chosen, generator), features)
        members = group(apart, self.max_groups, max(2, base.min_studies))
        of_group = [[chosen[i] for i in m] for m in members]
        return Groups(
            members=tuple(map(tuple, members)),
            learned=tuple(base.learn(studies, generator, trainer) for studies in of_group),
            best=tuple(best_configurations(studies) for studies in of_group),
            sources=sources,
            names=names,
            features=features,
        )

    def policy(
        self, space: SearchSpace, prior: Prior[Groups] | None, n_startup_trials: int | None
    ) -> Policy:
        """See :meth:`Method.policy`."""
        assert prior is not None
        base, groups = method_of(self.base, self.base_options), prior.learned
        to_prior = prior.to_prior
        policies = []
        for learned, best in zip(groups.learned, groups.best, strict=True):
            seen_by_group = Prior(
                prior.space,
                learned,
                to_prior,
                prior.from_prior,
                prior.from_prior(best),
                prior.unknown,
                prior.feasibility,
            )
            policies.append(base.policy(space, seen_by_group, n_startup_trials))
        return NearestGroupPolicy(
            policies, lambda x: groups.predictions(to_prior(x)), groups.belief
        )

    def pack(self, learned: Groups) -> dict[str, Tensor]:
        """See :meth:`Method.pack`."""
        base = method_of(self.base, self.base_options)
        tensors = learned.sources.pack()
        for i, (members, one, best) in enumerate(
            zip(learned.members, learned.learned, learned.best, strict=True)
        ):
            tensors[f"group.{i}.members"] = torch.tensor(members)
            tensors[f"group.{i}.best"] = best
            packed = base.pack(one)
            tensors |= {f"group.{i}.learned.{name}": tensor for name, tensor in packed.items()}
        tensors["features"] = learned.features
        tensors["names"] = torch.tensor(list(json.dumps(learned.names).encode()))
        return tensors

    def unpack(self, space: SearchSpace, tensors: Mapping[str, Tensor]) -> Groups:
        """See :meth:`Method.unpack`."""
        base, e = method_of(self.base, self.base_options), space.n_columns
        sources = SourceProcesses.unpack(space, tensors)
        k = len(sources.offset)
        names = json.loads(bytes(checked(tensors, "names", None).tolist()))
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("'names' is no list of names")
        members: list[tuple[int, ...]] = []
        learned: list[Any] = []
        best: list[Tensor] = []
        while (prefix := f"group.{len(members)}.") + "members" in tensors:
            of_group = checked(tensors, f"{prefix}members", None).long().tolist()
            if not of_group or not all(0 <= i < k for i in of_group):
                raise ValueError(f"'{prefix}members' names studies that there are not")
            members.append(tuple(of_group))
            best.append(checked(tensors, f"{prefix}best", None, e))
            learned.append(base.unpack(space, below(f"{prefix}learned.", tensors)))
        if not members:
            raise KeyError("group.0.members")
        return Groups(
            members=tuple(members),
            learned=tuple(learned),
            best=tuple(best),
            sources=sources,
            names=tuple(names),
            features=checked(tensors, "features", k, len(names)),
        )
