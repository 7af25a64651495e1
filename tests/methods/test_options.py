"""Options of methods: their checks, and their types for editors."""

from __future__ import annotations

from dataclasses import dataclass, fields
import math
import re
from typing import Any, ClassVar, get_args, get_type_hints

import pytest

from optuna_metasampler.methods import METHODS, MethodName, MethodOptions, method_of
from optuna_metasampler.methods.base import Check, option
from optuna_metasampler.methods.default import Auto


@dataclass(frozen=True)
class WithOptions(Auto):
    name: ClassVar[str] = "with-options"

    count: int = option(3, ge=1, hint="Pass 1 to count once.")
    rate: float = option(0.5, gt=0, lt=1)
    share: float = option(0.5, ge=0, le=1)
    kind: str = option("a", choices=("a", "b"))
    on: bool = option(True)
    anything: object = None


@pytest.mark.parametrize(
    "options",
    [
        {"count": 1},
        {"rate": 0.01},
        {"share": 0},
        {"share": 1},
        {"kind": "b"},
        {"on": False},
        {"anything": math.nan},
    ],
)
def test_a_value_in_range_is_kept(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    assert getattr(WithOptions(**options), name) is value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", 0, "an integer, at least 1, but got 0. Pass 1 to count once."),
        ("count", 2.0, "an integer, at least 1, but got 2.0. Pass 1 to count once."),
        ("count", True, "an integer, at least 1, but got True. Pass 1 to count once."),
        ("rate", 0, "a finite number, above 0 and below 1, but got 0."),
        ("rate", 1.0, "a finite number, above 0 and below 1, but got 1.0."),
        ("rate", math.nan, "a finite number, above 0 and below 1, but got nan."),
        ("rate", "fast", "a finite number, above 0 and below 1, but got 'fast'."),
        ("share", 1.5, "a finite number, at least 0 and at most 1, but got 1.5."),
        ("share", None, "a finite number, at least 0 and at most 1, but got None."),
        ("kind", "c", "one of 'a', 'b', but got 'c'."),
        ("kind", 1, "one of 'a', 'b', but got 1."),
        ("on", 1, "True or False, but got 1."),
    ],
)
def test_an_error_names_the_option_its_range_and_the_value(
    name: str, value: object, message: str
) -> None:
    with pytest.raises(ValueError, match=name) as error:
        WithOptions(**{name: value})  # type: ignore[arg-type]
    assert str(error.value) == f"`{name}` must be {message}"


@pytest.mark.parametrize(
    ("method", "option", "value"),
    [
        ("cluster", "max_groups", 0),
        ("cluster", "max_groups", math.pi),
        ("deep-kernel", "n_steps", -1),
        ("deep-kernel", "batch_size", 1),
        ("deep-kernel", "width", 2.5),
        ("deep-kernel", "n_adaptation_steps", True),
        ("deep-kernel", "n_warm_start", 0),
        ("deep-kernel", "learning_rate", 0.0),
        ("deep-kernel", "adaptation_rate", "fast"),
        ("fine-tune", "frozen_layers", 3),
        ("fine-tune", "frozen_layers", -1),
        ("hyperband", "n_warm_start", -1),
        ("hyperband", "n_warm_start", 1.5),
        ("hyperband", "n_warm_start", True),
        ("hyperband", "n_warm_start", "5"),
        ("imaml", "pull", 0.0),
        ("imaml", "pull", math.inf),
        ("imaml", "n_conjugate_steps", 0),
        ("imaml", "first_order", None),
        ("lstm", "training", "luck"),
        ("lstm", "width", 0),
        ("lstm", "horizon", 0),
        ("lstm", "n_steps", 0),
        ("lstm", "n_objectives", 0),
        ("lstm", "n_rollouts", 1),
        ("lstm", "learning_rate", 0.0),
        ("lstm", "temperature", math.nan),
        ("lstm", "variation", -0.1),
        ("lstm", "entropy", -0.1),
        ("maml", "width", 0),
        ("maml", "n_layers", 1.5),
        ("maml", "n_inner_steps", 0),
        ("maml", "inner_learning_rate", -0.1),
        ("maml", "meta_learning_rate", math.nan),
        ("maml", "n_members", True),
        ("maml", "first_order", 1),
        ("meta-random-search", "n_candidates", 0),
        ("meta-random-search", "n_finalists", "8"),
        ("meta-sgd", "first_order", "yes"),
        ("mlp", "surrogate", "tree"),
        ("mlp", "exploration", -1.0),
        ("mlp", "exploration", math.nan),
        ("mlp", "n_members", 0),
        ("mlp", "n_steps", -1),
        ("mlp", "step_size", 0.0),
        ("mlp", "prior_weight", math.inf),
        ("portfolio", "size", 0),
        ("q-learning", "n_parallel", 0),
        ("q-learning", "target_every", 0),
        ("q-learning", "learning_rate", -1.0),
        ("q-learning", "variation", math.nan),
        ("q-learning", "discount", 1.1),
        ("q-learning", "epsilon", -0.5),
        ("reptile", "n_meta_steps", 0),
    ],
)
def test_a_value_out_of_range_is_refused_by_name_and_value(
    method: str, option: str, value: object
) -> None:
    with pytest.raises(ValueError, match=rf"`{option}` must be .*{re.escape(repr(value))}"):
        method_of(method, {option: value})


@pytest.mark.parametrize("name", METHODS)
def test_every_option_of_the_table_has_a_check_and_passes_it(name: str) -> None:
    method = method_of(name)
    for f in fields(method):
        if f.name == "base_options":
            continue
        check = f.metadata["check"]
        assert isinstance(check, Check)
        assert check.accepts(getattr(method, f.name))


def test_the_types_for_editors_name_the_methods_and_options_of_the_table() -> None:
    assert get_args(MethodName) == tuple(METHODS)
    checks = {f.name: f.metadata.get("check") for m in METHODS for f in fields(method_of(m))}
    hints = get_type_hints(MethodOptions)
    assert set(hints) == set(checks)
    for name, check in checks.items():
        if isinstance(check, Check) and check.choices:
            assert get_args(hints[name]) == check.choices
        elif isinstance(check, Check):
            assert hints[name] is check.kind
