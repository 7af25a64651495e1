"""The union of a study's distributions is read once a trial, and never wrongly."""

from __future__ import annotations

import copy
import pickle

from hypothesis import given, settings
from hypothesis import strategies as st
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from optuna_metasampler._study_state import UnionSearchSpace, same_kind
from optuna_metasampler.history import distributions_of


DISTRIBUTIONS: list[tuple[BaseDistribution, object]] = [
    (FloatDistribution(0, 1), 0.5),
    (FloatDistribution(0, 2), 0.5),
    (FloatDistribution(0.1, 1, log=True), 0.5),
    (FloatDistribution(1, 1), 1.0),
    (IntDistribution(1, 9), 3),
    (CategoricalDistribution(["a", "b"]), "a"),
    (CategoricalDistribution(["b", "a"]), "a"),
]


class Counting(UnionSearchSpace):
    """Counts how often it reads a trial."""

    n_read = 0

    def _add(self, trial: FrozenTrial) -> None:
        self.n_read += 1
        super()._add(trial)


def trial(number: int, observed: dict[str, int], state: TrialState) -> FrozenTrial:
    made = create_trial(
        state=state,
        value=0.0 if state == TrialState.COMPLETE else None,
        params={name: DISTRIBUTIONS[i][1] for name, i in observed.items()},
        distributions={name: DISTRIBUTIONS[i][0] for name, i in observed.items()},
    )
    made.number = number
    return made


def from_scratch(trials: list[FrozenTrial]) -> dict[str, BaseDistribution]:
    """What the sampler offers, by definition."""
    return {
        name: observed[-1]
        for name, observed in sorted(distributions_of(trials).items())
        if all(same_kind(d, observed[-1]) for d in observed)
    }


observed_by_trials = st.lists(
    st.dictionaries(st.sampled_from("xyz"), st.integers(0, len(DISTRIBUTIONS) - 1)), max_size=8
)
ended = st.sampled_from([TrialState.COMPLETE, TrialState.FAIL])


@settings(max_examples=60)
@given(observed_by_trials, st.data())
def test_the_kept_space_is_that_of_all_trials_in_whatever_order_they_end(
    observed: list[dict[str, int]], data: st.DataObject
) -> None:
    kept = UnionSearchSpace()
    trials = [trial(i, s, TrialState.RUNNING) for i, s in enumerate(observed)]
    for i in data.draw(st.permutations(range(len(trials)))):
        trials[i] = trial(i, observed[i], data.draw(ended))
        assert kept.of(trials) == from_scratch(trials)
        assert list(kept.of(trials)) == sorted(kept.of(trials))


@settings(max_examples=60)
@given(observed_by_trials, observed_by_trials)
def test_a_study_in_the_place_of_another_is_read_anew(
    before: list[dict[str, int]], after: list[dict[str, int]]
) -> None:
    kept = UnionSearchSpace()
    kept.of([trial(i, s, TrialState.COMPLETE) for i, s in enumerate(before)])
    trials = [trial(i, s, TrialState.COMPLETE) for i, s in enumerate(after)]
    assert kept.of(trials) == from_scratch(trials)


def test_a_trial_that_has_gone_counts_no_more() -> None:
    trials = [trial(i, {"xyz"[i]: 0}, TrialState.COMPLETE) for i in range(3)]
    kept = UnionSearchSpace()
    assert set(kept.of(trials)) == {"x", "y", "z"}
    assert set(kept.of(trials[:1] + trials[2:])) == {"x", "z"}


def test_each_of_a_thousand_trials_is_read_once_from_a_real_storage() -> None:
    for storage in (None, optuna.storages.RDBStorage("sqlite:///:memory:")):
        study = optuna.create_study(storage=storage)
        n = 1000 if storage is None else 10
        study.add_trials([trial(i, {"x": 0, "y": 5}, TrialState.COMPLETE) for i in range(n)])
        kept = Counting()
        for _ in range(5):
            assert set(kept.of(study.get_trials(deepcopy=False))) == {"x", "y"}
        assert kept.n_read == n
        study.add_trial(trial(0, {"z": 0}, TrialState.COMPLETE))
        assert set(kept.of(study.get_trials(deepcopy=False))) == {"x", "y", "z"}
        assert kept.n_read == n + 1


def test_a_copy_carries_no_trials() -> None:
    trials = [trial(i, {"x": 0}, TrialState.COMPLETE) for i in range(1000)]
    kept = UnionSearchSpace()
    kept.of(trials)
    assert len(pickle.dumps(kept)) < 200
    assert copy.deepcopy(kept).of(trials) == kept.of(trials)
