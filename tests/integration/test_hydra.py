"""A sampler that is written down in a configuration of Hydra."""

from __future__ import annotations

from pathlib import Path
import pickle
from typing import Any

import optuna
from optuna.samplers import RandomSampler
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler.exceptions import MethodError
from tests.studies import random_study, sqlite


hydra = pytest.importorskip(
    "hydra", reason="Hydra is not installed: pip install 'optuna-metasampler[integrations]'."
)
from hydra.core.global_hydra import GlobalHydra  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402


# What a user writes in `conf/config.yaml`, and what would stand under `hydra/sweeper/sampler`.
CONFIG = """
defaults:
  - sampler: priors
  - _self_
direction: minimize
"""
SAMPLER = """
_target_: optuna_metasampler.MetaSampler
prior: ${oc.env:PRIORS}
prior_studies: [resnet-*, vit-0]
prior_filter:
  user_attrs: {team: vision}
  min_trials: 10
rename: {eta: lr}
method: portfolio
method_options: {size: 3}
n_startup_trials: 1
independent_sampler:
  _target_: optuna.samplers.RandomSampler
  seed: 1
seed: 0
"""


def loss(trial: optuna.Trial, name: str = "lr") -> float:
    return abs(trial.suggest_float(name, 0.0, 1.0) - 0.7)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Studies of which the configuration means some: by name, user attribute and length."""
    path = tmp_path_factory.mktemp("priors") / "earlier.db"
    studies = (
        ("resnet-0", "vision", 12),
        ("resnet-1", "speech", 12),
        ("resnet-2", "vision", 3),
        ("vit-0", "vision", 12),
        ("vit-1", "vision", 12),
    )
    with sqlite(path) as storage:
        for seed, (name, team, n_trials) in enumerate(studies):
            study = random_study(lambda t: loss(t, "eta"), n_trials, seed, name, storage)
            study.set_user_attr("team", team)
    return f"sqlite:///{path}"


def compose(tmp_path: Path, sampler: str, overrides: list[str]) -> Any:
    """The composed configuration, as Hydra hands it to a program."""
    folder = tmp_path / "conf"
    (folder / "sampler").mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "sampler" / "priors.yaml").write_text(sampler)
    with hydra.initialize_config_dir(str(folder), version_base="1.3"):
        config = hydra.compose("config", overrides)
    GlobalHydra.instance().clear()
    return config


@pytest.fixture
def config(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PRIORS", url)
    return compose(tmp_path, SAMPLER, overrides=["++sampler.seed=3"])


def suggestions(sampler: MetaSampler) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=sampler)
    study.optimize(loss, n_trials=4)
    return [trial.params for trial in study.trials]


def test_a_sampler_from_yaml_is_the_one_that_python_would_build(config: Any, url: str) -> None:
    here = MetaSampler(
        url,
        prior_studies=["resnet-*", "vit-0"],
        prior_filter={"user_attrs": {"team": "vision"}, "min_trials": 10},
        rename={"eta": "lr"},
        method="portfolio",
        method_options={"size": 3},
        n_startup_trials=1,
        independent_sampler=RandomSampler(seed=1),
        seed=3,
    )
    assert suggestions(hydra.utils.instantiate(config.sampler)) == suggestions(here)


def test_globs_filters_and_names_from_yaml_choose_the_prior_studies(config: Any) -> None:
    sampler = hydra.utils.instantiate(config.sampler)
    overlaps = sampler.inspect_priors({"lr": optuna.distributions.FloatDistribution(0.0, 1.0)})
    used = {overlap.name for overlap in overlaps if overlap.reason is None}
    assert used == {"resnet-0", "vit-0"}


def test_a_sampler_from_yaml_is_pickled_to_the_workers_of_a_sweep(config: Any) -> None:
    sampler = hydra.utils.instantiate(config.sampler)
    assert suggestions(pickle.loads(pickle.dumps(sampler))) == suggestions(sampler)


def test_a_table_is_described_in_yaml(tmp_path: Path) -> None:
    rows = "\n".join(f"{i % 2},{i / 10},{abs(i / 10 - 0.7)}" for i in range(10))
    (tmp_path / "runs.csv").write_text(f"task,lr,error\n{rows}\n")
    sampler = f"""
_target_: optuna_metasampler.MetaSampler
prior:
  - data: {tmp_path / "runs.csv"}
    objective: error
    direction: minimize
    parameters: {{lr: linear}}
    study: task
seed: 0
"""
    config = compose(tmp_path, sampler, overrides=[])
    first, *_ = suggestions(hydra.utils.instantiate(config.sampler))
    assert first["lr"] == pytest.approx(0.7, abs=0.1)


def test_every_list_and_mapping_may_be_one_of_omegaconf(url: str) -> None:
    # What a program passes on that reads its configuration without `instantiate`.
    config = OmegaConf.create(
        {
            "prior": [url],
            "prior_studies": ["resnet-*"],
            "prior_filter": {"user_attrs": {"team": "vision"}},
            "rename": {"eta": "lr"},
            "method_options": {"size": 3},
        }
    )
    sampler = MetaSampler(
        config.prior,
        prior_studies=config.prior_studies,
        prior_filter=config.prior_filter,
        rename=config.rename,
        method="portfolio",
        method_options=config.method_options,
        seed=0,
    )
    first, *_ = suggestions(sampler)
    assert first["lr"] == pytest.approx(0.7, abs=0.1)


def test_an_error_of_the_sampler_reaches_who_wrote_the_yaml(tmp_path: Path) -> None:
    sampler = "{_target_: optuna_metasampler.MetaSampler, method: fine-tune}"
    config = compose(tmp_path, sampler, overrides=[])
    with pytest.raises(hydra.errors.InstantiationException, match="learns from prior") as error:
        hydra.utils.instantiate(config.sampler)
    assert isinstance(error.value.__cause__, MethodError)
