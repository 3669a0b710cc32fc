"""Every kind of time that a user may hold: naive and aware, both folds, microseconds, both ends of the years."""

from __future__ import annotations

import copy
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
import pytz
from dateutil import tz as dateutil_tz

from quartzcron import CronExpression
from quartzcron.zones.lookup import named_zone

NEW_YORK = ZoneInfo("America/New_York")
SECOND = timedelta(seconds=1)


def gettz(name: str) -> tzinfo:
    found = dateutil_tz.gettz(name)
    assert found is not None
    return found


KINDS = [NEW_YORK, named_zone("America/New_York"), pytz.timezone("America/New_York"), gettz("America/New_York")]
FIXED = [timezone(timedelta(hours=-5)), pytz.FixedOffset(-300), dateutil_tz.tzoffset(None, -18_000)]


def at(kind: tzinfo, instant: datetime) -> datetime:
    return kind.fromutc(instant.replace(tzinfo=kind))


def instants(fires: list[datetime]) -> list[datetime]:
    return [fire.astimezone(UTC) for fire in fires]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__module__)
@pytest.mark.parametrize("text", ["0 30 1,2 * * ?", "0 0/20 1-2 * * ?", "* * * * * ?", "0 0 8 ? * SUN"])
@pytest.mark.parametrize("dst", ["vixie", "quartz"])
@pytest.mark.parametrize(
    "around", [datetime(2026, 3, 8, 6, 30), datetime(2026, 11, 1, 5, 45), datetime(2026, 11, 1, 6, 45)]
)
def test_all_kinds_of_one_zone_agree(kind: tzinfo, text: str, dst: str, around: datetime) -> None:
    """The same instants forwards, backwards and counted, around both changes of New York's clocks."""
    expression, plain = CronExpression(text, dst=dst), CronExpression(text, tz="America/New_York", dst=dst)
    here, there = at(kind, around), at(named_zone("America/New_York"), around)
    fires, expected = list(islice(expression.fires(here), 20)), list(islice(plain.fires(there), 20))
    assert instants(fires) == instants(expected)
    assert expression.count(here, fires[-1]) == 20
    nth = expression.nth(20, here)
    assert nth is not None
    assert nth.astimezone(UTC) == expected[-1].astimezone(UTC)
    earlier, former = expression.prev_fire(here), plain.prev_fire(there)
    assert earlier is not None
    assert former is not None
    assert earlier.astimezone(UTC) == former.astimezone(UTC)


@pytest.mark.parametrize("kind", FIXED, ids=lambda kind: type(kind).__module__)
def test_fixed_offsets_have_no_gaps(kind: tzinfo) -> None:
    """Whichever library made the offset, 02:30 exists on every day."""
    fires = list(islice(CronExpression("0 30 2 * * ?").fires(datetime(2026, 3, 7, 12, tzinfo=kind)), 2))
    assert [fire.replace(tzinfo=None) for fire in fires] == [datetime(2026, 3, 8, 2, 30), datetime(2026, 3, 9, 2, 30)]
    assert {fire.utcoffset() for fire in fires} == {timedelta(hours=-5)}


@pytest.mark.parametrize(
    ("text", "dst", "fold", "fire"),
    [
        ("0 30 1 * * ?", "vixie", 0, "11-01 01:30 -0400"),
        ("0 30 1 * * ?", "vixie", 1, "11-02 01:30 -0500"),
        ("0 30 1 * * ?", "quartz", 0, "11-01 01:30 -0500"),
        ("0 30 1 * * ?", "quartz", 1, "11-01 01:30 -0500"),
        ("0 0/15 * * * ?", "vixie", 0, "11-01 01:30 -0400"),
        ("0 0/15 * * * ?", "vixie", 1, "11-01 01:30 -0500"),
        ("0 0/15 * * * ?", "quartz", 0, "11-01 01:30 -0500"),
        ("0 0/15 * * * ?", "quartz", 1, "11-01 01:30 -0500"),
    ],
)
def test_fold_says_which_pass_is_meant(text: str, dst: str, fold: int, fire: str) -> None:
    """01:20 comes twice on 1 November 2026; fold=1 is the second time."""
    found = CronExpression(text, dst=dst).next_fire(datetime(2026, 11, 1, 1, 20, fold=fold, tzinfo=NEW_YORK))
    assert found is not None
    assert found.strftime("%m-%d %H:%M %z") == fire


@pytest.mark.parametrize("fold", [0, 1])
def test_fold_means_nothing_to_naive_times(fold: int) -> None:
    """No clock changes there."""
    after = datetime(2026, 11, 1, 1, 20, fold=fold)
    assert CronExpression("0 30 1 * * ?").next_fire(after) == datetime(2026, 11, 1, 1, 30)


@pytest.mark.parametrize("zone", [None, NEW_YORK, UTC], ids=str)
@pytest.mark.parametrize("text", ["* * * * * ?", "0 0 8 * * ?", "0 0/5 8-9 * * ?"])
def test_microseconds_lie_between_two_fires(text: str, zone: tzinfo | None) -> None:
    """A microsecond after a fire is past it, a microsecond before is not; answers are whole seconds."""
    expression, tick = CronExpression(text), timedelta(microseconds=1)
    fire = datetime(2026, 5, 4, 8, tzinfo=zone)
    assert expression.next_fire(fire - tick) == fire
    assert expression.prev_fire(fire + tick) == fire
    later = expression.next_fire(fire + tick)
    assert later == expression.next_fire(fire)
    assert later is not None
    assert later.microsecond == 0
    assert expression.prev_fire(fire) == expression.prev_fire(fire - SECOND + tick)
    assert (expression.matches(fire + SECOND - tick), expression.matches(fire - tick)) == (True, text[0] == "*")
    assert (expression.count(fire - tick, fire), expression.count(fire, fire + tick)) == (1, 0)
    assert expression.nth(1, fire - tick) == fire


@pytest.mark.parametrize("kind", [None, UTC, *KINDS], ids=lambda kind: type(kind).__module__)
def test_the_ends_of_the_range_in_every_kind(kind: tzinfo | None) -> None:
    """The first fire is in 1970 and the last in 2099 in the zone of the time that is passed, and nothing overflows."""
    daily = CronExpression("0 0 12 * * ?")
    first, last = daily.next_fire(datetime(1900, 1, 1, tzinfo=kind)), daily.prev_fire(datetime(2200, 1, 1, tzinfo=kind))
    assert first is not None
    assert last is not None
    assert first.replace(tzinfo=None) == datetime(1970, 1, 1, 12)
    assert last.astimezone(NEW_YORK if kind in KINDS else kind).date() == datetime(2099, 12, 31).date()
    assert daily.prev_fire(first) is None
    assert daily.next_fire(last) is None
    assert daily.count(first, last) == 130 * 365 + 32 - 1
    assert daily.next_fire(datetime.max.replace(tzinfo=kind)) is None
    assert daily.prev_fire(datetime.min.replace(tzinfo=kind)) is None


def test_threads_count_and_walk_an_expression_together() -> None:
    """Eight threads that start at the same moment with an unused expression."""
    zones: list[tzinfo | None] = [None, NEW_YORK, UTC, ZoneInfo("Asia/Tokyo")]
    start, interval = datetime(2026, 3, 1), sys.getswitchinterval()
    expected = [CronExpression("0 0/7 8-9 ? * MON").count(start, start + timedelta(days=90))] * 8

    def ask(shared: CronExpression, zone: tzinfo | None, barrier: threading.Barrier) -> int:
        barrier.wait()
        begin, end = start.replace(tzinfo=zone), (start + timedelta(days=90)).replace(tzinfo=zone)
        assert shared.count(begin, end) == sum(1 for _ in shared.fires(begin, end))
        return shared.count(begin, end)

    sys.setswitchinterval(1e-6)
    try:
        for dst in ["vixie", "quartz"] * 5:
            shared, barrier = CronExpression("0 0/7 8-9 ? * MON", dst=dst), threading.Barrier(8)
            with ThreadPoolExecutor(8) as pool:
                assert list(pool.map(ask, [shared] * 8, zones * 2, [barrier] * 8)) == expected
    finally:
        sys.setswitchinterval(interval)


def test_asking_changes_no_value() -> None:
    """What an expression caches is not part of its value."""
    asked, fresh = CronExpression("0 0 8 ? * MON", dst="quartz"), CronExpression("0 0 8 ? * MON", dst="quartz")
    asked.next_fire(datetime(2026, 1, 1, tzinfo=NEW_YORK))
    asked.count(datetime(2026, 1, 1), datetime(2027, 1, 1))
    assert (asked, hash(asked), repr(asked)) == (fresh, hash(fresh), repr(fresh))
    assert copy.copy(asked) is asked
    assert not hasattr(asked, "__dict__")
    with pytest.raises(AttributeError, match="immutable"):
        asked._ahead = fresh._ahead
