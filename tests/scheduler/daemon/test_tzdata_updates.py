"""The rules of a time zone change between two starts of a daemon: each fire time as it is now has one row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from scheduler.core.timer import Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Cron, Every
from scheduler.store.database import Store
from scheduler.store.schema import timers
from scheduler.store.timers import TimerTable
from scheduler.store.tzdata_updates import TzdataUpdates, meant
from tests.scheduler.scripted_service import START, Service

DAILY = Timer(name="daily", function="f", trigger=Cron("0 55 16 * * ?", "America/Nuuk"), enabled=True)
HOUR = timedelta(hours=1)
#: 16:55 in Nuuk on 1 January, which is UTC-2.
TRUE = datetime(2026, 1, 1, 18, 55, tzinfo=UTC)


def plan_by_old_rules(store: Store, by: timedelta, name: str = "daily") -> None:
    """Store a next fire time as a database did in which the clock of the zone was slower by so much."""
    with store.writing() as connection:
        at = connection.execute(select(timers.c.next_fire_at).where(timers.c.name == name)).scalar_one()
        moved = at + round(by / timedelta(microseconds=1))
        connection.execute(update(timers).where(timers.c.name == name).values(next_fire_at=moved))


@pytest.mark.parametrize("by", [HOUR, -HOUR, HOUR / 2, 3 * HOUR])
@pytest.mark.parametrize("down_for", [HOUR, timedelta(hours=19, minutes=30), timedelta(days=3)])
def test_every_fire_time_by_the_rules_of_today_has_one_row(
    service: Service, by: timedelta, down_for: timedelta
) -> None:
    """Whether the daemon starts before the true fire time, after it and before the stored one, or days later."""
    service.timetable.add([DAILY], now=service.clock.now())
    service.kill()
    plan_by_old_rules(service.store, by)
    service.clock.advance(down_for.total_seconds())
    service.start()
    service.settle()
    # Every hour until the day after, then a few times a day.
    for hours in [1] * 30 + [6] * 15:
        service.after(3600 * hours)
    accounted: list[datetime] = []
    for run in service.history.runs(limit=1000):
        fire_time: datetime | None = run.fire_time
        for _ in range(run.count):
            assert fire_time is not None
            accounted.append(fire_time)
            fire_time = DAILY.schedule.next_fire(fire_time)
    expected = [TRUE + timedelta(days=day) for day in range(9) if TRUE + timedelta(days=day) <= service.clock.now()]
    assert sorted(accounted) == expected


def test_a_fire_that_was_handled_before_the_change_is_not_repeated(service: Service) -> None:
    """The database of before had it an hour earlier by the clock of all: its row is there."""
    service.timetable.add([DAILY], now=service.clock.now())
    service.after(20 * 3600)
    assert len(service.rows()) == 1
    service.kill()
    # Now 16:55 counts as 17:55 of the same day.
    plan_by_old_rules(service.store, -23 * HOUR)
    service.start()
    service.settle()
    service.after(3600)
    assert len(service.rows()) == 1
    assert service.timetable.get("daily").next_fire == TRUE + timedelta(days=1)


def test_the_change_is_logged(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """With the zone, the timer and both instants; of timers that are as planned, nothing is said."""
    service.timetable.add([DAILY], now=service.clock.now())
    service.add("often", 7)
    service.kill()
    plan_by_old_rules(service.store, HOUR)
    service.start()
    service.settle()
    (told,) = [record.getMessage() for record in caplog.records if "the clock of" in record.getMessage()]
    assert "America/Nuuk" in told
    assert f"next fire of 'daily' in production was planned: it is now at {TRUE}, not at {TRUE + HOUR}" in told
    service.after(7)
    assert service.rows()[-1][0] == 7


def test_all_timers_are_seen_in_portions(store: Store) -> None:
    """Of several at one instant, too; jitter and intervals count as they are."""
    table = TimerTable(store)
    many = [
        Timer(name=f"t{n}", function="f", trigger=Cron(f"{n % 3} 0 8 * * ?", "UTC"), enabled=True, jitter_s=n % 2 * 50)
        for n in range(23)
    ]
    table.add([*many, Timer(name="e", function="f", trigger=Every(9), enabled=True)], now=START, quota=0)
    for name in ("t3", "t22"):
        plan_by_old_rules(store, HOUR, name)
    changes, moved = TzdataUpdates(store), []
    while not changes.is_done:
        moved += [change.timer.name for change in changes.check(5)]
    assert sorted(moved) == ["t22", "t3"]
    assert TzdataUpdates(store).check(100) == []
    assert TzdataUpdates(store).check_first(100) == []
    for entry in table.list():
        assert entry.timer.name == "e" or entry.next_fire == entry.timer.schedule.next_fire(START)


def test_those_that_are_due_first_are_seen_first(store: Store) -> None:
    table = TimerTable(store)
    hours = [
        Timer(name=f"t{hour}", function="f", trigger=Cron(f"0 0 {hour} * * ?", "UTC"), enabled=True)
        for hour in (9, 7, 8)
    ]
    table.add(hours, now=START)
    for name in ("t7", "t9"):
        plan_by_old_rules(store, HOUR / 2, name)
    changes = TzdataUpdates(store)
    assert [change.timer.name for change in changes.check_first(2)] == ["t7"]
    assert not changes.is_done
    assert [change.timer.name for change in changes.check(10)] == ["t9"]
    assert changes.is_done


def test_timers_that_fire_meanwhile_keep_no_portion_from_being_the_last(store: Store) -> None:
    """Each look finds all of them with a later fire time than the look before."""
    table = TimerTable(store)
    table.add(
        [Timer(name=f"t{n}", function="f", trigger=Cron("* * * * * ?", "UTC"), enabled=True) for n in range(12)],
        now=START,
        quota=0,
    )
    changes = TzdataUpdates(store)
    for _ in range(4):
        assert not changes.is_done
        assert changes.check(4) == []
        with store.writing() as connection:
            connection.execute(update(timers).values(next_fire_at=timers.c.next_fire_at + 1_000_000))
    assert changes.is_done


def test_a_timer_that_was_changed_meanwhile_is_left_alone(store: Store) -> None:
    """By an edit, or by another daemon."""
    table = TimerTable(store)
    table.add([DAILY], now=START)
    plan_by_old_rules(store, HOUR)

    class Edited(TzdataUpdates):
        def _move(self, row: object) -> object:  # type: ignore[override]
            table.edit("daily", DAILY.environment, {"trigger": Cron("0 0 9 * * ?", "UTC")}, now=START)
            return super()._move(row)  # type: ignore[arg-type]

    assert Edited(store).check(10) == []
    assert stamp(table.get("daily").next_fire or START) == stamp(datetime(2026, 1, 1, 9, tzinfo=UTC))


@pytest.mark.parametrize(
    ("expression", "stored", "handled", "expected"),
    [
        ("0 0 8 * * ?", "09:00", None, "01 08:00"),
        ("0 0 8 * * ?", "07:00", None, "01 08:00"),
        ("0 0 8 * * ?", "09:00", "08:00", "02 08:00"),
        ("0 0 8 * * ?", "15:00", None, "02 08:00"),
        ("0 0 * * * ?", "09:30", None, "01 10:00"),
        ("0 0 8 1 1 ? 2026", "09:00", None, "01 08:00"),
        ("0 0 8 1 1 ? 2026", "20:00", None, "None"),
    ],
)
def test_the_nearest_fire_time_that_was_not_handled_is_meant(
    expression: str, stored: str, handled: str | None, expected: str
) -> None:
    """At most three hours before, which is more than a clock is moved."""

    def at(text: str) -> datetime:
        return datetime.fromisoformat(f"2026-01-01T{text}+00:00")

    found = meant(Cron(expression, "UTC"), at(stored), None if handled is None else at(handled))
    assert (found.strftime("%d %H:%M") if found else "None") == expected
