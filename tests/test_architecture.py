"""The directions of import, where Optuna may be touched, and other rules of the house.

The package is read, not imported: imports inside functions count too, those for type checkers
only do not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
import re
import subprocess
import sys

import pytest


PACKAGE = "optuna_metasampler"

# What stands in a row may import what stands in the rows above it. Modules and packages of one
# row know nothing of each other; the modules inside of one package may.
ORDER: tuple[frozenset[str], ...] = (
    frozenset(
        {
            "exceptions",
            "files",
            "hypervolume",
            "isolation",
            "logging",
            "networks",
            "packing",
            "text",
            "weightings",
        }
    ),
    frozenset({"_optuna", "progress"}),
    frozenset({"space"}),
    frozenset({"task"}),
    frozenset({"priors", "surrogates", "acquisition", "maximize", "plateaus"}),
    frozenset({"history", "policies", "shown"}),
    frozenset({"relevance", "snapshot"}),
    frozenset({"suggestion"}),
    frozenset({"meta_train"}),
    frozenset({"methods"}),
    frozenset({"checkpoint"}),
    frozenset({"fitting"}),
    frozenset({"knowledge"}),
    frozenset({"background"}),
    frozenset({"insight"}),
    frozenset({"visualization"}),
    frozenset({"report"}),
    frozenset({"dashboard"}),
    frozenset({"sampler"}),
    frozenset({"demo", "cli", "__main__"}),
)
# The last row uses the package from outside: through its public names, and each other.
OUTSIDE = ORDER[-1]

MAY_IMPORT_OPTUNA = frozenset(
    {
        "_optuna",
        "logging",
        "space",
        "priors",
        "history",
        "shown",
        "snapshot",
        "suggestion",
        "fitting",
        "sampler",
        "visualization",
        "report",
        "dashboard",
        "demo",
        "cli",
    }
)
MAY_USE_PRIVATE_OPTUNA = frozenset({"_optuna"})

# Private attributes of Optuna's objects, whatever the variable is called that holds the object.
PRIVATE_ATTRIBUTES = frozenset(
    {
        "_contains",
        "_directions",
        "_get_trials",
        "_is_multi_objective",
        "_relative_params",
        "_storage",
        "_study_id",
        "_suggest",
        "_trial_id",
    }
)
# Names of variables which hold an object of Optuna: no private attribute of these at all.
OPTUNA_VARIABLE = re.compile(r"^((\w+_)?(study|trial|storage|distribution|independent_sampler))$")

HEAVY = ("torch", "sklearn", "scipy", "matplotlib", "plotly", "optuna_dashboard")


# --------------------------------------------------------------------------------------------
# Reading


def package_folder() -> Path:
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def sources() -> dict[str, Path]:
    """Dotted names below the package, `""` for the package itself, and their files."""
    folder = package_folder()
    files = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def running_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below `node` but those for type checkers only."""
    children = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and is_type_checking(node.test):
        children = iter(node.orelse)
    for child in children:
        yield child
        yield from running_nodes(child)


def imported(node: ast.AST, name: str, is_package: bool) -> list[str]:
    """The absolute dotted names that one node imports into the module `name` of the package."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    origin = node.module or ""
    if node.level:
        here = [PACKAGE, *(name.split(".") if name else [])]
        keep = len(here) - node.level + (1 if is_package else 0)
        origin = ".".join([*here[:keep], *([origin] if origin else [])])
    return [f"{origin}.{alias.name}" for alias in node.names]


def top(name: str) -> str:
    return name.split(".")[0]


# --------------------------------------------------------------------------------------------
# Rules: each gives its complaints about one module


def complaint(name: str, node: ast.AST, text: str) -> str:
    return f"{name or '__init__'}:{getattr(node, 'lineno', '?')} {text}"


def rank(module: str) -> int | None:
    return next((index for index, row in enumerate(ORDER) if module in row), None)


def wrong_directions(
    tree: ast.Module, name: str, modules: frozenset[str], is_package: bool = False
) -> list[str]:
    """Imports against `ORDER`; `modules` are the names right below the package."""
    own = top(name)
    own_rank = len(ORDER) if not own else rank(own)
    found = []
    for node in running_nodes(tree):
        for target in imported(node, name, is_package):
            package, _, rest = target.partition(".")
            if package != PACKAGE:
                continue
            other = top(rest)
            if other not in modules:
                # A public name of the package, whose `__init__` may import everything.
                if own and own not in OUTSIDE:
                    found.append(complaint(name, node, f"imports {target} from the package's top"))
                continue
            if own == other or (own in OUTSIDE and other in OUTSIDE):
                continue
            other_rank = rank(other)
            if own_rank is None or other_rank is None:
                found.append(
                    complaint(name, node, f"imports {target}, which has no place in ORDER")
                )
            elif other_rank >= own_rank:
                found.append(complaint(name, node, f"imports {target}, against ORDER"))
    return found


def optuna_imports(tree: ast.Module, name: str, is_package: bool = False) -> list[str]:
    return [
        complaint(name, node, f"imports {target}")
        for node in running_nodes(tree)
        for target in imported(node, name, is_package)
        if top(target) == "optuna"
    ]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def private_optuna(tree: ast.Module, name: str, is_package: bool = False) -> list[str]:
    """Private names of Optuna, also in what only type checkers read."""
    found = []
    for node in ast.walk(tree):
        for target in imported(node, name, is_package):
            if top(target) == "optuna" and any(map(is_private, target.split("."))):
                found.append(complaint(name, node, f"imports {target}"))
        attribute, base = "", None
        if isinstance(node, ast.Attribute):
            attribute, base = node.attr, node.value
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"getattr", "hasattr", "setattr"}
            and len(node.args) > 1
            and isinstance(node.args[1], ast.Constant)
            and isinstance(node.args[1].value, str)
        ):
            attribute, base = node.args[1].value, node.args[0]
        if base is None or not is_private(attribute):
            continue
        if isinstance(base, ast.Name) and base.id in {"self", "cls"}:
            continue
        root = ast.unparse(base).split(".")[0]
        holder = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        of_optuna = root == "optuna" or OPTUNA_VARIABLE.match(holder.lstrip("_"))
        if of_optuna or attribute in PRIVATE_ATTRIBUTES:
            found.append(complaint(name, node, f"uses {ast.unparse(base)}.{attribute}"))
    return found


def keyword_catchers(tree: ast.Module, name: str) -> list[str]:
    return [
        complaint(name, node, f"takes **{node.args.kwarg.arg}")
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        and node.args.kwarg is not None
    ]


def prints(tree: ast.Module, name: str) -> list[str]:
    return [
        complaint(name, node, "prints")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]


# --------------------------------------------------------------------------------------------
# The package


MODULES = sources()
TOP_MODULES = frozenset(top(name) for name in MODULES if name)

each_module = pytest.mark.parametrize(
    "name", [pytest.param(name, id=name or "__init__") for name in MODULES]
)


def is_package_file(name: str) -> bool:
    return MODULES[name].name == "__init__.py"


def test_every_module_has_its_place_in_the_order() -> None:
    unknown = sorted(TOP_MODULES - frozenset().union(*ORDER))
    assert not unknown, (
        f"{unknown} of {PACKAGE} stand nowhere in ORDER in {Path(__file__).name}. Add each to "
        "the row below all that it imports, and above all that import it."
    )


@each_module
def test_a_module_imports_only_what_comes_before_it(name: str) -> None:
    complaints = wrong_directions(parse(MODULES[name]), name, TOP_MODULES, is_package_file(name))
    assert not complaints, "\n".join(complaints)


@each_module
def test_only_the_border_of_the_package_imports_optuna(name: str) -> None:
    if top(name) in MAY_IMPORT_OPTUNA:
        return
    complaints = optuna_imports(parse(MODULES[name]), name, is_package_file(name))
    assert not complaints, "\n".join(complaints)


@each_module
def test_private_names_of_optuna_occur_in_one_module_only(name: str) -> None:
    if top(name) in MAY_USE_PRIVATE_OPTUNA:
        return
    complaints = private_optuna(parse(MODULES[name]), name, is_package_file(name))
    assert not complaints, "\n".join(complaints)


@each_module
def test_no_signature_catches_unknown_keywords(name: str) -> None:
    complaints = keyword_catchers(parse(MODULES[name]), name)
    assert not complaints, "\n".join(complaints)


@each_module
def test_nothing_is_printed(name: str) -> None:
    complaints = prints(parse(MODULES[name]), name)
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize(
    "statement",
    [
        f"import {PACKAGE}",
        f"from {PACKAGE} import Archive, MetaSampler, PriorFilter, Table",
        f"import {PACKAGE}.cli",
    ],
)
def test_importing_the_package_does_not_import_the_heavy_libraries(statement: str) -> None:
    program = f"{statement}\nimport sys\nprint([m for m in {HEAVY} if m in sys.modules])"
    # The package may lie beside the tests without being installed.
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=package_folder().parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


def test_the_version_is_stated_in_one_place() -> None:
    stated = re.compile(
        r"""^\s*(?:__version__|version|VERSION)\s*(?::\s*\w+\s*)?=\s*["']\d""", re.M
    )
    files = [*MODULES.values(), Path(__file__).parents[1] / "pyproject.toml"]
    places = [
        f"{path.name}: {line.strip()}"
        for path in files
        if path.exists()
        for line in path.read_text(encoding="utf-8").splitlines()
        if stated.match(line)
    ]
    assert len(places) == 1, places


# --------------------------------------------------------------------------------------------
# The rules themselves


KNOWN = frozenset().union(*ORDER)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("space", f"from {PACKAGE}.task import Task"),
        ("space", f"import {PACKAGE}.sampler"),
        ("space", f"from {PACKAGE} import task"),
        ("space", "from .task import Task"),
        ("space", "from . import task"),
        ("space", f"def f():\n    from {PACKAGE}.task import Task"),
        ("space", f"if True:\n    from {PACKAGE}.task import Task"),
        ("space", "if TYPE_CHECKING:\n    pass\nelse:\n    from .task import Task"),
        ("priors.align", f"from {PACKAGE}.surrogates import base"),
        ("priors.align", "from ..surrogates.base import Surrogate"),
        ("maximize", f"from {PACKAGE}.acquisition import log_ei"),
        ("sampler", f"from {PACKAGE} import MetaSampler"),
        ("task", f"from {PACKAGE}.brand_new import thing"),
    ],
)
def test_the_order_rule_sees_an_import_that_turns_back(name: str, source: str) -> None:
    assert wrong_directions(ast.parse(source), name, KNOWN | {"brand_new"})


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("task", f"from {PACKAGE}.space import SearchSpace"),
        ("task", "from .space import SearchSpace"),
        ("priors.align", "from .sources import resolve"),
        ("priors.align", f"from {PACKAGE}.priors.sources import resolve"),
        ("cli", f"from {PACKAGE} import __version__"),
        ("cli", f"from {PACKAGE}.demo import run"),
        ("", f"from {PACKAGE}.sampler import MetaSampler"),
        ("space", f"if TYPE_CHECKING:\n    from {PACKAGE}.task import Task"),
        ("space", f"if typing.TYPE_CHECKING:\n    from {PACKAGE}.task import Task"),
        ("space", "import numpy.task"),
    ],
)
def test_the_order_rule_accepts_what_keeps_to_it(name: str, source: str) -> None:
    assert not wrong_directions(ast.parse(source), name, KNOWN)


@pytest.mark.parametrize(
    "source",
    [
        "from optuna.samplers._base import BaseSampler",
        "from optuna.samplers import _base",
        "import optuna._gp.gp",
        "if TYPE_CHECKING:\n    from optuna._typing import JSONSerializable",
        "study._storage",
        "trial._trial_id",
        "anything._get_trials()",
        "self._study._thread_local",
        "prior_study._cache",
        "optuna.samplers._base",
        "getattr(study, '_storage')",
        "get_study()._study_id",
    ],
)
def test_the_privacy_rule_sees_a_private_name(source: str) -> None:
    assert private_optuna(ast.parse(source), "sampler")


@pytest.mark.parametrize(
    "source",
    [
        "from optuna.samplers import BaseSampler",
        "from ._optuna import storage_of",
        "self._storage",
        "other._columns",
        "study.__class__",
        "getattr(study, 'trials')",
    ],
)
def test_the_privacy_rule_accepts_public_names_and_our_own(source: str) -> None:
    assert not private_optuna(ast.parse(source), "sampler")


def test_the_other_rules_see_what_they_forbid() -> None:
    assert keyword_catchers(ast.parse("def f(a, **anything): ..."), "space")
    assert keyword_catchers(ast.parse("f = lambda **anything: 0"), "space")
    assert not keyword_catchers(ast.parse("def f(a, *b, c=1): g(**c)"), "space")
    assert prints(ast.parse("print('a')"), "space")
    assert not prints(ast.parse("'print(1)'  # print(2)"), "space")
    assert optuna_imports(ast.parse("def f():\n    import optuna"), "task")
    assert not optuna_imports(ast.parse("import optuna_metasampler"), "task")
