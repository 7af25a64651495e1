"""The page of a report: well formed, safe, and with the numbers of the report only."""

from __future__ import annotations

from html.parser import HTMLParser
import importlib.util
from itertools import pairwise
from pathlib import Path
import re
from typing import Any

import pytest

from optuna_metasampler._text import number, percent
from optuna_metasampler.explain.report import Report
from optuna_metasampler.explain.report import html as page_module
from optuna_metasampler.explain.report.phrases import value_of
from tests.explain.report.studies import prior_studies, ran, sampler_of, seeded, tuned


EVIL = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>\x1b[2J'
VOID = {"meta", "br", "link", "img", "input", "hr"}
SVG = {"line", "polyline", "polygon", "circle"}


class Page(HTMLParser):
    """Checks that elements nest, and collects what is in them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self.open:
            self.scripts.append(data)
        elif "style" not in self.open:
            self.text.append(data)

    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


@pytest.fixture(scope="module")
def report() -> Report:
    old = [*prior_studies(2), seeded("empty")]
    old[-1].optimize(lambda t: t.suggest_float("C", 0, 1), n_trials=2)
    sampler = sampler_of(old)
    return sampler.report(ran(sampler, 9))


@pytest.fixture(scope="module")
def plain(report: Report) -> str:
    """Without Plotly's script, of which there are megabytes."""
    patch = pytest.MonkeyPatch()
    found = importlib.util.find_spec
    patch.setattr(page_module, "find_spec", lambda n: None if n == "plotly" else found(n))
    text = report.to_html()
    patch.undo()
    return text


def test_it_is_well_formed_and_refers_to_nothing(plain: str) -> None:
    page = Page(plain)
    assert plain.startswith("<!DOCTYPE html>")
    assert page.all("html") == [{"lang": "en"}]
    for _, attributes in page.seen:
        assert not {"src", "href", "srcset", "action", "data"} & attributes.keys()
    assert "url(" not in plain
    assert "@import" not in plain
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_it_can_be_read_aloud(plain: str) -> None:
    page = Page(plain)
    assert len(page.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.seen if re.fullmatch("h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert all(th.get("scope") in ("col", "row") for th in page.all("th"))
    assert len(page.all("table")) >= 4
    ids = [a["id"] for _, a in page.seen if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for a in page.all("section")} <= set(ids)
    for svg in page.all("svg"):
        assert svg.get("aria-hidden") == "true" or svg.get("aria-label")


def test_it_has_the_statements_and_warnings_of_the_report(report: Report, plain: str) -> None:
    words = Page(plain).words()
    for statement in (*report.statements, *report.warnings):
        assert " ".join(statement.split()) in words
    for p in report.priors:
        assert p.name in words
        assert (p.reason or "") in words


def test_every_number_on_it_is_in_the_document(report: Report, plain: str) -> None:
    known: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            known.add(str(len(value)))
            for key, item in value.items():
                collect(key)
                collect(item)
        elif isinstance(value, list):
            known.add(str(len(value)))
            for item in value:
                collect(item)
        elif isinstance(value, str):
            known.update(re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", value))
        elif isinstance(value, (int, float)):
            shown = [value_of(value), number(float(value), 2), number(float(value))]
            if 0 <= value <= 2:
                shown += [percent(float(value)), f"{value:.2f}"]
            for text in shown:
                known.update(re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", text))

    collect(report.to_dict())
    # The level of the interval, and the range of a rank correlation.
    known |= {"80", "0", "1", str(sum(not p.used for p in report.priors))}
    words = Page(plain).words()
    assert set(re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", words)) <= known


def test_without_plotly_it_has_a_hint_and_no_script(plain: str) -> None:
    assert Page(plain).scripts == []
    assert "pip install plotly" in plain


def test_with_plotly_it_has_the_plots_and_the_script_once(report: Report) -> None:
    plotly = pytest.importorskip("plotly.offline")
    text = report.to_html()
    page = Page(text)
    plots = [a for a in page.all("div") if a.get("id", "").startswith("plot-")]  # type: ignore[union-attr]
    assert len(plots) >= 5
    assert all(a["role"] == "img" and a["aria-label"] for a in plots)
    kinds = [a.get("type") for a in page.all("script")]
    assert kinds == [None, "application/json", None]
    assert all("src" not in a for a in page.all("script"))
    assert len(text) < len(plotly.get_plotlyjs()) + 1_000_000
    assert "pip install" not in text


def test_hostile_names_are_escaped() -> None:
    old = seeded(EVIL)
    old.optimize(lambda t: len(t.suggest_categorical(EVIL, [EVIL, "b"])), n_trials=5)
    sampler = sampler_of([old])
    study = ran(sampler, 6, lambda t: len(t.suggest_categorical(EVIL, [EVIL, "b"])), name=EVIL)
    report = sampler.report(study)
    text = report.to_html()
    page = Page(text)
    assert page.all("img") == []
    assert len(page.all("script")) in (0, 3)
    assert "\x1b" not in text
    assert '<img src=x onerror="alert(1)"' in page.words()


@pytest.mark.parametrize("n", [0, 1])
def test_a_study_that_has_just_begun_has_a_page(n: int) -> None:
    sampler = sampler_of(prior_studies(1))
    Page(sampler.report(ran(sampler, n)).to_html())


def test_a_study_of_two_objectives_has_a_page() -> None:
    sampler = sampler_of()
    study = ran(sampler, 8, lambda t: (tuned(t), t.params["lr"]), ("minimize", "maximize"))
    words = Page(sampler.report(study).to_html()).words()
    assert "Pareto front" in words
    assert "Parameters: objective 1, maximize" in words


def test_the_page_is_written_whole_or_not_at_all(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("older", encoding="utf-8")
    report.write_html(path)
    assert path.read_text(encoding="utf-8") == report.to_html()
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(OSError, match="nowhere"):
        report.write_html(tmp_path / "nowhere" / "report.html")
