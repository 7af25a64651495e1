"""Hooks of MkDocs: build the site from files that are readable in the repository too.

Pages have the paths of their files: the page of ``benchmarks/README.md`` is ``benchmarks/README``,
without ``docs/``. Examples and notebooks become pages of their own. Links in the files work in the
repository; the hooks convert them to links between pages.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
import posixpath
import re
from typing import Any

from griffe import Extension, Object
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


ROOT = Path(__file__).parents[1]
_DOCS = "docs/"
_AS_PAGES = {".py": ".md", ".ipynb": ".md"}

# The target of a link or of an image; the anchor apart.
_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=(?:#[^)\s]*)?\))")
# Intervals, in which a narrow column of a table must not break lines: (-0.92 to -0.59).
_INTERVAL = re.compile(r"\(([-+\d.]+) to ([-+\d.]+)\)")
# Roles of Sphinx such as :class:`~optuna.study.Study`, also in Optuna's docstrings.
_ROLE = re.compile(r":(?:class|meth|func|attr|mod|data|exc):`(~?)([\w.]+)`")

_SECTIONS = {"Example:": "Examples:", "Class attributes:": "Attributes:"}
_SECTION = re.compile("^(?:" + "|".join(_SECTIONS) + ")$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add files outside of ``docs/``, and a page for each notebook."""
    for name in ("CHANGELOG.md", "benchmarks/README.md", "benchmarks/learner_records/README.md"):
        files.append(File.generated(config, name, content=(ROOT / name).read_text("utf-8")))
    results = ROOT / "benchmarks" / "results"
    for path in sorted([*results.rglob("*.png"), *results.glob("*.txt")]):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    for path in sorted((ROOT / "examples").glob("*.py")):
        files.append(File.generated(config, _page_of(path), content=_example(path)))
    for path in sorted((ROOT / _DOCS).rglob("*.ipynb")):
        files.append(File.generated(config, _page_of(path), content=_notebook(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages."""
    here = page.file.src_uri
    in_docs = any((ROOT / _DOCS / here).with_suffix(s).exists() for s in (".md", ".ipynb"))
    folder = posixpath.dirname(_DOCS + here if in_docs else here)

    def page_of(link: re.Match[str]) -> str:
        target = _page_of(ROOT / posixpath.normpath(posixpath.join(folder, link[1])))
        if files.get_file_from_path(target) is None:
            return link[1]
        return posixpath.relpath(target, posixpath.dirname(here) or ".")

    return _INTERVAL.sub("(\\1\u00a0to\u00a0\\2)", _LINK.sub(page_of, markdown))


def _page_of(path: Path) -> str:
    """Path of a file's page in the site."""
    name = path.relative_to(ROOT).as_posix()
    stem, suffix = posixpath.splitext(name)
    return stem.removeprefix(_DOCS) + _AS_PAGES.get(suffix, suffix)


def _example(path: Path) -> str:
    """The page of an example: the first sentence of its docstring, and the program."""
    program = path.read_text(encoding="utf-8")
    title = (ast.get_docstring(ast.parse(program)) or path.stem).splitlines()[0].rstrip(".")
    name = path.relative_to(ROOT).as_posix()
    return f'# {title}\n\n```python title="{name}"\n{program}```\n'


def _notebook(path: Path) -> str:
    """The page of a notebook: its cells, with the stored outputs."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    link = f"[Download the notebook]({path.name}){{ download }}"
    return "\n\n".join([*(part for cell in cells for part in _cell(cell)), link]) + "\n"


def _cell(cell: dict[str, Any]) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [source]
    parts = [f"```python\n{source}\n```"]
    for output in cell["outputs"]:
        data = output.get("data", {"text/plain": output.get("text", "")})
        if "image/png" in data:
            image = "".join(data["image/png"]).replace("\n", "")
            parts.append(
                f'<img alt="Output of the cell above" src="data:image/png;base64,{image}">'
            )
        elif "text/plain" in data:
            parts.append(f"```text\n{''.join(data['text/plain']).rstrip()}\n```")
    return parts


class Docstrings(Extension):
    """Griffe extension that adapts docstrings to its parser.

    Roles of Sphinx become code, linked if the site has the object, and sections get the names that
    the parser knows.
    """

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            text = _ROLE.sub(_code, obj.docstring.value)
            obj.docstring.value = _SECTION.sub(lambda found: _SECTIONS[found[0]], text)


def _code(role: re.Match[str]) -> str:
    short, name = role.groups()
    label = name.rpartition(".")[2] if short else name
    return f'<autoref optional identifier="{name}"><code>{label}</code></autoref>'
