"""Other people's transfer methods, as the benchmark runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import functools
import itertools
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler
import pytest
import torch

from benchmarks.peers import meta_tpe, portfolio, rgpe
from benchmarks.peers.base import Build, Setting
from benchmarks.peers.sources import space_of, usable_sources
from benchmarks.problems.base import Condition, Objective, Parameter, suggest
from optuna_metasampler.surrogates.gaussian_process import (
    BasisPrior,
    GaussianProcess,
    GaussianProcessConfig,
    HyperPrior,
    Metric,
    Posterior,
    constant_feature,
)
from optuna_metasampler.task import Task
from tests.tasks import generator, uniform


PLAIN = tuple(Parameter(f"x{i}", FloatDistribution(0, 1)) for i in range(3))
MIXED = (
    Parameter("act", CategoricalDistribution(["relu", "tanh", None])),
    Parameter("lr", FloatDistribution(1e-5, 1e-1, log=True)),
    Parameter("units", IntDistribution(8, 512, log=True)),
    Parameter("layers", IntDistribution(1, 6)),
    Parameter("momentum", FloatDistribution(0, 0.9, step=0.3)),
    Parameter("only", IntDistribution(3, 3)),
    Parameter("dropout", FloatDistribution(0, 1), Condition("act", ("relu", None))),
)
BUILDS = {"rgpe": rgpe.build, "portfolio": portfolio.build, "meta_tpe": meta_tpe.build}
every_peer = pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)


def bowl(centre: float, sign: float = 1.0) -> Objective:
    return lambda p: sign * sum((i + 1) * (p[f"x{i}"] - centre) ** 2 for i in range(3))


def mixed(shift: float) -> Objective:
    def value(p: Mapping[str, Any]) -> float:
        total = (np.log10(p["lr"]) + 3 + shift) ** 2 + abs(np.log2(p["units"]) - 6) / 3
        total += abs(p["layers"] - 3) / 3 + (p["momentum"] - 0.6) ** 2 + (p["act"] == "tanh")
        return float(total + (p.get("dropout", 0.5) - 0.2) ** 2)

    return value


def tell(study: optuna.Study, parameters: tuple[Parameter, ...], f: Objective, n: int) -> None:
    for _ in range(n):
        trial = study.ask()
        study.tell(trial, f(suggest(trial, parameters)))


def random_study(
    parameters: tuple[Parameter, ...],
    f: Objective,
    n: int = 30,
    direction: str = "minimize",
    seed: int = 0,
) -> optuna.Study:
    study = optuna.create_study(direction=direction, sampler=RandomSampler(seed=seed))
    tell(study, parameters, f, n)
    return study


@functools.cache
def bowls(sign: float = 1.0, direction: str = "minimize") -> tuple[optuna.Study, ...]:
    centres = (0.35, 0.4, 0.5, 0.55)
    return tuple(
        random_study(PLAIN, bowl(c, sign), direction=direction, seed=k)
        for k, c in enumerate(centres)
    )


@functools.cache
def mixed_priors() -> tuple[optuna.Study, ...]:
    return tuple(random_study(MIXED, mixed(0.2 * k), seed=k) for k in range(3))


def run(
    build: Build,
    parameters: tuple[Parameter, ...],
    f: Objective,
    priors: tuple[optuna.Study, ...],
    n: int,
    seed: int = 0,
    direction: str = "minimize",
) -> optuna.Study:
    study = build(Setting(parameters, direction, priors, seed))
    tell(study, parameters, f, n)
    return study


def values(study: optuna.Study) -> list[float]:
    return [t.value for t in study.trials if t.value is not None]


# All three


@every_peer
def test_every_suggestion_is_legal_and_has_the_active_parameters(build: Build) -> None:
    study = run(build, MIXED, mixed(0.1), mixed_priors(), n=12)
    for trial in study.trials:
        active = {p.name for p in MIXED if p.is_active(trial.params)}
        assert trial.params.keys() == active
        for name, distribution in trial.distributions.items():
            assert distribution._contains(distribution.to_internal_repr(trial.params[name]))


@every_peer
def test_the_same_seed_gives_the_same_trials(build: Build) -> None:
    first, second = (run(build, MIXED, mixed(0.1), mixed_priors(), n=12, seed=4) for _ in "ab")
    assert [t.params for t in first.trials] == [t.params for t in second.trials]


@every_peer
def test_maximising_the_negative_is_minimising(build: Build) -> None:
    down = run(build, PLAIN, bowl(0.45), bowls(), n=12)
    up = run(build, PLAIN, bowl(0.45, -1), bowls(-1, "maximize"), n=12, direction="maximize")
    assert [t.params for t in down.trials] == [t.params for t in up.trials]


@every_peer
def test_the_scale_of_a_prior_does_not_matter(build: Build) -> None:
    larger = tuple(
        random_study(PLAIN, bowl(c, 1024.0), seed=k) for k, c in enumerate((0.35, 0.4, 0.5, 0.55))
    )
    study = run(build, PLAIN, bowl(0.45), bowls(), n=12)
    scaled = run(build, PLAIN, bowl(0.45), larger, n=12)
    for a, b in zip(study.trials, scaled.trials, strict=True):
        assert a.params == pytest.approx(b.params, abs=1e-4)


@functools.cache
def unusable() -> dict[str, tuple[optuna.Study, ...]]:
    failed = optuna.create_study()
    trial = failed.ask()
    suggest(trial, MIXED)
    failed.tell(trial, state=optuna.trial.TrialState.FAIL)
    two = optuna.create_study(directions=["minimize", "minimize"])
    for _ in range(2):
        trial = two.ask()
        suggest(trial, MIXED)
        two.tell(trial, [trial.number, 0.0])
    return {
        "none": (),
        "empty": (optuna.create_study(),),
        "one trial": (random_study(MIXED, mixed(0), n=1),),
        "constant": (random_study(MIXED, lambda p: 1.0, n=4),),
        "failed": (failed,),
        "two objectives": (two,),
        "other names": (
            random_study((Parameter("z", FloatDistribution(0, 1)),), lambda p: p["z"]),
        ),
    }


@every_peer
@pytest.mark.parametrize("why", unusable())
def test_priors_of_no_use_leave_it_cold(build: Build, why: str) -> None:
    study = run(build, MIXED, mixed(0.1), unusable()[why], n=3)
    cold = run(build, MIXED, mixed(0.1), (), n=3)
    assert [t.params for t in study.trials] == [t.params for t in cold.trials]


def of_no_type(p: Mapping[str, Any]) -> float:
    return float(sum(v if isinstance(v, (int, float)) else len(str(v)) for v in p.values()))


CLASHING = (
    Parameter("act", FloatDistribution(0, 1)),
    Parameter("lr", CategoricalDistribution(["low", "high"])),
    Parameter("units", FloatDistribution(1, 1000)),
    Parameter("layers", CategoricalDistribution([1, 2, True])),
)
WIDER = (
    Parameter("act", CategoricalDistribution(["relu", "swish", None])),
    Parameter("lr", FloatDistribution(0, 1)),
    Parameter("units", IntDistribution(1, 10_000)),
    Parameter("dropout", FloatDistribution(-1, 2)),
    Parameter("another", FloatDistribution(0, 1)),
)


@every_peer
def test_foreign_priors_do_no_harm_beyond_bad_advice(build: Build) -> None:
    diverging = random_study(MIXED, lambda p: p["lr"] if p["layers"] < 4 else float("inf"))
    priors = (
        random_study(CLASHING, of_no_type),
        random_study(WIDER, of_no_type),
        diverging,
        random_study(MIXED, mixed(0), direction="maximize"),
        *itertools.chain.from_iterable(unusable().values()),
    )
    study = run(build, MIXED, mixed(0.1), priors, n=12)
    assert len(values(study)) == 12


@pytest.mark.parametrize("build", [rgpe.build, portfolio.build], ids=["rgpe", "portfolio"])
def test_related_priors_make_the_first_trials_good(build: Build) -> None:
    at_random = min(values(random_study(PLAIN, bowl(0.45), n=30, seed=99)))
    for seed in range(2):
        study = run(build, PLAIN, bowl(0.45), bowls(), n=4, seed=seed)
        assert min(values(study)) < at_random


# RGPE


def posterior_of(x: torch.Tensor, z: torch.Tensor) -> tuple[Posterior, torch.Tensor, Metric]:
    ones = torch.ones(x.shape[1], dtype=torch.float64)
    metric = Metric(torch.arange(x.shape[1]), ones, 0.1 * ones)
    theta = HyperPrior.default(x.shape[1]).mean
    phi = constant_feature(x)
    return Posterior.of(x, z, phi, metric, [(theta, BasisPrior.constant())]), theta, metric


def test_leave_one_out_samples_are_those_of_processes_without_the_trial() -> None:
    x = uniform(6)
    z = torch.sin(5 * x[:, 0]) + x[:, 1]
    posterior, theta, metric = posterior_of(x, z)
    zero, one = torch.zeros((1, 6)).double(), torch.ones((1, 6)).double()
    mean = rgpe.leave_one_out_samples(posterior, zero)[0]
    std = rgpe.leave_one_out_samples(posterior, one)[0] - mean
    for i in range(6):
        rest = torch.arange(6) != i
        phi = constant_feature(x[rest])
        without = Posterior.of(x[rest], z[rest], phi, metric, [(theta, BasisPrior.constant())])
        expected = without.predict(x[[i]], constant_feature(x[[i]]))
        assert float(mean[i]) == pytest.approx(float(expected.mean[0, 0]), abs=1e-8)
        # The closed form has the jitter of the covariance in its noise.
        assert float(std[i]) == pytest.approx(float(expected.stddev[0, 0]), abs=1e-5)


def test_joint_samples_have_the_mean_and_the_deviation_of_the_process() -> None:
    x, query = uniform(8, seed=1), uniform(5, seed=2)
    query[4] = query[3]
    posterior, _, _ = posterior_of(x, x.sum(1))
    noise = torch.randn((20_000, 5), generator=generator(), dtype=torch.float64)
    samples = rgpe.joint_samples(posterior, query, noise)
    expected = posterior.predict(query, constant_feature(query))
    assert samples.mean(0).numpy() == pytest.approx(expected.mean[0].numpy(), abs=0.02)
    assert samples.std(0).numpy() == pytest.approx(expected.stddev[0].numpy(), rel=0.05)
    assert samples[:, 3].numpy() == pytest.approx(samples[:, 4].numpy(), abs=1e-5)


def misranked(left: np.ndarray, right: np.ndarray, y: np.ndarray) -> int:
    """Number of ordered pairs that are misranked, pair by pair."""
    pairs = itertools.permutations(range(len(y)), 2)
    return sum(bool(left[j] < right[k]) != bool(y[j] < y[k]) for j, k in pairs)


def test_rank_weights_are_those_of_counting_by_hand() -> None:
    rng = np.random.default_rng(0)
    y = np.array([0.3, 0.1, 0.7, 0.7, 0.5])
    # Two that know something, one that knows nothing, one that is upside down; then the target.
    sources = [y + 0.3 * rng.normal(size=(40, 5)), y + 0.5 * rng.normal(size=(40, 5))]
    sources += [rng.normal(size=(40, 5)), -y + 0.1 * rng.normal(size=(40, 5))]
    own = y + 0.4 * rng.normal(size=(40, 5))

    by_hand = [[misranked(f, f, y) for f in source] for source in sources]
    by_hand.append([misranked(f, y, y) for f in own])
    limit = np.percentile(by_hand[-1], 95)
    kept = [i for i in range(4) if np.median(by_hand[i]) <= limit] + [4]
    counts = np.zeros(5)
    for s in range(40):
        least = min(by_hand[i][s] for i in kept)
        winners = [i for i in kept if by_hand[i][s] == least]
        counts[winners] += 1 / len(winners)

    target = torch.tensor(y)
    losses = [rgpe.ranking_loss(torch.tensor(f), torch.tensor(f), target) for f in sources]
    losses.append(rgpe.ranking_loss(torch.tensor(own), target[None], target))
    assert [loss.tolist() for loss in losses] == by_hand
    weights = rgpe.rank_weights(torch.stack(losses))
    assert weights.numpy() == pytest.approx(counts / 40)
    assert 3 not in kept
    assert float(weights[3]) == 0.0


def ensemble_after(
    priors: tuple[optuna.Study, ...], n: int
) -> tuple[rgpe.EnsemblePredictor, Task]:
    setting = Setting(PLAIN, "minimize", priors, 0)
    space = space_of(setting)
    usable = usable_sources(setting, space)
    tasks = [Task.of(space, s.configurations, torch.tensor(s.outcomes)) for s in usable]
    params = [t.params for t in random_study(PLAIN, bowl(0.45), n=n, seed=7).trials]
    y = torch.tensor([-bowl(0.45)(p) for p in params], dtype=torch.float64)
    task = Task.of(space, params, y)
    return rgpe.RankWeightedEnsemble(tasks, 0).condition(task), task


def test_all_models_weigh_alike_before_there_is_a_ranking() -> None:
    before, _ = ensemble_after(bowls(), n=0)
    after, _ = ensemble_after(bowls(), n=2)
    assert before.weights.tolist() == pytest.approx([0.25] * 4 + [0.0])
    assert before.incumbent is None
    assert after.weights.tolist() == pytest.approx([0.2] * 5)


def test_the_ensemble_adds_means_by_weights_and_variances_by_their_squares() -> None:
    ensemble, task = ensemble_after(bowls(), n=6)
    assert float(ensemble.weights.sum()) == pytest.approx(1.0)
    parts = [member(task.x) for member in ensemble.members]
    found = ensemble(task.x)
    mean = sum(w * m for w, (m, _) in zip(ensemble.weights, parts, strict=True))
    variance = sum(w**2 * v for w, (_, v) in zip(ensemble.weights, parts, strict=True))
    assert torch.allclose(found.mean, mean)
    assert torch.allclose(found.variance, variance)


def test_each_member_predicts_standardised_outcomes_of_its_own_process() -> None:
    ensemble, task = ensemble_after(bowls(), n=12)
    own = ensemble.members[-1]
    process = GaussianProcess(GaussianProcessConfig(trend=False)).condition(task)
    z = process.posterior.outcomes
    mean, variance = own(task.x)
    expected = process(task.x)
    assert torch.allclose(mean, (expected.mean - z.mean()) / z.std(correction=0))
    assert torch.allclose(variance, expected.variance / z.var(correction=0))
    assert ensemble.incumbent == pytest.approx(float((z.max() - z.mean()) / z.std(correction=0)))


def test_flipped_priors_lose_their_weight() -> None:
    ensemble, _ = ensemble_after(bowls(-1.0), n=12)
    assert float(ensemble.weights[-1]) > 0.99


def test_rgpe_recovers_from_flipped_priors() -> None:
    study = run(rgpe.build, PLAIN, bowl(0.45), bowls(-1.0), n=18)
    at_random = values(random_study(PLAIN, bowl(0.45), n=100, seed=99))
    assert values(study)[0] > np.quantile(at_random, 0.9)
    assert min(values(study)) < np.quantile(at_random, 0.02)


def test_a_source_ignores_what_it_never_had() -> None:
    shorter = tuple(random_study(PLAIN[:2], lambda p: p["x0"] + p["x1"], seed=k) for k in (0, 1))
    ensemble, task = ensemble_after(shorter, n=0)
    x = torch.tensor(task.space.encode([{"x0": 0.2, "x1": 0.3, "x2": v} for v in (0.0, 1.0)]))
    mean, variance = ensemble.members[0](x)
    assert mean[0] == mean[1]
    assert variance[0] == variance[1]


# The portfolio


def test_the_portfolio_is_the_greedy_one() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        losses = rng.permuted(np.tile(np.arange(1.0, 13.0), (4, 1)), axis=1)
        chosen: list[int] = []
        while True:
            now = np.mean([min([row[i] for i in chosen], default=np.inf) for row in losses])
            reached = [
                np.mean([min(row[i] for i in [*chosen, j]) for row in losses]) for j in range(12)
            ]
            if min(reached) >= now:
                break
            chosen.append(int(np.argmin(reached)))
        assert portfolio.greedy_order(losses) == chosen


def test_the_portfolio_ends_with_the_best_of_every_task() -> None:
    losses = np.array([[1.0, 3.0, 2.0], [3.0, 1.0, 2.0]])
    assert sorted(portfolio.greedy_order(losses)) in ([0, 1], [0, 1, 2])
    assert portfolio.greedy_order(np.array([[2.0, 1.0, 1.0]])) == [1]


def test_the_portfolio_plays_configurations_of_the_priors_and_then_random_ones() -> None:
    known = [t.params for study in bowls() for t in study.trials]
    study = run(portfolio.build, PLAIN, bowl(0.45), bowls(), n=25, seed=50)
    played = [t.params in known for t in study.trials]
    length = played.index(False)
    assert length >= 2
    assert not any(played[length:])


def test_the_portfolio_does_not_learn_from_the_running_study() -> None:
    one = run(portfolio.build, PLAIN, bowl(0.45), bowls(), n=12)
    other = run(portfolio.build, PLAIN, bowl(0.9, -1.0), bowls(), n=12)
    assert [t.params for t in one.trials] == [t.params for t in other.trials]


# Meta-learned TPE


@pytest.mark.parametrize("priors", [(), None], ids=["cold", "warm"])
def test_the_first_ten_trials_are_random(priors: tuple[optuna.Study, ...] | None) -> None:
    study = run(meta_tpe.build, PLAIN, bowl(0.45), bowls() if priors is None else priors, n=10)
    at_random = random_study(PLAIN, bowl(0.45), n=10, seed=0)
    assert [t.params for t in study.trials] == [t.params for t in at_random.trials]


def test_without_priors_it_is_tpe() -> None:
    study = run(meta_tpe.build, PLAIN, bowl(0.45), (), n=25, seed=3)
    tpe = optuna.create_study(sampler=TPESampler(seed=3, multivariate=True))
    tell(tpe, PLAIN, bowl(0.45), 25)
    for a, b in zip(study.trials, tpe.trials, strict=True):
        assert a.params == pytest.approx(b.params)


def density(where: Callable[[np.random.Generator], float]) -> meta_tpe.Density:
    rng = np.random.default_rng(0)
    group = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    return meta_tpe.Density(group, [{"x": where(rng), "y": rng.uniform()} for _ in range(30)])


def test_the_overlap_is_that_of_numerical_integration() -> None:
    left = density(lambda rng: rng.uniform(0.0, 0.4))
    right = density(lambda rng: rng.uniform(0.3, 0.6))
    far = density(lambda rng: rng.uniform(0.9, 1.0))
    middle = (np.arange(100) + 0.5) / 100
    grid = {"x": np.repeat(middle, 100), "y": np.tile(middle, 100)}
    rng = np.random.RandomState(0)
    found = meta_tpe.similarities(left, [left, right, far], rng)
    p = np.exp(left.log_pdf(grid))
    for overlap, other in zip(found, (left, right, far), strict=True):
        distance = 0.5 * np.mean(np.abs(p - np.exp(other.log_pdf(grid))))
        assert overlap == pytest.approx((1 - distance) / (1 + distance), abs=0.04)
    assert found[0] == pytest.approx(1.0)
    assert found[0] > found[1] > found[2]


def test_task_weights_leave_the_target_what_is_not_shared() -> None:
    weights = meta_tpe.task_weights(np.array([1.0, 0.5, 0.0]))
    assert weights.tolist() == pytest.approx([1 - 1.5 / 4, 1 / 4, 0.5 / 4, 0.0])
    assert meta_tpe.task_weights(np.zeros(0)).tolist() == [1.0]


def test_a_parameter_that_a_prior_lacks_has_its_density_without_data() -> None:
    group = {"x": FloatDistribution(0, 1), "c": CategoricalDistribution("uvw")}
    found = meta_tpe.Density(group, [{"x": 0.5}, {"x": 0.52}])
    points = {"x": np.full(3, 0.5), "c": np.arange(3.0)}
    logs = found.log_pdf(points)
    assert logs == pytest.approx(np.full(3, logs[0]))
    assert set(found.sample(np.random.RandomState(0), 50)) == {"x", "c"}


def test_related_priors_help_it_after_the_random_trials() -> None:
    warm, cold = (
        [min(values(run(meta_tpe.build, PLAIN, bowl(0.45), p, n=18, seed=s))) for s in range(4)]
        for p in (bowls(), ())
    )
    assert np.mean(warm) < np.mean(cold)
