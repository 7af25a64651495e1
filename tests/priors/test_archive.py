"""The archive: what goes in comes out, and a file that is not as it was written is refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
import errno
import json
import math
import os
from pathlib import Path
import stat
import subprocess
import sys
import tracemalloc
from typing import Any
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
import pytest

from optuna_metasampler import MetaSampler
from optuna_metasampler._file_format import packed, unpacked
from optuna_metasampler.exceptions import PriorError, PriorNotFoundError
from optuna_metasampler.history import finished_trials
from optuna_metasampler.priors.align import pool
from optuna_metasampler.priors.archive import KEY, Archive
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


def test_extreme_numbers_and_strings_are_kept(tmp_path: Path) -> None:
    lone = "\ud800 \x00 \n ä"
    choices: list[Any] = [lone, 10**40, -0.0, math.inf, math.nan, 5e-324, True, 1]
    space: dict[str, Any] = {
        lone: CategoricalDistribution(choices),
        "n": IntDistribution(-(2**63), 2**63 - 1),
        "x": FloatDistribution(-1.7976931348623157e308, 1.7976931348623157e308),
    }
    trials = []
    for i, choice in enumerate(choices):
        n, x = (2**63 - 1, 0.1 + 0.2) if i % 2 else (-(2**63), -5e-324)
        trial = create_trial(value=1.0, system_attrs={f"constraints:{lone}": 1e-300})
        trial.number, trial.distributions = i, space
        trial.params = {lone: choice, "n": n, "x": x}
        trial.values = [(-math.inf, math.nan, 1e308)[i % 3]]
        trial.intermediate_values = {2**62: math.nan, 0: -math.inf}
        trial.datetime_start = datetime.max if i else datetime.min
        trials.append(trial)
    written = PriorStudy(lone, MINIMIZE, tuple(trials), {lone: [10**40, lone, {"deep": None}]})
    (read,) = Archive.write(tmp_path / "a", [written]).read()
    assert repr([said(t) for t in read.trials]) == repr([said(t) for t in trials])
    assert (read.name, read.user_attrs) == (lone, written.user_attrs)


def test_scalars_of_numpy_become_those_of_python(tmp_path: Path) -> None:
    space = {"x": FloatDistribution(0, 1), "n": IntDistribution(1, 8)}
    trial = create_trial(value=1.0, params={"x": 0.5, "n": 3}, distributions=space)
    trial.params = {"x": np.float32(0.5), "n": np.int64(3)}
    trial.values = [np.float64(2)]
    trial.intermediate_values = {np.int64(1): np.float32(0.25)}
    trial.system_attrs = {"constraints": (np.float64(-1), np.int64(2))}
    (read,) = Archive.write(tmp_path / "a", [PriorStudy("s", None, (trial,))]).read()
    (other,) = read.trials
    found = [*other.params.values(), *other.values, *other.system_attrs["constraints"]]
    assert [(type(v), v) for v in found] == [
        *((float, 0.5), (int, 3), (float, 2.0), (float, -1.0), (int, 2)),
    ]
    assert repr(other.intermediate_values) == "{1: 0.25}"


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
        ("x", FloatDistribution(0, 1), "x"),
        (object(), FloatDistribution(0, 1), "object.* is neither a number nor a string"),
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
    path.write_bytes(content)
    with pytest.raises(PriorError, match="cannot be read as an archive"):
        Archive(path).load()


@pytest.mark.parametrize("version", [1, 2])
def test_an_archive_of_an_earlier_version_is_refused_with_the_way_out(
    tmp_path: Path, version: int
) -> None:
    data = Path(__file__).parents[1] / "data" / f"archive_v{version}.metaprior"
    path = tmp_path / "an old file of another name"
    path.write_bytes(data.read_bytes())
    with pytest.raises(PriorError) as caught:
        MetaSampler(path)
    assert str(caught.value) == (
        f"{path} was written by an earlier version of this package (version {version} of the "
        "format). Write it again from the original studies: `optuna-metasampler archive build "
        f"SOURCE -o {path} --force`."
    )


# --------------------------------------------------------------------------------------------
# Hostile files: their checksums are right


def content(archive: Archive) -> tuple[dict[str, Any], list[Any]]:
    """The document of an archive, and the lines of its first study, decoded."""
    document, arrays = unpacked(archive.path, KEY)
    lines = zlib.decompress(arrays["0"].tobytes()).split(b"\n")
    return document, [json.loads(line) for line in lines]


def sealed(path: Path, document: dict[str, Any], *studies: bytes | Sequence[Any]) -> Archive:
    """An archive of any content: compressed bytes, or lines to be encoded and compressed."""
    arrays = {}
    for i, lines in enumerate(studies):
        if not isinstance(lines, bytes):
            lines = zlib.compress("\n".join(map(json.dumps, lines)).encode())
        arrays[str(i)] = np.frombuffer(lines, dtype=np.uint8)
    path.write_bytes(packed(KEY, document, arrays))
    return Archive(path)


ODD: tuple[Any, ...] = (
    *(None, True, -1, 1, 0.5, 2**70, 10**400, 1e999, math.nan, "", "x", "1", [], {}, [None]),
    *([[0]], [-1], ["x"], {"a": 1}, {"constraints": ["x"]}, {"constraints": 3}),
    *({"nsga2:parents": [1]}, "RUNNING", "2024-05-01T00:00:00+00:00"),
    *({"x": 0}, {"x": -1}, {"x": 9}),
)


@pytest.fixture
def single(tmp_path: Path) -> Archive:
    return Archive.write(tmp_path / "old.metaprior", [study("a")])


def test_a_sealed_file_of_the_right_content_is_read(single: Archive) -> None:
    document, lines = content(single)
    sealed(single.path, document, lines)
    assert_same(single.read(), [study("a")])


def test_the_trials_of_a_file_can_be_read_without_this_package(single: Archive) -> None:
    _, (first, row, *others) = content(single)
    trial = study("a").trials[0]
    assert first["spaces"] == [{"x": 0, "n": 1}, {"x": 0, "n": 1, "c": 2}]
    assert json.loads(first["distributions"][0])["name"] == "FloatDistribution"
    assert row == [
        *(0, [trial.params["x"], trial.params["n"]], 0, "COMPLETE", trial.values),
        *("2024-05-01T00:00:00", "2024-05-01T00:00:30", [1, 2], [0.5, 0.25], {}),
    ]
    assert len(others) == 3


def test_an_odd_value_anywhere_in_a_trial_is_refused_or_does_no_harm(single: Archive) -> None:
    document, lines = content(single)
    row = lines[2]
    changed = []
    for i, field in enumerate(row):
        inner = range(len(field)) if isinstance(field, list) else ()
        for odd in ODD:
            fields = [odd, *([*field[:j], odd, *field[j + 1 :]] for j in inner)]
            changed += [[*row[:i], other, *row[i + 1 :]] for other in fields]
    n_read = 0
    for other in changed:
        sealed(single.path, document, [*lines[:2], other, *lines[3:]])
        try:
            read = single.read()
        except PriorError:
            continue
        # It is a number like any other, or as good as one.
        pool(read, MINIMIZE)
        n_read += 1
    assert 0 < n_read < len(changed) / 3


@pytest.mark.parametrize("row", [None, 1, "x", [], {}, [0] * 9, [0] * 11, [[]] * 10, [{}] * 10])
def test_a_line_that_is_no_trial_is_refused(single: Archive, row: object) -> None:
    document, lines = content(single)
    sealed(single.path, document, [*lines[:2], row, *lines[3:]])
    with pytest.raises(PriorError, match="cannot be read as an archive"):
        single.read()


def test_an_error_in_the_spaces_or_distributions_is_refused(single: Archive) -> None:
    document, (first, *rows) = content(single)
    n = len(first["distributions"])
    broken: list[Any] = [None, 1, [], {}, {"spaces": []}, first | {"spaces": []}]
    broken += [first | {"spaces": [odd, odd]} for odd in ODD if odd != {"x": 0}]
    broken += [
        first | {"distributions": [text] * n}
        for text in (
            "{}",
            "[]",
            "1",
            "[" * 100_000,
            '{"name": "Popen", "attributes": {"args": "ls"}}',
            '{"name": "FloatDistribution", "attributes": {"low": 2, "high": 1}}',
            '{"name": "FloatDistribution", "attributes": {"low": "a", "high": 1}}',
            '{"name": "CategoricalDistribution", "attributes": {"choices": []}}',
            '{"name": "CategoricalDistribution", "attributes": {"choices": ["z"]}}',
            '{"name": "IntDistribution", "attributes": {"low": 0, "high": 1, "evil": 1}}',
            '{"name": "IntDistribution", "attributes": {"low": 0, "high": 1' + "0" * 400 + "}}",
            '{"name": "FloatDistribution", "attributes": {"low": -1e999, "high": 0}}',
        )
    ]
    for other in broken:
        sealed(single.path, document, [other, *rows])
        with pytest.raises(PriorError, match="cannot be read as an archive"):
            single.read()


def test_an_error_in_the_list_of_studies_is_refused(single: Archive) -> None:
    document, lines = content(single)
    (entry,) = document["studies"]
    broken = [{k: v for k, v in document.items() if k != key} for key in ("studies", "origin")]
    broken += [document | {"studies": v} for v in (None, [], [None], -1, {"a": 1}, [entry] * 2)]
    broken += [document | {"origin": 1}]
    broken += [
        document | {"studies": [entry | {key: value}]}
        for key in entry
        for value in ([1], -1, 1.5, ["UP"], 2**70)
    ]
    for changed in broken:
        sealed(single.path, changed, lines)
        with pytest.raises(PriorError, match="cannot be read as an archive"):
            single.load()


@pytest.mark.parametrize(
    "array", [np.zeros(8), np.zeros((4, 2), dtype=np.uint8), np.zeros(8, dtype=np.int8)], ids=str
)
def test_an_array_of_another_kind_is_refused(single: Archive, array: Any) -> None:
    document, arrays = unpacked(single.path, KEY)
    for changed in ({"0": array}, {"1": arrays["0"]}, {}, arrays | {"1": array}):
        single.path.write_bytes(packed(KEY, document, changed))
        with pytest.raises(PriorError, match="cannot be read as an archive"):
            single.load()


def test_compressed_bytes_with_an_error_are_refused(single: Archive) -> None:
    document, lines = content(single)
    text = "\n".join(map(json.dumps, lines)).encode()
    good = zlib.compress(text)
    for compressed in (
        *(b"", b"x", good[:-1], good + b"x", good * 2, zlib.compress(b"")),
        *map(zlib.compress, (text + b"\n", text[:-1], text.replace(b"a", b"\xe4"), b"\n" * 4)),
    ):
        sealed(single.path, document, compressed)
        with pytest.raises(PriorError, match="cannot be read as an archive"):
            single.read()
    # Their errors show when the trials are read; the list of studies does not depend on them.
    assert [(entry.name, entry.n_trials) for entry in single.entries()] == [("a", 4)]


def bomb(start: bytes, repeated: bytes, size: int) -> bytes:
    stream = zlib.compressobj(1)
    block = repeated * (2**22 // len(repeated))
    parts = [stream.compress(block) for _ in range(size // len(block) + 1)]
    return b"".join([stream.compress(start), *parts, stream.flush()])


@pytest.mark.parametrize(
    ("compressed", "message", "max_memory"),
    [
        # Half a gigabyte of zeros, and 70 MB of brackets that would become 2 GB of lists.
        (bomb(b"", bytes(1), 2**29), "more than 536,870,912 bytes", 1_100_000_000),
        (bomb(b"\n\n\n\n[", b"[],", 2**26), r"a line has \d+,\d+,\d+ bytes", 300_000_000),
    ],
    ids=["zeros", "brackets"],
)
def test_trials_are_decompressed_and_decoded_up_to_limits_only(
    single: Archive, compressed: bytes, message: str, max_memory: int
) -> None:
    document, _ = content(single)
    sealed(single.path, document, compressed)
    tracemalloc.start()
    try:
        with pytest.raises(PriorError, match=message):
            single.read()
        assert tracemalloc.get_traced_memory()[1] < max_memory
    finally:
        tracemalloc.stop()


def test_more_trials_than_the_limit_are_neither_written_nor_read(written: Archive) -> None:
    assert len(written.load(max_trials=8).entries) == 2
    with pytest.raises(PriorError, match=r"8 trials.*limit of 7"):
        written.load(max_trials=7)
    with pytest.raises(PriorError, match=r"cannot be archived.*Write fewer"):
        Archive.write(written.path, [study("a"), study("b")], max_trials=7)


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
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
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
