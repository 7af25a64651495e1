"""The one table of methods: a name, and where it is defined.

Importing this module is cheap: a method is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from optuna_metasampler.methods.base import Method


METHODS: dict[str, str] = {
    "auto": "default:Auto",
    "gp": "default:ColdGaussianProcess",
    "mlp": "mlp:Mlp",
    "fine-tune": "fine_tune:FineTune",
    "maml": "maml:MamlMethod",
    "reptile": "reptile:ReptileMethod",
    "meta-sgd": "meta_sgd:MetaSgd",
    "imaml": "imaml:ImplicitMamlMethod",
    "meta-random-search": "meta_random_search:MetaRandomSearch",
    "lstm": "lstm:Lstm",
    "q-learning": "q_learning:QLearning",
    "deep-kernel": "deep_kernel:DeepKernelMethod",
    "cluster": "cluster:Cluster",
    "portfolio": "portfolio:Portfolio",
    "hyperband": "hyperband:Hyperband",
}
"""Name to module and class below this package."""


def method_of(name: str | Method[Any], options: Mapping[str, Any] | None = None) -> Method[Any]:
    """The method of a name, with options.

    Args:
        name: A key of :data:`METHODS`, or a method itself.
        options: Values of the method's fields.

    Raises:
        TypeError: If ``name`` is a method already and there are options.
        ValueError: If there is no such method, no such option, or a value is out of range.
    """
    if not isinstance(name, str):
        from optuna_metasampler.methods.base import Method

        if not isinstance(name, Method):
            raise ValueError(
                f"`method` must be one of {_listed()} or a method itself, but got {name!r}."
            )
        if options:
            raise TypeError("`method_options` goes with the name of a method, not with a method.")
        return name
    if name not in METHODS:
        raise ValueError(f"`method` must be one of {_listed()}, but got {name!r}.")
    module, _, attribute = METHODS[name].partition(":")
    kind: type[Method[Any]] = getattr(import_module(f"{__name__}.{module}"), attribute)
    known_options = {f.name: f for f in fields(kind)}
    for option in options or {}:
        if option not in known_options:
            listed = ", ".join(map(repr, known_options)) or "none"
            raise ValueError(f"`method_options` of {name!r} may be {listed}, but got {option!r}.")
    return kind(**(options or {}))


def _listed() -> str:
    return ", ".join(map(repr, METHODS))
