"""The distributions that a running study has shown, read once a trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)


if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


class UnionSearchSpace:
    """What finished trials have shown, kept from one suggestion to the next.

    A trial that has finished never changes again, so each is read once: with ten thousand of them
    this is most of what a suggestion would do. A trial that has gone, or another one in its place,
    means that the study is another one now, and everything is read again; so it is in a storage
    that makes its trials anew at every call.
    """

    def __init__(self) -> None:
        self._read: dict[int, FrozenTrial] = {}
        self._last: dict[str, tuple[int, BaseDistribution]] = {}
        self._clashing: set[str] = set()

    def __reduce__(self) -> tuple[type[UnionSearchSpace], tuple[()]]:
        """A copy begins with nothing, and reads the trials of whoever it meets."""
        return type(self), ()

    def common(self, trials: Sequence[FrozenTrial]) -> dict[str, BaseDistribution]:
        """The distribution of each parameter, as the trial of the highest number had it.

        Args:
            trials: All trials of the study, in any state.

        Returns:
            Name to distribution, sorted by name. Single-valued ones are left out, for they never
            vary, and so are parameters whose distributions are of several kinds: whether float,
            int or choice, whether on the log scale, and which choices.
        """
        finished = [t for t in trials if t.state.is_finished()]
        new = [t for t in finished if self._read.get(t.number) is not t]
        if len(finished) != len(self._read) + len(new):
            # Something that was read is not there any more.
            self._read, self._last, self._clashing = {}, {}, set()
            new = finished
        for trial in new:
            self._add(trial)
        return {
            name: distribution
            for name, (_, distribution) in sorted(self._last.items())
            if name not in self._clashing
        }

    def _add(self, trial: FrozenTrial) -> None:
        self._read[trial.number] = trial
        for name, distribution in trial.distributions.items():
            if distribution.single():
                continue
            number, last = self._last.get(name, (-1, distribution))
            if not same_kind(last, distribution):
                self._clashing.add(name)
            if trial.number > number:
                self._last[name] = trial.number, distribution


def same_kind(a: BaseDistribution, b: BaseDistribution) -> bool:
    """Whether Optuna takes a value of ``a`` where the objective asks for ``b``, range apart."""
    if isinstance(a, CategoricalDistribution) or isinstance(b, CategoricalDistribution):
        return a == b
    assert isinstance(a, (FloatDistribution, IntDistribution))
    assert isinstance(b, (FloatDistribution, IntDistribution))
    return type(a) is type(b) and a.log == b.log
