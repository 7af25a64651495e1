"""Runs the fenced blocks of a page of documentation.

The blocks of a page run in order, in one folder, the Python ones in one namespace. A `text` block
is the output of the block before it. ``python -m tests.pages`` writes the current outputs into the
pages and the notebook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
import io
import os
from pathlib import Path
import re
import runpy
import shlex
import shutil
import sys
import tempfile
from typing import Any

from click.testing import CliRunner
from hydra.utils import instantiate
from nbclient import NotebookClient
import nbformat
import optuna
from packaging.requirements import Requirement
import yaml

from optuna_metasampler.cli import main as command_line
from tests.studies import EXPORTS, random_study, sqlite


ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

# Pages that start in an empty folder and create all of their files.
FROM_NOTHING = ("quickstart.md",)

_FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


class BrokenPage(AssertionError):
    """A block cannot be run, or fails."""


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        language: The word after the fence.
        title: Name of the file that it is to be saved as; ``None`` without.
        code: Its lines.
        line: Number of its first line in the page.
        start: Position of the code in the text of the page.
    """

    language: str
    title: str | None
    code: str
    line: int
    start: int


@dataclass
class Runner:
    """Runs the blocks of one page.

    Attributes:
        folder: The working folder.
        names: Namespace of the Python blocks.
        printed: Output of each block, by number.
    """

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)
    printed: dict[int, str] = field(default_factory=dict)

    def run(self, text: str) -> None:
        """Run all blocks of a page.

        Raises:
            BrokenPage: If a block is of an unknown kind, or a command fails.
            Exception: Any exception of a Python block.
        """
        languages = [block.language for block in blocks(text)]
        for number, block in enumerate(blocks(text)):
            if block.language != "text":
                self.printed[number] = self._run_block(block)
            elif number == 0 or languages[number - 1] == "text":
                raise BrokenPage(f"line {block.line}: an output without a program before it")

    def _run_block(self, block: Block) -> str:
        if block.title is not None:
            (self.folder / block.title).write_text(block.code, encoding="utf-8")
            compile(block.code, block.title, "exec")
            return ""
        if block.language == "python":
            program = compile("\n" * (block.line - 1) + block.code, "page", "exec")
            return self._output(lambda: exec(program, self.names))
        if block.language in ("bash", "console", "sh"):
            lines = block.code.replace("\\\n", " ").splitlines()
            commands = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
            return "".join(self._run_command(words, block) for words in commands if words)
        if block.language == "yaml":
            config = yaml.safe_load(block.code)
            if not isinstance(config, dict):
                raise BrokenPage(f"line {block.line}: not a mapping")
            if "_target_" in config:
                instantiate(config)
            return ""
        raise BrokenPage(f"line {block.line}: cannot run a block of {block.language!r}")

    def _run_command(self, words: list[str], block: Block) -> str:
        """Run a command of this project; check the arguments of other commands."""
        program, *arguments = words
        problem = ""
        if program == "optuna-metasampler":
            result = CliRunner().invoke(command_line, arguments)
            if result.exit_code == 0:
                return result.output
            problem = result.output
        elif program == "python":
            return self._python(arguments)
        elif program == "pip":
            problem = _missing_extras(arguments)
        elif program == "make":
            missing = {word for word in arguments if "=" not in word} - targets()
            problem = f"no target {missing}" if missing else ""
        elif program == "mkdir":
            (self.folder / arguments[-1]).mkdir()
        elif words not in (["cd", words[-1]], [".", ".venv/bin/activate"]):
            problem = "cannot run this command"
        if problem:
            raise BrokenPage(f"line {block.line}: {words}: {problem}")
        return ""

    def _python(self, arguments: list[str]) -> str:
        if arguments[0] == "-m":
            if find_spec(arguments[1]) is None:
                raise BrokenPage(f"no module {arguments[1]}")
            return ""
        own = self.folder / arguments[0]
        if own.exists():
            return self._output(lambda: runpy.run_path(str(own), run_name="__main__"))
        if not (ROOT / arguments[0]).is_file():
            raise BrokenPage(f"no program {arguments[0]}")
        return ""

    def _output(self, action: Callable[[], object]) -> str:
        stream = io.StringIO()
        with redirect_stdout(stream), _imports_from(self.folder):
            action()
        return stream.getvalue()


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [
        Block(f[1], f[2], f[3], text.count("\n", 0, f.start(3)) + 1, f.start(3))
        for f in _FENCE.finditer(text)
    ]


def n_fences(text: str) -> int:
    """Number of lines that look like a fence, indented ones included."""
    return len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE))


def shape(output: str) -> str:
    """An output without its numbers, which depend on the machine, and its layout."""
    return " ".join(_NUMBER.sub("#", output).split())


def with_outputs(text: str, printed: dict[int, str]) -> str:
    """The page with the outputs of its blocks in the `text` blocks after them."""
    for number, block in reversed(list(enumerate(blocks(text)))):
        if block.language == "text":
            new = printed[number - 1].rstrip() + "\n"
            text = text[: block.start] + new + text[block.start + len(block.code) :]
    return text


def world(folder: Path) -> dict[str, Any]:
    """Files in a folder, and names, that the pages assume."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def train_and_validate(lr: float, depth: int) -> float:
        return abs(lr - 0.01) + abs(depth - 5)

    def objective(trial: optuna.Trial, above: float = 0.0) -> float:
        lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        return train_and_validate(lr, trial.suggest_int("depth", 2, 12)) + above

    with sqlite(folder / "old.db") as storage:
        for seed, name in enumerate(("resnet-cats", "resnet-dogs", "xgb-cats", "xgb-dogs")):
            # Not the very same values as the pages' own studies, or they would count as copies.
            shifted = partial(objective, above=0.1 * (1 + seed))
            random_study(shifted, 12, seed, name, storage).set_user_attr("team", "vision")
    for path in EXPORTS.glob("*.csv"):
        shutil.copy(path, folder)
    rows = "cats,0.1,2,0.5\ncats,0.001,3,0.7\ncats,0.01,4,0.8\ndogs,0.02,3,0.6\ndogs,0.003,6,0.9"
    (folder / "runs.csv").write_text(
        f"data set,learning rate,layers,test accuracy\n{rows}\n", encoding="utf-8"
    )
    return {"objective": objective, "prior": "old.db", "train_and_validate": train_and_validate}


def runner_of(page: Path, folder: Path) -> Runner:
    """The runner of a page, in an empty folder."""
    starts_empty = page.name in FROM_NOTHING or not blocks(page.read_text(encoding="utf-8"))
    return Runner(folder, {} if starts_empty else world(folder))


def pages() -> list[Path]:
    """All pages of the documentation."""
    return sorted(DOCS.rglob("*.md"))


@contextmanager
def _imports_from(folder: Path) -> Iterator[None]:
    """Make the modules of a folder importable, and unload them afterwards."""
    sys.path.insert(0, str(folder))
    before = set(sys.modules)
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file is not None and Path(file).parent == folder:
                del sys.modules[name]


def _missing_extras(arguments: list[str]) -> str:
    """Extras of this package that `pip install` names and that do not exist."""
    action, *texts = arguments
    assert action == "install", arguments
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    optional = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    extras = set(re.findall(r"^([a-z]+) = \[", optional, re.MULTILINE))
    names = [re.sub(r"^\.", "optuna-metasampler", text) for text in texts if text != "-e"]
    named = [Requirement(name) for name in names]
    missing = {e for r in named if r.name == "optuna-metasampler" for e in r.extras} - extras
    return f"no extras {missing}" if missing else ""


def run_notebook(path: Path, folder: Path) -> Any:
    """A notebook after running all of its cells, in a kernel of its own.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell raises.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(
        notebook,
        coalesce_streams=True,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        timeout=300,
    ).execute()
    for cell in notebook.cells:
        # Time stamps.
        cell.metadata.pop("execution", None)
    return notebook


def targets() -> set[str]:
    """The targets of the Makefile."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def main() -> None:
    """Write the current outputs into the pages and the notebook."""
    for path in sorted(DOCS.rglob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = run_notebook(path, Path(folder))
            nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    for page in pages():
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            os.chdir(folder)
            runner = runner_of(page, Path(folder))
            runner.run(text)
            os.chdir(ROOT)
        page.write_text(with_outputs(text, runner.printed), encoding="utf-8")


if __name__ == "__main__":
    main()
