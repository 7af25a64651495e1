"""What a running study says of the trials that are running beside the one asked for."""

from __future__ import annotations

import numpy as np
from optuna.distributions import FloatDistribution

from optuna_metasampler.history import FinishedTrials, History, PendingTrial
from optuna_metasampler.space import SearchSpace


SPACE = SearchSpace.laid_out(
    {name: FloatDistribution(0, 1) for name in ("x", "y", "z")}, conditional=["z"]
)
WHOLE = {"x": 0.1, "y": 0.2}


def history(number: int, *running: PendingTrial) -> History:
    return History(
        FinishedTrials([], np.zeros((0, 1)), np.zeros(0, bool), [], []), number, running
    )


def test_a_trial_is_undecided_while_it_lacks_what_every_trial_has() -> None:
    def undecided(params: dict[str, float], flag: bool = True) -> bool:
        one = PendingTrial(0, params, elsewhere=True, undecided=flag)
        return history(1, one).undecided(SPACE) == [one]

    assert all(map(undecided, ({}, {"x": 0.1}, {"x": 0.1, "z": 0.3})))
    assert not undecided(WHOLE)  # whether `z` is to come is not known
    assert not undecided({}, flag=False)


def test_trials_of_other_workers_count_by_their_numbers_and_own_ones_as_they_came() -> None:
    runs = [PendingTrial(i, WHOLE, elsewhere=i != 3) for i in (0, 1, 3, 4)]
    task = history(2, *runs).task(SPACE, (1.0,))
    assert (len(task.pending), task.n_later) == (4, 1)


def test_an_undecided_trial_finds_the_task_as_of_its_own_number() -> None:
    one = PendingTrial(1, {"x": 0.7}, elsewhere=True, undecided=True)
    known = history(
        5, PendingTrial(0, WHOLE, elsewhere=True), one, PendingTrial(3, WHOLE, elsewhere=True)
    )
    task = known.task(SPACE, (1.0,))
    assert (len(task.pending), task.n_later) == (2, 0)
    before = known.before(task, one)
    assert before.n_later == 1
    assert before.space.decode(before.space.project(np.full((1, 4), 0.3)))[0]["x"] == 0.7


def test_so_many_undecided_trials_are_looked_at_and_no_more() -> None:
    many = [PendingTrial(i, {}, elsewhere=True, undecided=True) for i in range(40)]
    assert [r.number for r in history(40, *many).undecided(SPACE)] == list(range(24, 40))
