"""Where records are: one file a unit while there is work, and packed pieces in the repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import json
import lzma
from pathlib import Path
import re

from benchmarks.learner_records.unit import Record


FOLDER = Path(__file__).parent
PIECES = FOLDER / "data"
"""The records that are part of the repository."""
PENDING = FOLDER / "pending"
"""Units that no piece holds yet."""
ARCHIVES = FOLDER / "archives"
"""Packages with data."""
MANIFEST = "data_sets.json"


@dataclass(frozen=True)
class Store:
    """Records of units.

    Attributes:
        pieces: Folder of ``<learner>-<number>.jsonl.xz``, a line a unit; only added to.
        pending: Folder of units that are not packed yet.
    """

    pieces: Path = PIECES
    pending: Path = PENDING

    def add(self, record: Record) -> None:
        """Keep a unit, whole or not at all."""
        path = self.pending / record["learner"] / f"{record['data_set']}.{record['part']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_bytes(_line(record))
        temporary.replace(path)

    def done(self) -> set[tuple[str, str, str]]:
        """Learner, data set and part of all units that have a record."""
        return {(r["learner"], r["data_set"], r["part"]) for r in self.read()}

    def read(self, learner: str | None = None) -> Iterator[Record]:
        """All units, of one learner or of all; the packed ones first."""
        yield from self.published(learner)
        yield from map(self._unit, self._pending(learner))

    def published(self, learner: str | None = None) -> Iterator[Record]:
        """The packed units, of one learner or of all."""
        for piece in self._pieces(learner):
            yield from map(json.loads, lzma.decompress(piece.read_bytes()).splitlines())

    def manifest(self) -> list[Record]:
        """What is known of the data sets of the packed units."""
        described: list[Record] = json.loads((self.pieces / MANIFEST).read_text())
        return described

    def publish(self) -> list[Path]:
        """Pack what is pending, a piece a learner; the pieces that were made."""
        made: list[Path] = []
        for learner in sorted({path.parent.name for path in self._pending(None)}):
            paths = self._pending(learner)
            number = 1 + max((_number(path) for path in self._pieces(learner)), default=0)
            piece = self.pieces / f"{learner}-{number:02}.jsonl.xz"
            self.pieces.mkdir(parents=True, exist_ok=True)
            temporary = piece.with_name(f"{piece.name}.tmp")
            content = b"".join(_line(self._unit(path)) for path in paths)
            temporary.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
            temporary.replace(piece)
            for path in paths:
                path.unlink()
            made.append(piece)
        return made

    def _unit(self, path: Path) -> Record:
        record: Record = json.loads(path.read_text())
        return record

    def _pending(self, learner: str | None) -> list[Path]:
        return sorted(self.pending.glob(f"{learner or '*'}/*.json"))

    def _pieces(self, learner: str | None) -> list[Path]:
        return sorted(
            path
            for path in self.pieces.glob("*.jsonl.xz")
            if learner is None or re.fullmatch(rf"{learner}-\d+\.jsonl\.xz", path.name)
        )


def _line(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _number(piece: Path) -> int:
    return int(piece.name.split(".")[0].rsplit("-", 1)[1])
