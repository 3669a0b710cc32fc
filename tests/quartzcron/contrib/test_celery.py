"""The schedule for Celery beat, with Celery itself."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quartzcron import CronError, CronExpression
from quartzcron.dialects import DialectError
from quartzcron.schedules import union

celery = pytest.importorskip("celery")

from quartzcron.contrib.celery import quartz  # noqa: E402 - needs celery

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def app(**settings: Any) -> Any:
    """An app without a broker."""
    made = celery.Celery("tests", set_as_current=False, broker="memory://")
    made.conf.update({"timezone": "UTC", **settings})
    return made


def at(now: datetime, expression: str | CronExpression, *, tz: str | None = None, **settings: Any) -> quartz:
    """A schedule with a fixed clock."""
    return quartz(expression, tz=tz, nowfun=lambda: now, app=app(**settings))


def test_it_is_due_at_its_fire_time_and_not_before() -> None:
    """With the seconds until the next check."""
    last = MONDAY + timedelta(hours=1)
    early = at(MONDAY + timedelta(hours=7, minutes=59, seconds=30), "0 0 8 ? * MON")
    assert tuple(early.is_due(last)) == (False, 30.0)
    due = at(MONDAY + timedelta(hours=8), "0 0 8 ? * MON")
    assert tuple(due.is_due(last)) == (True, 7 * 86_400.0)
    assert tuple(due.is_due(MONDAY + timedelta(hours=8))) == (False, 7 * 86_400.0)


def test_it_goes_by_the_zone_of_the_app_or_its_own() -> None:
    """08:00 Shanghai is midnight UTC."""
    last = MONDAY - timedelta(hours=1)
    assert at(MONDAY, "0 0 8 * * ?", timezone="Asia/Shanghai").is_due(last).is_due
    assert at(MONDAY, "0 0 8 * * ?", tz="Asia/Shanghai").is_due(last).is_due
    assert at(MONDAY, CronExpression("0 0 8 * * ?", tz="Asia/Shanghai")).is_due(last).is_due
    assert not at(MONDAY, "0 0 8 * * ?").is_due(last).is_due


def test_time_passes_where_clocks_change() -> None:
    """On the evening before clocks go forward in New York, 08:00 is thirteen hours away, not fourteen."""
    evening = datetime(2026, 3, 7, 23, tzinfo=UTC)
    schedule = at(evening, "0 0 8 * * ?", tz="America/New_York")
    assert tuple(schedule.is_due(evening)) == (False, 13 * 3600.0)
    midnight = datetime(2026, 10, 31, 16, tzinfo=UTC)
    assert tuple(at(midnight, "0 0 12 * * ?", tz="America/New_York").is_due(MONDAY)) == (True, 25 * 3600.0)


def test_what_was_missed_runs_once_unless_it_is_too_late() -> None:
    """beat_cron_starting_deadline counts from the latest fire time."""
    now = MONDAY + timedelta(hours=9)
    assert tuple(at(now, "0 0 8 * * ?").is_due(MONDAY - timedelta(days=9))) == (True, 23 * 3600.0)
    late = at(now, "0 0 8 * * ?", beat_cron_starting_deadline=1800)
    assert tuple(late.is_due(MONDAY)) == (False, 23 * 3600.0)
    assert at(now, "0 0 8 * * ?", beat_cron_starting_deadline=3600).is_due(MONDAY).is_due


def test_what_never_fires_is_never_due() -> None:
    """Beat checks again after a day."""
    assert tuple(at(MONDAY, "0 0 8 30 2 ?").is_due(MONDAY)) == (False, 86_400.0)


def test_beat_takes_it_as_a_schedule() -> None:
    """Into its own entries, and out of its pickled file."""
    from celery.beat import Scheduler

    made = app(beat_schedule={"report": {"task": "report", "schedule": quartz("0 0 8 ? * MON")}})
    scheduler = Scheduler(made, lazy=True)
    scheduler.setup_schedule()
    assert scheduler.schedule["report"].schedule == quartz("0 0 8 ? * MON")
    assert pickle.loads(pickle.dumps(quartz("0 0 8 ? * MON"))) == quartz("0 0 8 ? * 2")
    assert len({quartz("0 0 8 ? * MON"), quartz("0 0 8 ? * 2")}) == 1
    assert repr(quartz("0 0 8 ? * MON")) == "<quartz: 0 0 8 ? * MON>"


def test_a_text_that_is_no_expression_is_refused() -> None:
    """When beat's settings are read, not when it is due."""
    with pytest.raises(CronError, match="minutes"):
        quartz("0 75 8 * * ?")


@pytest.mark.parametrize("more", [{"tz": "Asia/Shanghai"}, {"dst": "quartz"}])
def test_a_zone_beside_an_expression_is_refused_rather_than_dropped(more: dict[str, str]) -> None:
    """The expression has its own."""
    with pytest.raises(TypeError, match="its own zone and policy"):
        quartz(CronExpression("0 0 8 ? * MON"), **more)


def _now() -> datetime:
    return MONDAY


def test_a_pickle_keeps_the_clock() -> None:
    """As Celery's own schedules do."""
    made = pickle.loads(pickle.dumps(quartz("0 0 8 ? * MON", nowfun=_now)))
    assert made.nowfun is _now
    assert made.now() == MONDAY


def test_a_schedule_of_several_expressions_is_due_when_any_is() -> None:
    """In the zone of the app or their own, and through pickles."""
    saturdays = union(CronExpression("0 0 8 ? * SAT#1"), CronExpression("0 0 8 ? * SAT#3"))
    schedule = quartz(saturdays, nowfun=_now, app=app())
    assert tuple(schedule.is_due(MONDAY - timedelta(hours=1))) == (False, 12 * 86_400 + 8 * 3600.0)
    assert pickle.loads(pickle.dumps(quartz(saturdays))) == quartz(saturdays)
    assert repr(quartz(saturdays)) == "<quartz: 0 0 8 ? * SAT#1 || 0 0 8 ? * SAT#3>"
    with pytest.raises(TypeError, match="its own zone"):
        quartz(saturdays, tz="UTC")


@pytest.mark.parametrize(
    ("expression", "fields"),
    [
        ("0 0 8 ? * MON", ("0", "8", "*", "*", "1")),
        ("0 0/15 9-17 1,15 1-3 ?", ("*/15", "9-17", "1,15", "1-3", "*")),
        ("0 0 8 L 12 ?", ("0", "8", "31", "12", "*")),
    ],
)
def test_it_is_a_crontab_to_those_who_know_only_celerys_own(expression: str, fields: tuple[str, ...]) -> None:
    """With the same wall times."""
    schedule = quartz(expression, app=app())
    names = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
    assert isinstance(schedule, celery.schedules.crontab)
    assert tuple(getattr(schedule, f"_orig_{name}") for name in names) == fields


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        (lambda: quartz("30 0 8 ? * MON", app=app()), "whole minutes"),
        (lambda: quartz("0 0 8 LW * ?", app=app()), "no L and no W"),
        (lambda: quartz("0 0 8 * * ?", tz="Asia/Shanghai", app=app()), "not the app's"),
        (lambda: quartz(union(CronExpression("0 0 8 * * ?")), app=app()), "several expressions"),
    ],
)
def test_what_is_no_crontab_is_refused_with_the_reason(schedule: Any, reason: str) -> None:
    """Rather than stored as something else."""
    with pytest.raises(DialectError, match=reason):
        schedule()._orig_minute  # noqa: B018 - reading it is the test


def test_it_is_unequal_to_a_crontab_which_it_replaces() -> None:
    """Beat compares the entries of its last tick with those of this one."""
    from celery.beat import ScheduleEntry
    from celery.schedules import crontab as celerys

    crontab, schedule = celerys(minute=0, hour=8), quartz("0 0 8 * * ?")
    assert schedule != crontab
    assert crontab != schedule
    entry = ScheduleEntry(name="report", task="report", schedule=crontab, app=app())
    successor = ScheduleEntry(name="report", task="report", schedule=schedule, app=app())
    assert entry != successor
