"""optuna-dashboard, as a user sees it: a real study, a real server, a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.dashboard import Budget, publish
from tests.explain.dashboard.browser import browser, dashboard, missing, screenshot, until


pytestmark = [
    pytest.mark.any_optuna,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]
ARTIFACTS = Path(__file__).parents[3] / "build" / "screenshots"
SIZES = ((1280, 2850), (1920, 2850))


def objective(trial: optuna.Trial, optimum: float = 0.3) -> float:
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    act = trial.suggest_categorical("act", ["relu", "tanh"])
    return (
        (rate**0.25 - optimum) ** 2 + 0.05 * (act == "tanh") + 0.01 * trial.suggest_int("n", 1, 5)
    )


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A storage with two finished studies."""
    url = f"sqlite:///{tmp_path_factory.mktemp('dashboard')}/studies.db"
    for i in range(2):
        sampler = optuna.samplers.TPESampler(seed=i)
        study = optuna.create_study(study_name=f"old-{i}", storage=url, sampler=sampler)
        study.optimize(lambda t, i=i: objective(t, 0.3 + 0.05 * i), n_trials=20)
    return url


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    with browser() as driver:
        yield driver


@pytest.fixture(scope="module")
def address(storage: str) -> Iterator[str]:
    with dashboard(storage) as address:
        yield address


def page_of(study: optuna.Study, address: str, page: str = "") -> str:
    return f"{address}/studies/{study._study_id}{page}"


def titles(driver: webdriver.Chrome) -> list[str]:
    """Titles of the figures that are drawn on the page."""
    return [e.text.split("\n")[0] for e in driver.find_elements(By.CSS_SELECTOR, ".gtitle")]


def text_with(words: str, driver: webdriver.Chrome) -> str:
    """All text of the page; nothing until these words are in it."""
    text: str = driver.find_element(By.TAG_NAME, "body").text
    return text if words in text else ""


def complaints(driver: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def test_a_study_explains_itself_while_it_runs(
    storage: str, address: str, driver: webdriver.Chrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if trials took minutes: the graphs are drawn whenever one ends.
    monkeypatch.setattr(Budget, "allows", lambda self, now: True)
    sampler = MetaSampler(storage, prior_studies="old-*", seed=0)
    study = optuna.create_study(study_name="new", storage=storage, sampler=sampler)
    study.optimize(objective, n_trials=6)
    driver.get(page_of(study, address))
    first = until(driver, lambda: [t for t in titles(driver) if "(6 trials)" in t])
    assert len(first) == 4, titles(driver)
    assert any("Weights of the prior studies" in t for t in first)

    study.optimize(objective, n_trials=2)
    # The page asks again by itself.
    until(driver, lambda: sum("(8 trials)" in t for t in titles(driver)) == 5)
    for width, height in SIZES:
        # The page lays its figures out once.
        driver.set_window_size(width, height)
        driver.get(page_of(study, address))
        until(driver, lambda: sum("(8 trials)" in t for t in titles(driver)) == 5)
        screenshot(driver, ARTIFACTS / f"dashboard-{width}.png")
        for figure in driver.find_elements(By.CSS_SELECTOR, ".js-plotly-plot"):
            assert figure.rect["x"] >= 0
            assert figure.rect["x"] + figure.rect["width"] <= width
    for figure in ours(driver):
        title = figure.find_element(By.CSS_SELECTOR, ".gtitle").rect
        buttons = figure.find_element(By.CSS_SELECTOR, ".modebar").rect
        assert title["y"] >= buttons["y"] + buttons["height"] - 2
        assert title["width"] <= figure.rect["width"]
    driver.find_element(
        By.XPATH, "//*[contains(@data-testid, 'Brightness')]/ancestor::*[@role='button'][1]"
    ).click()
    until(driver, lambda: ground(driver) < 64)
    assert len(ours(driver)) == 5
    screenshot(driver, ARTIFACTS / "dashboard-dark.png")
    assert complaints(driver) == []


def ours(driver: webdriver.Chrome) -> list[WebElement]:
    """The graphs of the page that are not the dashboard's own."""
    return driver.find_elements(By.CSS_SELECTOR, "[id^='user-defined-plot:metasampler-']")


def ground(driver: webdriver.Chrome) -> int:
    """How bright the page is, from 0 to 255."""
    color = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    return int(color.split("(")[1].split(",")[0])


def test_trials_show_what_was_expected_of_them(
    storage: str, address: str, driver: webdriver.Chrome
) -> None:
    study = optuna.create_study(
        study_name="attributes", storage=storage, sampler=MetaSampler(storage, seed=0)
    )
    study.optimize(objective, n_trials=5)
    driver.set_window_size(1920, 1200)
    driver.get(page_of(study, address, "/trials?numbers=4"))
    last = study.trials[-1].user_attrs
    assert {"meta:phase", "meta:predicted", "meta:low", "meta:high"} <= last.keys()
    text = until(driver, lambda: text_with("meta:predicted", driver))
    for name, value in last.items():
        assert name in text
        assert str(value) in text


def test_the_report_is_the_note_of_a_study_that_asked_for_it(
    storage: str, address: str, driver: webdriver.Chrome
) -> None:
    sampler = MetaSampler(storage, prior_studies="old-*", seed=0)
    study = optuna.create_study(study_name="noted", storage=storage, sampler=sampler)
    study.optimize(objective, n_trials=8)
    publish(study, note=True)
    driver.get(page_of(study, address, "/note"))
    text = until(driver, lambda: text_with("share of the variance", driver))
    assert "old-0" in text
    assert "begin: report of" not in text
    screenshot(driver, ARTIFACTS / "note.png")


def test_a_study_that_does_not_explain_itself_shows_nothing_of_it(
    storage: str, address: str, driver: webdriver.Chrome
) -> None:
    study = optuna.create_study(
        study_name="silent", storage=storage, sampler=MetaSampler(storage, explain=False, seed=0)
    )
    study.optimize(objective, n_trials=5)
    driver.get(page_of(study, address))
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, ".js-plotly-plot"))
    assert not any("trials)" in title for title in titles(driver))
    assert all(not t.user_attrs and not t.system_attrs for t in study.trials)
