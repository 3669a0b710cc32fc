"""The window of a timer: it fires in [starts_at, ends_at) only, and is finished afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.core.window import Windowed
from scheduler.errors import TimerError
from scheduler.functions.registry import Registry
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable
from scheduler.testing import ManualScheduler
from tests import strategies
from tests.scheduler.command_line import CommandLine

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = NEW_YEAR - timedelta(minutes=7), NEW_YEAR + timedelta(minutes=7)


@settings(deadline=None)
@given(strategies.timers(), strategies.windows())
def test_a_window_keeps_exactly_the_fire_times_in_it(
    timer: Timer, window: tuple[datetime | None, datetime | None]
) -> None:
    """Next, previous and count agree with all fire times of the span, of which those outside are left out."""
    starts_at, ends_at = window
    fires, fire = [], timer.schedule.next_fire(SPAN[0])
    while fire is not None and fire < SPAN[1]:
        if (starts_at is None or starts_at <= fire) and (ends_at is None or fire < ends_at):
            fires.append(fire)
        fire = timer.schedule.next_fire(fire)
    windowed = Windowed(timer.schedule, starts_at, ends_at)
    assert windowed.count(SPAN[0] + timedelta(microseconds=1), SPAN[1]) == len(fires)
    at, found = SPAN[0], []
    while (following := windowed.next_fire(at)) is not None and following < SPAN[1]:
        found.append(at := following)
    assert found == fires
    at, found = SPAN[1], []
    while (before := windowed.prev_fire(at)) is not None and before > SPAN[0]:
        found.append(at := before)
    assert found[::-1] == fires


def test_a_bound_without_an_offset_is_a_wall_time_of_the_zone() -> None:
    """Kept in UTC; where a clock change makes it ambiguous, in standard time."""
    timer = Timer(
        name="t",
        function="f",
        trigger=Cron("0 0 8 * * ?", "Europe/Berlin"),
        starts_at=datetime(2026, 7, 1, 8),
        ends_at="2026-10-25 02:30",
    )
    assert timer.starts_at == datetime(2026, 7, 1, 6, tzinfo=UTC)
    assert timer.ends_at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert str(timer.schedule).endswith("from 2026-07-01 06:00:00Z until 2026-10-25 01:30:00Z")


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({"starts_at": datetime(2026, 1, 1, 8)}, "starts_at: 2026-01-01T08:00:00 needs an offset"),
        ({"starts_at": "soon"}, "starts_at: expected an instant as in 2026-01-05T08:00:00.08:00, got 'soon'"),
        ({"ends_at": 5}, "ends_at: expected an instant .* got 5"),
        ({"ends_at": "1969-12-31T00:00:00Z"}, "outside the years 1970 to 2099"),
        ({"starts_at": NEW_YEAR, "ends_at": NEW_YEAR}, "the window from .* until .* is empty"),
    ],
)
def test_a_window_that_is_none_is_refused(window: dict[str, object], said: str) -> None:
    """With what is wrong, and where."""
    with pytest.raises(TimerError, match=said) as error:
        Timer(name="t", function="f", trigger=Every(60), **window)
    assert error.value.field in window


def test_a_timer_is_finished_when_its_window_is_over() -> None:
    """Its attributes can be changed then, and a later end has it fire again."""
    registry = Registry()
    registry.define(lambda: None, name="f")
    with ManualScheduler(registry, now=NEW_YEAR) as scheduler:
        ends_at = NEW_YEAR + timedelta(seconds=150)
        timer = Timer(name="t", function="f", trigger=Every(60), ends_at=ends_at, enabled=True)
        scheduler.add(timer)
        scheduler.advance(hours=1)
        assert [run.fire_time for run in scheduler.runs()] == [NEW_YEAR + timedelta(minutes=n) for n in (1, 2)]
        timetable = TimerTable(scheduler.store)
        assert timetable.get("t").state == "finished"
        now = scheduler.clock.now()
        assert timetable.edit("t", Environment.PRODUCTION, {"limit_s": 3.0}, now=now).state == "finished"
        with pytest.raises(TimerError, match="never fires after"):
            timetable.edit("t", Environment.PRODUCTION, {"ends_at": NEW_YEAR + timedelta(minutes=5)}, now=now)
        again = timetable.edit("t", Environment.PRODUCTION, {"ends_at": now + timedelta(hours=1)}, now=now)
        assert again.state == "enabled"
        scheduler.advance(hours=2)
        assert len(scheduler.runs()) == 2 + 59
        assert timetable.get("t").state == "finished"


def test_the_command_line_sets_clears_and_shows_a_window(command_line: CommandLine) -> None:
    """An empty text is none."""
    words = ("timers", "add", "t", "--function", "f", "--cron", "0 0 8 * * ?", "--tz", "Europe/Berlin", "--no-check")
    added = command_line.json(*words, "--starts-at", "2027-07-01 08:00", "--enable")
    assert added["starts_at"] == "2027-07-01T06:00:00+00:00"
    assert added["next_fire"] == "2027-07-01T08:00:00+02:00"
    assert command_line.json("timers", "edit", "t", "--starts-at", "")["starts_at"] is None
    edited = command_line.json("timers", "edit", "t", "--ends-at", "2099-01-01")
    assert edited["ends_at"] == "2098-12-31T23:00:00+00:00"
    assert edited["state"] == "enabled"


def test_tags_and_description_are_kept_in_order(store: Store) -> None:
    """Tags without duplicates, sorted; control characters are refused."""
    timer = Timer(name="t", function="f", trigger=Every(60), tags=["b", "a", "b"], description="one\ntwo")
    (entry,) = TimerTable(store).add([timer], now=NEW_YEAR)
    assert entry.timer.tags == ("a", "b")
    assert TimerTable(store).get("t").timer.description == "one\ntwo"
    for wrong in ({"tags": ["a\x1b"]}, {"tags": ["a,b"]}, {"tags": "ab"}, {"tags": map(str, range(21))}):
        with pytest.raises(TimerError):
            Timer(name="t", function="f", trigger=Every(60), **wrong)
    with pytest.raises(TimerError, match="U\\+202E"):
        Timer(name="t", function="f", trigger=Every(60), description="a\u202eb")
