"""Fire times that a daemon has claimed are not planned again, whatever clock it had."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert

from scheduler.core.run import Kind
from scheduler.core.timer import Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Cron
from scheduler.store.claimed_fires import claimed_by_name, claimed_until
from scheduler.store.database import Store
from scheduler.store.schema import runs
from tests.scheduler.scripted_service import START

SECOND = timedelta(seconds=1)
TIMER = Timer(name="t", function="f", trigger=Cron("*/7 * * * * ?", "UTC"), enabled=True)


def enter(store: Store, timer: str, fire_time: datetime, claimed_at: datetime) -> None:
    with store.writing() as connection:
        connection.execute(
            insert(runs).values(
                timer_id=1 if timer == "t" else 2,
                timer=timer,
                function="f",
                environment="production",
                kind=Kind.SCHEDULED,
                fire_at=stamp(fire_time),
                last_fire_at=stamp(fire_time),
                count=1,
                attempt=1,
                request_id="r",
                claimed_at=stamp(claimed_at),
                message="",
                lines_dropped=0,
            )
        )


@pytest.mark.parametrize("is_ahead_by", [SECOND, 17 * SECOND, 29 * SECOND])
def test_what_a_clock_that_was_ahead_claimed_is_found_behind_claims_by_the_true_time(
    store: Store, is_ahead_by: timedelta
) -> None:
    """Another daemon has claimed other timers since, each second, by a true clock: those runs look older."""
    fire_time = START + is_ahead_by
    enter(store, "t", fire_time, claimed_at=fire_time)
    for second in range(int(is_ahead_by / SECOND)):
        at = START + second * SECOND
        enter(store, "other", at, claimed_at=at)
    now = fire_time - SECOND / 2
    with store.reading() as connection:
        assert claimed_by_name(connection, now) == {("production", "t"): fire_time}
        assert claimed_until(connection, 1, TIMER, None, now) == fire_time
        assert claimed_until(connection, 3, Timer(name="x", function="f", trigger=TIMER.trigger), None, now) == now
