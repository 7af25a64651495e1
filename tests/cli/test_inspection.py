"""`optuna-metasampler inspect`."""

from __future__ import annotations

from functools import partial
import json
from pathlib import Path

from click.testing import CliRunner, Result
import optuna
import pytest

from optuna_metasampler import Archive
from optuna_metasampler.cli import main
from optuna_metasampler.priors.study import PriorStudy
from tests.studies import random_study, sqlite


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three studies, one of which has another search space."""
    path = tmp_path_factory.mktemp("storage") / "old.db"

    def objective(trial: optuna.Trial, name: str) -> float:
        if name == "svm":
            return trial.suggest_float("C", 1e-3, 1e3, log=True)
        trial.suggest_categorical("act", ["relu", "tanh"])
        if trial.number == 1:
            raise optuna.TrialPruned
        return trial.suggest_float("lr" if name[-1] == "a" else "eta", 0, 1)

    with sqlite(path) as storage:
        for seed, name in enumerate(("resnet-a", "resnet-b", "svm")):
            random_study(
                partial(objective, name=name), 4, seed, name, storage, directions=["maximize"]
            )
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def test_studies_are_listed_with_their_trials_and_spaces(database: Path) -> None:
    result = run(database)
    assert result.exit_code == 0, result.output
    assert "3 studies with 12 finished trials" in result.output
    row = next(line for line in result.output.splitlines() if line.startswith("resnet-a"))
    assert row.split() == ["resnet-a", "3", "1", "0", "2", "maximize"]
    assert "C: float 0.001 to 1000, log" in result.output
    assert "act: choice of 'relu', 'tanh'" in result.output


def test_the_json_document_has_the_same_content(database: Path) -> None:
    result = run(f"sqlite:///{database}", "--studies", "svm", "--json")
    assert result.exit_code == 0, result.output
    (study,) = json.loads(result.output)["studies"]
    assert study["name"] == "svm"
    assert study["directions"] == ["maximize"]
    assert study["trials"] == {"complete": 4, "pruned": 0, "fail": 0}
    assert study["parameters"]["C"]["attributes"]["high"] == 1000


def test_the_use_of_each_study_for_another_is_listed(database: Path) -> None:
    result = run(database, "--study", "resnet-a")
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line for line in result.output.splitlines() if line.strip()}
    assert "1 of 2" in lines["resnet-b"]
    assert "no: none of its parameters" in result.output
    assert "resnet-a" not in lines
    renamed = run(database, "--study", "resnet-a", "--rename", "eta=lr", "--json")
    studies = {s["name"]: s for s in json.loads(renamed.output)["studies"]}
    assert [p["name"] for p in studies["resnet-b"]["parameters"] if p["shared"]] == ["act", "lr"]
    assert [studies[name]["usable"] for name in ("resnet-b", "svm")] == [True, False]


def test_assumed_values_are_options(database: Path) -> None:
    result = run(
        *(database, "--study", "resnet-a", "--rename", "eta=depth", "--json"),
        *("--prior-fixed", "lr=0.5", "--fixed", "depth=0.25", "--fixed", "C=100"),
    )
    assert result.exit_code == 0, result.output
    studies = {s["name"]: s for s in json.loads(result.output)["studies"]}
    resnet = studies["resnet-b"]
    assert [p["name"] for p in resnet["parameters"] if p["shared"]] == ["act", "lr"]
    assert (resnet["fixed"], resnet["fixed_here"]) == ({"lr": 0.5}, {"depth": 0.25})
    assert not studies["svm"]["usable"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.db"], 1, "there is no file"),
        (["{}", "--studies", "vgg"], 1, "no such study"),
        (["{}", "--study", "vgg"], 1, "no such study"),
        (["{}", "--rename", "eta"], 2, "must be OLD=NEW"),
        (["{}", "--fixed", "lr"], 2, "must be NAME=VALUE"),
        (["{}", "--prior-fixed", "lr=[1]"], 2, "one value"),
        (["{}", "--what"], 2, "No such option"),
        ([], 2, "Missing argument"),
    ],
)
def test_wrong_usage_is_an_error_of_one_line(
    database: Path, arguments: list[str], code: int, message: str
) -> None:
    result = run(*(a.format(database) for a in arguments))
    assert result.exit_code == code, result.output
    assert message in result.output
    assert "Traceback" not in result.output


def test_many_long_and_hostile_names_stay_readable(tmp_path: Path) -> None:
    trial = optuna.trial.create_trial(
        value=1.0,
        params={"x": 0.5},
        distributions={"x": optuna.distributions.FloatDistribution(0, 1)},
    )
    names = ["\x1b[2J evil\nname", *(f"{'long ' * 30}{i}" for i in range(99))]
    path = tmp_path / "many.metaprior"
    Archive.write(path, [PriorStudy(name, None, (trial,)) for name in names])
    for arguments in ([path], [path, "--study", "long*0"]):
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.output
        assert "more studies (use --all" in result.output
    listed = run(path).output.splitlines()
    assert max(map(len, listed[1:])) <= 80
    assert "\\x1b[2J evil\\nname" in listed[3]
    assert len(run(path, "--all").output.splitlines()) > 100
