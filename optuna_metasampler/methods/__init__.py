"""The table of methods, and the names and options of the methods as types.

Importing this module is cheap: a method is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict


if TYPE_CHECKING:
    from optuna_metasampler.methods.base import Method


MethodName: TypeAlias = Literal[
    "auto",
    "gp",
    "mlp",
    "fine-tune",
    "maml",
    "reptile",
    "meta-sgd",
    "imaml",
    "meta-random-search",
    "lstm",
    "q-learning",
    "deep-kernel",
    "cluster",
    "portfolio",
    "hyperband",
]
"""The name of a method."""

METHODS: dict[str, str] = {
    "auto": "default:Auto",
    "gp": "default:ColdGaussianProcess",
    "mlp": "mlp.method:Mlp",
    "fine-tune": "few_shot.method:FineTune",
    "maml": "few_shot.method:Maml",
    "reptile": "few_shot.method:Reptile",
    "meta-sgd": "few_shot.method:MetaSgd",
    "imaml": "few_shot.method:ImplicitMaml",
    "meta-random-search": "few_shot.method:MetaRandomSearch",
    "lstm": "lstm.method:Lstm",
    "q-learning": "q_learning.method:QLearning",
    "deep-kernel": "deep_kernel:DeepKernelMethod",
    "cluster": "cluster:Cluster",
    "portfolio": "portfolio:Portfolio",
    "hyperband": "hyperband:Hyperband",
}
"""From name to module below this package and class."""


class MethodOptions(TypedDict, total=False):
    """The options of all methods; those of one method are its fields. ``auto`` has none."""

    # Few-shot networks: fine-tune, maml, reptile, meta-sgd, imaml and meta-random-search.
    n_members: int
    n_layers: int
    n_inner_steps: int
    inner_learning_rate: float
    n_meta_steps: int
    meta_learning_rate: float
    frozen_layers: int
    first_order: bool
    pull: float
    n_conjugate_steps: int
    n_candidates: int
    n_finalists: int
    # mlp; some are also options of other methods.
    surrogate: Literal["mlp", "svr", "forest", "boosting"]
    exploration: float
    width: int
    n_steps: int
    prior_weight: float
    n_starts: int
    n_gradient_steps: int
    step_size: float
    # lstm and q-learning
    training: Literal["policy-gradient", "unrolled"]
    horizon: int
    learning_rate: float
    n_objectives: int
    n_rollouts: int
    variation: float
    entropy: float
    temperature: float
    n_parallel: int
    n_replayed: int
    discount: float
    target_every: int
    epsilon: float
    # deep-kernel and hyperband
    batch_size: int
    n_adaptation_steps: int
    adaptation_rate: float
    n_warm_start: int
    # cluster and portfolio
    base: Literal["fine-tune", "maml", "reptile", "meta-sgd", "imaml", "deep-kernel", "auto"]
    base_options: Mapping[str, Any]
    max_groups: int
    size: int


def method_of(
    name: str | Method, options: MethodOptions | Mapping[str, Any] | None = None
) -> Method:
    """The method of a name, with options.

    Args:
        name: A key of :data:`METHODS`, or a method itself.
        options: Values of the method's fields.

    Raises:
        TypeError: If ``name`` is a method itself and there are options.
        ValueError: If there is no such method, no such option, or a value is out of range.
    """
    if not isinstance(name, str):
        # Imports torch, which a name does not need yet.
        from optuna_metasampler.methods.base import Method

        if not isinstance(name, Method):
            raise ValueError(
                f"`method` must be one of {_listed()} or an instance of a method, but got "
                f"{name!r}."
            )
        if options:
            raise TypeError(
                "`method_options` are the options of a method given by name. Pass the options to "
                f"{type(name).__name__} itself."
            )
        return name
    if name not in METHODS:
        raise ValueError(f"`method` must be one of {_listed()}, but got {name!r}.")
    module, _, attribute = METHODS[name].partition(":")
    kind: type[Method] = getattr(import_module(f"{__name__}.{module}"), attribute)
    known_options = {f.name: f for f in fields(kind)}
    for option in options or {}:
        if option not in known_options:
            listed = ", ".join(map(repr, known_options)) or "none"
            raise ValueError(f"`method_options` of {name!r} may be {listed}, but got {option!r}.")
    return kind(**(options or {}))


def _listed() -> str:
    return ", ".join(map(repr, METHODS))
