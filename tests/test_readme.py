"""The README is correct: its numbers are the measured ones, and its code runs."""

from __future__ import annotations

from pathlib import Path
import re

import optuna
import pytest

from benchmarks.report import blocks, filled, read_summary
from optuna_metasampler import MetaSampler


README = Path(__file__).parents[1] / "README.md"


def test_the_numbers_are_those_of_the_result_files() -> None:
    text = README.read_text(encoding="utf-8")
    assert filled(text, blocks(read_summary())) == text


def test_the_example_has_twelve_lines_and_uses_the_old_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def train_and_validate(lr: float, depth: int) -> float:
        return abs(lr - 0.01) + abs(depth - 5)

    old = optuna.create_study(study_name="an earlier study", storage="sqlite:///old.db")
    old.optimize(
        lambda t: train_and_validate(
            t.suggest_float("lr", 1e-5, 1e-1, log=True), t.suggest_int("depth", 2, 12)
        ),
        n_trials=15,
    )
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {"train_and_validate": train_and_validate}
    exec(compile(example, str(README), "exec"), names)
    study = names["study"]
    assert isinstance(study, optuna.Study)
    assert isinstance(study.sampler, MetaSampler)
    assert len(study.trials) == 20
    assert str(study.best_params) in capsys.readouterr().out
    assert "an earlier study" in str(study.sampler.inspect_priors(study))
    assert len([line for line in example.splitlines() if line.strip()]) <= 12


def test_the_page_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 90


def test_every_page_that_it_links_to_exists() -> None:
    links = re.findall(r"\]\(([^):#]+)(?:#[^)]*)?\)", README.read_text(encoding="utf-8"))
    assert len(links) > 10
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_the_samplers_without_old_studies_that_it_names_can_be_made() -> None:
    named = re.findall(r"`(MetaSampler\([^`]*\))`", README.read_text(encoding="utf-8"))
    assert set(named) == {
        'MetaSampler(learner="lightgbm")',
        "MetaSampler(learner=None)",
        "MetaSampler()",
    }
    for call in named:
        assert isinstance(eval(call, {"MetaSampler": MetaSampler}), MetaSampler)
