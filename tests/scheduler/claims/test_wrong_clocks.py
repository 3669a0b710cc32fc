"""Timers are changed and runs requested while clocks are wrong or set: no fire time runs twice, and none is lost."""

from datetime import timedelta

import pytest

from scheduler.claims.requested_runs import backfill, request_run
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron
from scheduler.daemon.loop import Daemon
from tests.scheduler.scripted_service import START, SUCCESS, ScriptedExecutor, Service, release

PRODUCTION = Environment.PRODUCTION


def test_a_timer_with_the_id_of_a_removed_one_is_not_taken_for_it(service: Service) -> None:
    """SQLite gives the id again; the daemon must not call the removed timer's function from its cache."""
    add = service.timetable.add
    add([Timer(name="a", function="f", trigger=Cron("0/10 * * * * ?"), enabled=True)], now=service.clock.now())
    service.after(10)
    service.timetable.remove("a")
    add([Timer(name="b", function="g", trigger=Cron("0/5 * * * * ?"), enabled=True)], now=service.clock.now())
    service.after(5)
    service.after(5)
    begun = [(task.timer, task.function, (task.fire_time - START).seconds) for task in service.executor.begun]
    assert begun == [("a", "f", 10), ("b", "g", 15), ("b", "g", 20)]


CRON = Cron("0/10 * * * * ?")


def change(service: Service, how: str) -> None:
    now, timetable = service.clock.now(), service.timetable
    if how == "edited":
        timetable.edit("t", PRODUCTION, {"limit_s": 3}, now=now)
    elif how == "switched":
        timetable.disable("t")
        timetable.enable("t", now=now)
    else:
        timetable.remove("t")
        timetable.add([Timer(name="t", function="f", trigger=CRON, enabled=True)], now=now)


def fired(service: Service) -> list[float]:
    return [
        (task.fire_time - START).total_seconds()
        for task in service.executor.begun
        if task.kind == "scheduled" and task.timer == "t"
    ]


def with_another(service: Service) -> None:
    timer = Timer(name="t", function="f", trigger=CRON, enabled=True)
    other = Timer(name="other", function="f", trigger=Cron("* * * * * ?"))
    service.timetable.add([timer, other], now=service.clock.now())


@pytest.mark.parametrize("how", ["edited", "switched", "readded"])
def test_backfilled_runs_that_wait_while_the_clock_is_behind_hide_no_claim(service: Service, how: str) -> None:
    """The system clock was set back by 30 s: the daemon's clock slows down, and the backfill goes by the system's."""
    with_another(service)
    for _ in range(4):
        service.after(10.05)
    service.clock.jump(-30)
    service.executor.script = lambda task: None if task.timer == "other" else SUCCESS
    backfill(service.store, "other", PRODUCTION, (START, START + timedelta(seconds=6)), now=service.clock.now())
    service.after(2.5)
    change(service, how)
    service.after(1)
    assert fired(service) == [10, 20, 30, 40]


@pytest.mark.parametrize("how", ["edited", "switched", "readded"])
def test_a_run_asked_for_by_a_clock_behind_hides_no_claim_ahead(service: Service, how: str) -> None:
    """Three seconds behind; or the command line waited that long for the store."""
    with_another(service)
    service.after(10 - 0.002)
    request_run(service.store, "other", PRODUCTION, now=service.clock.now() - timedelta(seconds=3))
    change(service, how)
    service.after(0.002)
    service.after(0.1)
    assert fired(service) == [10]


@pytest.mark.parametrize("how", ["edited", "switched", "readded"])
def test_a_change_after_the_clock_was_set_back_by_hours_does_not_wait_for_it(service: Service, how: str) -> None:
    """Runs of the next three hours stand in the history now; a changed timer fires within ten minutes all the same."""
    timer = Timer(name="t", function="f", trigger=Cron("0 0/10 * * * ?"), enabled=True)
    service.timetable.add([timer], now=service.clock.now())
    for _ in range(24):
        service.after(600)
    service.clock.jump(-3 * 3600)
    service.settle()
    service.after(60)
    assert service.timetable.get("t").next_fire <= service.clock.now() + timedelta(minutes=10)
    change(service, how)
    assert service.timetable.get("t").next_fire <= service.clock.now() + timedelta(minutes=10)


def test_two_daemons_whose_clock_was_set_back_do_not_fire_twice(service: Service) -> None:
    """The second one recomputes the next fires after the first has claimed ahead."""
    timer = Timer(name="t", function="f", trigger=Cron("0/10 * * * * ?"), enabled=True)
    other = Daemon(service.store, {PRODUCTION: (theirs := ScriptedExecutor(service.clock))}, clock=service.clock)
    other.step()
    service.timetable.add([timer], now=service.clock.now())
    service.after(5)
    service.clock.jump(-3 * 3600)
    service.settle()
    service.after(5 - 0.002)  # the first claims ahead
    assert len(service.rows()) == 1
    for _ in range(10):  # only now the other one notices the clock
        other.step()
    service.after(0.002)
    for _ in range(10):
        other.step()
    service.after(0.1)
    release(other)
    fire_times = [task.fire_time for task in [*service.executor.begun, *theirs.begun]]
    assert len(fire_times) == len(set(fire_times)) == 1


def test_a_timer_that_is_removed_added_and_then_enabled_does_not_fire_again(service: Service) -> None:
    """As on the command line, where timers are added disabled; the system clock was set back by 30 s meanwhile."""
    with_another(service)
    for _ in range(4):
        service.after(10.05)
    service.clock.jump(-30)
    service.timetable.remove("t")
    service.timetable.add([Timer(name="t", function="f", trigger=CRON)], now=service.clock.now())
    service.timetable.enable("t", now=service.clock.now())
    service.after(1)
    assert fired(service) == [10, 20, 30, 40]


def test_a_run_asked_for_by_a_clock_ahead_begins_at_once_and_is_not_released(service: Service) -> None:
    """It must not count as a claim ahead: a daemon that stops would delete it, and set the timer to that time."""
    with_another(service)
    before = service.timetable.get("t").next_fire
    service.after(1)
    request_run(service.store, "t", PRODUCTION, now=service.clock.now() + timedelta(seconds=0.7))
    service.daemon.wake()
    service.daemon.step()
    begun = len(service.executor.begun)
    service.daemon.stop()
    service.daemon.step()
    service.daemon.close()
    assert len(service.rows()) == 1
    assert service.timetable.get("t").next_fire == before
    assert begun == 1


def test_a_run_asked_for_by_a_clock_ahead_does_not_set_the_clock_of_a_daemon_that_starts(service: Service) -> None:
    """Ten minutes ahead; every fire time would be claimed as much too early."""
    with_another(service)
    service.kill()
    request_run(service.store, "other", PRODUCTION, now=service.clock.now() + timedelta(minutes=10))
    service.start()
    service.after(15)
    assert fired(service) == [10]


@pytest.mark.parametrize("how", ["edited", "switched"])
def test_fires_counted_in_one_row_are_not_counted_again(service: Service, how: str) -> None:
    """A run goes on, and the fire times that it makes skip are counted in one row; the change waited for the store."""
    timer = Timer(name="t", function="f", trigger=Cron("* * * * * ?"), enabled=True, limit_s=300)
    service.timetable.add([timer], now=service.clock.now())
    service.executor.script = lambda _: None
    for _ in range(20):
        service.after(1)
    service.clock.jump(-5)
    change(service, how)
    service.after(1)
    fires = sorted(fire + rank for fire, count, _ in service.rows() for rank in range(count))
    assert len(fires) == len(set(fires)), service.rows()


def test_a_timer_whose_schedule_is_changed_twice_while_the_clock_is_behind_fires_nothing_again(
    service: Service,
) -> None:
    """The first change leaves a gap behind the last claimed fire time, which the second must not fire into."""
    with_another(service)
    for _ in range(4):
        service.after(10.05)
    service.clock.jump(-30)
    for expression in ("0 * * * * ?", "0/5 * * * * ?", "0/10 * * * * ?"):
        service.timetable.edit("t", PRODUCTION, {"trigger": Cron(expression)}, now=service.clock.now())
    for _ in range(8):
        service.after(5)
    fires = fired(service)
    assert fires[:4] == [10, 20, 30, 40]
    assert len(fires) == len(set(fires)), fires
