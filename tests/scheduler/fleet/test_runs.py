"""What a worker of a fleet may write into the row of a run, and how runs end whose daemon is gone."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update

from scheduler.claims.leases import GIVEN_UP, Lease
from scheduler.claims.session_lock import SessionLock
from scheduler.clock import ManualClock
from scheduler.core import breaker
from scheduler.core.breaker import BreakerPolicy, Verdict
from scheduler.core.run import Ending, Line, Outcome, Task
from scheduler.core.timer import Delivery, Environment
from scheduler.daemon.loop import Daemon
from scheduler.errors import LeaseLostError, StoreMigratedError
from scheduler.fleet.runs import WORKER_LOST, FleetRuns
from scheduler.store.database import Store
from scheduler.store.schema import daemons, runs
from tests.example_counts import examples
from tests.scheduler.scripted_service import START, ScriptedExecutor, Service, empty, kill

WORKER, OTHER = "node/1", "node/2"
#: The outcome that comes with a verdict.
OUTCOMES = {Verdict.GOOD: Outcome.SUCCEEDED, Verdict.FAILURE: Outcome.FAILED, Verdict.NEUTRAL: Outcome.FAILED}


class FleetDouble(ScriptedExecutor):
    """A fleet in which the test acts as the workers."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, lambda _: None)
        self.adopted: list[Task] = []

    def adopt(self, tasks: list[Task]) -> None:
        self.adopted += tasks


def ending(verdict: Verdict = Verdict.GOOD, **more: object) -> Ending:
    return Ending(outcome=OUTCOMES[verdict], verdict=verdict, ended_at=START, **more)  # type: ignore[arg-type]


def begun(service: Service, **options: object) -> Task:
    """A run that the daemon of the service has handed out."""
    service.executor.script = lambda _: None
    service.add(**options)  # type: ignore[arg-type]
    service.after(10)
    return service.executor.begun[-1]


def test_a_run_begins_no_more_in_a_store_that_a_newer_version_has_migrated(service: Service) -> None:
    """One that had begun ends as usual."""
    fleet, task = FleetRuns(service.store), begun(service, name="a")
    assert fleet.begin(task.run_id, task.request_id, WORKER, START)
    service.add(name="b")
    service.after(10)
    other = service.executor.begun[-1]
    with service.store.writing() as connection:
        connection.execute(text("UPDATE scheduler_version SET version_num = '9999'"))
    with pytest.raises(StoreMigratedError):
        fleet.begin(other.run_id, other.request_id, WORKER, START)
    assert fleet.end(task.run_id, WORKER, ending())
    ended = [service.history.run(run_id) for run_id in (task.run_id, other.run_id)]
    assert [run.outcome for run in ended if run is not None] == [Outcome.SUCCEEDED, None]
    with service.store.reading() as connection:
        assert connection.execute(select(runs.c.worker).where(runs.c.id == other.run_id)).scalar() is None


def test_one_worker_begins_a_run_and_it_alone_ends_it(service: Service) -> None:
    """A later worker, or one with the run of another store, is refused; the same call again has the same answer."""
    fleet, task = FleetRuns(service.store), begun(service)
    assert not fleet.begin(task.run_id, "of another store", WORKER, START)
    assert fleet.begin(task.run_id, task.request_id, WORKER, START)
    assert fleet.begin(task.run_id, task.request_id, WORKER, START)
    assert not fleet.begin(task.run_id, task.request_id, WORKER, START + timedelta(seconds=1))
    assert not fleet.begin(task.run_id, task.request_id, OTHER, START)
    assert not fleet.end(task.run_id, OTHER, ending(Verdict.FAILURE))
    printed = Line(task.run_id, START, "info", "words")
    assert fleet.end(task.run_id, WORKER, ending(result="1"), [printed])
    assert not fleet.end(task.run_id, WORKER, ending(Verdict.FAILURE), [printed])
    (run,) = service.history.runs()
    assert (run.outcome, run.result, run.started_at, run.ended_at) == (Outcome.SUCCEEDED, "1", START, START)
    assert service.history.lines(task.run_id) == fleet.lines([task.run_id]) == [printed]
    assert not service.timetable.get("t", Environment.PRODUCTION).breaker.consecutive_failures
    (progress,) = fleet.progress([task.run_id])
    assert (progress.worker, progress.ending and progress.ending.outcome) == (WORKER, Outcome.SUCCEEDED)


def test_a_run_that_its_daemon_has_ended_cannot_begin(service: Service) -> None:
    """Its message was in the queue for too long."""
    fleet, task = FleetRuns(service.store), begun(service)
    fleet.give_up(task.run_id, ending(Verdict.NEUTRAL))
    assert not fleet.begin(task.run_id, task.request_id, WORKER, START)


def test_a_run_that_a_worker_has_begun_is_not_given_up(service: Service) -> None:
    """It began just in time."""
    fleet, task = FleetRuns(service.store), begun(service)
    fleet.begin(task.run_id, task.request_id, WORKER, START)
    fleet.give_up(task.run_id, ending(Verdict.NEUTRAL))
    assert fleet.run_of(WORKER, [task.run_id]) == task.run_id
    assert fleet.run_of(OTHER, [task.run_id]) is None
    assert fleet.end(task.run_id, WORKER, ending())


def test_a_run_whose_worker_is_lost_is_run_again_where_it_must_be(service: Service) -> None:
    """As a new row, of the next attempt; an ending from the lost worker is refused."""
    fleet, task = FleetRuns(service.store), begun(service, delivery=Delivery.AT_LEAST_ONCE)
    fleet.begin(task.run_id, task.request_id, WORKER, START)
    fleet.abandon(task.run_id, OTHER, START)
    assert service.history.runs()[0].outcome is None
    fleet.abandon(task.run_id, WORKER, START)
    fleet.abandon(task.run_id, WORKER, START)
    again, lost = service.history.runs()
    assert (lost.outcome, lost.message) == (Outcome.ABANDONED, WORKER_LOST)
    assert (again.outcome, again.attempt, again.fire_time) == (None, 2, lost.fire_time)
    assert not fleet.end(task.run_id, WORKER, ending())


@settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(verdicts=st.lists(st.sampled_from(list(OUTCOMES)), max_size=6), threshold=st.integers(0, 3))
def test_endings_move_the_breaker_as_those_of_any_executor_do(
    store: Store, verdicts: list[Verdict], threshold: int
) -> None:
    """In the transaction that writes them."""
    empty(store)
    service = Service(store, ManualClock(START))
    fleet, expected = FleetRuns(store), breaker.CLOSED
    service.executor.script = lambda _: None
    service.add(breaker_threshold=threshold, overlap="allow")
    for _ in verdicts:
        service.after(10)
    for task, verdict in zip(service.executor.begun, verdicts, strict=True):
        fleet.begin(task.run_id, task.request_id, WORKER, START)
        fleet.end(task.run_id, WORKER, ending(verdict, error="e"))
        policy = BreakerPolicy(threshold=threshold)
        expected = breaker.after(expected, verdict, task.fire_time, error="e", policy=policy)
        assert service.timetable.get("t", Environment.PRODUCTION).breaker == expected
    service.kill()


def test_runs_in_a_fleet_outlive_their_daemon(service: Service, clock: ManualClock) -> None:
    """A daemon with the same fleet adopts them; others are abandoned, as are all where no daemon has such a fleet."""
    service.kill()
    empty(service.store)
    first, second = FleetDouble(clock), FleetDouble(clock)
    local = ScriptedExecutor(clock, lambda _: None)
    service.add("afar")
    service.add("here", environment=Environment.STAGE)
    dying = Daemon(service.store, {Environment.PRODUCTION: first, Environment.STAGE: local}, clock=clock)
    clock.advance(10)
    dying.step()
    assert dying.running == 1
    kill(dying, service.store)
    heir = Daemon(service.store, {Environment.PRODUCTION: second}, clock=clock)
    heir.step()
    assert second.adopted == first.begun
    assert {run.timer: run.outcome for run in service.history.runs()} == {"afar": None, "here": Outcome.ABANDONED}
    # It stops in order, and the next one adopts the run.
    heir.close()
    third = FleetDouble(clock)
    service.daemon = Daemon(service.store, {Environment.PRODUCTION: third}, clock=clock)
    service.settle()
    assert third.adopted == first.begun
    service.kill()
    stranger = Daemon(service.store, {Environment.PRODUCTION: local}, clock=clock)
    stranger.step()
    assert {run.outcome for run in service.history.runs()} == {Outcome.ABANDONED}
    stranger.close()


def test_a_daemon_whose_lease_is_lost_adopts_no_run(service: Service, clock: ManualClock) -> None:
    """Its row is gone, so no daemon would take the run over from it, and the run would stay open."""
    service.kill()
    empty(service.store)
    first, second = FleetDouble(clock), FleetDouble(clock)
    service.add("afar")
    dying = Daemon(service.store, {Environment.PRODUCTION: first}, clock=clock)
    clock.advance(10)
    dying.step()
    kill(dying, service.store)
    with closing(SessionLock(service.store)) as presence:
        lost = Lease(service.store, presence, fleet=[Environment.PRODUCTION])
        lost.register(clock.now(), 1)
        with service.store.writing() as connection:
            connection.execute(delete(daemons).where(daemons.c.id == lost.id))
            connection.execute(update(daemons).values(lease_until=GIVEN_UP))
        with pytest.raises(LeaseLostError):
            lost.take_over(clock.now(), clock.monotonic())
    with service.store.reading() as connection:
        assert connection.execute(select(runs.c.owner)).scalars().all() == [dying._lease.id]
    service.daemon = Daemon(service.store, {Environment.PRODUCTION: second}, clock=clock)
    service.settle()
    assert second.adopted == first.begun
