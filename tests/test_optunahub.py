"""The package for OptunaHub: it follows the registry's rules, and users can load it."""

from __future__ import annotations

import inspect
from pathlib import Path
import re
import socket
import subprocess
import sys
import types
from typing import Any

import optuna
import optunahub
import pytest
import yaml

import optuna_metasampler
from tests.studies import random_study


ROOT = Path(__file__).parents[1]
REGISTRY = ROOT / "optunahub"
NAME = "samplers/metasampler"
FOLDER = REGISTRY / NAME

# In a program of its own, with the registry's folder as its first argument.
LOAD = f"""
import sys
import optunahub

def load_module(name):
    return optunahub.load_local_module(name, registry_root=sys.argv[1])

module = load_module({NAME!r})
"""
BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Block())
"""


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads the package from the checkout, with an error for every network connection."""

    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection to {arguments[1:]} was opened")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

    def load_module(package: str) -> types.ModuleType:
        return optunahub.load_local_module(package, registry_root=str(REGISTRY))

    return load_module


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(REGISTRY)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def parts() -> tuple[dict[str, Any], str]:
    """The front matter and the text of the README."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    _, header, body = re.split(r"^---\n", text, maxsplit=2, flags=re.MULTILINE)
    return yaml.safe_load(header), body


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", parts()[1], re.DOTALL | re.MULTILINE)


def test_what_optunahub_loads_is_the_sampler_of_the_package(load: Any) -> None:
    assert load(NAME).MetaSampler is optuna_metasampler.MetaSampler


def test_a_study_with_a_prior_runs_through_it_and_starts_from_the_prior(load: Any) -> None:
    old = random_study(lambda trial: (trial.suggest_float("x", -5, 5) - 1) ** 2, 30)
    study = optuna.create_study(sampler=load(NAME).MetaSampler(old, seed=0))
    study.optimize(lambda trial: (trial.suggest_float("x", -5, 5) - 1) ** 2, n_trials=4)
    assert study.trials[0].params["x"] == pytest.approx(old.best_params["x"], abs=0.5)
    assert study.best_value <= study.trials[0].value


def test_without_the_package_the_error_names_the_package_to_install() -> None:
    result = run(BLOCK.format(name="optuna_metasampler") + LOAD)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: `samplers/metasampler` needs")
    assert "`pip install optuna-metasampler`" in last


def test_another_missing_module_keeps_its_own_error() -> None:
    result = run(BLOCK.format(name="optuna_metasampler.sampler") + LOAD)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last == "ModuleNotFoundError: No module named 'optuna_metasampler.sampler'"


def test_the_front_matter_meets_the_requirements_of_the_registry() -> None:
    header, _ = parts()
    assert list(header) == [
        "author",
        "title",
        "description",
        "tags",
        "optuna_versions",
        "license",
    ]
    assert all(header.values())
    assert "sampler" in header["tags"]
    assert header["license"] == "MIT License"
    # A title in words, not the name of the class; and one sentence.
    assert "MetaSampler" not in header["title"]
    assert header["description"].count(".") == 1


def test_the_versions_of_optuna_are_those_that_the_contract_tests_run() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    older = re.search(r"^OLDER_OPTUNAS := (.*)$", makefile, re.MULTILINE)
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    newest = re.search(r"^optuna==(\S+)$", pins, re.MULTILINE)
    assert older
    assert newest
    assert parts()[0]["optuna_versions"] == [*older[1].split(), newest[1]]


def test_the_sections_are_those_of_the_registrys_template() -> None:
    _, body = parts()
    prose = re.sub(r"^```.*?^```", "", body, flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^## (.*)$", prose, re.MULTILINE) == [
        "Abstract",
        "APIs",
        "Installation",
        "Example",
        "Others",
    ]
    assert not re.findall(r"</?[a-zA-Z][^>]*>", re.sub(r"`[^`]*`", "", prose)), "HTML is refused"
    assert f'optunahub.load_module("{NAME}")' in body.partition("## Example")[2]


def test_the_folder_has_the_registrys_files_and_nothing_binary() -> None:
    found = {path.name for path in FOLDER.iterdir() if path.name != "__pycache__"}
    assert found == {
        "__init__.py",
        "sampler.py",
        "README.md",
        "LICENSE",
        "example.py",
        "requirements.txt",
    }
    assert (FOLDER / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert (FOLDER / "requirements.txt").read_text().split() == ["optuna-metasampler"]
    assert FOLDER.name.isidentifier()


def test_the_arguments_in_the_readme_are_those_of_the_sampler() -> None:
    documented = re.findall(r"^  - `(\w+)`: ", parts()[1], re.MULTILINE)
    parameters = inspect.signature(optuna_metasampler.MetaSampler).parameters
    assert documented == [name for name in parameters if name in documented]
    signature = re.search(r"^- `MetaSampler\((.*)\)`$", parts()[1], re.MULTILINE)
    assert signature
    for written in signature[1].replace("*, ", "").split(", "):
        name, _, default = written.partition("=")
        assert name in documented
        assert repr(parameters[name].default) == default.replace('"', "'")


def test_the_example_of_the_readme_runs(
    load: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # `load_module` downloads from the registry; here it loads from the folder.
    monkeypatch.setattr(optunahub, "load_module", load)
    monkeypatch.chdir(tmp_path)
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    assert "'x': " in capsys.readouterr().out


def test_the_example_runs(
    load: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(optunahub, "load_module", load)
    program = compile((FOLDER / "example.py").read_text(encoding="utf-8"), "example.py", "exec")
    exec(program, {"__name__": "__main__"})
    assert "best of 10" in capsys.readouterr().out
