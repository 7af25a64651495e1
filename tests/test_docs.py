"""The documentation tells the truth: every block of code on every page runs."""

from __future__ import annotations

from pathlib import Path
import re
import shutil
import subprocess
import sys

import nbformat
import pytest

from benchmarks.experiments import how_it_works
from benchmarks.plots import save
from benchmarks.records import RESULTS
from benchmarks.report import read_summary
from optuna_metasampler import weightings
from optuna_metasampler.policies import transfer as transfer_policy
from optuna_metasampler.surrogates import prior_mean, transfer
from tests.pages import (
    DOCS,
    ROOT,
    BrokenPage,
    Reader,
    blocks,
    n_fences,
    pages,
    reader_of,
    run_notebook,
    shape,
    targets,
    with_outputs,
)


PAGES = pages()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())
def test_what_the_page_says_can_be_done(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    reader = reader_of(page, tmp_path)
    reader.read(text)
    now = with_outputs(text, reader.printed)
    for told, is_now in zip(blocks(text), blocks(now), strict=True):
        assert shape(told.code) == shape(is_now.code), f"line {told.line}: make docs-figures"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())
def test_no_block_of_the_page_is_overlooked(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert n_fences(text) == 2 * len(blocks(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(DOCS).as_posix())
def test_the_targets_that_the_page_names_are_there(page: Path) -> None:
    named = set(re.findall(r"`make ([a-z-]+)[`\s]", page.read_text(encoding="utf-8")))
    assert named <= targets()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```python\n1 / 0\n```\n", "division by zero"),
        ("```ruby\nputs 1\n```\n", "nobody knows how to try 'ruby'"),
        ("```\nanything\n```\n", "nobody knows how to try ''"),
        ("```text\n1\n```\n", "an output without what prints it"),
        ("```bash\nrm -r old.db\n```\n", "nobody knows how to try"),
        ("```bash\nmake no-such-target\n```\n", "no target"),
        ("```bash\npip install '.[no-such-extra]'\n```\n", "extras that are not there"),
        ("```bash\npython no_such_program.py\n```\n", "no program"),
        ("```bash\noptuna-metasampler inspect no_such.db\n```\n", "no_such.db"),
        ("```yaml\n_target_: optuna_metasampler.MetaSampler\nno_such: 1\n```\n", "no_such"),
    ],
)
def test_a_block_that_cannot_be_done_is_found(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=complaint):
        Reader(tmp_path).read(text)


def test_an_output_that_has_changed_is_found(tmp_path: Path) -> None:
    text = '```python\nprint("best", 0.25)\n```\n\n```text\nworst 0.31\n```\n'
    reader = Reader(tmp_path)
    reader.read(text)
    told, now = blocks(text)[1].code, blocks(with_outputs(text, reader.printed))[1].code
    assert now == "best 0.25\n"
    assert shape(told) != shape(now)
    assert shape("best  0.31") == shape(now)


def test_a_program_on_a_page_is_saved_and_run(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.read(
        '```python title="one.py"\nx = 1\n```\n'
        '```python title="two.py"\nimport one\nprint(one.x)\n```\n'
        "```bash\npython two.py\n```\n"
    )
    assert reader.printed[2] == "1\n"
    with pytest.raises(BrokenPage, match="no program"):
        reader.read("```bash\npython three.py\n```\n")


def test_the_first_screen_shows_an_example_of_ten_lines() -> None:
    index = next(page for page in PAGES if page.name == "index.md")
    first = next(b for b in blocks(index.read_text(encoding="utf-8")) if b.language == "python")
    assert len([line for line in first.code.splitlines() if line.strip()]) <= 10
    assert first.line < 30


def test_the_notebook_runs_and_shows_what_it_showed(tmp_path: Path) -> None:
    path = DOCS / "notebook.ipynb"
    told = nbformat.read(path, as_version=4)
    now = run_notebook(path, tmp_path)
    nbformat.validate(told)
    for cell, cell_now in zip(told.cells, now.cells, strict=True):
        assert outputs(cell) == outputs(cell_now), cell.source


def outputs(cell: nbformat.NotebookNode) -> list[str]:
    """The outputs of a cell, without numbers and without what is inside of a figure."""
    return [
        shape(output.text) if output.output_type == "stream" else " ".join(sorted(output.data))
        for output in cell.get("outputs", [])
    ]


def test_the_figures_are_drawn_from_the_committed_data(tmp_path: Path) -> None:
    summary = read_summary()["how_it_works"]
    for name, figure in how_it_works.figures(summary).items():
        save(figure, tmp_path / f"{name}.png")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"initial_design.png", "prior_weight.png", "slices.png"}
    assert all((RESULTS / "figures" / name).stat().st_size < 80_000 for name in names)


def test_how_it_works_tells_the_numbers_of_the_code() -> None:
    text = (DOCS / "how-it-works.md").read_text(encoding="utf-8")
    words = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
    summary = read_summary()["how_it_works"]
    for sentence in (
        f"at most {words[transfer_policy.N_OPENING_TRIALS]} trials",
        f"Once there are {words[transfer._MIN_TRIALS_TO_MIRROR]} trials",
        f"the {prior_mean._MAX_SOURCES} most telling ones",
        f"up to {words[weightings.MAX_MODELLED_OBJECTIVES]}, have a model each",
        f"{how_it_works.N_PRIOR_TRIALS} trials of Optuna's default sampler each",
        f"two prior studies of {how_it_works.N_SLICE_PRIOR_TRIALS} trials each",
        f"{words[len(summary['prior_weight']['1 wrong'])]} seeds each",
    ):
        assert sentence in " ".join(text.split())
    assert transfer_policy.CONTRAST == 1, "the second trial is the one far away"


@pytest.mark.parametrize(
    ("page", "text", "complaint"),
    [
        ("faq.md", "[nowhere](../benchmarks/NOWHERE.md)", "NOWHERE.md"),
        ("faq.md", "[nowhere](../benchmarks/README.md#nowhere)", "does not contain an anchor"),
    ],
)
def test_a_broken_link_ends_the_build_of_the_site(
    page: str, text: str, complaint: str, tmp_path: Path
) -> None:
    for name in ("CHANGELOG.md", "Makefile", "benchmarks", "examples", "optuna_metasampler"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "docs" / page).open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")
    done = subprocess.run(
        ["make", "-o", f"{sys.prefix}/.installed", f"VENV={sys.prefix}", "docs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert complaint in done.stderr
