"""Every format of a report, compared with a stored snapshot, and the sentences in it.

After a change of wording: ``python -m tests.explain.report.test_formats`` rewrites the snapshots.
"""

from __future__ import annotations

from dataclasses import replace
import json
import math
from pathlib import Path
from typing import Any

import pytest

from optuna_metasampler.explain.calibration import Accuracy
from optuna_metasampler.explain.report import phrases
from optuna_metasampler.explain.report.data import BestTrial
from optuna_metasampler.explain.report.text import escaped, sparkline
from tests.explain.report.sample import FORECAST, GAIN, PRIORS, PROGRESS, sample


SNAPSHOTS = Path(__file__).with_name("snapshots")


def formats() -> dict[str, str]:
    """The contents of each snapshot, by the name of its file."""
    report = sample()
    _, _, body = report.to_html().partition("<body>")
    return {
        "report.txt": f"{report}\n",
        "report.md": report.to_markdown(),
        "report.html": f"<body>{body}\n",
        "report.json": json.dumps(report.to_dict(), indent=1, allow_nan=False) + "\n",
    }


@pytest.mark.parametrize("name", ["report.txt", "report.md", "report.html", "report.json"])
def test_a_report_is_that_of_the_snapshot(name: str) -> None:
    assert formats()[name] == (SNAPSHOTS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("p_transfer", "n_priors", "text"),
    [
        (0.97, 1, "Transfer weight 0.97: the model relies on the prior study."),
        (0.6, 1, "Transfer weight 0.60: the prior study is partly trusted."),
        (
            0.44,
            2,
            "Transfer weight 0.44: the prior studies are down-weighted. Largest prior weight: "
            "resnet-dogs (31%).",
        ),
        (0.03, 2, "Transfer weight 0.03: the prior studies are practically ignored."),
    ],
)
def test_the_transfer_weight_has_four_levels(p_transfer: float, n_priors: int, text: str) -> None:
    assert phrases.describe_weight(p_transfer, PRIORS[:n_priors], [None]) == text


def test_the_weight_of_the_last_suggestion_is_no_statement_about_the_model() -> None:
    assert phrases.describe_last_weight(0.44, PRIORS) == (
        "The last suggestion was made with a transfer weight of 0.44. Largest prior weight: "
        "resnet-dogs (31%)."
    )


def test_priors_that_all_rank_trials_wrongly_are_mentioned() -> None:
    priors = [replace(prior, weight=0.0) for prior in PRIORS[:2]]
    text = phrases.describe_weight(0.44, priors, [None])
    assert text.endswith("None of them ranks this study's trials in their order.")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"n_trials": 2}, "relies on the prior studies, but 2 trials cannot show whether they"),
        ({"error": 0.2}, "relies on the prior studies, but 12 trials do not show yet whether"),
        ({"nats": -0.35}, "but left-out outcomes are 1.42 times as likely without them"),
        ({}, "studies; left-out outcomes are 1.42 times as likely with them as without."),
        ({"sign_flipped": True}, "as likely with them, with flipped sign, as without."),
    ],
)
def test_one_sentence_says_how_much_priors_count_and_whether_they_help(
    change: dict[str, Any], text: str
) -> None:
    gain = replace(GAIN, p_transfer=0.97, **change)
    assert text in phrases.describe_weight(0.97, PRIORS[:2], [gain])


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.3, 0.7, ": the forecasts are overconfident"), (0.85, 1.0, ": the forecasts are under")],
)
def test_forecasts_may_be_too_narrow_or_too_wide(low: float, high: float, verdict: str) -> None:
    accuracy = Accuracy(20, (low + high) / 2, low, high, math.nan, 0.1)
    assert verdict in phrases.describe_calibration(accuracy)


def test_progress_without_a_warm_start_or_an_improvement_is_described() -> None:
    cold = replace(PROGRESS, warm_start=None, n_warm_start=0, share=None)
    stuck = replace(PROGRESS, n_warm_start=1, share=None)
    assert [phrases.describe_progress(p) for p in (cold, stuck)] == [
        "An average configuration has a value of 3.346, the best trial 0.00605.",
        "The warm start (1 trial, probes included) did no better than an average configuration "
        "(3.346), and neither has any trial since.",
    ]


def test_little_or_no_improvement_ahead_is_described() -> None:
    unlikely = replace(FORECAST, probability=0.04)
    none = replace(FORECAST, n_trials=1, gain=0.0)
    assert phrases.describe_forecast(unlikely).endswith("improvement 4%. Consider stopping.")
    assert phrases.describe_forecast(none) == (
        "1 more trial is not expected to improve the best value, 0.00605."
    )


def test_the_best_of_several_objectives_is_a_front() -> None:
    best = [BestTrial(i, (0.0, 1.0), {}) for i in range(3)]
    assert phrases.describe_best(best, ("minimize", "minimize")) == (
        "The Pareto front has 3 trials."
    )
    assert phrases.describe_best([], ("minimize",)) == (
        "No trial has a value and satisfies the constraints yet."
    )


def test_markdown_has_no_markup_of_names() -> None:
    assert escaped("a|b <i> *c* [d](e) https://f") == (
        "a&#124;b &#60;i&#62; &#42;c&#42; &#91;d&#93;(e) https&#58;//f"
    )


def test_a_sparkline_has_a_bar_a_value_up_to_its_width() -> None:
    assert sparkline([0.0, 0.5, 1.0], 8, 1.0) == "▁▅█"
    assert len(sparkline([0.1] * 99, 16, 1.0)) == 16
    assert sparkline([], 16, 0.0) == ""


if __name__ == "__main__":
    SNAPSHOTS.mkdir(exist_ok=True)
    for file, text in formats().items():
        (SNAPSHOTS / file).write_text(text, encoding="utf-8")
