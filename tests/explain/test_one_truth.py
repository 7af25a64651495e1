"""Every way to ask about a finished study gives the same numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
import json
from pathlib import Path
import subprocess
import sys
from typing import Any

import optuna
import pytest

from optuna_metasampler import MetaSampler, visualization
from optuna_metasampler.explain.dashboard import PREFIX
from tests.explain.conftest import mixed


N_TRIALS = 10


@dataclass
class Finished:
    """A finished study with prior studies, and what was said of it where it ran."""

    folder: Path
    text: str
    document: dict[str, Any]
    weights: list[Any]
    plots: list[Any]

    def sampler(self, seed: int | None) -> MetaSampler:
        return MetaSampler(f"sqlite:///{self.folder / 'old.db'}", seed=seed)

    def loaded(self, seed: int | None) -> optuna.Study:
        url = f"sqlite:///{self.folder / 'new.db'}"
        return optuna.load_study(study_name="new", storage=url, sampler=self.sampler(seed))


def plots_of(study: optuna.Study) -> list[Any]:
    return [
        json.loads(plot(study).to_json())
        for plot in (
            visualization.plot_prior_vs_posterior,
            visualization.plot_parameter_importances,
            visualization.plot_similarity_map,
            visualization.plot_regret_against_priors,
        )
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("truth")
    for seed in range(2):
        old = optuna.create_study(
            study_name=f"old-{seed}",
            storage=f"sqlite:///{folder / 'old.db'}",
            sampler=optuna.samplers.RandomSampler(seed=seed),
        )
        old.optimize(partial(mixed, shift=0.1 * seed), n_trials=20)
    sampler = MetaSampler(f"sqlite:///{folder / 'old.db'}", seed=3)
    study = optuna.create_study(
        study_name="new", storage=f"sqlite:///{folder / 'new.db'}", sampler=sampler
    )
    study.optimize(mixed, n_trials=N_TRIALS)
    report = sampler.report(study)
    return Finished(
        folder, str(report), report.to_dict(), sampler.prior_weights(study), plots_of(study)
    )


@pytest.mark.parametrize("seed", [None, 8])
def test_a_report_is_the_same_whatever_the_seed_of_the_sampler(
    finished: Finished, seed: int | None
) -> None:
    study = finished.loaded(seed)
    report = finished.sampler(seed).report(study)
    assert str(report) == finished.text
    assert report.to_dict() == finished.document


def test_weights_are_those_of_the_report_also_of_a_study_of_another_process(
    finished: Finished,
) -> None:
    assert finished.sampler(5).prior_weights(finished.loaded(5)) == finished.weights
    of_report = {p["name"]: p["weight"] for p in finished.document["priors"]}
    assert {row.name: row.weight for row in finished.weights} == of_report


def test_plots_have_the_numbers_of_the_report(finished: Finished) -> None:
    assert plots_of(finished.loaded(6)) == finished.plots
    importances = next(
        trace for trace in finished.plots[1]["data"] if trace["name"] == "this study"
    )
    (objective,) = finished.document["objectives"]
    told = [parameter["importance"] for parameter in objective["parameters"]]
    assert list(reversed(importances["x"])) == told


def test_the_dashboard_has_the_graphs_and_the_note_of_the_report(finished: Finished) -> None:
    graphs = []
    for seed in (1, 2):
        study = finished.loaded(seed)
        visualization.publish(study)
        attributes = study._storage.get_study_system_attrs(study._study_id)
        graphs.append({k: v for k, v in attributes.items() if PREFIX in k})
    assert graphs[0]
    assert graphs[0] == graphs[1]


def test_another_process_says_the_same(finished: Finished) -> None:
    place = str(finished.folder / "new.db")
    command = [sys.executable, "-m", "optuna_metasampler", "explain", place]
    ran = subprocess.run([*command, "--json"], capture_output=True, check=True, text=True)
    assert json.loads(ran.stdout) == json.loads(json.dumps(finished.document))


def test_asking_does_not_change_what_is_suggested_next(finished: Finished) -> None:
    asked = []
    for reports in (False, True):
        sampler = finished.sampler(4)
        study = optuna.create_study(sampler=sampler)
        study.add_trials(finished.loaded(4).trials)
        if reports:
            sampler.prior_weights(study)
        trial = study.ask()
        mixed(trial)
        asked.append(trial.params)
    assert asked[0] == asked[1]
