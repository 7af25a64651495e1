"""A report as JSON can hold it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from optuna_metasampler.explain.report.data import Report

_VERSION = 1


def document_of(report: Report) -> dict[str, Any]:
    """Everything in a report, under the names of its attributes."""
    document = {
        field.name: plain(getattr(report, field.name))
        for field in fields(report)
        if field.name != "figures"
    }
    return {"version": _VERSION, **document}


def plain(value: Any) -> Any:
    """A value as JSON can hold it: no NaN and no infinity, which JSON does not know."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return repr(value)
