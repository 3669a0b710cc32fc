"""Which zones are one, so that expressions in them are equal: those with the same clock, whatever their names."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
import pytz
from dateutil import tz as dateutil_tz
from hypothesis import given, settings
from hypothesis import strategies as st

from quartzcron import CronExpression
from quartzcron.schedules import union
from quartzcron.zones.lookup import named_zone, same_zone, zone_hash, zone_of
from tests.example_counts import examples

TEXT = "0 0 8 * * ?"


def outdated(name: str, rules: str) -> ZoneInfo:
    """A zone of this name with the rules of another one, as from an older database."""
    with pytz.open_resource(rules) as file:  # type: ignore[attr-defined]
        return ZoneInfo.from_file(file, key=name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("US/Eastern", "America/New_York"),
        ("UTC", "Etc/UTC"),
        ("UTC", "GMT"),
        ("Z", "Etc/Zulu"),
        ("+08:00", "Etc/GMT-8"),
        ("UTC", ZoneInfo("Etc/UTC")),
        ("Etc/UTC", UTC),
        ("+01:00", timezone(timedelta(hours=1), "named")),
        ("Asia/Calcutta", pytz.timezone("Asia/Kolkata")),
        ("Asia/Kolkata", dateutil_tz.gettz("Asia/Calcutta")),
    ],
)
def test_expressions_in_one_zone_by_two_names_are_equal(one: str | tzinfo, other: str | tzinfo) -> None:
    """And hash alike."""
    first, second = CronExpression(TEXT, tz=one), CronExpression(TEXT, tz=other)
    assert first == second
    assert len({first, second, pickle.loads(pickle.dumps(second))}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("Asia/Shanghai", "Asia/Tokyo"), ("UTC", "Europe/London"), ("America/New_York", "-05:00"), ("UTC", None)],
)
def test_expressions_in_two_zones_are_not(one: str, other: str | None) -> None:
    """Also where the clocks agree for half a year."""
    assert CronExpression(TEXT, tz=one) != CronExpression(TEXT, tz=other)
    assert CronExpression(TEXT, tz=other) != CronExpression(TEXT, tz=one)


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("Africa/Casablanca", "Europe/Paris"),
        ("America/Sao_Paulo", "America/Lima"),
        ("Asia/Tokyo", "UTC"),
    ],
)
def test_an_object_of_another_database_is_its_own_zone(name: str, rules: str) -> None:
    """It has the name of the database's zone, but fires at other instants, so it is not equal to it."""
    old, current = CronExpression(TEXT, tz=outdated(name, rules)), CronExpression(TEXT, tz=name)
    assert old != current
    assert current != old
    assert old == CronExpression(TEXT, tz=outdated(name, rules))
    assert hash(old) == hash(CronExpression(TEXT, tz=outdated(name, rules)))
    start = datetime(2026, 12, 1, tzinfo=UTC)
    assert old.next_fire(start) != current.next_fire(start)
    assert len(union(old, current).between(start, start + timedelta(days=1))) == 2
    assert same_zone(outdated(name, name), named_zone(name))


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("EST", "Etc/GMT+5"),
        ("HST", "Etc/GMT+10"),
        ("MST", "Etc/GMT+7"),
        ("America/Panama", "Etc/GMT+5"),
        ("Etc/GMT+5", "America/Panama"),
    ],
)
def test_a_name_is_one_zone_where_databases_differ_before_1970_only(name: str, rules: str) -> None:
    """An offset in one of them, in the other one a place whose clock was changed long ago; and they hash alike."""
    other, current = CronExpression(TEXT, tz=outdated(name, rules)), CronExpression(TEXT, tz=name)
    assert other == current
    assert len({other, current}) == 1


def test_a_name_whose_object_is_another_offset_is_that_offset() -> None:
    """And not the zone of that name."""
    offset = CronExpression(TEXT, tz=outdated("Asia/Tokyo", "Etc/GMT-8"))
    assert offset == CronExpression(TEXT, tz="+08:00")
    assert len({offset, CronExpression(TEXT, tz="+08:00")}) == 1
    assert offset != CronExpression(TEXT, tz="Asia/Tokyo")


@given(
    st.sampled_from(pytz.all_timezones),
    st.sampled_from(pytz.all_timezones),
    st.integers(1970, 2099),
    st.booleans(),
)
@settings(max_examples=examples(25), deadline=None)
def test_equal_zones_have_equal_clocks(one: str, other: str, year: int, system: bool) -> None:
    """Of the database and of this machine: where they are taken for one zone, all their changes are the same."""
    if system:
        other = one if year % 2 else other
    try:
        pair = named_zone(one), ZoneInfo(other) if system else named_zone(other)
    except LookupError:
        return  # this machine lacks the zone
    first, second = map(zone_of, pair)
    start = datetime(year, 1, 1).toordinal() * 86_400
    if same_zone(*pair):
        assert first.transitions(year) == second.transitions(year)
        assert first.offset(start) == second.offset(start)
        assert zone_hash(pair[0]) == zone_hash(pair[1])
    else:
        assert first.rules_in_full != second.rules_in_full or one != other
