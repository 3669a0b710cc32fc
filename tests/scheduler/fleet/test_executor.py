"""Functions in a Celery fleet: a real worker behind PGMQ in the tests' PostgreSQL, a real Redis and a real RabbitMQ."""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from scheduler.claims.cancellations import request_cancel
from scheduler.core.breaker import BreakerState
from scheduler.core.run import Outcome
from scheduler.core.timer import Delivery, Environment
from scheduler.errors import TIMED_OUT
from scheduler.fleet import executor as celery_executor
from scheduler.fleet.runs import FleetRuns
from scheduler.store.database import Store
from tests.scheduler.postgres_server import Server
from tests.scheduler.scripted_service import empty, kill
from tests.scheduler.up_process import children, living
from tests.waiting import PATIENCE_S, eventually, slowed

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler.broker_servers import RabbitMQ, Redis
from tests.scheduler.celery_processes import WatchedDaemon, Worker

pytestmark = pytest.mark.slow


class Backend(NamedTuple):
    """The store and the broker of a fleet."""

    url: str
    broker: str
    #: None where the store itself is the broker.
    server: Redis | RabbitMQ | None


@pytest.fixture(scope="module", params=["pgmq", "redis", "rabbitmq"])
def backend(request: pytest.FixtureRequest, postgres: Server) -> Iterator[Backend]:
    with postgres.database() as url:
        if request.param == "pgmq":
            yield Backend(url, "pgmq://", None)
        else:
            broker: Redis | RabbitMQ = request.getfixturevalue(request.param)
            yield Backend(url, broker.url, broker)


@pytest.fixture(scope="module")
def worker(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker for all tests of this module."""
    started = Worker(tmp_path_factory.mktemp("worker"), backend.url, backend.broker)
    try:
        yield started
        assert started.stop() == 0
    finally:
        if started.process.poll() is None:
            started.kill()


@pytest.fixture
def store(backend: Backend) -> Iterator[Store]:
    with Store(backend.url) as store:
        yield store
        empty(store)


@pytest.fixture
def watched(store: Store, backend: Backend, worker: Worker) -> Iterator[WatchedDaemon]:
    with WatchedDaemon(store, backend.broker) as watched:
        yield watched


def test_how_a_function_ends_is_how_its_run_ends(watched: WatchedDaemon) -> None:
    """The worker writes it into the row, moves the breaker, and notifies the daemon."""
    for function in ("hello", "talk", "fail", "refuse", "nonesuch"):
        watched.add(function, function)
    runs = watched.end_of(*watched.begin("hello", "talk", "fail", "refuse", "nonesuch"))
    assert [run.outcome for run in runs] == ["succeeded", "succeeded", "failed", "failed", "failed"]
    assert [run.result for run in runs[:2]] == ['"hello, world"', '"talk"']
    assert [run.error and run.error[:30] for run in runs[2:]] == [
        "ValueError: boom",
        "LeanEngineError [123]: not you",
        "no function 'nonesuch'; known ",
    ]
    assert all(run.started_at and run.ended_at and run.started_at <= run.ended_at for run in runs)
    assert {entry.timer.name: entry.breaker.consecutive_failures for entry in watched.timetable.list()} == {
        "hello": 0, "talk": 0, "fail": 1, "refuse": 0, "nonesuch": 1,
    }  # fmt: skip
    said = [(line.level, line.text) for line in watched.history.lines(runs[1].id)]
    assert said == [("info", "to stdout"), ("error", "to stderr")]
    assert [(line.level, line.text) for line in watched.lines if line.run_id == runs[1].id] == said
    assert watched.history.lines(runs[2].id)[-1].text == "ValueError: boom"
    assert {run_id: ending.outcome for run_id, ending in watched.ended.items()} == {run.id: run.outcome for run in runs}


def test_a_function_that_yields_is_no_success(watched: WatchedDaemon) -> None:
    """Its code has not run, and the error says so, as in a worker process."""
    watched.add("unfinished", "unfinished")
    (run,) = watched.end_of(*watched.begin("unfinished"))
    assert run.outcome == "failed"
    assert (run.error or "").startswith("the function returned a generator, whose code has not run")
    assert "never printed" not in [line.text for line in watched.lines]


def test_a_breaker_opens_and_closes_by_what_workers_write(watched: WatchedDaemon) -> None:
    """The next claim uses its state."""
    watched.add("fail", "fail", breaker_threshold=2)
    for _ in range(2):
        watched.end_of(*watched.begin("fail"))
    assert watched.timetable.get("fail", Environment.PRODUCTION).breaker.state is BreakerState.OPEN


def test_a_function_over_its_limit_is_killed_with_what_it_started(watched: WatchedDaemon, tmp_path: Path) -> None:
    """The killed child's main process writes the message, to the letter."""
    watched.add("sleep", "sleep", limit_s=1.0, params={"path": str(tmp_path / "pids")})
    watched.add("spin", "spin", limit_s=1.0)
    for run in watched.end_of(*watched.begin("sleep", "spin")):
        assert (run.outcome, run.message) == (Outcome.TIMED_OUT, TIMED_OUT)
        assert run.error == "over its limit of 1 s"
        assert run.duration_s is not None
        assert run.duration_s >= 1.0
    assert [line.text for line in watched.lines] == ["before the end"]
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    eventually(lambda: living(*pids), lambda seen: not seen)
    assert watched.timetable.get("spin", Environment.PRODUCTION).breaker.consecutive_failures == 1


def test_a_cancelled_run_is_killed_with_what_it_started(watched: WatchedDaemon, tmp_path: Path) -> None:
    """What it had printed is kept; its breaker does not count it, and another child takes its place."""
    watched.add("sleep", "sleep", limit_s=60.0, params={"path": str(tmp_path / "pids")})
    (run_id,) = watched.begin("sleep")
    pids = [int(pid) for pid in eventually(lambda: _words(tmp_path / "pids"), lambda words: len(words) == 2)]
    request_cancel(watched.store, run_id, now=datetime.now(UTC))
    (run,) = watched.end_of(run_id)
    assert (run.outcome, run.message) == (Outcome.CANCELLED, "cancelled on request")
    eventually(lambda: living(*pids), lambda seen: not seen)
    assert [line.text for line in watched.history.lines(run_id)] == ["before the end"]
    assert watched.timetable.get("sleep", Environment.PRODUCTION).breaker.consecutive_failures == 0
    assert watched.run("hello", "hello").outcome is Outcome.SUCCEEDED


def test_a_run_that_no_worker_has_begun_is_cancelled_and_never_begins(watched: WatchedDaemon, tmp_path: Path) -> None:
    """The message that names it does nothing when it is read."""
    path = tmp_path / "noted"
    watched.add("spin", "spin", limit_s=60.0)
    watched.add("note", "note", params={"path": str(path)})
    spinning = watched.begin("spin", "spin", "spin")
    eventually(lambda: [run for run in watched.history.runs() if run.started_at], lambda seen: len(seen) == 3)
    (waiting,) = watched.begin("note")
    eventually(lambda: [run for run in watched.history.runs() if run.id == waiting and run.is_claimed])
    request_cancel(watched.store, waiting, now=datetime.now(UTC))
    (run,) = watched.end_of(waiting)
    assert (run.outcome, run.started_at) == (Outcome.CANCELLED, None)
    for run_id in spinning:
        request_cancel(watched.store, run_id, now=datetime.now(UTC))
    assert {run.outcome for run in watched.end_of(*spinning)} == {Outcome.CANCELLED}
    assert watched.run("hello", "hello").outcome is Outcome.SUCCEEDED
    assert not path.exists()


def _words(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def test_a_child_that_dies_ends_its_run_with_the_signal(watched: WatchedDaemon) -> None:
    """With what it had printed; and another child replaces it."""
    for name in ("die", "leave"):
        # Within a shorter limit, Celery may not have noticed how it died.
        watched.add(name, name, limit_s=10.0)
    died, left = watched.end_of(*watched.begin("die", "leave"))
    assert (died.outcome, died.error) == (Outcome.FAILED, "the worker process was killed by SIGKILL")
    assert [line.text for line in watched.history.lines(died.id)] == ["last words"]
    assert (left.outcome, left.error) == (Outcome.FAILED, "the worker process ended with exit status 7")
    assert watched.run("hello", "hello").outcome is Outcome.SUCCEEDED


def test_a_child_that_is_killed_while_it_writes_its_ending_was_in_time(
    watched: WatchedDaemon, worker: Worker, tmp_path: Path
) -> None:
    """The store blocked it until its limit; its main process writes what it had noted."""
    notes = tmp_path / "notes"
    watched.add("quick", "note", limit_s=3.0, params={"path": str(notes), "seconds": 1.0})
    (run_id,) = watched.begin("quick")
    eventually(notes.exists)
    before = set(children(worker.process.pid))
    with watched.store.writing() as connection:
        connection.exec_driver_sql("SELECT id FROM runs WHERE id = %s FOR UPDATE", (run_id,))
        eventually(lambda: before - set(children(worker.process.pid)))
    (run,) = watched.end_of(run_id)
    assert (run.outcome, run.error) == (Outcome.SUCCEEDED, None)
    assert run.duration_s is not None
    assert 1.0 <= run.duration_s < 3.0


def test_fast_functions_share_messages_and_each_runs_once(
    watched: WatchedDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them turns out to hang: it alone is timed out, the runs behind it are handed to other children."""
    notes = tmp_path / "notes"
    for number in range(60):
        watched.add(f"t{number}", "note", limit_s=1.0, params={"path": str(notes)})
    watched.add("hangs", "note", limit_s=1.0, params={"path": str(notes), "seconds": 600})
    sent: list[int] = []
    put = watched.executor._publisher.put
    monkeypatch.setattr(watched.executor._publisher, "put", lambda chunk: (sent.append(len(chunk)), put(chunk)))
    monkeypatch.setitem(watched.executor._typical_s, "note", 0.001)
    monkeypatch.setattr(celery_executor, "_IDS_A_STATEMENT", 7)
    now = watched.daemon._clock.now()
    with watched.store.writing() as connection:
        connection.exec_driver_sql("UPDATE timers SET enabled = true, next_fire_at = %s", (int(now.timestamp() * 1e6),))
    watched.daemon.wake()
    eventually(lambda: len(watched.ended), lambda seen: seen == 61)
    outcomes = Counter((ending.outcome, ending.error) for ending in watched.ended.values())
    assert outcomes == {
        (Outcome.SUCCEEDED, None): 60,
        (Outcome.TIMED_OUT, "over its limit of 1 s"): 1,
    }
    assert max(sent) > 1
    begun = Counter(notes.read_text().splitlines())
    assert len(begun) == 61
    assert set(begun.values()) == {1}


def test_an_environment_has_a_queue_of_its_own(watched: WatchedDaemon) -> None:
    """This worker serves both."""
    watched.add("staged", "hello", environment=Environment.STAGE)
    (run,) = watched.end_of(*watched.begin("staged", environment=Environment.STAGE))
    assert (run.environment, run.outcome) == ("stage", Outcome.SUCCEEDED)


def test_a_message_that_comes_again_does_nothing(watched: WatchedDaemon, tmp_path: Path) -> None:
    """A run begins once, even if the broker delivers its message several times."""
    run = watched.run("once", "note", params={"path": str(tmp_path / "notes")})
    again = watched.executor
    watched.add("slow", "note", params={"path": str(tmp_path / "notes"), "seconds": 0.5})
    (run_id,) = watched.begin("slow")
    eventually(lambda: run_id in again._open and (tmp_path / "notes").read_text().count("slow"))
    again._publish([again._open[run_id].task] * 3)
    watched.end_of(run_id)
    assert watched.run("after", "hello").outcome is Outcome.SUCCEEDED
    assert run.outcome is Outcome.SUCCEEDED
    assert (tmp_path / "notes").read_text().splitlines() == ["once 1", "slow 1"]


def test_a_daemon_that_dies_leaves_its_runs_to_the_next(
    store: Store, backend: Backend, worker: Worker, tmp_path: Path
) -> None:
    """Runs that have begun go on; those whose message was lost with the daemon are published again.

    The run takes so long that the next daemon sees its end, on a busy machine too.
    """
    dying = WatchedDaemon(store, backend.broker)
    dying.add("slow", "note", params={"path": str(tmp_path / "notes"), "seconds": 5.0})
    dying.add("unsent", "note", params={"path": str(tmp_path / "notes")})
    (slow,) = dying.begin("slow")
    dying.daemon.step()
    eventually((tmp_path / "notes").exists)
    dying.executor._publisher.stop()
    (unsent,) = dying.begin("unsent")
    dying.daemon.step()
    kill(dying.daemon, store)
    dying.executor._session.close()
    with WatchedDaemon(store, backend.broker) as heir:
        runs = heir.end_of(slow, unsent)
    assert [run.outcome for run in runs] == [Outcome.SUCCEEDED, Outcome.SUCCEEDED]
    assert (tmp_path / "notes").read_text().splitlines() == ["slow 1", "unsent 1"]


def test_a_daemon_that_stops_does_not_wait_for_the_fleet(
    store: Store, backend: Backend, worker: Worker, tmp_path: Path
) -> None:
    """Its runs go on, and the next daemon reports their ends, where it is there in time."""
    with WatchedDaemon(store, backend.broker) as first:
        first.add("slow", "note", params={"path": str(tmp_path / "notes"), "seconds": 5.0})
        (run_id,) = first.begin("slow")
        eventually((tmp_path / "notes").exists)
    assert first.history.run(run_id).outcome is None  # type: ignore[union-attr]
    with WatchedDaemon(store, backend.broker) as second:
        assert [run.outcome for run in second.end_of(run_id)] == [Outcome.SUCCEEDED]


def test_children_that_are_killed_while_they_wait_block_no_others(
    postgres: Server, backend: Backend, tmp_path: Path
) -> None:
    """One of them held the lock of the queue; the worker goes on with new children, and ends on SIGTERM."""
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, backend.broker) as watched:
        worker = Worker(tmp_path, url, backend.broker, concurrency=2)
        watched.add("t", "note", params={"path": str(tmp_path / "notes")})
        for _ in range(2):
            for child in children(worker.process.pid):
                os.kill(child, signal.SIGKILL)
            (run_id,) = watched.begin("t")
            assert [run.outcome for run in watched.end_of(run_id)] == [Outcome.SUCCEEDED]
        assert worker.stop() == 0


def test_children_that_stand_still_while_they_wait_block_no_others(
    postgres: Server, backend: Backend, tmp_path: Path
) -> None:
    """All of them are stopped; those that a task waits for are killed, and the run goes to another child."""
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, backend.broker) as watched:
        worker = Worker(tmp_path, url, backend.broker, concurrency=2)
        watched.add("t", "hello")
        for child in children(worker.process.pid):
            os.kill(child, signal.SIGSTOP)
        runs = watched.end_of(*watched.begin("t", "t", "t"))
        assert [run.outcome for run in runs] == [Outcome.SUCCEEDED] * 3
        assert any("does not take the tasks that wait" in line for line in worker.log)
        worker.kill()


def test_a_left_over_thread_that_holds_the_interpreter_blocks_no_others(
    postgres: Server, backend: Backend, tmp_path: Path
) -> None:
    """The only child of a worker is killed when it does not take the next task."""
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, backend.broker) as watched:
        worker = Worker(tmp_path, url, backend.broker, concurrency=1)
        assert watched.run("holds", "leave_a_thread_that_holds_the_interpreter").outcome is Outcome.SUCCEEDED
        assert watched.run("t", "hello").outcome is Outcome.SUCCEEDED
        worker.kill()


def test_a_worker_logs_as_json(postgres: Server, tmp_path: Path) -> None:
    """Each line on stderr is an object, as the daemon's; so are the pool's own, about a killed child."""
    with postgres.database() as url, Store(url):
        worker = Worker(tmp_path, url, "pgmq://", "--log-format", "json", concurrency=1)
        os.kill(children(worker.process.pid)[0], signal.SIGKILL)
        eventually(lambda: any("SIGKILL" in line for line in worker.log))
        assert worker.stop() == 0
    told = [json.loads(line) for line in worker.log]
    assert {"celery.apps.worker", "multiprocessing"} <= {record["logger"] for record in told}


@pytest.mark.faults
def test_a_worker_that_is_killed_loses_no_run(
    postgres: Server, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its current runs are abandoned, or run again where delivery is at least once; another worker runs the rest."""
    monkeypatch.setattr(celery_executor, "LOST_S", 1.0)
    notes = tmp_path / "notes"
    # They are to go on until the worker is killed.
    seconds = round(slowed(0.9), 1)
    work = {"limit_s": seconds + 0.1, "params": {"path": str(notes), "seconds": seconds}}
    with ExitStack() as stack:
        # Another store has other queues, even on the same broker.
        url = stack.enter_context(postgres.database())
        store = stack.enter_context(Store(url))
        watched = stack.enter_context(WatchedDaemon(store, backend.broker))
        killed = Worker(tmp_path, url, backend.broker, concurrency=2)
        watched.add("once", "note", **work)
        watched.add("again", "note", delivery=Delivery.AT_LEAST_ONCE, **work)
        begun = watched.begin("once", "again")
        eventually(lambda: notes.exists() and len(notes.read_text().splitlines()) == 2)
        watched.add("behind", "hello")
        taken = watched.begin("behind")
        eventually(lambda: set(taken) <= watched.executor._open.keys() and _are_taken(watched))
        theirs = children(killed.process.pid)
        killed.kill()
        eventually(lambda: living(*theirs), lambda seen: not seen)
        watched.add("later", "hello")
        later = watched.begin("later")
        assert [run.outcome for run in watched.end_of(*begun)] == [Outcome.ABANDONED, Outcome.ABANDONED]
        heir = Worker(tmp_path, url, backend.broker, concurrency=2)
        stack.callback(heir.kill)
        assert [run.outcome for run in watched.end_of(*taken, *later)] == [Outcome.SUCCEEDED] * 2
        eventually(
            lambda: [run.outcome for run in watched.history.runs(timer="again")][:1],
            lambda seen: seen == [Outcome.SUCCEEDED],
        )
    assert sorted(notes.read_text().splitlines()) == ["again 1", "again 2", "once 1"]


def test_a_lost_message_is_sent_again_soon_after_the_queue_is_empty(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While messages wait, which may be those of the run, it is asked again and again, and the pause does not grow."""
    monkeypatch.setattr(celery_executor, "RECHECK_S", 0.1)
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        publisher = watched.executor._publisher
        watched.add("t", "hello")
        (run_id,) = watched.begin("t")
        run = eventually(lambda: watched.executor._open.get(run_id))
        assert run is not None
        for _ in range(3):
            run.republish_at = 0.0
            eventually(lambda: run.republish_at > 0.0)
        assert not _are_taken(watched)
        assert run.republish_after_s == celery_executor.REPUBLISH_S
        name = publisher._queues["production"]
        publisher._jobs.put(lambda: publisher._producer.channel.queue_purge(name))
        eventually(lambda: run.republish_after_s, lambda seen: seen == 2 * celery_executor.REPUBLISH_S)
        assert not _are_taken(watched)


def test_a_lost_message_is_sent_again_when_later_ones_are_taken(postgres: Server) -> None:
    """Although the queue is never empty, because the fleet is too small for what is due."""
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        watched.add("lost", "hello")
        watched.add("later", "hello")
        lost, later = watched.begin("lost", "later")
        run = eventually(lambda: watched.executor._open.get(lost))
        assert run is not None
        run.published_at -= celery_executor.OVERTAKEN_S + 1
        run.republish_at = 0.0
        eventually(lambda: run.republish_at > 0.0)
        assert run.republish_after_s == celery_executor.REPUBLISH_S
        request_id = watched.executor._open[later].task.request_id
        assert FleetRuns(store).begin(later, request_id, "node/1", datetime.now(UTC))
        run.republish_at = 0.0
        eventually(lambda: run.republish_after_s, lambda seen: seen == 2 * celery_executor.REPUBLISH_S)
        assert not _are_taken(watched)


def _are_taken(watched: WatchedDaemon) -> bool:
    """Whether all messages that were published have been taken by workers."""
    publisher = watched.executor._publisher
    waits: queue.SimpleQueue[bool] = queue.SimpleQueue()
    publisher._jobs.put(lambda: waits.put(publisher._has_messages(publisher._queues["production"])))
    return not waits.get(timeout=PATIENCE_S)


@pytest.mark.faults
def test_a_broker_that_is_away_for_a_while_costs_time_and_no_run(
    watched: WatchedDaemon, backend: Backend, tmp_path: Path
) -> None:
    """Runs wait for it, limits are enforced meanwhile, and the worker reconnects, although children were killed."""
    if backend.server is None:
        pytest.skip("the broker is the store itself; test_faults.py stops that")
    notes = tmp_path / "notes"
    watched.add("hello", "hello")
    watched.add("hangs", "note", limit_s=1.5, params={"path": str(notes), "seconds": 600})
    watched.add("slow", "note", limit_s=10.0, params={"path": str(notes), "seconds": 1.0})
    watched.run("spin", "spin", limit_s=0.5)
    going_on = watched.begin("hangs", "slow")
    eventually(lambda: notes.exists() and len(notes.read_text().splitlines()) == len(going_on))
    backend.server.stop()
    try:
        hung, slow = watched.end_of(*going_on)
        (run_id,) = watched.begin("hello")
        eventually(lambda: watched.executor._publisher._outage.is_on)
    finally:
        backend.server.start()
    assert (hung.outcome, hung.error) == (Outcome.TIMED_OUT, "over its limit of 1.5 s")
    assert slow.outcome is Outcome.SUCCEEDED
    assert [run.outcome for run in watched.end_of(run_id)] == [Outcome.SUCCEEDED]
    assert watched.run("more", "hello").outcome is Outcome.SUCCEEDED


def test_a_child_that_ends_waits_a_second_for_results_that_were_counted_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's main process may count one too few while it ends, and its own children then wait for half a minute."""
    from scheduler.fleet import celery_pool

    slept: list[float] = []
    monkeypatch.setattr(celery_pool.time, "sleep", slept.append)
    child = object.__new__(celery_pool._PoolWorker)
    child.on_ready_counter = multiprocessing.Value("i", 3)
    assert child._ensure_messages_consumed(3)
    assert slept == []
    assert not child._ensure_messages_consumed(4)
    assert sum(slept) == pytest.approx(celery_pool.END_WAIT_S)
