"""Checkpoints: exact, and safe to read."""

from __future__ import annotations

import json
from pathlib import Path
import struct
from typing import Any
import warnings

import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
import pytest
import torch

from optuna_metasampler import MetaSampler, fit
from optuna_metasampler._file_format import packed, unpacked
from optuna_metasampler.checkpoint import KEY, Checkpoint
from optuna_metasampler.exceptions import CheckpointError, MethodError
from optuna_metasampler.space import SearchSpace, space_from_json, space_to_json


def objective(trial: optuna.Trial, shift: float = 0.0) -> float:
    kind = trial.suggest_categorical("kind", ["a", "b", None])
    value = (trial.suggest_float("x", -1, 1) - shift) ** 2
    value += 0.01 * trial.suggest_int("n", 1, 100, log=True)
    return value + (trial.suggest_float("y", 0, 1) if kind == "a" else 0.3)


def study(seed: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    made = optuna.create_study(
        study_name=f"old-{seed}", sampler=optuna.samplers.RandomSampler(seed=seed)
    )
    made.optimize(lambda t: objective(t, 0.1 * seed), n_trials=20)
    return made


@pytest.fixture(scope="module")
def studies() -> list[optuna.Study]:
    return [study(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def path(studies: list[optuna.Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "model.safetensors"
    fit(studies, path)
    return path


def with_document(path: Path, changes: dict[str, Any]) -> bytes:
    """The file with other metadata, and the checksum that belongs to it."""
    document, arrays = unpacked(path, KEY)
    return packed(KEY, document | changes, arrays)


def test_what_was_learned_is_read_as_it_was_written(
    studies: list[optuna.Study], path: Path
) -> None:
    written, read = fit(studies, path), Checkpoint.read(path)
    assert read.method == written.method
    assert read.header == written.header
    assert torch.equal(read.best, written.best)
    x = torch.rand((10, written.space.n_columns), dtype=torch.float64)
    assert torch.equal(read.learned(x), written.learned(x))


def test_the_same_studies_and_seed_make_the_same_file(
    studies: list[optuna.Study], path: Path, tmp_path: Path
) -> None:
    fit(studies, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_the_document_describes_the_origin(path: Path) -> None:
    document, _ = unpacked(path, KEY)
    assert document["method"] == "auto"
    assert document["n_studies"] == 4
    assert document["n_trials"] == 80
    assert document["seed"] == 0
    assert [row["name"] for row in document["space"]] == ["kind", "n", "x", "y"]
    assert {"optuna-metasampler", "torch", "numpy", "python"} == document["versions"].keys()
    assert len(document["data"]) == 64


def test_a_study_with_a_checkpoint_is_suggested_what_its_priors_would_suggest(
    studies: list[optuna.Study], path: Path
) -> None:
    suggested = []
    for sampler in (MetaSampler(studies, seed=0), MetaSampler(checkpoint=path, seed=0)):
        running = optuna.create_study(sampler=sampler)
        running.optimize(objective, n_trials=6)
        suggested.append([t.params for t in running.trials])
    # The seed of learning is another one, so only what is learned exactly agrees: the first.
    assert suggested[0][0].keys() == suggested[1][0].keys()
    best = [s.best_params for s in studies]
    assert all(
        any(all(params.get(k) == v for k, v in b.items()) for b in best)
        for params in (suggested[0][0], suggested[1][0])
    )


def test_a_sampler_with_a_checkpoint_can_be_copied_to_a_worker(path: Path) -> None:
    import pickle

    sampler = pickle.loads(pickle.dumps(MetaSampler(checkpoint=path, seed=0)))
    running = optuna.create_study(sampler=sampler)
    running.optimize(objective, n_trials=3)
    assert len(running.trials) == 3


def test_several_objectives_are_refused(path: Path) -> None:
    running = optuna.create_study(
        directions=["minimize", "minimize"], sampler=MetaSampler(checkpoint=path)
    )
    with pytest.raises(MethodError, match="one objective"):
        running.optimize(lambda t: (objective(t), 1.0), n_trials=2)


def test_a_study_without_any_of_the_parameters_goes_on_without(path: Path) -> None:
    running = optuna.create_study(sampler=MetaSampler(checkpoint=path))
    with pytest.warns(UserWarning, match="of no use here"):
        running.optimize(lambda t: t.suggest_float("other", 0, 1), n_trials=3)
    assert len(running.trials) == 3


def test_the_studies_of_a_checkpoint_are_known_by_their_names(path: Path) -> None:
    sampler = MetaSampler(checkpoint=path, seed=0)
    space = {"x": FloatDistribution(-1, 1), "new": FloatDistribution(0, 1)}
    overlaps = sampler.inspect_priors(space)
    assert [(s.name, s.n_trials, s.shared) for s in overlaps] == [
        (f"old-{seed}", 20, ("x",)) for seed in range(4)
    ]
    assert not any(s.usable for s in sampler.inspect_priors({"other": FloatDistribution(0, 1)}))
    running = optuna.create_study(sampler=sampler)
    running.optimize(objective, n_trials=3)
    names = {f"old-{seed}" for seed in range(4)}
    assert {row.name for row in sampler.prior_weights(running)} == names
    assert {p.name for p in sampler.report(running).used} == names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rename", {"a": "x"}),
        ("prior_filter", {"min_trials": 2}),
        ("prior_fixed", {"y": 0.5}),
    ],
)
def test_what_belongs_to_fit_is_refused_beside_a_checkpoint(
    path: Path, name: str, value: Any
) -> None:
    with pytest.raises(CheckpointError, match=f"Pass `{name}` to `fit`"):
        MetaSampler(checkpoint=path, **{name: value})


# --- Damaged and hostile files --------------------------------------------------------------


def test_a_file_cut_anywhere_is_an_error(path: Path, tmp_path: Path) -> None:
    content, cut = path.read_bytes(), tmp_path / "cut.safetensors"
    n_head = 8 + struct.unpack("<Q", content[:8])[0]
    for n in [0, 1, 7, 8, 9, n_head // 2, n_head - 1, n_head, n_head + 1, len(content) - 1]:
        cut.write_bytes(content[:n])
        with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
            Checkpoint.read(cut)


def test_a_changed_byte_anywhere_is_an_error(path: Path, tmp_path: Path) -> None:
    content, changed = path.read_bytes(), tmp_path / "changed.safetensors"
    n_head = 8 + struct.unpack("<Q", content[:8])[0]
    for place in [*range(0, n_head, 7), *range(n_head, len(content), 997)]:
        flipped = bytearray(content)
        flipped[place] ^= 0x11
        changed.write_bytes(flipped)
        with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
            Checkpoint.read(changed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "of-tomorrow"}, "of-tomorrow"),
        ({"options": {"unheard": 1}}, "unheard"),
        ({"options": 3}, "int"),
        ({"space": []}, "shape"),
        ({"space": [{"name": "x"}]}, "'distribution' is missing"),
        ({"space": 3}, "int"),
        ({"curve": [{}]}, "missing"),
        ({"seed": "seven"}, "seven"),
        ({"finished": False}, "not finished"),
    ],
)
def test_a_document_with_an_error_is_refused(
    path: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(with_document(path, changes))
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.read(other)


@pytest.mark.parametrize(
    "tensor", [np.zeros(3), np.zeros((1, 2)), np.full((4, 7), np.nan)], ids=str
)
def test_a_tensor_with_an_error_is_refused(
    path: Path, tmp_path: Path, tensor: NDArray[Any]
) -> None:
    document, arrays = unpacked(path, KEY)
    other = tmp_path / "other.safetensors"
    for name in arrays:
        other.write_bytes(packed(KEY, document, arrays | {name: tensor}))
        with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
            Checkpoint.read(other)


def test_a_checkpoint_of_version_1_is_read(tmp_path: Path) -> None:
    path = Path(__file__).parent / "data" / "checkpoint_v1.safetensors"
    read = Checkpoint.read(path)
    assert read.method.name == "portfolio"
    assert (read.header.n_studies, read.header.n_trials, read.header.seed) == (3, 24, 0)
    assert read.space.names == ("kind", "n", "x")
    np.testing.assert_array_equal(
        read.best[:, 3:].numpy(),
        [
            [0.13070098600339122, 0.6399210213275238],
            [0.4341792774341452, 0.6704675101784022],
            [0.13070098600339122, 0.505246090121704],
        ],
    )
    assert torch.equal(read.learned, read.best[:2])
    running = optuna.create_study(sampler=MetaSampler(checkpoint=path, seed=0))
    running.optimize(objective, n_trials=2)
    flipped = bytearray(path.read_bytes())
    flipped[-1] ^= 1
    (tmp_path / "flipped").write_bytes(flipped)
    with pytest.raises(CheckpointError, match="checksum"):
        Checkpoint.read(tmp_path / "flipped")


def test_tensors_of_another_program_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="metadata"):
        Checkpoint.read(tmp_path / "foreign.safetensors")


def test_a_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "exploded",)

    torch.save(Bomb(), tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read as a checkpoint"):
        MetaSampler(checkpoint=tmp_path / "model.safetensors")
    assert not (tmp_path / "exploded").exists()


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.safetensors"):
        MetaSampler(checkpoint=tmp_path / "nowhere.safetensors")


def test_a_failed_write_leaves_what_was_there(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    target.write_bytes(path.read_bytes())
    odd = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    # Optuna warns of such choices.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        odd.optimize(lambda t: len(t.suggest_categorical("c", [(1, 2), (3,)])), n_trials=10)
        with pytest.raises(CheckpointError, match=r"choices of `c`.*\(1, 2\)"):
            fit(odd, target)
    assert target.read_bytes() == path.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_checkpoint_goes_with_neither_priors_nor_a_method(
    studies: list[optuna.Study], path: Path
) -> None:
    with pytest.raises(CheckpointError, match="not both"):
        MetaSampler(studies, checkpoint=path)
    with pytest.raises(CheckpointError, match="Leave out `method`"):
        MetaSampler(checkpoint=path, method="gp")


# --- Spaces ---------------------------------------------------------------------------------


def test_a_space_is_the_same_after_json_but_for_the_conditions() -> None:
    distributions = {
        "a": FloatDistribution(1e-5, 1.0, log=True),
        "b": FloatDistribution(0.0, 1.0, step=0.25),
        "c": IntDistribution(1, 64, log=True),
        "d": IntDistribution(-5, 5, step=5),
        "e": CategoricalDistribution([None, True, 1, 1.5, "x"]),
    }
    space = SearchSpace.of(distributions, [dict.fromkeys("abcde", 1), dict.fromkeys("abde", 1)])
    document = json.loads(json.dumps(space_to_json(space)))
    again = space_from_json(document)
    assert again.parameters == space.parameters
    assert [p.name for p in again.parameters if p.activity is not None] == ["c"]
    x = torch.rand(4, space.n_columns, dtype=torch.float64).numpy()
    assert (again.project(x)[:, again.parameters[2].activity] == 1.0).all()
