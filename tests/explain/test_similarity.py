"""Rank correlations of studies, and their map."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
import torch

from optuna_metasampler import MetaSampler
from optuna_metasampler.explain.prior_studies import SimilarityMap, classical_scaling, similarity
from optuna_metasampler.explain.snapshot import Snapshot
from tests.explain.conftest import studied


def known(snapshot: Snapshot, objective: int = 0) -> SimilarityMap:
    found = similarity(snapshot, objective)
    assert found is not None
    return found


def test_similar_studies_are_near_and_opposite_ones_far(warm: Snapshot) -> None:
    got = known(warm)
    assert got.names == ("near", "nearer", "opposite", "this study")
    rho, distance = got.correlation, torch.cdist(got.positions, got.positions)
    assert rho[0, 1] > 0.8
    assert rho[0, 2] < -0.5
    assert rho[0, 3] > 0.2 > rho[2, 3]
    assert distance[0, 1] < distance[0, 2]
    assert distance[3, 0] < distance[3, 2]
    assert got.n_trials == len(warm.task)


def test_correlations_are_a_proper_matrix(warm: Snapshot) -> None:
    rho = known(warm).correlation
    assert torch.equal(rho, rho.T)
    assert torch.equal(rho.diagonal(), torch.ones(4, dtype=torch.float64))
    assert bool((rho.abs() <= 1).all())


def test_the_map_does_not_turn_from_call_to_call(warm: Snapshot, first_trial: Snapshot) -> None:
    for snapshot in (warm, first_trial):
        got = known(snapshot)
        assert got.positions[-1].tolist() == [0.0, 0.0]
        assert float(got.positions[0, 0]) > 0
        assert float(got.positions[0, 1]) == pytest.approx(0.0, abs=1e-12)
        off = [float(y) for y in got.positions[:, 1] if abs(float(y)) > 1e-6]
        assert not off or off[0] > 0
        assert torch.equal(known(snapshot).positions, got.positions)


def test_intervals_of_correlations_shrink_with_trials(
    warm: Snapshot, first_trial: Snapshot
) -> None:
    early, late = known(first_trial), known(warm)
    for got in (early, late):
        here = got.correlation[:-1, -1]
        assert bool(((got.low < here) & (here < got.high)).all())
    assert float((late.high - late.low).mean()) < 0.7 * float((early.high - early.low).mean())
    # Nothing is known of the running study: it is as far from all.
    assert len(set(early.correlation[:-1, -1].tolist())) == 1


@pytest.mark.parametrize("k", [1, 2])
def test_one_or_two_prior_studies_make_a_map(priors: list[optuna.Study], k: int) -> None:
    snapshot = Snapshot.of(studied(MetaSampler(priors[-k:], seed=0), n=6))
    got = known(snapshot)
    assert got.positions.shape == (k + 1, 2)
    expected = 1 - float(got.correlation[0, -1])
    if k == 1:
        assert got.positions[0].tolist() == pytest.approx([expected, 0.0], abs=1e-9)
    assert bool(torch.isfinite(got.positions).all())


def test_there_is_no_map_without_prior_studies(cold: Snapshot) -> None:
    assert similarity(cold) is None


def test_every_objective_has_a_map_of_its_own(several: optuna.Study) -> None:
    snapshot = Snapshot.of(several)
    for j in (0, 1):
        got = known(snapshot, j)
        assert got.names == ("before", "this study")
        assert not math.isnan(float(got.correlation[0, 1]))


def test_points_of_a_plane_get_their_distances_back() -> None:
    points = torch.from_numpy(np.random.default_rng(0).standard_normal((7, 2)))
    distance = torch.cdist(points, points)
    found = classical_scaling(distance)
    assert torch.allclose(torch.cdist(found, found), distance, atol=1e-9)


def test_points_of_a_line_and_points_that_are_one_are_no_obstacle() -> None:
    line = torch.arange(4.0, dtype=torch.float64)[:, None]
    distance = torch.cdist(line, line)
    found = classical_scaling(distance)
    assert torch.allclose(torch.cdist(found, found), distance, atol=1e-6)
    assert bool((classical_scaling(torch.zeros(3, 3, dtype=torch.float64)) == 0).all())
