"""What a method of your own needs: base classes, and the parts that the package's methods share.

Everything that is neither here nor in ``optuna_metasampler`` itself is private.
"""

from __future__ import annotations

from optuna_metasampler.maximize import maximize, space_filling
from optuna_metasampler.meta_train.episodes import Episodes, StudyRecords
from optuna_metasampler.meta_train.loop import Learner, TrainConfig, Trainer
from optuna_metasampler.methods.base import AlignedPrior, Method, Priors, option
from optuna_metasampler.methods.default import cold_policy
from optuna_metasampler.packing import checked, pack
from optuna_metasampler.policies.acquisition import AcquisitionConfig, AcquisitionPolicy
from optuna_metasampler.policies.base import ModelPolicy, Phase, Policy, Proposal
from optuna_metasampler.policies.initial_design import InitialDesign
from optuna_metasampler.space import SearchSpace
from optuna_metasampler.surrogates.base import Predictor, ScaledPredictor, Surrogate
from optuna_metasampler.surrogates.gaussian_process import GaussianProcess
from optuna_metasampler.task import Task, to_tensor


__all__ = [
    "AcquisitionConfig",
    "AcquisitionPolicy",
    "AlignedPrior",
    "Episodes",
    "GaussianProcess",
    "InitialDesign",
    "Learner",
    "Method",
    "ModelPolicy",
    "Phase",
    "Policy",
    "Predictor",
    "Priors",
    "Proposal",
    "ScaledPredictor",
    "SearchSpace",
    "StudyRecords",
    "Surrogate",
    "Task",
    "TrainConfig",
    "Trainer",
    "checked",
    "cold_policy",
    "maximize",
    "option",
    "pack",
    "space_filling",
    "to_tensor",
]
