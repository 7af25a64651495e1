"""The blocks of code of a page, and how each kind of block is tried.

The blocks of a page are tried in their order, in one folder, the Python ones in one namespace.
A `text` block after another one is what that one prints. ``python -m tests.pages`` writes what is
printed today into the pages.
"""

from __future__ import annotations

from collections.abc import Iterator
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


ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

# Pages that begin in an empty folder and make everything themselves.
FROM_NOTHING = ("quickstart.md",)

_FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SHELLS = ("bash", "console", "sh")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


class BrokenPage(AssertionError):
    """A block does not do what a reader would expect of it."""


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        language: What stands behind the fence.
        title: The name of the file that it is to be saved as; ``None`` if it is not.
        code: Its lines.
        line: The number of its first line in the page.
        start: Where the code begins in the text of the page.
    """

    language: str
    title: str | None
    code: str
    line: int
    start: int


@dataclass
class Reader:
    """Somebody who reads a page and does what it says.

    Attributes:
        folder: Where they work.
        names: What their Python session knows.
        printed: What each block printed, by number.
    """

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)
    printed: dict[int, str] = field(default_factory=dict)

    def read(self, text: str) -> None:
        """Do what a page says, from the top to the bottom.

        Raises:
            BrokenPage: If a block is of a kind that nobody can try, or shows another output.
            Exception: Whatever a block raises.
        """
        all_blocks = blocks(text)
        for number, block in enumerate(all_blocks):
            if block.language == "text":
                if number == 0 or all_blocks[number - 1].language == "text":
                    raise BrokenPage(f"line {block.line}: an output without what prints it")
                continue
            self.printed[number] = self._try(block)

    def _try(self, block: Block) -> str:
        if block.title is not None:
            (self.folder / block.title).write_text(block.code, encoding="utf-8")
            compile(block.code, block.title, "exec")
            return ""
        if block.language == "python":
            program = compile("\n" * (block.line - 1) + block.code, "page", "exec")
            return self._printed(lambda: exec(program, self.names))
        if block.language in _SHELLS:
            lines = block.code.replace("\\\n", " ").splitlines()
            commands = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
            return "".join(self._run(words, block) for words in commands if words)
        if block.language == "yaml":
            _build(yaml.safe_load(block.code))
            return ""
        raise BrokenPage(f"line {block.line}: nobody knows how to try {block.language!r}")

    def _run(self, words: list[str], block: Block) -> str:
        """Run a command where it is ours, and look closely at it where it is not."""
        program, *arguments = words
        if program == "optuna-metasampler":
            result = CliRunner().invoke(command_line, arguments)
            if result.exit_code:
                raise BrokenPage(f"line {block.line}: {words} ends with {result.output}")
            return result.output
        if program == "python":
            return self._python(arguments)
        if program == "pip":
            _check_requirements(arguments)
        elif program == "make":
            _check_targets(arguments)
        elif program == "mkdir":
            (self.folder / arguments[-1]).mkdir()
        elif words not in (["cd", words[-1]], [".", ".venv/bin/activate"]):
            raise BrokenPage(f"line {block.line}: nobody knows how to try {words}")
        return ""

    def _python(self, arguments: list[str]) -> str:
        if arguments[0] == "-m":
            if find_spec(arguments[1]) is None:
                raise BrokenPage(f"there is no module {arguments[1]}")
            return ""
        own = self.folder / arguments[0]
        if own.exists():
            return self._printed(lambda: runpy.run_path(str(own), run_name="__main__"))
        if not (ROOT / arguments[0]).is_file():
            raise BrokenPage(f"there is no program {arguments[0]}")
        return ""

    def _printed(self, action: Any) -> str:
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
    """The number of lines that look like a fence, also those that are indented."""
    return len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE))


def shape(output: str) -> str:
    """An output without what is another number on another machine, and without its layout."""
    return " ".join(_NUMBER.sub("#", output).split())


def with_outputs(text: str, printed: dict[int, str]) -> str:
    """The page, its `text` blocks filled with what the blocks before them printed."""
    for number, block in reversed(list(enumerate(blocks(text)))):
        if block.language == "text":
            new = printed[number - 1].rstrip() + "\n"
            text = text[: block.start] + new + text[block.start + len(block.code) :]
    return text


def world(folder: Path) -> dict[str, Any]:
    """What the pages take for granted: files in a folder, and names."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def train_and_validate(lr: float, depth: int) -> float:
        return abs(lr - 0.01) + abs(depth - 5)

    def objective(trial: optuna.Trial, above: float = 0.0) -> float:
        lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        return train_and_validate(lr, trial.suggest_int("depth", 2, 12)) + above

    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'old.db'}")
    for seed, name in enumerate(("resnet-cats", "resnet-dogs", "xgb-cats", "xgb-dogs")):
        done = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        # Not the very same values as the pages' own studies, or they would count as copies.
        done.optimize(partial(objective, above=0.1 * (1 + seed)), n_trials=12)
        study = optuna.create_study(study_name=name, storage=storage)
        study.set_user_attr("team", "vision")
        study.add_trials(done.trials)
    storage.remove_session()
    storage.engine.dispose()
    rows = "cats,0.1,2,0.5\ncats,0.001,3,0.7\ncats,0.01,4,0.8\ndogs,0.02,3,0.6\ndogs,0.003,6,0.9"
    (folder / "runs.csv").write_text(
        f"data set,learning rate,layers,test accuracy\n{rows}\n", encoding="utf-8"
    )
    return {
        "objective": objective,
        "prior": "old.db",
        "train_and_validate": train_and_validate,
    }


def reader_of(page: Path, folder: Path) -> Reader:
    """A reader of a page, in an empty folder."""
    begins_empty = page.name in FROM_NOTHING or not blocks(page.read_text(encoding="utf-8"))
    return Reader(folder, {} if begins_empty else world(folder))


def pages() -> list[Path]:
    """All pages of the documentation."""
    return sorted(DOCS.rglob("*.md"))


@contextmanager
def _imports_from(folder: Path) -> Iterator[None]:
    """Import what lies in a folder, as a program there does, and forget it afterwards."""
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


def _build(config: Any) -> None:
    if not isinstance(config, dict):
        raise BrokenPage(f"{config!r} is no mapping")
    if "_target_" in config:
        instantiate(config)


def _check_requirements(arguments: list[str]) -> None:
    action, *requirements = arguments
    assert action == "install", arguments
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    optional = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    extras = set(re.findall(r"^([a-z]+) = \[", optional, re.MULTILINE))
    for text in requirements:
        local = re.fullmatch(r"\.(?:\[([\w,-]+)\])?", text)
        requirement = None if local or text == "-e" else Requirement(text)
        named = set(local[1].split(",")) if local and local[1] else set()
        if requirement is not None and requirement.name == "optuna-metasampler":
            named = requirement.extras
        if not named <= extras:
            raise BrokenPage(f"{text} names extras that are not there: {named - extras}")


def _check_targets(arguments: list[str]) -> None:
    for word in arguments:
        if "=" not in word and word not in targets():
            raise BrokenPage(f"there is no target {word!r}")


def run_notebook(path: Path, folder: Path) -> Any:
    """A notebook after all its cells were run in their order, by a kernel of its own.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell raises.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        coalesce_streams=True,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        timeout=300,
    )
    client.execute()
    for cell in notebook.cells:
        # The times of its runs.
        cell.metadata.pop("execution", None)
    return notebook


def targets() -> set[str]:
    """What `make` can be asked for."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def main() -> None:
    """Write what is printed today into the pages and the notebook."""
    for path in sorted(DOCS.rglob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = run_notebook(path, Path(folder))
            nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    for page in pages():
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            os.chdir(folder)
            reader = reader_of(page, Path(folder))
            reader.read(text)
            os.chdir(ROOT)
        page.write_text(with_outputs(text, reader.printed), encoding="utf-8")


if __name__ == "__main__":
    main()
