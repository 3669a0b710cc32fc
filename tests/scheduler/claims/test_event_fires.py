"""Timers that run when they are enabled or when a daemon starts, and those that are removed when they are finished."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from scheduler.claims.requested_runs import request_run
from scheduler.clock import ManualClock
from scheduler.core.run import Kind, Outcome
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.daemon.loop import Daemon
from scheduler.errors import UnknownTimerError
from scheduler.store.change_pages import last_change
from scheduler.store.database import Store
from scheduler.store.declaration_sync import synchronise
from scheduler.store.pause_table import PauseTable
from scheduler.store.runs import RunHistory
from scheduler.store.schema import daemons
from scheduler.store.timer_apply import apply_timers
from scheduler.store.timers import TimerTable
from tests.scheduler.claims.second_daemon import Second
from tests.scheduler.scripted_service import START, SUCCESS, ScriptedExecutor, Service, kill, settle

PRODUCTION = Environment.PRODUCTION


def timer(name: str = "t", **options: Any) -> Timer:
    return Timer(name=name, function="f", **{"trigger": Every(3600), **options})


def kinds(service: Service) -> list[Kind]:
    return [run.kind for run in service.history.runs()[::-1]]


# Enabled


def test_a_timer_fires_when_it_is_enabled(service: Service) -> None:
    """Each time, however that is done; by its breaker, overlap and limit like any other fire."""
    table, now = service.timetable, service.clock.now()
    table.add([timer(fire_on_enable=True)], now=now)
    service.settle()
    assert kinds(service) == []
    table.enable("t", now=now)
    table.enable("t", now=now)
    service.settle()
    table.disable("t")
    table.edit("t", PRODUCTION, {"enabled": True}, now=now)
    table.add([timer("u", fire_on_enable=True, enabled=True)], now=now, quota=0)
    apply_timers(service.store, [timer("v", fire_on_enable=True, enabled=True)], now=now, quota=0)
    synchronise(service.store, [timer("w", fire_on_enable=True, enabled=True)], PRODUCTION, now=now, quota=0)
    apply_timers(service.store, [timer("x", fire_on_enable=True, enabled=True)], now=now, quota=0, dry_run=True)
    service.settle()
    assert kinds(service) == [Kind.ON_ENABLE] * 5
    assert [task.timer for task in service.executor.begun] == ["t", "t", "u", "v", "w"]
    assert service.timetable.get("t").next_fire == now + timedelta(hours=1)


def test_a_timer_does_not_fire_before_its_window(service: Service) -> None:
    """It is enabled all the same."""
    now = service.clock.now()
    service.timetable.add([timer(fire_on_enable=True, enabled=True, starts_at=now + timedelta(hours=1))], now=now)
    service.settle()
    assert kinds(service) == []


def test_a_timer_that_is_enabled_again_by_itself_fires(service: Service) -> None:
    """At the end of `disable --until`."""
    now = service.clock.now()
    service.timetable.add([timer(fire_on_enable=True)], now=now)
    service.timetable.disable("t", now=now, until=now + timedelta(minutes=1))
    service.settle()
    service.after(61)
    assert kinds(service) == [Kind.ON_ENABLE]


# Started


def start(service: Service) -> None:
    service.start()
    service.settle()


def test_a_timer_fires_once_when_the_first_daemon_starts(service: Service) -> None:
    """Again after that one was killed or has stopped; neither when it is disabled, nor with a later daemon."""
    service.timetable.add([timer(fire_on_start=True, enabled=True), timer("off", fire_on_start=True)], now=START)
    service.settle()
    assert kinds(service) == [Kind.ON_START]
    service.after(100)
    assert len(kinds(service)) == 1
    service.kill()
    start(service)
    assert len(kinds(service)) == 2
    assert service.daemon is not None
    service.daemon.close()
    start(service)
    assert kinds(service) == [Kind.ON_START] * 3


def test_a_daemon_that_starts_beside_another_one_does_not_fire(store: Store, clock: ManualClock) -> None:
    """Even if the other one leaves later; of two that start together, one does."""
    TimerTable(store).add([timer(fire_on_start=True, enabled=True)], now=clock.now())
    nodes = [Daemon(store, {PRODUCTION: ScriptedExecutor(clock)}, clock=clock) for _ in range(2)]
    for daemon in nodes * 2:
        settle(daemon)
    assert len(RunHistory(store).runs()) == 1
    third = Daemon(store, {PRODUCTION: ScriptedExecutor(clock)}, clock=clock)
    for _ in range(5):
        settle(third)
        clock.advance(1)
    for daemon in nodes:
        daemon.close()
    for _ in range(80):
        clock.advance(2.5)
        third.wake()
        settle(third)
    assert [run.kind for run in RunHistory(store).runs() if run.kind is Kind.ON_START] == [Kind.ON_START]
    kill(third, store)


@pytest.mark.parametrize("is_stopping", [False, True])
def test_a_daemon_does_not_fire_when_the_one_beside_which_it_started_is_killed(
    service: Service, *, is_stopping: bool
) -> None:
    """Even at once: its process was there. Nor does one that is stopping."""
    service.timetable.add([timer(fire_on_start=True, enabled=True)], now=START)
    service.settle()
    other = Daemon(service.store, {PRODUCTION: ScriptedExecutor(service.clock)}, clock=service.clock)
    settle(other)
    service.kill()
    if is_stopping:
        other.stop()
    for _ in range(5):
        other.wake()
        other.turn()
        service.clock.advance(1)
    assert kinds(service) == [Kind.ON_START]
    kill(other, service.store)


def test_a_daemon_waits_until_it_knows_that_another_one_is_dead(service: Service) -> None:
    """One of another machine, whose lease runs out."""
    other = Second(service)
    service.timetable.add([timer(fire_on_start=True, enabled=True)], now=START)
    service.kill()
    kill(other.daemon, service.store)
    with service.store.writing() as connection:
        connection.execute(update(daemons).where(daemons.c.id == other.id).values(host="elsewhere"))
    start(service)
    assert kinds(service) == []
    service.after_a_lease()
    assert kinds(service) == [Kind.ON_START]


def test_a_lost_answer_to_the_commit_fires_once(service: Service) -> None:
    """The row of the daemon says that its start has fired."""
    service.timetable.add([timer(fire_on_start=True, enabled=True)], now=START)
    service.settle()
    assert service.daemon is not None
    service.daemon._claims.enter_start_runs(service.clock.now())
    service.settle()
    assert kinds(service) == [Kind.ON_START]


def test_a_pause_holds_the_fire_of_a_start(service: Service) -> None:
    """It begins when the pause is over."""
    service.timetable.add([timer(fire_on_start=True, enabled=True)], now=START)
    PauseTable(service.store).pause(now=START)
    service.settle()
    assert [run.outcome for run in service.history.runs()] == [None]
    PauseTable(service.store).resume(now=START)
    service.settle()
    assert [run.outcome for run in service.history.runs()] == [Outcome.SUCCEEDED]


# Finished


def is_there(service: Service, name: str = "t") -> bool:
    try:
        service.timetable.get(name)
    except UnknownTimerError:
        return False
    return True


def test_a_finished_timer_is_removed_after_its_last_run(service: Service) -> None:
    """With a recorded change; its runs stay."""
    service.executor.script = lambda _: None
    service.add(seconds=10, max_runs=2, remove_when_finished=True)
    service.add("kept", seconds=10, max_runs=1)
    service.settle()
    for _ in range(3):
        service.after(10)
        assert is_there(service)
        (mine,) = [task for task in service.executor.going_on if task.timer == "t"] or [None]
        if mine is not None:
            service.executor.end(mine)
        service.settle()
        if len(service.history.runs(timer="t")) == 2:
            break
    assert not is_there(service)
    assert is_there(service, "kept")
    assert [run.outcome for run in service.history.runs(timer="t")] == [Outcome.SUCCEEDED] * 2
    with service.store.reading() as connection:
        change = last_change(connection, "t", PRODUCTION)
    assert change is not None
    assert (change.action, change.why) == ("removed", "it is finished, and remove_when_finished is set")


def test_a_timer_whose_last_fire_does_not_run_is_removed(service: Service) -> None:
    """Its window ended while no daemon ran."""
    end = START + timedelta(seconds=25)
    service.add(seconds=10, ends_at=end, misfire="skip", remove_when_finished=True)
    service.settle()
    service.kill()
    service.clock.advance(1000)
    start(service)
    service.after(2)
    assert not is_there(service)


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_requested_run_and_an_attempt_keep_a_finished_timer(service: Service, is_killed: bool) -> None:
    """Until they have ended; a daemon that is killed meanwhile leaves the rest to the next."""
    service.executor.script = lambda _: None
    service.add(seconds=10, max_runs=1, remove_when_finished=True)
    service.settle()
    service.after(10)
    run_id = request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    service.settle()
    service.executor.end(service.executor.going_on[0])
    service.settle()
    assert is_there(service)
    if is_killed:
        service.kill()
        service.executor.script = lambda _: SUCCESS
        start(service)
        service.after(2)
    else:
        service.executor.end(service.executor.going_on[0])
        service.settle()
    assert not is_there(service)
    assert service.history.run(run_id) is not None


def test_a_declared_timer_stays(service: Service) -> None:
    """Its declaration would add it again."""
    declared = timer(trigger=Every(10), enabled=True, max_runs=1, remove_when_finished=True)
    synchronise(service.store, [declared], PRODUCTION, now=service.clock.now())
    service.settle()
    service.after(10)
    service.after(10)
    assert service.timetable.get("t").state == "finished"


def test_a_disabled_timer_stays(service: Service) -> None:
    """It is not finished."""
    service.add(remove_when_finished=True)
    service.timetable.disable("t", now=datetime.now(UTC))
    service.settle()
    service.after(100)
    assert is_there(service)
