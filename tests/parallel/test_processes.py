"""Workers in processes of their own, over every kind of storage that they can share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
import multiprocessing
from pathlib import Path
import signal
import socket
import warnings

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import GrpcStorageProxy, JournalStorage, run_grpc_proxy_server
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
import pytest

from optuna_metasampler import MetaSampler
from tests.parallel.problem import check, configurations, loss, work, write_priors
from tests.priors import postgresql


N_WORKERS = 2
N_TRIALS = 4
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('priors') / 'old.db'}"
    write_priors(url)
    return url


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes that are used for one storage after the other, for their imports take seconds."""
    with ProcessPoolExecutor(N_WORKERS, mp_context=SPAWN) as executor:
        yield executor


Run = Callable[[optuna.storages.BaseStorage | str], None]


@pytest.fixture
def run(pool: ProcessPoolExecutor, prior: str) -> Run:
    def run(storage: optuna.storages.BaseStorage | str) -> None:
        study = optuna.create_study(study_name="new", storage=storage)
        futures = [
            pool.submit(work, storage, prior, N_WORKERS, N_TRIALS) for _ in range(N_WORKERS)
        ]
        for future in futures:
            future.result()
        check(study, N_WORKERS, N_WORKERS * N_TRIALS)

    return run


def test_processes_share_an_sqlite_file(run: Run, tmp_path: Path) -> None:
    run(f"sqlite:///{tmp_path / 'new.db'}")


def test_processes_share_a_journal_file(run: Run, tmp_path: Path) -> None:
    run(JournalStorage(JournalFileBackend(str(tmp_path / "new.log"))))


def test_processes_share_a_postgresql_server(run: Run) -> None:
    psycopg = pytest.importorskip("psycopg", reason="the driver psycopg is not installed")
    try:
        with postgresql.server() as folder:
            with psycopg.connect(
                host=folder, user=postgresql.OWNER, dbname="postgres", autocommit=True
            ) as connection:
                connection.execute("CREATE DATABASE new")
            storage = optuna.storages.RDBStorage(postgresql.url(folder, "new"))
            run(storage)
            storage.remove_session()
            storage.engine.dispose()
    except postgresql.Unavailable as error:
        pytest.skip(str(error))


def serve(url: str, port: int) -> None:
    run_grpc_proxy_server(optuna.storages.RDBStorage(url), port=port)


def test_processes_share_a_grpc_proxy(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="grpcio is not installed")
    pytest.importorskip("google.protobuf", reason="protobuf is not installed")
    with closing(socket.socket()) as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = SPAWN.Process(target=serve, args=(f"sqlite:///{tmp_path / 'new.db'}", port))
    server.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            storage = GrpcStorageProxy(port=port)
        storage.wait_server_ready(timeout=60)
        run(storage)
        storage.close()
    finally:
        server.terminate()
        server.join()


@pytest.mark.slow
def test_dask_workers_share_a_storage_of_the_scheduler(prior: str) -> None:
    distributed = pytest.importorskip("distributed", reason="dask's distributed is not installed")
    integration = pytest.importorskip(
        "optuna_integration", reason="optuna-integration is not installed"
    )
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        warnings.simplefilter("ignore", ExperimentalWarning)
        storage = integration.DaskStorage(client=client)
        study = optuna.create_study(
            study_name="new", storage=storage, sampler=MetaSampler(prior, seed=0)
        )
        # The study travels to the workers with its sampler, a copy for each task.
        distributed.wait(
            [client.submit(study.optimize, loss, n_trials=3, pure=False) for _ in range(3)]
        )
        trials = study.trials
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 9
    # Two that choose while a third one ends may see different things, and choose alike.
    assert len(configurations(trials)) >= 7


def hang(url: str, prior: str | None, after: int) -> None:
    """A worker that comes to a stop after some parameters, until it is killed."""
    study = optuna.load_study(study_name="new", storage=url, sampler=MetaSampler(prior, seed=0))
    trial = study.ask()
    for name in ("x", "y")[:after]:
        trial.suggest_float(name, 0, 1)
    trial.set_user_attr("hangs", True)
    signal.pause()


@pytest.mark.parametrize("after", [0, 1])
def test_a_worker_that_is_killed_in_a_trial_leaves_the_study_sound(
    tmp_path: Path, after: int
) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    study = optuna.create_study(study_name="new", storage=url, sampler=MetaSampler(seed=0))
    process = SPAWN.Process(target=hang, args=(url, None, after))
    process.start()
    while not any("hangs" in t.user_attrs for t in study.trials):
        process.join(0.05)
        assert process.is_alive()
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    study.optimize(loss, n_trials=12)
    lost, *others = study.trials
    assert (lost.state, len(lost.params)) == (TrialState.RUNNING, after)
    assert [t.state for t in others] == [TrialState.COMPLETE] * 12
    assert len(configurations(others)) == 12
    assert study.best_value < 0.02


@pytest.mark.slow
def test_eight_processes_that_start_together_take_eight_configurations(
    prior: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    study = optuna.create_study(study_name="new", storage=url)
    with ProcessPoolExecutor(8, mp_context=SPAWN) as executor:
        for future in [executor.submit(work, url, prior, 8, 2) for _ in range(8)]:
            future.result()
    check(study, 8, 16)
