"""HEBO (Cowen-Rivers et al., 2022): a warped Gaussian process and several acquisitions at once.

HEBO 0.3.2 needs an environment of its own: pymoo 0.5, and NumPy and pandas of that time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution

from benchmarks.peers.base import Setting
from benchmarks.peers.external import ExternalSampler, n_steps, of_step, study_of
from benchmarks.problems.base import Parameter, Params


def build(setting: Setting) -> optuna.Study:
    """A study that HEBO drives, at its defaults.

    It begins with 1 + parameters points of a Sobol sequence that does not depend on the seed. The
    space is flat. Failed trials are not told: HEBO drops them.
    """
    return study_of(HEBOSampler(setting), setting)


class HEBOSampler(ExternalSampler):
    """Drives HEBO by suggest and observe."""

    def start(self, seed: int) -> None:
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        space = DesignSpace().parse([config(parameter) for parameter in self.parameters])
        self.optimizer = HEBO(space)

    def ask(self) -> tuple[Any, Params]:
        frame = self.optimizer.suggest(1)
        params: Params = {}
        for parameter in self.parameters:
            value = frame[parameter.name].iloc[0]
            params[parameter.name] = of_step(parameter.distribution, value)
        return frame, params

    def tell(self, asked: Any, loss: float | None) -> None:
        if loss is not None:
            self.optimizer.observe(asked, np.array([[loss]]))


def config(parameter: Parameter) -> dict[str, Any]:
    """The parameter as HEBO writes it; a wider grid is the number of the step."""
    name, distribution = parameter.name, parameter.distribution
    if isinstance(distribution, CategoricalDistribution):
        return {"name": name, "type": "cat", "categories": list(range(len(distribution.choices)))}
    steps = n_steps(distribution)
    if steps is not None:
        return {"name": name, "type": "int", "lb": 0, "ub": steps}
    if isinstance(distribution, IntDistribution):
        kind = "pow_int" if distribution.log else "int"
    else:
        kind = "pow" if distribution.log else "num"
    return {"name": name, "type": kind, "lb": distribution.low, "ub": distribution.high}
