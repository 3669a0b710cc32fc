"""The trigger for APScheduler 3, with APScheduler itself."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quartzcron import CronError, CronExpression

apscheduler = pytest.importorskip("apscheduler")

from quartzcron.contrib.apscheduler import QuartzTrigger  # noqa: E402 - needs APScheduler

NOW = datetime(2026, 1, 5, 7, 59, 59, 500_000, tzinfo=UTC)
EIGHT = datetime(2026, 1, 5, 8, tzinfo=UTC)


def test_it_fires_when_the_expression_does() -> None:
    """The first time not before now, then strictly after the previous one."""
    trigger = QuartzTrigger("0 0 8 * * ?", timezone="UTC")
    assert trigger.get_next_fire_time(None, NOW) == EIGHT
    assert trigger.get_next_fire_time(None, EIGHT) == EIGHT
    assert trigger.get_next_fire_time(EIGHT, EIGHT) == EIGHT + timedelta(days=1)
    assert QuartzTrigger("0 0 8 30 2 ?").get_next_fire_time(None, NOW) is None


def test_it_keeps_what_was_missed_as_apscheduler_wants_it() -> None:
    """Every fire time is returned, since coalescing and misfires are up to the scheduler."""
    trigger = QuartzTrigger("0 0 8 * * ?", timezone="UTC")
    assert trigger.get_next_fire_time(EIGHT - timedelta(days=5), NOW) == EIGHT - timedelta(days=4)


def test_start_and_end_are_fire_times_too() -> None:
    """Both ends included."""
    trigger = QuartzTrigger(
        "0 0 8 * * ?", timezone="UTC", start_date="2026-02-01 08:00:00", end_date="2026-02-02 08:00:00"
    )
    first = trigger.get_next_fire_time(None, NOW)
    assert first == datetime(2026, 2, 1, 8, tzinfo=UTC)
    second = trigger.get_next_fire_time(first, first)
    assert second == datetime(2026, 2, 2, 8, tzinfo=UTC)
    assert trigger.get_next_fire_time(second, second) is None


def test_its_zone_is_the_expression_s_or_the_scheduler_s() -> None:
    """In this order."""
    shanghai = CronExpression("0 0 8 * * ?", tz="Asia/Shanghai")
    assert QuartzTrigger(shanghai, timezone="UTC").get_next_fire_time(None, NOW) == datetime(2026, 1, 6, 0, tzinfo=UTC)
    assert QuartzTrigger("0 0 8 * * ?", timezone="Asia/Shanghai").get_next_fire_time(None, NOW) == datetime(
        2026, 1, 6, 0, tzinfo=UTC
    )


def test_an_end_within_an_overlap_is_an_instant() -> None:
    """01:30 comes twice in New York; the first one is before the second."""
    overlap = datetime(2026, 11, 1, 5, 45, tzinfo=UTC)  # 01:45, first pass
    trigger = QuartzTrigger("0 0/30 * * * ?", timezone="America/New_York", end_date=overlap)
    fire = trigger.get_next_fire_time(datetime(2026, 11, 1, 5, 15, tzinfo=UTC), NOW)
    assert fire is not None
    assert fire.astimezone(UTC) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert trigger.get_next_fire_time(fire, NOW) is None


def test_jitter_delays_within_its_bound() -> None:
    """And never beyond the end."""
    trigger = QuartzTrigger("0 0 8 * * ?", timezone="UTC", jitter=60)
    for _ in range(20):
        fire = trigger.get_next_fire_time(None, NOW)
        assert fire is not None
        assert abs(fire - EIGHT) <= timedelta(seconds=60)


def test_it_pickles_for_persistent_job_stores() -> None:
    """With all its attributes."""
    trigger = QuartzTrigger("0 0 8 ? * MON", timezone="Asia/Shanghai", end_date="2030-01-01", jitter=None)
    again = pickle.loads(pickle.dumps(trigger))
    assert again.get_next_fire_time(None, NOW) == trigger.get_next_fire_time(None, NOW)
    assert (str(again), repr(again)) == (str(trigger), repr(trigger))
    assert str(trigger) == "quartz[0 0 8 ? * MON]"


def test_a_scheduler_takes_it() -> None:
    """A paused one, so that nothing runs."""
    from apscheduler.schedulers.background import BackgroundScheduler

    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.start(paused=True)
    try:
        job = scheduler.add_job(print, QuartzTrigger("0 0 8 ? * MON", timezone="Asia/Shanghai"))
        assert job.next_run_time.strftime("%a %H:%M") == "Mon 08:00"
    finally:
        scheduler.shutdown()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timezone": "Asia/Shangai"}, "did you mean 'Asia/Shanghai'"),
        ({"timezone": 3}, "tzinfo"),
        ({"jitter": "60"}, "jitter must be a number of seconds, got str"),
        ({"jitter": -1}, "0 or more seconds"),
        ({"jitter": float("nan")}, "0 or more seconds"),
    ],
)
def test_wrong_options_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    """Rather than in the scheduler's thread."""
    with pytest.raises((CronError, TypeError), match=message):
        QuartzTrigger("0 0 8 * * ?", **options)


def test_a_text_that_is_no_expression_is_refused() -> None:
    """When the job is added."""
    with pytest.raises(CronError, match="minutes"):
        QuartzTrigger("0 75 8 * * ?")
