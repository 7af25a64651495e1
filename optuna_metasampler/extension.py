"""What a method of your own is made of."""

from optuna_metasampler.methods.base import Method
from optuna_metasampler.methods.base import Prior as AlignedPrior
from optuna_metasampler.policies.base import Phase, Policy, Proposal
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.base import Predictor, Surrogate
from optuna_metasampler.task import Task


__all__ = [
    "AlignedPrior",
    "Method",
    "Phase",
    "Policy",
    "Predictor",
    "Proposal",
    "SearchSpace",
    "Surrogate",
    "Task",
]
