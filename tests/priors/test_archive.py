"""The archive: what goes in comes out, and a file that is not as it was written is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import errno
import hashlib
import io
import math
import os
from pathlib import Path
import stat
import struct
import subprocess
import sys
import tracemalloc
from typing import Any
import zipfile

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from numpy.typing import NDArray
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler._file_format import packed, unpacked
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError
from optuna_metasampler.history import finished_trials
from optuna_metasampler.priors import archive_v1
from optuna_metasampler.priors.align import pool
from optuna_metasampler.priors.archive import COLUMNS, KEY, Archive
from optuna_metasampler.priors.sources import resolve
from optuna_metasampler.priors.study import PriorStudy
from optuna_metasampler.space import choice_key
from tests import strategies
from tests.priors.studies import MINIMIZE, study


def said(trial: FrozenTrial) -> dict[str, object]:
    """All that an archive keeps of a trial, types of choices included; NaN equals itself."""
    return {
        "number": trial.number,
        "state": trial.state,
        "values": trial.values,
        "dates": (trial.datetime_start, trial.datetime_complete),
        "params": {name: choice_key(value) for name, value in trial.params.items()},
        "distributions": {name: repr(d) for name, d in trial.distributions.items()},
        "reports": {s: repr(v) for s, v in sorted(trial.intermediate_values.items())},
        "system_attrs": trial.system_attrs,
    }


def assert_same(read: list[PriorStudy], written: list[PriorStudy]) -> None:
    assert [(s.name, s.directions, s.user_attrs) for s in read] == [
        (s.name, s.directions, s.user_attrs) for s in written
    ]
    for one, other in zip(read, written, strict=True):
        assert [said(t) for t in one.trials] == [said(t) for t in other.trials]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@pytest.fixture
def written(tmp_path: Path) -> Archive:
    return Archive.write(tmp_path / "old.metaprior", [study("a"), study("b", seed=1)])


# --------------------------------------------------------------------------------------------
# Round trip


@given(studies=st.lists(strategies.prior_studies(), max_size=4))
@settings(max_examples=60)
def test_what_is_written_is_what_is_read(folder: Path, studies: list[PriorStudy]) -> None:
    read = Archive.write(folder / "any", studies).read()
    assert_same(read, studies)
    for one, other in zip(read, studies, strict=True):
        directions = other.directions
        if directions is None or any(
            t.values and len(t.values) != len(directions) for t in other.trials
        ):
            continue
        a, b = finished_trials(one.trials, directions), finished_trials(other.trials, directions)
        assert a.configurations == b.configurations
        assert a.failed == b.failed
        np.testing.assert_array_equal(a.outcomes, b.outcomes)


def test_a_study_of_optuna_comes_back_with_its_records(tmp_path: Path) -> None:
    source = optuna.create_study(study_name="real", directions=["minimize", "maximize"])
    source.set_user_attr("data", {"rows": 150})

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 1e-3, 1, log=True)
        if trial.suggest_categorical("more", [True, False]):
            trial.suggest_int("n", 2, 32, step=2)
        return x, math.inf

    source.optimize(objective, n_trials=8)
    source.ask()
    (read,) = Archive.write(tmp_path / "a", [PriorStudy.of(source)]).read()
    assert (read.name, dict(read.user_attrs)) == ("real", {"data": {"rows": 150}})
    assert read.directions == tuple(source.directions)
    finished = [t for t in source.trials if t.state.is_finished()]
    assert [said(t) for t in read.trials] == [said(t) for t in finished]
    assert [t.distributions for t in read.trials] == [t.distributions for t in finished]


def test_constraints_are_kept_and_other_attributes_of_trials_are_not(tmp_path: Path) -> None:
    source = optuna.create_study()
    trial = create_trial(value=1.0, system_attrs={"constraints": [0.5, -1.0], "other": 1})
    source.add_trial(trial)
    (read,) = Archive.write(tmp_path / "a", [PriorStudy.of(source)]).read()
    assert read.trials[0].system_attrs == {"constraints": [0.5, -1.0]}


def test_of_a_long_curve_a_few_reports_are_kept_the_first_and_the_last_among_them(
    tmp_path: Path,
) -> None:
    steps = range(3, 10_003)
    trial = create_trial(value=1.0, intermediate_values={s: 1.0 / s for s in steps})
    source = optuna.create_study()
    source.add_trial(trial)
    (read,) = Archive.write(tmp_path / "a", [PriorStudy.of(source)]).read()
    kept = read.trials[0].intermediate_values
    assert 16 <= len(kept) <= 32
    assert {3, 10_002} <= kept.keys() <= set(steps)
    assert all(value == 1.0 / step for step, value in kept.items())
    # Closest together at the start.
    gaps = np.diff(sorted(kept))
    assert np.all(np.diff(gaps) >= -1)


def test_trials_that_are_not_finished_are_left_out(tmp_path: Path) -> None:
    running = create_trial(state=TrialState.RUNNING)
    (read,) = Archive.write(tmp_path / "a", [PriorStudy("s", None, (running,))]).read()
    assert read.trials == ()


def test_the_same_studies_make_the_same_file(tmp_path: Path) -> None:
    one, other = (Archive.write(tmp_path / name, [study()]).path for name in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_studies_are_listed_and_read_by_name(written: Archive) -> None:
    assert [(e.name, e.n_trials, e.user_attrs) for e in written.entries()] == [
        ("a", 4, {"data": "iris"}),
        ("b", 4, {"data": "iris"}),
    ]
    assert_same(written.read(["b"]), [study("b", seed=1)])
    assert written.read([]) == []


def test_an_archive_is_a_source_of_prior_studies_by_its_path_and_as_it_is(
    written: Archive, tmp_path: Path
) -> None:
    for prior in (written, written.path, str(written.path), [written]):
        sources = resolve(prior, "b*")
        assert_same([s for source in sources for s in source()], [study("b", seed=1)])
    other = written.path.rename(tmp_path / "of another name")
    assert len(resolve(other, None)[0]()) == 2
    with pytest.raises(PriorNotFoundError, match=r"'z'.*'a', 'b'"):
        MetaSampler(other, prior_studies="z")


@pytest.mark.parametrize("length", [0, 3, 20, 200])
def test_a_sampler_is_not_made_with_a_damaged_archive(written: Archive, length: int) -> None:
    os.truncate(written.path, length)
    with pytest.raises(PriorError, match=r"old\.metaprior cannot be read"):
        MetaSampler(str(written.path))
    with pytest.raises(PriorNotFoundError, match="no file"):
        MetaSampler("nowhere.metaprior")


def test_distributions_by_their_old_names_come_back_by_their_present_ones(tmp_path: Path) -> None:
    with pytest.warns(FutureWarning):
        old = optuna.distributions.UniformDistribution(0, 1)
    trial = create_trial(params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)}, value=1)
    trial.distributions = {"x": old}
    (read,) = Archive.write(tmp_path / "a", [PriorStudy("s", None, (trial,))]).read()
    assert read.trials[0].distributions == {"x": FloatDistribution(0, 1)}


@pytest.mark.parametrize(
    ("params", "distribution", "message"),
    [
        (2**64, IntDistribution(0, 2**65), "64 bits"),
        (False, CategoricalDistribution([0, 1]), "not one of the choices"),
    ],
)
def test_a_study_that_cannot_be_stored_is_named(
    tmp_path: Path, params: Any, distribution: Any, message: str
) -> None:
    trial = replace_params(params, distribution)
    with pytest.raises(PriorError, match=rf"'odd' cannot be archived.*{message}"):
        Archive.write(tmp_path / "a", [PriorStudy("odd", None, (trial,))])
    with pytest.raises(PriorError, match="'odd' cannot be archived"):
        Archive.write(tmp_path / "a", [PriorStudy("odd", None, (), {"f": object()})])
    assert list(tmp_path.iterdir()) == []


def replace_params(value: Any, distribution: Any) -> FrozenTrial:
    trial = create_trial(value=1.0)
    trial.params, trial.distributions = {"p": value}, {"p": distribution}
    return trial


# --------------------------------------------------------------------------------------------
# Damaged files


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PriorNotFoundError, match="no file"):
        Archive(tmp_path / "nowhere").read()


def test_a_file_cut_at_any_byte_is_refused(written: Archive) -> None:
    content = written.path.read_bytes()
    for length in reversed(range(len(content))):
        os.truncate(written.path, length)
        with pytest.raises(PriorError, match="cannot be read as an archive"):
            written.load()
    written.path.write_bytes(content + b"x")
    with pytest.raises(PriorError, match="cannot be read as an archive"):
        written.load()


def test_a_file_with_a_bit_flipped_in_any_byte_is_refused(written: Archive) -> None:
    content = written.path.read_bytes()
    with written.path.open("r+b", buffering=0) as file:
        for place, byte in enumerate(content):
            os.pwrite(file.fileno(), bytes([byte ^ 1 << place % 8]), place)
            with pytest.raises(PriorError, match="cannot be read as an archive"):
                written.load()
            os.pwrite(file.fileno(), bytes([byte]), place)
    assert_same(written.read(), [study("a"), study("b", seed=1)])


@given(content=st.binary(max_size=200))
@settings(max_examples=50)
def test_any_bytes_are_refused(folder: Path, content: bytes) -> None:
    path = folder / "bytes"
    for start in (b"", archive_v1.MAGIC):
        path.write_bytes(start + content)
        with pytest.raises(PriorError, match="cannot be read as an archive"):
            Archive(path).load()


# --------------------------------------------------------------------------------------------
# Hostile files: their checksums are right


def sealed(path: Path, document: object, arrays: dict[str, NDArray[Any]]) -> Archive:
    """An archive with any content."""
    path.write_bytes(packed(KEY, document, arrays))  # type: ignore[arg-type]
    return Archive(path)


def test_a_sealed_file_of_the_right_content_is_read(written: Archive) -> None:
    sealed(written.path, *unpacked(written.path, KEY))
    assert_same(written.read(), [study("a"), study("b", 1)])


@pytest.mark.parametrize(
    "array",
    [np.zeros(8, dtype="<f4"), np.zeros((4, 2)), np.zeros(3), np.full(8, 2**63, dtype="<u8")],
    ids=["type", "axes", "length", "of-other-type"],
)
def test_an_array_of_another_kind_is_refused(written: Archive, array: NDArray[Any]) -> None:
    document, arrays = unpacked(written.path, KEY)
    sealed(written.path, document, arrays | {"values": array})
    with pytest.raises(PriorError, match="'values' "):
        written.load()


@pytest.mark.parametrize("name", COLUMNS)
def test_numbers_out_of_place_never_make_a_study(written: Archive, name: str) -> None:
    """The largest number of the type, in every place: an index, a length or a date too large."""
    document, arrays = unpacked(written.path, KEY)
    assert len(arrays[name])
    for place in range(len(arrays[name])):
        changed = arrays[name].copy()
        changed[place] = np.inf if changed.dtype.kind == "f" else np.iinfo(changed.dtype).max
        sealed(written.path, document, arrays | {name: changed})
        try:
            read = written.read()
        except PriorError:
            continue
        # Where it is no index, it is a number like any other, and comes back as it is.
        assert name in {"values", "number", "params", "step", "intermediate"}
        assert [len(s.trials) for s in read] == [4, 4]
        pool(read, MINIMIZE)


def broken(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Documents, each with one error."""
    for key in document:
        yield {k: v for k, v in document.items() if k != key}
        for value in (None, [None], [[0]], -1, {"a": 1}, [[0, -1]], [[["x"]]], [1e999]):
            yield document | {key: value}
    for key in document["studies"][0]:
        for value in ([1], -1, 1.5, ["UP"], 2**70):
            first, second = document["studies"]
            yield document | {"studies": [first | {key: value}, second]}
    for text in (
        "{}",
        "[]",
        "1",
        '{"name": "Popen", "attributes": {"args": "ls"}}',
        '{"name": "FloatDistribution", "attributes": {"low": 2, "high": 1}}',
        '{"name": "FloatDistribution", "attributes": {"low": "a", "high": 1}}',
        '{"name": "CategoricalDistribution", "attributes": {"choices": []}}',
        '{"name": "CategoricalDistribution", "attributes": {"choices": [1]}}',
        '{"name": "IntDistribution", "attributes": {"low": 0, "high": 1, "evil": 1}}',
        '{"name": "IntDistribution", "attributes": {"low": 0, "high": 1' + "0" * 400 + "}}",
        '{"name": "FloatDistribution", "attributes": {"low": -1e999, "high": 0}}',
    ):
        yield document | {"distributions": [text] * len(document["distributions"])}
    yield document | {"names": ["x"] * len(document["names"])}
    yield document | {"constraints": [[0, {"constraints": ["x"]}]]}
    yield document | {"constraints": [[0, {"nsga2:parents": [1]}]]}


def test_a_document_with_an_error_is_refused(written: Archive) -> None:
    document, arrays = unpacked(written.path, KEY)
    del document["version"]
    for changed in broken(document):
        sealed(written.path, changed, arrays)
        with pytest.raises(PriorError, match="cannot be read as an archive"):
            written.load()


def test_a_file_with_more_or_fewer_arrays_is_refused(written: Archive) -> None:
    document, arrays = unpacked(written.path, KEY)
    for changed in (arrays | {"more": np.zeros(1)}, dict(list(arrays.items())[1:]), {}):
        sealed(written.path, document, changed)
        with pytest.raises(PriorError, match="other arrays"):
            written.load()


def test_more_trials_than_the_limit_are_neither_written_nor_read(written: Archive) -> None:
    assert len(written.load(max_trials=8).entries) == 2
    with pytest.raises(PriorError, match=r"8 trials.*limit of 7"):
        written.load(max_trials=7)
    with pytest.raises(PriorError, match=r"cannot be archived.*Write fewer"):
        Archive.write(written.path, [study("a"), study("b")], max_trials=7)


# --------------------------------------------------------------------------------------------
# Format version 1, written by early versions of the package

V1 = Path(__file__).parents[1] / "data" / "archive_v1.metaprior"


def sealed_v1(path: Path, files: dict[str, bytes], way: int = zipfile.ZIP_DEFLATED) -> Archive:
    """An archive of version 1 with any content."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", way) as file:
        for name, content in files.items():
            file.writestr(name, content)
    content = stream.getvalue()
    head = (archive_v1.MAGIC, 1, len(content), hashlib.sha256(content).digest())
    path.write_bytes(struct.pack("<8sIQ32s", *head) + content)
    return Archive(path)


def members_v1() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(V1.read_bytes()[52:])) as file:
        return {name: file.read(name) for name in file.namelist()}


def npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def test_an_archive_of_version_1_is_read(tmp_path: Path) -> None:
    digits, wine = resolve(V1, None)[0]()
    assert (digits.name, wine.name) == ("digits", "wine – bare")
    assert digits.user_attrs == {"rows": 1797, "tags": ["small", "images"]}
    assert (digits.directions, wine.directions) == (MINIMIZE, None)
    assert [e.key for e in Archive(V1).entries()] == ["k1", None]
    assert [(t.number, t.state.name, t.values, t.params) for t in digits.trials] == [
        (0, "COMPLETE", [0.25], {"x": 0.1, "n": 3, "kind": "a"}),
        (1, "COMPLETE", [math.inf], {"x": 0.001, "n": -2, "kind": True}),
        (2, "PRUNED", [0.75], {"x": 1.0, "kind": None}),
        (4, "FAIL", None, {"kind": 1}),
        (5, "COMPLETE", [0.125], {"x": 0.2, "n": 64, "kind": 0.5}),
    ]
    assert digits.trials[0].intermediate_values == {0: 1.0, 5: 0.5}
    assert digits.trials[4].system_attrs == {"constraints": [0.5, -1.0]}
    assert str(digits.trials[0].datetime_start) == "2024-02-29 12:30:00.123456"
    assert [t.values for t in wine.trials] == [[0.0, 0.0], [1.0, -1.0], [2.0, -2.0]]
    assert wine.trials[0].datetime_start is None
    assert_same(Archive.write(tmp_path / "new", [digits, wine]).read(), [digits, wine])


class Bomb:
    """Fails the test when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return pytest.fail, ("something was unpickled",)


@pytest.mark.parametrize(
    "changed",
    [
        {"values.npy": npy(np.array([Bomb()] * 10, dtype=object))},
        {"values.npy": npy(np.zeros((5, 2)))},
        {"values.npy": npy(np.zeros(3))},
        {"values.npy": b""},
        {"values.npy": npy(np.zeros(10))[:-1]},
        {"reported.npy": npy(np.array([2**32 - 1] * 3, dtype="<u4"))},
        {"reported.npy": npy(np.array([2, 1, 0], dtype="<u4"))},
        {"document.npy": npy(np.frombuffer(b"\xff\xfe", dtype="u1"))},
        {"document.npy": npy(np.frombuffer(b"[" * 100_000, dtype="u1"))},
    ],
)
def test_a_hostile_archive_of_version_1_is_refused(
    tmp_path: Path, changed: dict[str, bytes]
) -> None:
    archive = sealed_v1(tmp_path / "old", members_v1())
    assert len(archive.read()) == 2
    sealed_v1(archive.path, members_v1() | changed)
    with pytest.raises(PriorError, match="cannot be read as an archive"):
        archive.load()


def test_an_archive_of_version_1_is_not_inflated_beyond_its_limit(tmp_path: Path) -> None:
    """300 MB of zeros deflate to 300 kB; other methods of compression take memory at will."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (37_500_000,)}
    )
    bomb = {"values.npy": header.getvalue() + bytes(300_000_000)}
    archive = sealed_v1(tmp_path / "old", members_v1() | bomb)
    tracemalloc.start()
    try:
        with pytest.raises(PriorError, match="'values' is too large"):
            archive.load()
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    # The size in the directory of a zip file is only a claim of its maker.
    size = struct.pack("<I", 300_000_000 + len(header.getvalue()))
    content = archive.path.read_bytes()[52:]
    assert size in content
    content = content.replace(size, struct.pack("<I", 200))
    head = (archive_v1.MAGIC, 1, len(content), hashlib.sha256(content).digest())
    archive.path.write_bytes(struct.pack("<8sIQ32s", *head) + content)
    with pytest.raises(PriorError, match="cannot be read as an archive"):
        archive.load()
    sealed_v1(archive.path, members_v1(), zipfile.ZIP_LZMA)
    with pytest.raises(PriorError, match="compressed"):
        archive.load()


# --------------------------------------------------------------------------------------------
# Writing, when something else happens


WRITER = """
import sys
from optuna_metasampler import Archive
from tests.priors.studies import study

for i in range(int(sys.argv[3])):
    Archive.write(sys.argv[1], [study(sys.argv[2], seed=i, n=40)] * 10)
"""


def test_readers_find_a_whole_archive_while_two_processes_write(tmp_path: Path) -> None:
    archive = Archive.write(tmp_path / "shared", [study("a")])
    command = [sys.executable, "-c", WRITER, str(archive.path)]
    writers = [subprocess.Popen([*command, name, "8"]) for name in ("one", "other")]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        studies = archive.read()
        assert len({s.name for s in studies}) == 1, "studies of two writers in one file"
        seen.add(studies[0].name)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert {s.name for s in archive.read()} <= {"one", "other"}
    assert seen > {"a"}
    assert [p.name for p in tmp_path.iterdir()] == ["shared"]


def test_a_writer_that_is_killed_leaves_the_archive_that_was_there(tmp_path: Path) -> None:
    archive = Archive.write(tmp_path / "shared", [study("a")])
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(archive.path), "one", "10000"])
    while archive.read()[0].name == "a":
        assert writer.poll() is None
    writer.kill()
    writer.wait()
    assert {s.name for s in archive.read()} == {"one"}


LIMITED = """
import resource, signal, sys
from optuna_metasampler import Archive
from tests.priors.studies import study

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    Archive.write(sys.argv[1], [study("new")])
except OSError as error:
    sys.exit(error.errno)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
def test_a_file_that_may_not_grow_leaves_the_archive_that_was_there(tmp_path: Path) -> None:
    archive = Archive.write(tmp_path / "old", [study("a")])
    result = subprocess.run([sys.executable, "-c", LIMITED, str(archive.path)], check=False)
    assert result.returncode == errno.EFBIG
    assert_same(archive.read(), [study("a")])
    assert [p.name for p in tmp_path.iterdir()] == ["old"]


def test_a_full_disk_leaves_the_archive_that_was_there(small_disk: Path) -> None:
    archive = Archive.write(small_disk / "old", [study("a")])
    with pytest.raises(OSError, match="No space left"):
        Archive.write(archive.path, [study("b", n=2000)])
    assert_same(archive.read(), [study("a")])
    assert [p.name for p in small_disk.iterdir()] == ["old"]


def test_a_read_only_disk_is_an_error(read_only_disk: Path) -> None:
    with pytest.raises(OSError, match="Read-only file system"):
        Archive.write(read_only_disk / "new", [study("a")])


def test_an_archive_is_readable_by_those_whom_the_user_lets_read(written: Archive) -> None:
    plain = written.path.with_name("plain")
    plain.write_bytes(b"")
    assert stat.S_IMODE(written.path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
