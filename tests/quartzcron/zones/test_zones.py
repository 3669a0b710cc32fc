"""Fire times where clocks change: every kind of zone, both policies, against the second-by-second oracle."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import pytz
from dateutil import tz as dateutil_tz
from hypothesis import given, settings
from hypothesis import strategies as st

from quartzcron import CronExpression, UnknownZoneError
from quartzcron.zones.lookup import named_zone, zone_of
from quartzcron.zones.zone import Transition
from tests.example_counts import examples
from tests.quartzcron.oracle import Oracle
from tests.strategies import ZONE_NAMES, expressions, in_zone, instants, sparse_expressions, zones

SECOND = timedelta(seconds=1)
NEW_YORK = ZoneInfo("America/New_York")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
policies = st.sampled_from(["vixie", "quartz"])


def utc(instant: int) -> datetime:
    day, second = divmod(instant, 86_400)
    return datetime.fromordinal(day).replace(tzinfo=UTC) + timedelta(seconds=second)


@st.composite
def transitions(draw: st.DrawFn) -> tuple[str, Transition]:
    """A zone of the database and one of its changes of offset, 1970 to 2099."""
    name = draw(st.sampled_from(ZONE_NAMES) | st.sampled_from(pytz.all_timezones))
    zone = zone_of(named_zone(name))
    year = draw(st.integers(1970, 2037) | st.integers(2038, 2099))
    found = next((zone.transitions(y) for y in (year, *range(year, 1969, -1)) if zone.transitions(y)), None)
    if not found:
        name, found = "America/New_York", zone_of(named_zone("America/New_York")).transitions(year)
    return name, draw(st.sampled_from(found))


@settings(max_examples=examples(60), deadline=None)
@given(sparse_expressions(), transitions(), policies, st.integers(60, 9_000), st.integers(60, 9_000))
def test_around_a_transition_fires_are_those_of_the_oracle(
    text: str, where: tuple[str, Transition], dst: str, before: int, later: int
) -> None:
    """Forwards, backwards, counted and matched: each second around the change is right."""
    name, (instant, old, new) = where
    zone = named_zone(name)
    expression = CronExpression(text, tz=name, dst=dst)
    after = utc(instant) - timedelta(seconds=before)
    if dst == "quartz" and new < old:
        after = utc(instant)  # a start in the first pass is taken for its wall time; that has a test of its own
    end = utc(instant) + timedelta(seconds=later)
    oracle = Oracle(text, dst)
    expected = oracle.instants(zone, after + SECOND, end)
    assert [fire.astimezone(UTC) for fire in expression.fires(after.astimezone(zone), end)] == expected
    assert expression.count(after.astimezone(zone), end) == len(expected)
    backwards, fire = [], expression.prev_fire((end + SECOND / 2).astimezone(zone))
    while fire is not None and fire.astimezone(UTC) > after:
        backwards.append(fire.astimezone(UTC))
        fire = expression.prev_fire(fire)
    assert backwards[::-1] == expected
    for time in (after, end, utc(instant), utc(instant) + SECOND, *expected[:3]):
        assert expression.matches(time.astimezone(zone)) == (oracle.instants(zone, time, time) == [time])


@pytest.mark.parametrize(
    ("text", "dst", "after", "fires"),
    [
        ("0 30 2 * * ?", "vixie", "2026-03-07T12:00", ["03-08T03:00-0400", "03-09T02:30-0400"]),
        ("0 30 2 * * ?", "quartz", "2026-03-07T12:00", ["03-09T02:30-0400", "03-10T02:30-0400"]),
        ("0 30 1 * * ?", "vixie", "2026-10-31T12:00", ["11-01T01:30-0400", "11-02T01:30-0500"]),
        ("0 30 1 * * ?", "quartz", "2026-10-31T12:00", ["11-01T01:30-0500", "11-02T01:30-0500"]),
        ("0 0/15 * * * ?", "vixie", "2026-03-08T01:30", ["03-08T01:45-0500", "03-08T03:00-0400"]),
        ("0 0/15 * * * ?", "quartz", "2026-03-08T01:30", ["03-08T01:45-0500", "03-08T03:00-0400"]),
        ("0 30 * * * ?", "vixie", "2026-03-08T01:30", ["03-08T03:30-0400"]),
        ("0 0 2,3 * * ?", "vixie", "2026-03-08T01:30", ["03-08T03:00-0400", "03-09T02:00-0400"]),
    ],
)
def test_new_york_changes_its_clocks(text: str, dst: str, after: str, fires: list[str]) -> None:
    """The table of the two policies, as in dst_policies.py."""
    expression = CronExpression(text, dst=dst)
    fire: datetime | None = datetime.fromisoformat(after).replace(tzinfo=NEW_YORK)
    for expected in fires:
        fire = expression.next_fire(fire)
        assert fire is not None
        assert fire.strftime("%m-%dT%H:%M%z") == expected


@pytest.mark.parametrize(("dst", "fires"), [("vixie", 100), ("quartz", 96)])
def test_a_day_of_25_hours(dst: str, fires: int) -> None:
    """Every quarter of an hour runs through both passes, or through the second one only."""
    expression = CronExpression("0 0/15 * * * ?", dst=dst)
    start = datetime(2026, 10, 31, 23, 59, 59, tzinfo=NEW_YORK)
    end = datetime(2026, 11, 1, 23, 59, 59, tzinfo=NEW_YORK)
    assert expression.count(start, end) == len(expression.between(start, end)) == fires


def test_a_start_in_the_first_pass_is_taken_for_its_wall_time_by_quartz() -> None:
    """01:40 in summer time has passed 01:30, so the next is tomorrow's; vixie fired at 01:30 in the first pass."""
    start = datetime(2026, 11, 1, 1, 40, tzinfo=NEW_YORK)
    for dst in ("quartz", "vixie"):
        fire = CronExpression("0 30 1 * * ?", dst=dst).next_fire(start)
        assert fire == datetime(2026, 11, 2, 1, 30, tzinfo=NEW_YORK)


def test_samoa_skipped_a_day() -> None:
    """An expression of 30 December 2011 fires once, at the beginning of the 31st."""
    expression = CronExpression("0 0 8,20 * * ?", tz="Pacific/Apia")
    fires = expression.between(datetime(2011, 12, 29, 9), datetime(2011, 12, 31, 9))
    assert [fire.strftime("%d %H:%M") for fire in fires] == ["29 20:00", "31 00:00", "31 08:00"]


# -- kinds of zones --


def kinds(name: str) -> list[tzinfo]:
    found = dateutil_tz.gettz(name)
    assert found is not None
    system = [] if name == "Africa/Casablanca" else [ZoneInfo(name)]  # an old system database has other rules for it
    return [*system, pytz.timezone(name), named_zone(name), found]


@given(sparse_expressions(), st.sampled_from(ZONE_NAMES), instants(1971, 2036), policies)
@settings(deadline=None)
def test_all_kinds_of_one_zone_agree(text: str, name: str, instant: datetime, dst: str) -> None:
    """zoneinfo, pytz and dateutil objects get the same instants, each in its own kind."""
    expression = CronExpression(text, dst=dst)
    forwards, backwards = set(), set()
    for kind in kinds(name):
        after = in_zone(instant, kind)
        later, earlier = expression.next_fire(after), expression.prev_fire(after)
        assert later is None or type(later.tzinfo) in (type(after.tzinfo), type(kind))
        forwards.add(later and later.astimezone(UTC))
        backwards.add(earlier and earlier.astimezone(UTC))
    assert len(forwards) == len(backwards) == 1


@given(expressions(with_years=False), zones(), instants(1971, 2098), policies)
@settings(deadline=None)
def test_chains_strictly_increase_and_mirror(text: str, zone: tzinfo, instant: datetime, dst: str) -> None:
    """As instants, in every kind of zone, and stepping back returns to the start."""
    expression = CronExpression(text, dst=dst)
    chain = [in_zone(instant, zone)]
    for _ in range(5):
        fire = expression.next_fire(chain[-1])
        if fire is None:
            break
        assert fire.astimezone(UTC) > chain[-1].astimezone(UTC)
        assert expression.matches(fire)
        chain.append(fire)
    for earlier, later in pairwise(chain[1:]):
        assert expression.prev_fire(later) == earlier


@given(sparse_expressions(), st.sampled_from(ZONE_NAMES), zones(), instants(1971, 2098), policies)
@settings(deadline=None)
def test_a_time_of_another_zone_is_answered_there(
    text: str, name: str, asked_in: tzinfo, instant: datetime, dst: str
) -> None:
    """The expression is read in its own zone; the answer is the same instant, in the zone of the argument."""
    expression = CronExpression(text, tz=name, dst=dst)
    there = expression.next_fire(in_zone(instant, named_zone(name)))
    here = expression.next_fire(in_zone(instant, asked_in))
    assert (here and here.astimezone(UTC)) == (there and there.astimezone(UTC))
    if here is not None:
        assert str(here.tzinfo) == str(in_zone(here, asked_in).tzinfo)
        assert expression.matches(here)
        assert expression.count(in_zone(instant, asked_in), here) == 1


def test_a_naive_time_is_wall_time_in_the_zone_of_the_expression() -> None:
    """With a zone the answer is aware; without one no clock ever changes."""
    daily = "0 30 2 * * ?"
    aware = CronExpression(daily, tz="America/New_York").next_fire(datetime(2026, 3, 8))
    assert aware == datetime(2026, 3, 8, 3, tzinfo=NEW_YORK)
    assert CronExpression(daily).next_fire(datetime(2026, 3, 8)) == datetime(2026, 3, 8, 2, 30)


@pytest.mark.parametrize("kind", kinds("America/New_York"), ids=lambda kind: type(kind).__module__)
def test_summer_time_goes_on_after_2037(kind: tzinfo) -> None:
    """pytz, and dateutil before 3, know no transition after 2037; the answer is the right instant all the same."""
    expression = CronExpression("0 0 8 * * ?")
    instant = datetime(2050, 7, 1, 11, 59, 59, tzinfo=UTC)
    after = kind.fromutc(instant.replace(tzinfo=kind))
    fire = expression.next_fire(after)
    assert fire is not None
    assert fire.astimezone(UTC) == datetime(2050, 7, 1, 12, tzinfo=UTC)


def test_pytz_answers_are_localized() -> None:
    """Each answer carries the pytz tzinfo that localize would give it, on both sides of a change."""
    zone = pytz.timezone("America/New_York")
    expression = CronExpression("0 0 8 * * ?")
    for after in (datetime(2026, 3, 7, 9), datetime(2026, 3, 8, 9), datetime(2026, 11, 1, 1)):
        fire = expression.next_fire(zone.localize(after))
        assert fire is not None
        assert repr(fire) == repr(zone.localize(fire.replace(tzinfo=None)))


def test_a_pytz_time_that_was_not_localized_is_the_instant_it_says() -> None:
    """datetime(..., tzinfo=pytz.timezone(...)) means local mean time, -4:56 for New York."""
    careless = datetime(2026, 7, 1, 7, 30, tzinfo=pytz.timezone("America/New_York"))
    fire = CronExpression("0 0 8 * * ?").next_fire(careless)
    assert fire is not None
    assert fire.astimezone(UTC) == datetime(2026, 7, 2, 12, tzinfo=UTC)  # 07:30 at -4:56 is 08:26 in summer time


def test_a_new_fixed_offset_for_every_time_costs_no_table() -> None:
    """Parsers make a new timezone object for every text; equal ones share everything."""
    expression = CronExpression("0 0 8 * * ?")
    for day in range(1, 29):
        after = datetime(2026, 1, day, 9, tzinfo=timezone(timedelta(hours=5, minutes=30)))
        fire = expression.next_fire(after)
        assert fire == after.replace(day=day + 1, hour=8)
    assert len(expression._pattern.days.rows_ahead) < 64


@pytest.mark.parametrize("name", ["", "Nowhere/City", "../etc/passwd", "+25:00", "Asia/Shanghai\n", "é", "x" * 5_000])
def test_an_unknown_name_is_an_unknown_zone_error(name: str) -> None:
    """Never another exception, whatever the text."""
    with pytest.raises(UnknownZoneError):
        CronExpression("0 0 8 * * ?", tz=name)


def test_named_zones_pickle_and_come_from_the_bundled_database() -> None:
    """By name, to the same object."""
    zone = named_zone("America/New_York")
    assert pickle.loads(pickle.dumps(zone)) is zone
    assert datetime(2090, 7, 1, tzinfo=zone).utcoffset() == timedelta(hours=-4)


def test_a_zone_without_an_offset_is_refused() -> None:
    """The offset of a tzinfo may be None; then times have no instant."""

    class Nowhere(tzinfo):
        def utcoffset(self, when: datetime | None) -> None:
            return None

    with pytest.raises(UnknownZoneError, match="no UTC offset"):
        CronExpression("0 0 8 * * ?").next_fire(datetime(2026, 1, 1, tzinfo=Nowhere()))
