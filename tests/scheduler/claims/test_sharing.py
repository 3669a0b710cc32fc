"""Several daemons on one store: each race is played move by move, on both databases where it can take place."""

import select
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Row, insert, update
from sqlalchemy import select as select_sql

from scheduler.claims import leases
from scheduler.claims.claims import _TAKE_DUE, Claims
from scheduler.claims.presence import Presence, holders_of_locks
from scheduler.claims.requested_runs import request_run
from scheduler.core.admission import OverlapPolicy
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.timer import Environment, Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Every
from scheduler.daemon.loop import Daemon
from scheduler.errors import LeaseLostError, StoreUnavailableError, TimerError
from scheduler.store.database import Store
from scheduler.store.postgres import PostgresStore
from scheduler.store.schema import daemons, timers
from scheduler.store.timers import TimerTable
from tests.scheduler.postgres_server import Server
from tests.scheduler.scripted_service import FAILURE, START, ScriptedExecutor, Service, release, settle
from tests.waiting import eventually

PRODUCTION = Environment.PRODUCTION
DAEMON = {"id": 1, "host": "h", "pid": 1, "process_started": "", "wake_port": 1, "started_at": 1, "lease_until": 1}


class Second:
    """Another daemon on the store of a service, on a machine of its own."""

    def __init__(self, service: Service) -> None:
        self.executor = ScriptedExecutor(service.clock, lambda _: None)
        self.daemon = Daemon(service.store, {PRODUCTION: self.executor}, clock=service.clock)
        self.daemon.step()
        self.id = self.daemon._lease.id
        with service.store.writing() as connection:
            connection.execute(update(daemons).where(daemons.c.id == self.id).values(host="elsewhere"))

    def settle(self) -> None:
        """Let it take turns, knowing of all that has changed."""
        self.daemon.wake()
        settle(self.daemon)

    def step(self) -> None:
        """One turn, in which it looks at the store: its news may still be on its way."""
        self.daemon.wake()
        self.daemon.step()


@pytest.fixture
def second(service: Service) -> Iterator[Second]:
    service.settle()
    second = Second(service)
    yield second
    release(second.daemon)


@contextmanager
def unanswered(store: Store, monkeypatch: pytest.MonkeyPatch, *, took_place: bool) -> Iterator[None]:
    """Within the block, the answer to each commit is lost; and the commit with it, or not."""

    @contextmanager
    def writing() -> Iterator[Connection]:
        if took_place:
            with store_writing() as connection:
                yield connection
            raise StoreUnavailableError("the connection was lost")
        with store_writing() as connection:
            yield connection
            raise StoreUnavailableError("the connection was lost")

    store_writing: Callable[..., object] = store.writing
    with monkeypatch.context() as patch:
        patch.setattr(store, "writing", writing)
        yield


def begin_runs(service: Service, *, seconds: int = 10, **options: object) -> None:
    """A timer that is due, its function going on until the test ends it."""
    service.executor.script = lambda _: None
    service.add(seconds=seconds, **options)
    service.settle()
    service.clock.advance(seconds)


@pytest.mark.parametrize("took_place", [True, False])
def test_a_claim_whose_answer_was_lost_is_run_once(
    service: Service, monkeypatch: pytest.MonkeyPatch, took_place: bool
) -> None:
    """Whether it took place or not: its function is called once, and the history has one row."""
    begin_runs(service)
    assert service.daemon is not None
    with unanswered(service.store, monkeypatch, took_place=took_place):
        service.daemon.turn()
    assert service.executor.begun == []
    service.daemon.turn()
    service.daemon.turn()
    assert len(service.executor.begun) == 1
    service.executor.end(service.executor.going_on[0])
    service.settle()
    assert service.rows() == [(10, 1, "succeeded")]


@pytest.mark.parametrize(("policy", "outcome"), [("skip", "misfired"), ("fire_once", None)])
def test_a_claim_that_is_found_too_late_goes_by_the_misfire_policy(
    service: Service, monkeypatch: pytest.MonkeyPatch, policy: str, outcome: str | None
) -> None:
    """The store was away for an hour, and then it turns out that it had taken the claim in."""
    begin_runs(service, seconds=86_400, misfire=MisfirePolicy(policy))
    assert service.daemon is not None
    with unanswered(service.store, monkeypatch, took_place=True):
        service.daemon.turn()
    service.clock.advance(3600)
    service.daemon.turn()
    assert service.rows() == [(86_400, 1, outcome)]
    assert [task.past_due for task in service.executor.begun] == ([True] if outcome is None else [])


@pytest.mark.parametrize("took_place", [True, False])
def test_a_record_whose_answer_was_lost_is_written_once(
    service: Service, monkeypatch: pytest.MonkeyPatch, took_place: bool
) -> None:
    """Neither a line nor a failure is counted twice."""
    begin_runs(service)
    service.daemon.turn()  # type: ignore[union-attr]
    (task,) = service.executor.going_on
    service.executor.print(task, "only once")
    service.executor.end(task, *FAILURE)
    with unanswered(service.store, monkeypatch, took_place=took_place):
        service.daemon.turn()  # type: ignore[union-attr]
        service.daemon.turn()  # type: ignore[union-attr]
    service.settle()
    assert service.rows() == [(10, 1, "failed")]
    assert [line.text for line in service.history.lines(task.run_id)] == ["only once"]
    assert service.timetable.get("t").breaker.consecutive_failures == 1


@pytest.mark.parametrize("took_place", [True, False])
def test_lines_whose_answer_was_lost_are_written_once(
    service: Service, monkeypatch: pytest.MonkeyPatch, took_place: bool
) -> None:
    """What a run prints while it goes on, with more to come."""
    begin_runs(service)
    service.daemon.turn()  # type: ignore[union-attr]
    (task,) = service.executor.going_on
    service.executor.print(task, "one")
    with unanswered(service.store, monkeypatch, took_place=took_place):
        service.daemon.turn()  # type: ignore[union-attr]
        service.executor.print(task, "two")
        service.daemon.turn()  # type: ignore[union-attr]
    service.executor.print(task, "three")
    service.settle()
    assert [line.text for line in service.history.lines(task.run_id)] == ["one", "two", "three"]


def test_two_daemons_take_a_due_timer_once(service: Service, second: Second) -> None:
    """Whoever comes second finds nothing."""
    begin_runs(service)
    service.settle()
    second.step()
    assert (len(service.executor.begun), len(second.executor.begun)) == (1, 0)


def test_two_daemons_begin_a_waiting_run_once(service: Service, second: Second) -> None:
    """A manual run is taken by the first to see it."""
    service.add(seconds=3600)
    request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    second.daemon.wake()
    second.step()
    service.settle()
    assert (len(service.executor.begun), len(second.executor.begun)) == (0, 1)


def test_a_timer_that_another_daemon_runs_is_skipped_over(service: Service, second: Second) -> None:
    """The overlap policy holds across daemons."""
    service.add(seconds=10)
    service.clock.advance(10)
    second.step()
    service.after(10)
    assert service.rows() == [(10, 1, None), (20, 1, "skipped_overlap")]


def test_an_attempt_that_another_daemon_entered_is_begun_when_that_is_gone(service: Service, second: Second) -> None:
    """Nobody told of it; it is found in time all the same."""
    service.add(seconds=30, retries=1, retry_backoff_s=8)
    for _ in range(29):
        service.after(1)
        second.settle()
    service.clock.advance(1)
    second.settle()
    service.settle()
    second.executor.end(second.executor.going_on[0], *FAILURE)
    second.settle()
    second.daemon.close()
    assert [run.attempt for run in service.history.runs()] == [2, 1]
    for _ in range(16):
        service.clock.advance(0.5)
        service.daemon.step()  # type: ignore[union-attr]
    assert [task.attempt for task in service.executor.begun] == [2]


def test_a_waiting_run_begins_when_another_daemons_run_has_ended(service: Service, second: Second) -> None:
    """queue_one, across daemons."""
    service.add(seconds=10, overlap=OverlapPolicy.QUEUE_ONE)
    service.clock.advance(10)
    second.step()
    service.after(10)
    assert service.executor.begun == []
    second.executor.end(second.executor.going_on[0])
    second.step()
    service.after(1)
    second.step()
    begun = [*service.executor.begun, *second.executor.begun]
    assert [task.fire_time - START for task in begun] in (
        [timedelta(seconds=20), timedelta(seconds=10)],
        [timedelta(seconds=10), timedelta(seconds=20)],
    )


def test_any_text_that_a_function_prints_can_be_kept(service: Service) -> None:
    """A NUL, which PostgreSQL does not know, and half of a surrogate pair, which is no character."""
    begin_runs(service)
    service.settle()
    (task,) = service.executor.going_on
    service.executor.print(task, "a\0b\ud800c")
    service.executor.end(task)
    service.settle()
    assert [line.text for line in service.history.lines(task.run_id)] == ["a\ufffdb?c"]
    assert service.rows() == [(10, 1, "succeeded")]


class TestOnPostgreSQL:
    """What takes two transactions at a time, which SQLite never has."""

    @pytest.fixture(params=["postgresql"])
    def store_url(self, request: pytest.FixtureRequest) -> Iterator[str]:
        with request.getfixturevalue("postgres").database() as url:
            yield url

    def test_what_another_daemon_is_about_to_take_is_left_to_it(self, service: Service, second: Second) -> None:
        """Nobody waits for its transaction, nobody reads its timers, and the loop does not spin meanwhile."""
        begin_runs(service)
        now = service.clock.now()
        due = {"now": stamp(now), "limit": 10, "without": ""}
        with service.store.writing() as connection:
            tasks = Claims(service.store, second.daemon._lease)._claim_due(connection, now, _TAKE_DUE, due)
            assert service.daemon is not None
            assert service.daemon.step() > 0
        assert (len(tasks), service.executor.begun) == (1, [])

    def test_a_waiting_run_is_not_begun_while_its_timer_is_in_other_hands(
        self, service: Service, second: Second
    ) -> None:
        """They may be beginning another run of it, which nobody can see yet."""
        service.add(seconds=3600)
        request_run(service.store, "t", PRODUCTION, now=service.clock.now())
        with service.store.writing() as connection:
            connection.execute(select_sql(timers.c.id).with_for_update())
            service.settle()
            assert service.executor.begun == []
        service.after(1)
        assert len(service.executor.begun) == 1

    def test_a_daemon_in_the_midst_of_a_transaction_is_not_taken_over(self, service: Service, second: Second) -> None:
        """Whatever its lease says: what it is writing would belong to nobody."""
        service.settle()
        lose_session(second.daemon, service.store)
        service.clock.advance(100)
        with service.store.writing() as connection:
            second.daemon._lease.check(connection)
            service.settle()
            assert second.id in registered(service.store)
        service.after(1)
        assert second.id not in registered(service.store)
        with service.store.writing() as connection, pytest.raises(LeaseLostError):
            second.daemon._lease.check(connection)

    def test_a_daemon_without_its_lock_is_dead_after_two_looks(self, service: Service, second: Second) -> None:
        """Long before its lease has run out; what it ran is abandoned, and it hears of that."""
        service.add(seconds=10)
        service.clock.advance(10)
        second.step()
        service.after(1)
        lose_session(second.daemon, service.store)
        service.after(leases.CHECK_LOCKS_EVERY_S)
        assert second.id in registered(service.store)
        service.after(leases.CHECK_SUSPECTS_S)
        assert second.id not in registered(service.store)
        assert service.rows() == [(10, 1, "abandoned")]
        second.executor.end(second.executor.going_on[0])
        assert second.daemon.turn() == 0
        assert service.rows() == [(10, 1, "abandoned")]

    def test_a_daemon_that_renews_its_lease_while_it_is_taken_for_dead_lives(
        self, service: Service, second: Second, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was slow, and came in between the look at its row and the lock on it."""
        for _ in range(leases.CHECKS_OF_GRACE + 1):
            service.after(leases.CHECK_LOCKS_EVERY_S)
        service.clock.advance(100)
        locked = leases._locked
        came_late = []

        def late(connection: Connection, daemon_ids: Collection[int]) -> list[Row[Any]]:
            if second.id in daemon_ids:
                came_late.append(second.id)
                second.daemon._lease.renew(service.clock.now())
            return locked(connection, daemon_ids)

        monkeypatch.setattr(leases, "_locked", late)
        service.settle()
        assert second.id in registered(service.store)
        assert came_late

    @pytest.mark.parametrize("wrong_by_s", [-3600, -60, 60, 3600])
    def test_a_daemon_lives_as_long_as_it_gives_signs_of_life_by_whatever_clock(
        self, service: Service, second: Second, wrong_by_s: int
    ) -> None:
        """The clock of its machine is wrong; and when it stands still, nobody waits for longer than a lease."""
        for _ in range(8):
            second.daemon._lease.renew(service.clock.now() + timedelta(seconds=wrong_by_s))
            service.after(PostgresStore.lease.total_seconds() / 4)
            assert second.id in registered(service.store)
        service.after(PostgresStore.lease.total_seconds() + leases.CHECK_LOCKS_EVERY_S)
        assert second.id not in registered(service.store)

    def test_a_daemon_that_comes_back_with_its_lock_lives(self, service: Service, second: Second) -> None:
        """Its session was cut; it takes its lock again before anybody has looked twice."""
        service.settle()
        lose_session(second.daemon, service.store)
        service.after(leases.CHECK_LOCKS_EVERY_S)
        second.step()
        service.after(leases.CHECK_SUSPECTS_S)
        service.after(leases.CHECK_LOCKS_EVERY_S)
        assert second.id in registered(service.store)

    def test_after_an_outage_the_others_have_time_to_come_back(self, service: Service, second: Second) -> None:
        """Whoever comes back first does not take those for dead who have not come back yet."""
        service.settle()
        for daemon in (service.daemon, second.daemon):
            lose_session(daemon, service.store)
        service.clock.advance(60)
        service.settle()
        service.after(leases.CHECK_LOCKS_EVERY_S)
        assert second.id in registered(service.store)
        second.step()
        service.after(leases.CHECK_LOCKS_EVERY_S)
        service.after(leases.CHECK_LOCKS_EVERY_S)
        assert second.id in registered(service.store)

    def test_a_change_rings_on_every_daemon_when_it_is_committed(self, store: Store) -> None:
        """On whatever machine; and not before."""
        presences = [Presence(store), Presence(store)]
        for number, presence in enumerate(presences, 1):
            presence.hold_lock(number)
        with store.writing_and_notifying():
            assert not any(presence.was_notified() for presence in presences)
        for presence in presences:
            assert select.select(presence.filenos(), [], [], 5)[0]
            assert presence.was_notified()
            assert not presence.was_notified()
            presence.close()

    def test_a_lost_session_is_noticed_and_made_anew(self, store: Store) -> None:
        """The loop wakes, looks, and listens again."""
        presence = Presence(store)
        assert not presence.hold_lock(1)
        with store.writing() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        eventually(presence.was_notified)
        assert presence.filenos() == []
        assert presence.hold_lock(1)
        assert presence.filenos() != []
        presence.close()

    def test_a_lock_that_an_old_session_still_holds_is_asked_for_again(self, store: Store) -> None:
        """The server has not noticed yet that our last connection is gone."""
        old, new = Presence(store), Presence(store)
        old.hold_lock(1)
        new.hold_lock(1)
        assert not new._holds
        old.close()
        eventually(lambda: new._holds, between=lambda: new.hold_lock(1))
        new.close()

    def test_a_transaction_that_stands_still_is_given_up_by_the_server(
        self, store_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A daemon that is frozen must not hold up the timers that it is about to take."""
        monkeypatch.setattr("scheduler.store.postgres.IDLE_TIMEOUT_S", 0.1)
        with Store(store_url) as store, pytest.raises(StoreUnavailableError, match="does not answer"):
            stand_still(store)

    def test_a_row_that_is_locked_for_too_long_says_so(self, store_url: str) -> None:
        """As SQLite does."""
        with Store(store_url) as holder, Store(store_url, busy_timeout_s=0.1) as store, holder.writing() as connection:
            connection.execute(insert(daemons).values(DAEMON))
            with pytest.raises(StoreUnavailableError, match="locked by another program"), store.writing() as other:
                other.execute(insert(daemons).values(DAEMON))

    def test_a_store_on_a_standby_says_so(self, store_url: str) -> None:
        """After a switch of the primary server, say."""
        with (
            Store(f"{store_url}&options=-cdefault_transaction_read_only=on") as store,
            pytest.raises(StoreUnavailableError, match="read-only; is this the primary"),
            store.writing() as connection,
        ):
            connection.execute(insert(daemons).values(DAEMON))

    def test_processes_that_open_an_empty_store_at_once_make_it_once(self, postgres: Server) -> None:
        """Each waits for the one that is at it, and finds nothing left to do."""
        postgres.execute("CREATE DATABASE made_at_once")
        with ThreadPoolExecutor(4) as threads:
            stores = list(threads.map(Store, [postgres.url("made_at_once")] * 4))
        for store in stores:
            assert registered(store) == set()
            store.close()
        postgres.execute("DROP DATABASE made_at_once")

    def test_people_who_add_timers_at_once_stay_within_the_quota(self, store: Store) -> None:
        """Ten at a time, five of them allowed, and two of each name."""
        with ThreadPoolExecutor(10) as threads:
            answers = list(threads.map(lambda number: add(store, f"t{number % 8}"), range(10)))
        assert Counter(answers)["added"] == 5
        assert set(answers) <= {"added", "DuplicateTimerError", "TimerQuotaError"}


def add(store: Store, name: str) -> str:
    try:
        TimerTable(store).add([Timer(name=name, function="f", trigger=Every(60))], now=START, quota=5)
    except TimerError as error:
        return type(error).__name__
    return "added"


def stand_still(store: Store) -> None:
    """Hold a transaction open for longer than the server bears."""
    with store.writing() as connection:
        connection.execute(daemons.select())
        time.sleep(0.5)
        connection.execute(daemons.select())


def lose_session(daemon: Daemon | None, store: Store) -> None:
    """Cut a daemon's own session, and wait until the server has seen to it."""
    assert daemon is not None
    daemon._presence.close()

    def is_gone() -> bool:
        with store.reading() as connection:
            return daemon._lease.id not in holders_of_locks(connection)

    eventually(is_gone)


def registered(store: Store) -> set[int]:
    with store.reading() as connection:
        return {row.id for row in connection.execute(daemons.select())}
