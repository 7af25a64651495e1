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
    "auto": "auto:Auto",
    "gp": "gp:ColdGaussianProcess",
    "lstm": "lstm:Lstm",
    "q-learning": "q_learning:QLearning",
