"""Servers that stand still at each moment of a worker of a fleet: it ends on SIGTERM all the same, in bounded time."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from scheduler.core.run import Outcome
from scheduler.fleet.runs import WORKER_STOPPED
from scheduler.fleet.stopping import END_S
from scheduler.store.database import Store
from tests.scheduler.postgres_server import Server
from tests.scheduler.relay import Relay
from tests.waiting import PATIENCE_S, eventually, slowed

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler.celery_processes import WatchedDaemon, Worker

pytestmark = pytest.mark.slow

#: How long a worker may take to end: the limit of a function, and what it needs with a server that stands still.
MOST_S = END_S + 12.0


@contextmanager
def relay_to(server: int | str) -> Iterator[Relay]:
    relay = Relay(server)
    try:
        yield relay
    finally:
        relay.close()


@contextmanager
def worker_on(folder: Path, url: str, broker: str) -> Iterator[Worker]:
    worker = Worker(folder, url, broker, concurrency=2)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.kill()


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """The URL of a store."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def relay(database: str) -> Iterator[Relay]:
    """A relay to its server."""
    with relay_to(f"{make_url(database).query['host']}/.s.PGSQL.5432") as relay:
        yield relay


def _through(relay: Relay, database: str) -> str:
    """The URL of a store, through a relay."""
    url = make_url(database).set(host="127.0.0.1", port=relay.port, query={"sslmode": "disable"})
    return url.render_as_string(hide_password=False)


def _assert_ends(worker: Worker) -> None:
    since = time.monotonic()
    worker.process.terminate()
    assert worker.ended() == 0, worker.log
    took_s = time.monotonic() - since
    print(f"ended after {took_s:.1f} s", *worker.log[-8:], sep="\n    ")
    assert took_s < slowed(MOST_S)
    assert "Traceback" not in "".join(worker.log)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(b"pgmq.delete", id="acknowledging"),
        pytest.param(b"UPDATE runs SET", id="beginning a run"),
        pytest.param(b"ended_at=", id="ending a run"),
    ],
)
def test_a_database_that_stands_still_while_a_run_is_taken(
    database: str, relay: Relay, moment: bytes, tmp_path: Path
) -> None:
    """Main process and children give up, each within its time."""
    with worker_on(tmp_path, _through(relay, database), "pgmq://") as worker:
        relay.stand_still_at(moment)
        with Store(database) as store, WatchedDaemon(store, "pgmq://") as watched:
            watched.add("hello", "hello")
            watched.begin("hello")
            assert relay.stands.wait(PATIENCE_S)
        _assert_ends(worker)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(b"user\0", id="opening a session"),
        pytest.param(b"LISTEN", id="listening"),
        pytest.param(b"pgmq.read", id="reading"),
    ],
)
def test_a_database_that_stands_still_while_a_worker_connects_again(
    database: str, relay: Relay, moment: bytes, tmp_path: Path
) -> None:
    """No step of connecting waits without a bound."""
    with worker_on(tmp_path, _through(relay, database), "pgmq://") as worker:
        relay.stand_still_at(moment)
        relay.cut()
        assert relay.stands.wait(PATIENCE_S)
        _assert_ends(worker)


def test_an_idle_worker_ends_at_once(database: str, tmp_path: Path) -> None:
    """On SIGTERM: nothing of Celery's shutdown waits for a fixed time."""
    with worker_on(tmp_path, database, "pgmq://") as worker:
        since = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - since < slowed(2.0)


def test_a_worker_goes_on_when_its_database_does(database: str, relay: Relay, tmp_path: Path) -> None:
    """After a stand that is longer than the deadline of a statement, and is logged."""
    url = f"{_through(relay, database)}"
    with worker_on(tmp_path, url, "pgmq://") as worker:
        relay.stand_still()
        eventually(lambda: "".join(worker.log), lambda seen: "does not answer" in seen or "lost" in seen)
        relay.go_on()
        with Store(database) as store, WatchedDaemon(store, "pgmq://") as watched:
            assert watched.run("hello", "hello").outcome is Outcome.SUCCEEDED
        _assert_ends(worker)


@pytest.mark.parametrize("broker", ["redis", "rabbitmq"])
@pytest.mark.parametrize("moment", ["consuming", "connecting", "running"])
def test_a_broker_that_stands_still(
    request: pytest.FixtureRequest, database: str, broker: str, moment: str, tmp_path: Path
) -> None:
    """While a worker waits for messages, while it connects, and while a function runs, whose limit holds."""
    url = make_url(request.getfixturevalue(broker).url)
    assert url.port is not None
    with relay_to(url.port) as relay:
        address = url.set(port=relay.port).render_as_string(hide_password=False)
        with worker_on(tmp_path, database, address) as worker:
            if moment == "running":
                with (
                    Store(database) as store,
                    WatchedDaemon(store, url.render_as_string(hide_password=False)) as watched,
                ):
                    path = tmp_path / "pids"
                    watched.add("sleep", "sleep", limit_s=2.0, params={"path": str(path)})
                    (run_id,) = watched.begin("sleep")
                    eventually(path.exists)
                    relay.stand_still()
                    assert watched.end_of(run_id)[0].outcome is Outcome.TIMED_OUT
            relay.stand_still()
            if moment == "connecting":
                relay.cut()
                eventually(lambda: "".join(worker.log), lambda seen: "does not answer" in seen)
            _assert_ends(worker)


def test_a_second_signal_ends_a_worker_at_once(database: str, tmp_path: Path) -> None:
    """With its children and what they started; its runs are abandoned, and entered again if they are to be."""
    with (
        worker_on(tmp_path, database, "pgmq://") as worker,
        Store(database) as store,
        WatchedDaemon(store, "pgmq://") as watched,
    ):
        watched.add("slow", "note", limit_s=600, params={"path": str(tmp_path / "notes"), "seconds": 600})
        (run_id,) = watched.begin("slow")
        eventually((tmp_path / "notes").exists)
        worker.process.terminate()
        eventually(lambda: "".join(worker.log), lambda seen: "1 message is in progress" in seen)
        since = time.monotonic()
        worker.process.send_signal(signal.SIGINT)
        assert worker.ended() == 128 + signal.SIGINT
        assert time.monotonic() - since < slowed(4)
        (run,) = watched.end_of(run_id)
        assert (run.outcome, run.message) == (Outcome.ABANDONED, WORKER_STOPPED)
