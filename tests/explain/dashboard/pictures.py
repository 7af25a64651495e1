"""The pictures of the documentation: a study that was really run, in a browser.

Usage: ``python -m tests.explain.dashboard.pictures``
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
import tempfile

import optuna
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.dashboard import publish
from tests.explain.dashboard.browser import browser, dashboard, screenshot, until


IMAGES = Path(__file__).parents[3] / "docs" / "images"
PRIORS = {"iris": load_iris, "wine": load_wine, "digits": load_digits}
WIDTH = 1000
# Of 255, so that white stays white.
LEVEL_STEP = 5


def error(trial: optuna.Trial, data: tuple[object, object]) -> float:
    """Cross-validated error of a support vector machine."""
    model = SVC(
        C=trial.suggest_float("C", 1e-3, 1e3, log=True),
        gamma=trial.suggest_float("gamma", 1e-5, 10, log=True),
        kernel=trial.suggest_categorical("kernel", ["rbf", "sigmoid"]),
        class_weight=trial.suggest_categorical("class_weight", ["balanced", None]),
    )
    x, y = data
    return 1 - float(cross_val_score(make_pipeline(StandardScaler(), model), x, y, cv=3).mean())


def run(storage: str, page: Path) -> None:
    """A study of breast cancer after three on other data, and its report."""
    for i, (name, load) in enumerate(PRIORS.items()):
        data = load(return_X_y=True)
        prior = optuna.create_study(
            study_name=name, storage=storage, sampler=optuna.samplers.TPESampler(seed=i)
        )
        prior.optimize(partial(error, data=data), n_trials=40)
    sampler = MetaSampler(storage, prior_studies=list(PRIORS), seed=0)
    study = optuna.create_study(study_name="breast cancer", storage=storage, sampler=sampler)
    data = load_breast_cancer(return_X_y=True)
    study.optimize(lambda t: error(t, data), n_trials=25)
    publish(study, note=True)
    sampler.report(study).write_html(page)


def take(driver: webdriver.Chrome, name: str, top: int = 0) -> None:
    """Keep what the browser shows, small enough for a repository."""
    path = IMAGES / f"{name}.png"
    screenshot(driver, path)
    with Image.open(path) as whole:
        part = whole.crop((0, top, whole.width, whole.height)).convert("RGB")
    height = round(part.height * WIDTH / part.width)
    small = part.resize((WIDTH, height), Image.Resampling.LANCZOS)
    # Level by level: a palette made from the picture gives thin lines the colour of broad ones.
    few = small.point(lambda level: round(level / LEVEL_STEP) * LEVEL_STEP)
    few.save(path, optimize=True)


def main() -> None:
    """Run the study and take all pictures."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, browser() as driver:
        storage = f"sqlite:///{folder}/studies.db"
        page = Path(folder) / "report.html"
        run(storage, page)
        driver.set_window_size(1280, 2450)
        driver.get(page.as_uri())
        until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, ".main-svg"))
        take(driver, "report")
        with dashboard(storage) as address:
            number = 1 + len(PRIORS)
            driver.set_window_size(1280, 2850)
            driver.get(f"{address}/studies/{number}")
            until(
                driver, lambda: len(driver.find_elements(By.CSS_SELECTOR, ".js-plotly-plot")) > 7
            )
            # Below the dashboard's own graphs.
            take(driver, "dashboard", top=1222)


if __name__ == "__main__":
    main()
