"""Who is compared: one table of peers."""

from __future__ import annotations

from benchmarks.peers import (
    external_ax,
    external_botorch,
    external_hebo,
    external_smac,
    meta_tpe,
    optuna_samplers,
    portfolio,
    rgpe,
)
from benchmarks.peers.ablations import ABLATIONS, with_ablation
from benchmarks.peers.base import Build, Peer
from benchmarks.peers.metasampler import VARIANTS, with_method
from benchmarks.peers.optuna_samplers import with_best_priors
from optuna_metasampler.methods import METHODS


_MODELS = ("torch", "scipy")
_GP = (*_MODELS, "greenlet")


def _of_package(name: str, build: Build, cold: str = "MetaSampler") -> Peer:
    return Peer(name, build, uses_priors=True, packages=_MODELS, cold=cold)


_ALL = (
    Peer("Random", optuna_samplers.random),
    Peer("QMC", optuna_samplers.qmc, packages=("scipy",)),
    Peer("TPE", optuna_samplers.tpe),
    Peer("GPSampler", optuna_samplers.gp, packages=_GP),
    Peer("CMA-ES", optuna_samplers.cma_es, packages=("cmaes",)),
    Peer(
        "CMA-ES + source trials",
        optuna_samplers.cma_es_from_priors,
        uses_priors=True,
        packages=("cmaes",),
        cold="CMA-ES",
    ),
    Peer("TPE + best priors", with_best_priors(optuna_samplers.tpe), uses_priors=True, cold="TPE"),
    Peer(
        "GPSampler + best priors",
        with_best_priors(optuna_samplers.gp),
        uses_priors=True,
        packages=_GP,
        cold="GPSampler",
    ),
    # What the priors' best are worth to the default's process, and nothing else of them.
    _of_package("MetaSampler (gp) + best priors", with_best_priors(with_method("gp"))),
    Peer(
        "TPE + all prior trials",
        optuna_samplers.tpe_with_all_priors,
        uses_priors=True,
        cold="TPE",
    ),
    # Without priors it is the same Gaussian process.
    _of_package("RGPE", rgpe.build),
    Peer("Zero-shot portfolio", portfolio.build, uses_priors=True, cold="Random"),
    Peer("Meta-learn TPE", meta_tpe.build, uses_priors=True, packages=("scipy",), cold="TPE"),
    Peer("SMAC3", external_smac.build, packages=("smac", "ConfigSpace")),
    Peer("BoTorch", external_botorch.build, packages=("botorch", "gpytorch", "torch")),
    Peer("HEBO", external_hebo.build, packages=("HEBO", "pymoo")),
    Peer("Ax", external_ax.build, packages=("ax-platform", "botorch", "torch")),
    *(
        _of_package("MetaSampler" if m == "auto" else f"MetaSampler ({m})", with_method(m))
        for m in METHODS
    ),
    *(
        _of_package(f"MetaSampler ({name})", with_method(method, options))
        for name, (method, options) in VARIANTS.items()
    ),
    *(
        _of_package(f"MetaSampler {name}", with_ablation(name), cold=f"MetaSampler {name}")
        for name in ABLATIONS
    ),
)

PEERS: dict[str, Peer] = {peer.name: peer for peer in _ALL}
"""By name."""
