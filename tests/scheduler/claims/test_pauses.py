"""Pauses: what they keep from firing, on any daemon, and what becomes of the fire times that they held up."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from scheduler.claims.requested_runs import request_run
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.errors import TimerError
from scheduler.store.change_pages import last_change
from scheduler.store.change_recording import Author, Subject, Way
from scheduler.store.pause_table import PauseTable
from scheduler.store.schema import changes
from scheduler.store.statistics import read_statistics
from scheduler.store.timers import TimerTable
from tests.scheduler.claims.second_daemon import Second
from tests.scheduler.scripted_service import FAILURE, Service

PRODUCTION, STAGE = Environment.PRODUCTION, Environment.STAGE


@pytest.fixture
def pauses(service: Service) -> PauseTable:
    return PauseTable(service.store)


def begun(service: Service) -> list[str]:
    return [task.timer for task in service.executor.begun]


def test_while_everything_is_paused_no_daemon_fires(service: Service, second: Second, pauses: PauseTable) -> None:
    """Then the latest missed fire time runs, as the misfire policy says; the others are counted."""
    service.add(seconds=10)
    service.settle()
    pauses.pause(now=service.clock.now())
    service.after(25)
    second.settle()
    assert (service.rows(), second.executor.begun) == ([], [])
    pauses.resume(now=service.clock.now())
    service.settle()
    service.after(5)
    second.settle()
    assert service.rows() == [(10, 1, "misfired"), (20, 1, "succeeded"), (30, 1, "succeeded")]


@pytest.mark.parametrize("misfire", MisfirePolicy)
def test_what_was_missed_can_be_skipped(service: Service, pauses: PauseTable, misfire: MisfirePolicy) -> None:
    """Whatever the misfire policy; it is counted in a row that says so."""
    service.add(seconds=10, misfire=misfire)
    pauses.pause(now=service.clock.now())
    service.after(35)
    pauses.resume(now=service.clock.now(), skip=True)
    service.after(6)
    assert service.rows() == [(10, 3, "misfired"), (40, 1, "succeeded")]
    assert service.history.runs()[-1].message == "skipped: the timer was paused"


def test_what_was_claimed_ahead_is_given_back(service: Service, pauses: PauseTable) -> None:
    """A timer that another pause does not cover fires in time."""
    service.add("held", tags=("nightly",))
    service.add("free")
    service.settle()
    service.clock.advance(9.995)
    service.settle()
    assert len(service.history.runs()) == 2
    pauses.pause(None, "nightly", now=service.clock.now())
    service.settle()
    service.after(0.01)
    assert begun(service) == ["free"]


def test_a_pause_covers_an_environment_or_a_tag(service: Service, pauses: PauseTable) -> None:
    """Also timers that are added or get the tag while it lasts, and no longer those that lose it."""
    service.add("tagged", tags=("a", "b"))
    service.add("plain")
    now = service.clock.now()
    pauses.pause(PRODUCTION, "a", now=now)
    pauses.pause(STAGE, now=now)
    service.add("added", tags=("a",))
    service.timetable.edit("plain", PRODUCTION, {"tags": ("a",)}, now=now)
    service.timetable.add(
        [Timer(name="staged", function="f", trigger=Every(10), environment=STAGE, enabled=True)], now=now
    )
    assert {entry.timer.name: entry.state for entry in service.timetable.list()} == dict.fromkeys(
        ("added", "plain", "staged", "tagged"), "paused"
    )
    service.timetable.edit("tagged", PRODUCTION, {"tags": ("b",)}, now=now)
    service.after(10)
    assert begun(service) == ["tagged"]
    pauses.resume(PRODUCTION, "a", now=service.clock.now())
    service.settle()
    assert sorted(begun(service)) == ["added", "plain", "tagged"]
    assert service.timetable.get("staged", STAGE).state == "paused"


def test_a_pause_ends_by_itself(service: Service, pauses: PauseTable) -> None:
    """At its time; also where no daemon ran then."""
    service.add(seconds=10)
    pauses.pause(now=service.clock.now(), until=service.clock.now() + timedelta(seconds=12))
    service.settle()
    assert service.daemon is not None
    service.after(11)
    assert service.rows() == []
    service.clock.advance(1)
    service.daemon.step()
    service.settle()
    assert (service.rows(), pauses.list()) == ([(10, 1, "succeeded")], [])
    pauses.pause(now=service.clock.now(), until=service.clock.now() + timedelta(seconds=1))
    service.kill()
    service.clock.advance(10)
    service.start()
    service.settle()
    assert service.rows()[1:] == [(20, 1, "succeeded")]


def test_two_pauses_hold_a_timer_until_both_are_over(service: Service, pauses: PauseTable) -> None:
    """`resume` without a scope ends all of them."""
    service.add(seconds=10, tags=("a",))
    now = service.clock.now()
    pauses.pause(now=now)
    pauses.pause(None, "a", now=now)
    pauses.resume(None, "a", now=now)
    assert service.timetable.get("t").state == "paused"
    with pytest.raises(TimerError, match="there is no pause of every timer of stage; paused: everything"):
        pauses.resume(STAGE, now=now)
    pauses.pause(None, "a", now=now)
    assert len(pauses.resume(now=now)) == 2
    assert service.timetable.get("t").state == "enabled"
    with pytest.raises(TimerError, match="nothing is paused"):
        pauses.resume(now=now)


def test_runs_by_hand_begin_and_attempts_wait(service: Service, pauses: PauseTable) -> None:
    """A run that goes on is not touched."""
    service.executor.script = lambda _: FAILURE
    service.add(seconds=60, retries=1, retry_backoff_s=5)
    service.settle()
    service.after(60)
    pauses.pause(now=service.clock.now())
    service.after(20)
    assert len(service.executor.begun) == 1
    request_run(service.store, "t", PRODUCTION, now=service.clock.now())
    service.settle()
    assert len(service.executor.begun) == 2
    # A daemon with nothing to do but an attempt that is held sleeps.
    assert service.daemon is not None
    assert service.daemon.step() > 0.5
    pauses.resume(now=service.clock.now())
    service.settle()
    assert [task.attempt for task in service.executor.begun] == [1, 1, 2]


def test_a_pause_has_its_author_and_reason(service: Service, pauses: PauseTable) -> None:
    """In its row, and in the changes."""
    now = service.clock.now()
    by = Author("ann@example", Way.CONSOLE, "the mail server is down")
    pause = pauses.pause(PRODUCTION, now=now, by=by)
    assert (pause.by, pause.note, pause.since) == ("ann@example", "the mail server is down", now)
    service.add()
    statistics = read_statistics(service.store, now)
    assert (statistics.held, statistics.due_since, statistics.pauses) == (1, None, (pause,))
    pauses.resume(PRODUCTION, now=now, by=by)
    with service.store.reading() as connection:
        rows = connection.execute(select(changes.c.action).where(changes.c.subject == Subject.PAUSE)).scalars().all()
    assert rows == ["added", "removed"]
    with pytest.raises(TimerError, match="must end in the future"):
        pauses.pause(now=now, until=now)


def test_a_timer_is_disabled_until_a_time(service: Service, pauses: PauseTable) -> None:
    """Then it is enabled, from that time on: what would have been before does not count."""
    timetable: TimerTable = service.timetable
    service.add(seconds=10)
    now = service.clock.now()
    timetable.disable("t", now=now, until=now + timedelta(seconds=25), by=Author("ann", Way.API, "it is broken"))
    (pause,) = pauses.list()
    assert (pause.note, timetable.get("t").state) == ("it is broken", "disabled")
    service.settle()
    service.after(24)
    assert timetable.get("t").state == "disabled"
    service.after(1)
    service.settle()
    assert (timetable.get("t").state, service.rows(), pauses.list()) == ("enabled", [], [])
    with service.store.reading() as connection:
        last = last_change(connection, "t", PRODUCTION)
    assert last is not None
    assert last.author
    service.after(10)
    assert len(service.rows()) == 1


def test_enabling_or_removing_a_timer_ends_its_pause(service: Service, pauses: PauseTable) -> None:
    """And another timer is not enabled by it."""
    now = service.clock.now()
    for end in (lambda: service.timetable.enable("t", now=now), lambda: service.timetable.remove("t", now=now)):
        if "t" not in {entry.timer.name for entry in service.timetable.list()}:
            service.add()
        service.timetable.disable("t", now=now, until=now + timedelta(seconds=5))
        end()
        assert pauses.list() == []
