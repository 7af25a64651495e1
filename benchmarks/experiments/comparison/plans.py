"""What is run: plans made of blocks, and the jobs that they come to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
import itertools

from benchmarks.peers.ablations import ALWAYS, WITH_PRIORS
from benchmarks.peers.metasampler import VARIANTS
from benchmarks.problems import (
    DEVELOPMENT_RELATEDNESS,
    DEVELOPMENT_TABLES,
    PACKAGED,
    TABLES,
)
from benchmarks.problems.base import Suite, seed_of, targets
from benchmarks.problems.simulators import SIMULATORS
from benchmarks.problems.synthetic import RELATEDNESS
from benchmarks.scenarios import SCENARIOS, applies
from optuna_metasampler.methods import METHODS


@dataclass(frozen=True, order=True)
class Job:
    """One run to make; see `run.Run`. One with more trials will do."""

    suite: str
    task: str
    scenario: str
    peer: str
    seed: int
    n_trials: int = field(compare=False)


@dataclass(frozen=True)
class Block:
    """All combinations of some suites, scenarios, peers and seeds.

    Attributes:
        suites: By name.
        scenarios: By name; where one does not apply to a suite, it is left out.
        peers: By name.
        seeds: Repetitions of everything.
        n_trials: Budget of each run.
        n_targets: Tasks of each suite that are held out and tuned, in a fixed random order.
        n_skipped: How many of these to leave out, from the first.
    """

    suites: tuple[str, ...]
    scenarios: tuple[str, ...]
    peers: tuple[str, ...]
    seeds: int
    n_trials: int
    n_targets: int
    n_skipped: int = 0


Plan = tuple[Block, ...]


def jobs(plan: Plan, suites: Mapping[str, Suite]) -> list[Job]:
    """The jobs of a plan; where two blocks want the same run, the longer one.

    Raises:
        ValueError: If a suite of the plan is not at hand.
    """
    missing = sorted({name for block in plan for name in block.suites} - suites.keys())
    if missing:
        raise ValueError(
            f"Not at hand: {', '.join(missing)}. Give the folder of tables with --data, install "
            "the extra 'bench', or choose suites that are there with --only suite NAME."
        )
    found: dict[Job, Job] = {}
    for block in plan:
        for job in _jobs_of(block, suites):
            found[job] = max(found.get(job, job), job, key=lambda j: j.n_trials)
    # Whole repetitions one by one, the problems of each in random order: so the time that is left
    # is guessed well. Jobs on the same problem and seed stay together, as they share priors.
    return sorted(found.values(), key=lambda j: (j.seed, seed_of(j.suite, j.task), j))


def _jobs_of(block: Block, suites: Mapping[str, Suite]) -> Iterator[Job]:
    for name in block.suites:
        for task in targets(suites[name], block.n_targets)[block.n_skipped :]:
            for scenario in block.scenarios:
                if applies(scenario, suites[name], task):
                    for peer, seed in itertools.product(block.peers, range(block.seeds)):
                        yield Job(name, task, scenario, peer, seed, block.n_trials)


def only(plan: Plan, suites: Iterable[str]) -> Plan:
    """The plan on some suites; those not in it take the place of those of its first block."""
    chosen = tuple(suites)
    named = {name for block in plan for name in block.suites}
    others = tuple(name for name in chosen if name not in named)
    return tuple(
        replace(block, suites=kept)
        for block in plan
        if (
            kept := tuple(name for name in block.suites if name in chosen)
            + (others if block.suites == plan[0].suites else ())
        )
    )


# --- The plans --------------------------------------------------------------------------------

SYNTHETIC = tuple(f"synthetic_{r}" for r in RELATEDNESS)
_SIMULATORS = tuple(simulator.name for simulator in SIMULATORS)

_COLD = ("Random", "QMC", "TPE", "CMA-ES")
_BEST = ("TPE + best priors", "GPSampler + best priors")
_OWN_BEST = "MetaSampler (gp) + best priors"
_NAIVE = ("TPE + best priors", _OWN_BEST)
"""Warm starts that learn nothing: they stand beside the default wherever there are priors."""
_WARM = ("MetaSampler", *_NAIVE)
_TRANSFER = (
    "RGPE",
    "TPE + all prior trials",
    "CMA-ES + source trials",
    "Zero-shot portfolio",
    "Meta-learn TPE",
)
_BAD = ("flipped", "shuffled", "foreign", "mixed")
_OTHER = ("random-5", "short", "long", "one-sided", "scaled")
_OVERLAP = tuple(name for name in SCENARIOS if name.startswith("overlap-"))
_MANY = ("random-30x200", "tpe-30", "tpe-100")
_SPACES = TABLES + PACKAGED
_METHODS = tuple(
    "MetaSampler" if name == "auto" else f"MetaSampler ({name})" for name in (*METHODS, *VARIANTS)
)
_ALWAYS = tuple(f"MetaSampler {name}" for name in ALWAYS)
_WITH_PRIORS = tuple(f"MetaSampler {name}" for name in WITH_PRIORS)

_METHOD_SPACES = ("openml_random_forest", "xgboost_libsvm", "yahpo_lcbench", "yahpo_rbv2_rpart")
_DEVELOPMENT_FUNCTIONS = tuple(
    f"{kind}_{r}" for kind in ("synthetic", "stepped", "flags") for r in DEVELOPMENT_RELATEDNESS
)
_DEVELOPMENT_SCENARIOS = ("none", "tpe-1", "tpe-5", *_BAD)

PLANS: dict[str, Plan] = {
    # Two minutes on two cores, and no data needed: see `quick`.
    "quick": tuple(
        Block((suite,), scenarios, peers, 2, 20, n_targets)
        for suite, n_targets in (("synthetic_0.9", 6), ("synthetic_-1.0", 3))
        for scenarios, peers in (
            (("none",), ("MetaSampler", "TPE", "Random")),
            (("tpe-5",), ("MetaSampler", "TPE + best priors")),
        )
    ),
    # What the default method was chosen on: none of these tasks is in a pooled figure, but for the
    # four of fcnet_hpolib, which has no others.
    "develop": (
        Block(DEVELOPMENT_TABLES, _DEVELOPMENT_SCENARIOS, ("MetaSampler",), 1, 50, 9, 4),
        Block(("fcnet_hpolib", "hpolib"), _DEVELOPMENT_SCENARIOS, ("MetaSampler",), 1, 50, 4),
        Block(_DEVELOPMENT_FUNCTIONS, _DEVELOPMENT_SCENARIOS, ("MetaSampler",), 1, 50, 8),
        Block(("made_learners",), _DEVELOPMENT_SCENARIOS, ("MetaSampler",), 2, 50, 12),
        Block(_SIMULATORS, _DEVELOPMENT_SCENARIOS, ("MetaSampler",), 1, 50, 12, 4),
    ),
    # The table of all methods: every one with eight related priors, on tasks of which none is in a
    # pooled figure.
    "methods": (
        Block(("synthetic_0.9",), ("tpe-8",), _METHODS, 1, 30, 8),
        Block(("synthetic_0.9",), ("none",), ("Random", "TPE"), 3, 30, 8),
        Block(_METHOD_SPACES, ("tpe-8",), _METHODS, 1, 30, 8, 4),
        Block(_METHOD_SPACES, ("none",), ("Random", "TPE"), 3, 30, 8, 4),
    ),
    # What the comparison in benchmarks/README.md shows.
    "main": (
        Block(_SPACES, ("none",), _COLD, 3, 100, 4),
        Block(_SPACES, ("none",), ("GPSampler",), 3, 50, 4),
        Block(_SPACES, ("none",), ("MetaSampler",), 3, 100, 4),
        Block(_SPACES, ("tpe-5",), ("MetaSampler",), 2, 50, 4),
        Block(_SPACES, ("tpe-5",), (*_BEST, _OWN_BEST), 2, 50, 4),
        Block(_SPACES, ("tpe-5",), _TRANSFER, 1, 50, 4),
        # Slow ones: a suggestion of theirs takes up to some seconds.
        Block(_SPACES, ("none",), ("SMAC3", "BoTorch", "Ax"), 1, 30, 1),
        Block(_SPACES, ("tpe-1", "tpe-8"), _WARM, 2, 50, 3),
        # The same tasks and seeds as with `tpe-5`: scenarios are compared with each other.
        Block(_SPACES, _MANY, _WARM, 2, 50, 4),
        Block(_SPACES, _BAD, _WARM, 3, 50, 3),
        Block(_SPACES, _OVERLAP, _WARM, 3, 50, 2),
        Block(_SPACES, _OTHER, _WARM, 1, 50, 1),
        Block(SYNTHETIC, ("none",), ("MetaSampler",), 1, 50, 8),
        Block(SYNTHETIC, ("none",), ("Random", "TPE"), 2, 50, 8),
        Block(SYNTHETIC, ("tpe-5",), _WARM, 1, 50, 8),
        Block(("live_svm",), ("none",), ("MetaSampler",), 3, 50, 5),
        Block(("live_svm",), ("none",), ("Random", "TPE", "GPSampler"), 2, 50, 5),
        Block(("live_svm",), ("tpe-5",), _WARM, 3, 50, 5),
        Block(("live_mlp",), ("none",), ("MetaSampler",), 2, 50, 3),
        Block(("live_mlp",), ("none",), ("Random", "TPE", "GPSampler"), 1, 50, 3),
        Block(("live_mlp",), ("tpe-5",), _WARM, 2, 50, 3),
        Block(("live_learners",), ("none",), ("MetaSampler",), 3, 50, 5),
        Block(("live_learners",), ("none",), ("Random", "TPE", "GPSampler"), 2, 50, 5),
        Block(("live_learners",), ("tpe-5",), _WARM, 3, 50, 5),
        Block(_SIMULATORS, ("none",), ("MetaSampler",), 2, 50, 4),
        Block(_SIMULATORS, ("none",), ("Random", "TPE", "GPSampler"), 2, 50, 4),
        Block(_SIMULATORS, ("tpe-5",), ("GPSampler + best priors", *_WARM), 2, 50, 4),
        Block(_SIMULATORS, _BAD, _WARM, 2, 50, 4),
        # Seed 0 of tasks that the default has run on too.
        Block(_SPACES, ("none",), _ALWAYS, 1, 50, 1),
    ),
    # Runs only in an environment of its own: it would fail, and replace its records, in `main`.
    "hebo": (Block(_SPACES, ("none",), ("HEBO",), 1, 50, 1),),
    # What else there are tables for; some hours.
    "extra": (
        Block(_SPACES, ("none",), ("GPSampler",), 3, 100, 1),
        Block(_SPACES, ("flipped", "mixed"), ("TPE + all prior trials", "RGPE"), 1, 50, 3),
        Block(_SPACES, ("tpe-5",), _WITH_PRIORS + _ALWAYS, 1, 50, 1),
        Block(_SPACES, ("scaled",), ("TPE + best priors",), 1, 50, 2),
        Block(SYNTHETIC, ("tpe-5",), ("RGPE",), 1, 50, 8),
    ),
}
