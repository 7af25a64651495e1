"""Rules of the house that neither import-linter nor ruff can hold (see ``pyproject.toml``).

The package is read here, not imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
import re
import subprocess
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
import pytest


ROOT = Path(__file__).parents[1]
MODULES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "optuna_metasampler").rglob("*.py"))
}
# Variables and attributes that hold an object of Optuna: nothing private of theirs is used.
HOLDS_OPTUNA = re.compile(r"optuna|_?(\w+_)?(study|trial|storage|distribution)|_?\w+_sampler")
HEAVY = {"torch", "sklearn", "scipy", "matplotlib", "plotly", "optuna_dashboard"}
# Imported where they are installed, or by type checkers only.
OPTIONAL = {"matplotlib", "optuna_dashboard", "pandas", "plotly", "typing_extensions"}


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def uses_of_private_optuna(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for name in imported(node):
            if name.startswith("optuna.") and any(map(is_private, name.split("."))):
                yield name
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            holder = getattr(node.value, "attr", getattr(node.value, "id", ""))
            if HOLDS_OPTUNA.fullmatch(holder):
                yield ast.unparse(node)


def test_private_names_of_optuna_occur_in_one_module_only() -> None:
    users = {name: list(uses_of_private_optuna(tree)) for name, tree in MODULES.items()}
    assert users.pop("optuna_metasampler/_optuna.py")
    assert not {name: uses for name, uses in users.items() if uses}


@pytest.mark.parametrize(
    "source",
    [
        "from optuna.samplers._base import BaseSampler",
        "from optuna.samplers import _base",
        "import optuna._gp.gp",
        "self._study._storage",
        "prior_study._study_id",
    ],
)
def test_a_private_name_of_optuna_is_found(source: str) -> None:
    assert len(list(uses_of_private_optuna(ast.parse(source)))) == 1


def test_no_signature_catches_unknown_keywords() -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    assert not [
        f"{name}:{node.lineno}"
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, functions) and node.args.kwarg
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "from optuna_metasampler import Archive, MetaSampler, PriorFilter, Table",
        "import optuna_metasampler.cli",
    ],
)
def test_importing_the_package_does_not_import_the_heavy_libraries(statement: str) -> None:
    program = f"{statement}\nimport sys\nsys.exit(str({HEAVY} & sys.modules.keys()))"
    # The package may lie beside the tests without being installed.
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.stderr.strip() == "set()"


def test_each_imported_package_is_declared() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = project.partition("\ndependencies = [")[2].partition("\n]")[0]
    declared = {canonicalize_name(Requirement(d).name) for d in re.findall(r'"(.+)"', listed)}
    nodes = (node for tree in MODULES.values() for node in ast.walk(tree))
    used = {name.split(".")[0] for node in nodes for name in imported(node)}
    others = used - sys.stdlib_module_names - OPTIONAL - {"optuna_metasampler"}
    distributions = packages_distributions()
    assert {canonicalize_name(distributions[name][0]) for name in others} == declared


def test_the_version_is_stated_in_one_place() -> None:
    stated = re.compile(r"""^\s*(__)?version(__)?\s*(:\s*\w+\s*)?=\s*["']\d""", re.M | re.I)
    files = [ROOT / "pyproject.toml", *(ROOT / name for name in MODULES)]
    assert [p.name for p in files if stated.search(p.read_text("utf-8"))] == ["__init__.py"]
