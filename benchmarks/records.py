"""Files of records: one line of JSON a job, compressed once a command is through.

While a command runs, every finished job is added to a plain ``.jsonl`` file at once; at its end
the file is packed into ``.jsonl.xz``, sorted by key, the last record of each. Both are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
import json
import lzma
import os
from pathlib import Path
from typing import Any

from benchmarks.experiment import NOT_RUN, Experiment, Key, Record


RESULTS = Path(__file__).parent / "results"
"""The records that are part of the repository."""


@dataclass(frozen=True)
class Store:
    """The records of an experiment in a folder.

    Attributes:
        folder: Of all results.
        name: Of the file, without its endings; of a folder of files where there is ``split``.
        key: From a record to what tells it apart.
        split: The column whose values have a file each.
    """

    folder: Path
    name: str
    key: Callable[[Record], Key]
    split: str | None = None

    @classmethod
    def of(cls, folder: Path, experiment: Experiment[Any]) -> Store:
        """Where an experiment keeps its records."""
        name = experiment.records or experiment.name
        return cls(folder, name, experiment.key, experiment.split)

    def read(self) -> dict[Key, Record]:
        """The last record of each key: a failure may have been made good.

        Raises:
            ValueError: If a line cannot be read, with its place.
        """
        return _latest((r for path in self._files() for r in read(path)), self.key)

    def append(self, record: Record) -> None:
        """Add a record to the plain file; what an interruption has cut off is taken out first."""
        path = self._path(record)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)
            file.write(line(record))

    def pack(self) -> None:
        """Join plain files with the compressed ones; the same records give the same bytes."""
        for plain in self._files():
            if plain.suffix != ".jsonl":
                continue
            packed = plain.with_name(f"{plain.name}.xz")
            old = read(packed) if packed.exists() else iter(())
            records = _latest((r for part in (old, read(plain)) for r in part), self.key)
            temporary = packed.with_name(f"{packed.name}.tmp")
            write(temporary, [records[key] for key in sorted(records)])
            temporary.replace(packed)
            plain.unlink()

    def _path(self, record: Record) -> Path:
        if self.split is None:
            return self.folder / f"{self.name}.jsonl"
        return self.folder / self.name / f"{record[self.split]}.jsonl"

    def _files(self) -> list[Path]:
        """All files, a compressed one before the plain one that goes on from it."""
        pattern = self.name if self.split is None else f"{self.name}/*"
        return [
            path
            for ending in ("jsonl.xz", "jsonl")
            for path in sorted(self.folder.glob(f"{pattern}.{ending}"))
        ]


def _latest(records: Iterable[Record], key: Callable[[Record], Key]) -> dict[Key, Record]:
    found: dict[Key, Record] = {}
    for record in records:
        # A plan never takes the place of a result.
        if record.get("error") != NOT_RUN or key(record) not in found:
            found[key(record)] = record
    return found


def line(record: Record) -> bytes:
    """A record as a line, its end included."""
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def write(path: Path, records: Iterable[Record]) -> None:
    """Write a compressed file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = b"".join(map(line, records))
    path.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))


def read(path: Path) -> Iterator[Record]:
    """The records of a file, plain or compressed.

    A last line without its end is passed over: the job is done again.

    Raises:
        ValueError: If another line is not a record.
    """
    content = path.read_bytes()
    text = (lzma.decompress(content) if path.suffix == ".xz" else content).decode()
    for number, each in enumerate(text.splitlines(keepends=True), start=1):
        if not each.endswith("\n"):
            return
        try:
            record = json.loads(each)
            if not isinstance(record, dict):
                raise ValueError("not an object")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}, is not a record: {error}") from None
        yield record
