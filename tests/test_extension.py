"""The module that methods of one's own import."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
import re

from optuna_metasampler import extension


ROOT = Path(__file__).parents[1]


def test_every_name_is_exported_once_and_documented_where_it_is_defined() -> None:
    assert extension.__all__ == sorted(set(extension.__all__))
    page = (ROOT / "docs/api/methods.md").read_text(encoding="utf-8")
    # The site shows every name that the module exports.
    assert re.findall(r"^::: (\S+)$", page, re.M)[0] == extension.__name__
    for name in extension.__all__:
        value = getattr(extension, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert inspect.getdoc(value), name


def test_nothing_is_imported_that_is_not_exported() -> None:
    tree = ast.parse(inspect.getsource(extension))
    imported = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    assert imported == set(extension.__all__)


def test_the_example_uses_public_modules_alone() -> None:
    tree = ast.parse((ROOT / "examples/07_your_own_method.py").read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    own = {name for name in modules if name is not None and name.startswith("optuna_metasampler")}
    assert own == {"optuna_metasampler", "optuna_metasampler.extension"}
