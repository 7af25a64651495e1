"""Studies of random search, storages of Optuna in a file, and tables of other tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.storages import BaseStorage, RDBStorage


# Tables that the programs of `docs/recipes.md` wrote, see the README beside them.
EXPORTS = Path(__file__).parent / "data" / "exports"


def random_study(
    objective: Callable[[optuna.Trial], Any],
    n_trials: int,
    seed: int = 0,
    name: str | None = None,
    storage: BaseStorage | str | None = None,
    directions: Sequence[Any] = ("minimize",),
) -> optuna.Study:
    """A finished study of random search."""
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        directions=directions,
        sampler=RandomSampler(seed=seed),
    )
    study.optimize(objective, n_trials=n_trials)
    return study


@contextmanager
def sqlite(path: Path, **settings: Any) -> Iterator[RDBStorage]:
    """An SQLite storage that is closed afterwards."""
    storage = RDBStorage(f"sqlite:///{path}", **settings)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
