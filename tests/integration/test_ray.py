"""The sampler as the search algorithm of Ray Tune.

Ray is too large for the other checks to install it (400 MB with what it needs) and starts its
processes for longer than they may take, so these tests are run by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import RandomSampler
import pytest

from optuna_metasampler import MetaSampler


pytestmark = [
    pytest.mark.slow,
    # Ray's own.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[tune]'.")
from ray import tune  # noqa: E402
from ray.tune.search.optuna import OptunaSearch  # noqa: E402


def loss(config: dict[str, Any]) -> float:
    value: float = (config["x"] - 1.0) ** 2 + abs(config["n"] - 3)
    return value


def train(config: dict[str, Any]) -> None:
    """What runs in a process of Ray's."""
    tune.report({"loss": loss(config)})


@pytest.fixture
def prior() -> optuna.Study:
    study = optuna.create_study(study_name="earlier", sampler=RandomSampler(seed=0))
    study.optimize(
        lambda t: loss({"x": t.suggest_float("x", -5, 5), "n": t.suggest_int("n", 1, 7)}),
        n_trials=20,
    )
    return study


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


SPACE = {"x": tune.uniform(-5.0, 5.0), "n": tune.randint(1, 8)}


def test_the_first_configuration_that_ray_is_given_comes_from_the_priors(
    prior: optuna.Study,
) -> None:
    search = OptunaSearch(metric="loss", mode="min", sampler=MetaSampler(prior, seed=0))
    search.set_search_properties("loss", "min", SPACE)
    first = search.suggest("a")
    assert first == pytest.approx(prior.best_params)
    second = search.suggest("b")
    assert second != first
    for name, config in (("a", first), ("b", second)):
        search.on_trial_complete(name, {"loss": loss(config), "training_iteration": 1})
    third = search.suggest("c")
    assert -5.0 <= third["x"] <= 5.0
    assert third["n"] in range(1, 8)


@pytest.mark.parametrize("with_prior", [False, True], ids=["without priors", "with priors"])
def test_a_search_of_ray_tune_runs_in_its_processes(
    with_prior: bool, prior: optuna.Study, cluster: None, tmp_path: Path
) -> None:
    sampler = MetaSampler(prior if with_prior else None, n_startup_trials=2, seed=0)
    tuner = tune.Tuner(
        train,
        param_space=SPACE,
        tune_config=tune.TuneConfig(
            search_alg=OptunaSearch(metric="loss", mode="min", sampler=sampler),
            num_samples=6,
            max_concurrent_trials=2,
        ),
        run_config=tune.RunConfig(storage_path=str(tmp_path), verbose=0),
    )
    results = tuner.fit()
    assert len(results) == 6
    assert not results.errors
    for result in results:
        assert result.metrics is not None
        assert result.metrics["loss"] == pytest.approx(loss(result.config))
