"""Prior studies in a file, and samplers that do and do not use them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from optuna_metasampler import MetaSampler
from tests.studies import sqlite

from .seven_parameters import add_prior_studies, new_sampler


@pytest.fixture(scope="session")
def prior_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A storage URL with two finished studies of the seven-parameter problem."""
    path = tmp_path_factory.mktemp("priors") / "earlier.db"
    with sqlite(path) as storage:
        add_prior_studies(storage)
    return f"sqlite:///{path}"


@pytest.fixture(params=["without priors", "with priors"])
def prior(request: pytest.FixtureRequest) -> str | None:
    """No prior at all, and the prior studies of `prior_url`."""
    if request.param == "without priors":
        return None
    url: str = request.getfixturevalue("prior_url")
    return url


@pytest.fixture
def make_sampler(prior: str | None) -> Callable[..., MetaSampler]:
    """A factory of the samplers of `new_sampler`."""

    def make(seed: int | None = 0) -> MetaSampler:
        return new_sampler(prior, seed)

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the dearest of Optuna's tests to those that may take long, but for some cases.

    A hundred suggestions with prior studies take five seconds a case; one case of each kind stays.
    Of the 36 pairs of distributions, each of the six stays once as the first and once as the
    second with prior studies, and all pairs without.
    """
    cases = {
        "test_float": (1, 2, 5),
        "test_int": (1, 2, 4, 5),
        "test_multi_objective_sample_independent": range(1, 16),
    }
    dearest = tuple(f"{t}[distribution{i}]" for t, numbers in cases.items() for i in numbers)
    with_priors = ("TestWithMatchingPriors", "TestWithMismatchingPriors")
    for item in items:
        dear = item.nodeid.endswith(dearest) or _is_far(item)
        if dear and any(f"::{name}::" in item.nodeid for name in with_priors):
            item.add_marker(pytest.mark.slow)


def _is_far(item: pytest.Item) -> bool:
    """Whether a test is of a pair of distributions that do not follow on each other."""
    places = getattr(getattr(item, "callspec", None), "indices", {})
    pairs = (("suggest_method_x", "suggest_method_y"), ("x_distribution", "y_distribution"))
    # The place of a pair among all 36.
    found = [places[x] for x, y in pairs if x in places and y in places]
    return any((place // 6 + 1) % 6 != place % 6 for place in found)
