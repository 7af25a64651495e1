"""A run as one line of JSON, and files of such lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
import json
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One study: who tuned what, under which circumstances, and all that came of it.

    Attributes:
        suite: The search space, such as ``"yahpo_lcbench"``.
        task: The task that was tuned.
        scenario: What the prior studies were like, such as ``"tpe-5"``; see `scenarios`.
        peer: Who tuned it.
        seed: Of the repetition: 0, 1, 2.
        n_trials: The budget.
        values: The objective value of every trial, in order, in the task's own direction.
        seconds: Time of every trial that the peer took: ``ask``, all ``suggest_*``, ``tell``.
        objective: Fingerprint of the objective; runs with different ones are not compared.
        priors: Fingerprint of the prior trials; likewise.
        n_priors: Number of prior studies.
        versions: Of Python, Optuna and what the peer uses.
        error: What went wrong; ``None`` if nothing did. A failed run keeps the values it had.
    """

    suite: str
    task: str
    scenario: str
    peer: str
    seed: int
    n_trials: int
    values: list[float]
    seconds: list[float]
    objective: str
    priors: str
    n_priors: int
    versions: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What makes it this run and no other."""
        return (self.suite, self.task, self.scenario, self.peer, self.seed)

    def to_json(self) -> str:
        """One line, without its end. Values keep 7 digits, seconds 3."""
        data = asdict(self)
        data["values"] = [_round(v, 7) for v in self.values]
        data["seconds"] = [_round(v, 3) for v in self.seconds]
        return json.dumps(data, separators=(",", ":"), allow_nan=True)


def _round(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def read(paths: Iterable[Path]) -> Iterator[Run]:
    """All runs of some files.

    A last line that was cut off by an interruption is passed over: the run is made again.

    Raises:
        ValueError: If a line that is not the last one cannot be read, with its place.
    """
    for path in paths:
        text = path.read_text(encoding="utf-8")
        lines = text.split("\n")
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                yield Run(**json.loads(line))
            except (json.JSONDecodeError, TypeError) as error:
                if number == len(lines):
                    # Every whole line ends in a newline, so this one was being written.
                    continue
                raise ValueError(f"{path}, line {number}, is not a run: {error}") from None


def latest(folder: Path) -> dict[tuple[str, str, str, str, int], Run]:
    """The last run of each key in a folder: a failure may have been made good."""
    return {run.key: run for run in read(sorted(folder.glob("*.jsonl")))}


def append(path: Path, run: Run) -> None:
    """Add a run to a file; a line that an interruption has cut off is taken out first."""
    with path.open("a+b") as file:
        size = file.tell()
        if size:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        file.seek(0, 2)
        file.write(run.to_json().encode() + b"\n")
