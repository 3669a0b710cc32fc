"""RRule: recurrence rules fire as python-dateutil reads them, or are refused with what is wrong."""

from __future__ import annotations

import contextlib
import pickle
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from quartzcron.calendars import WorkingDays
from scheduler.core.any_of import AnyOf
from scheduler.core.calendrical import Calendrical
from scheduler.core.rrule import RRule
from scheduler.core.trigger_kinds import read_trigger
from scheduler.core.triggers import Cron
from scheduler.errors import TimerError
from tests.example_counts import examples
from tests.scheduler.command_line import CommandLine

MICROSECOND = timedelta(microseconds=1)


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    return st.lists(st.integers(low, high), min_size=1, max_size=3).map(lambda values: ",".join(map(str, values)))


def some(**parts: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    """Any of these parts of a rule."""
    return st.fixed_dictionaries({}, optional=parts)


weekdays = st.lists(st.sampled_from(["MO", "TU", "FR", "SU"]), min_size=1, max_size=3).map(",".join)
of_days = st.one_of(
    some(BYDAY=weekdays, BYMONTH=numbers(1, 12)).map(lambda parts: {"FREQ": "DAILY", **parts}),
    some(BYDAY=weekdays, WKST=st.sampled_from(["MO", "SU"])).map(lambda parts: {"FREQ": "WEEKLY", **parts}),
    some(BYMONTHDAY=st.sampled_from(["1", "31", "-1", "13,29"])).map(lambda parts: {"FREQ": "MONTHLY", **parts}),
    some(BYDAY=st.sampled_from(["2TU", "-1FR", "MO"])).map(lambda parts: {"FREQ": "MONTHLY", **parts}),
    some(BYMONTH=numbers(1, 12), BYMONTHDAY=numbers(1, 31)).map(lambda parts: {"FREQ": "YEARLY", **parts}),
    st.just({"FREQ": "YEARLY", "BYWEEKNO": "20", "BYDAY": "MO"}),
)
within_days = st.one_of(
    some(BYHOUR=numbers(0, 23), BYMINUTE=numbers(0, 59)).map(lambda parts: {"FREQ": "HOURLY", **parts}),
    st.sampled_from([1, 2, 6, 12]).map(lambda n: {"FREQ": "HOURLY", "INTERVAL": str(n), "BYDAY": "MO,TU"}),
    st.sampled_from([1, 5, 16, 90, 240]).map(lambda n: {"FREQ": "MINUTELY", "INTERVAL": str(n), "BYHOUR": "0,3,9"}),
    st.sampled_from([20, 64, 3600]).map(
        lambda n: {"FREQ": "SECONDLY", "INTERVAL": str(n), "BYHOUR": "9", "BYMINUTE": "0,30"}
    ),
)
ends = st.one_of(
    st.just({}),
    st.integers(1, 40).map(lambda count: {"COUNT": str(count)}),
    st.sampled_from(["20260115T120000", "20270301", "20260401T000000Z"]).map(lambda until: {"UNTIL": until}),
)
starts = st.datetimes(datetime(2025, 1, 1), datetime(2026, 2, 1)).map(lambda start: start.replace(microsecond=0))


@settings(max_examples=examples(60), deadline=None)
@given(
    of_days | within_days,
    some(BYHOUR=numbers(0, 23), BYMINUTE=numbers(0, 59), INTERVAL=st.integers(1, 4).map(str)),
    ends,
    starts,
)
def test_it_fires_as_dateutil_says(
    rule: dict[str, str], more: dict[str, str], end: dict[str, str], start: datetime
) -> None:
    """Next, previous and count, in a zone without clock changes."""
    parts = {**more, **rule, **end} if rule["FREQ"] in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY") else {**rule, **end}
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    oracle_text = text.replace("UNTIL=20270301", "UNTIL=20270301T235959").replace("000000Z", "000000")
    begin, finish = datetime(2025, 12, 20), datetime(2026, 3, 10)
    walls: list[Any] = []
    # dateutil refuses a rule within the day that never fires when it is walked.
    with contextlib.suppress(ValueError):
        walls = list(rrule.rrulestr(oracle_text, dtstart=start).between(begin, finish, inc=True))[:3_000]
    if len(walls) == 3_000:
        finish = walls.pop()
    expected = [wall.replace(tzinfo=UTC) for wall in walls if wall < finish]
    trigger = _rule_or_none(f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{text}")
    if trigger is None:
        assert not expected
        return
    low, high = begin.replace(tzinfo=UTC), finish.replace(tzinfo=UTC)
    found, at = [], low - MICROSECOND
    while (fire := trigger.next_fire(at)) is not None and fire < high:
        found.append(at := fire)
    assert found == expected
    assert trigger.count(low, high) == len(expected)
    assert trigger.prev_fire(high) == (expected[-1] if expected else trigger.prev_fire(low))
    for again in (pickle.loads(pickle.dumps(trigger)), read_trigger(*trigger.stored())):
        assert (again, hash(again)) == (trigger, hash(trigger))


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("BYDAY=MO,WE,FR;BYSETPOS=1", [12, 19]),
        ("BYDAY=MO,WE,FR;BYSETPOS=1;COUNT=2", [12, 19]),
        ("BYDAY=MO,WE,FR;BYSETPOS=2;INTERVAL=2", [7, 21]),
        ("BYDAY=MO,TU,WE;BYSETPOS=1;WKST=TU", [13, 20]),
        ("BYDAY=MO,WE,FR;BYSETPOS=-1", [9, 16]),
    ],
)
def test_bysetpos_counts_from_the_beginning_of_the_week_of_dtstart(rule: str, days: list[int]) -> None:
    """As RFC 5545 says; python-dateutil counts from DTSTART, a Wednesday here."""
    trigger = RRule(f"DTSTART:20260107T080000\nRRULE:FREQ=WEEKLY;{rule}", tz="UTC")
    first = trigger.next_fire(datetime(2026, 1, 1, tzinfo=UTC))
    assert first is not None
    second = trigger.next_fire(first)
    assert [first, second] == [datetime(2026, 1, day, 8, tzinfo=UTC) for day in days]


def _rule_or_none(text: str) -> RRule | None:
    """The rule; None for one without a time of day."""
    try:
        return RRule(text, tz="UTC")
    except TimerError as error:
        if "never fires" not in str(error):
            raise
        return None


@settings(max_examples=examples(12), deadline=None)
@given(of_days, some(INTERVAL=st.integers(1, 4).map(str)), starts)
def test_a_simpler_trigger_has_its_fire_times(rule: dict[str, str], more: dict[str, str], start: datetime) -> None:
    """Whichever it becomes."""
    text = ";".join(f"{name}={value}" for name, value in {**rule, **more}.items())
    text = f"DTSTART:{start:%Y%m%dT%H%M%S}\nRRULE:{text}"
    trigger, simpler = RRule(text, tz="UTC"), RRule.from_options({"rrule": text, "tz": "UTC"})
    begin = datetime(2025, 12, 20, tzinfo=UTC)
    for offset in range(0, 4_000, 97):
        assert simpler.next_fire(begin + timedelta(days=offset)) == trigger.next_fire(begin + timedelta(days=offset))
    assert simpler.count(begin, begin + timedelta(days=4_000)) == trigger.count(begin, begin + timedelta(days=4_000))


def test_it_becomes_a_simpler_trigger_where_one_is_the_same() -> None:
    """An expression, or an interval by the calendar; each with exactly the same fire times."""

    def simpler(text: str) -> object:
        return RRule.from_options({"rrule": text, "tz": "Europe/Berlin"})

    assert simpler("FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=8") == Cron("0 0 8 ? * MON,FRI", "Europe/Berlin")
    assert simpler("RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;BYHOUR=17") == Cron("0 0 17 L * ?", "Europe/Berlin")
    assert simpler("DTSTART:20261201T090000\nRRULE:FREQ=WEEKLY;INTERVAL=2") == Calendrical(
        weeks=2, at=time(9), start=date(2026, 12, 1), tz="Europe/Berlin"
    )
    assert isinstance(simpler("DTSTART:20261103T090000\nRRULE:FREQ=WEEKLY;UNTIL=20270301"), RRule)


def test_its_zone_is_that_of_dtstart() -> None:
    """Times are wall times there, by the same rule for clock changes as a Cron; EXDATE leaves some out."""
    text = "DTSTART;TZID=Europe/Berlin:20260328T023000\nRRULE:FREQ=DAILY\nEXDATE;TZID=Europe/Berlin:20260330T023000"
    trigger = RRule(text)
    assert trigger.tz == "Europe/Berlin"
    at, fires = datetime(2026, 3, 1, tzinfo=UTC), []
    for _ in range(3):
        fires.append(at := trigger.next_fire(at) or at)
    assert [str(fire.astimezone(UTC))[:16] for fire in fires] == [
        "2026-03-28 01:30", "2026-03-29 01:00", "2026-03-31 00:30",
    ]  # fmt: skip
    several = RRule("DTSTART:20260101T000000Z\nRRULE:FREQ=HOURLY\nEXDATE:20260101T010000Z,20260101T030000Z")
    day = datetime(2026, 1, 1, tzinfo=UTC)
    assert several.count(day, day + timedelta(hours=5)) == 3
    counted = RRule("DTSTART;TZID=Europe/Berlin:20260328T023000\nRRULE:FREQ=DAILY;COUNT=3")
    assert counted.count(day, day + timedelta(days=365)) == 3
    assert counted.next_fire(datetime(2026, 3, 28, 12, tzinfo=UTC)) == fires[1]
    rolled = counted.on(WorkingDays(), "following")
    assert [fire.date() for fire in [rolled.next_fire(day)] if fire] == [date(2026, 3, 30)]
    assert AnyOf(counted, several).count(day, day + timedelta(hours=5)) == 3


def test_the_instant_of_until_is_its_last_fire_time() -> None:
    """Of several times of a day, those after it do not fire."""
    trigger = RRule("DTSTART:20260101T090000Z\nRRULE:FREQ=DAILY;BYHOUR=9,10;BYMINUTE=0;UNTIL=20260103T090000Z")
    last = datetime(2026, 1, 3, 9, tzinfo=UTC)
    assert trigger.next_fire(last - timedelta(minutes=1)) == last
    assert trigger.next_fire(last) is None
    assert trigger.prev_fire(last + timedelta(days=9)) == last
    assert trigger.count(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)) == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a rule as in"),
        ("daily", "'daily' is not a part of a rule"),
        ("FREQ=OFTEN", "FREQ must be one of"),
        ("INTERVAL=2", "FREQ must be one of"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20260101", "COUNT and UNTIL exclude each other"),
        ("FREQ=DAILY;COUNT=3", "COUNT needs a DTSTART"),
        ("DTSTART:20260101T000000\nFREQ=SECONDLY;COUNT=1000000", "COUNT must be from 1 to 10,000, got '1000000'"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be from 1 to"),
        ("FREQ=SECONDLY;INTERVAL=7", "does not divide the day; use --every 7s"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ is given twice"),
        ("FREQ=DAILY;BYDAY=XX", "it cannot be read"),
        ("DTSTART:20260101T000000\nFREQ=DAILY;COUNT=3;BYMONTH=2;BYMONTHDAY=30", "it never fires"),
        ("FREQ=DAILY;BYHOUR=25", "BYHOUR has numbers from 0 to 23"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=1;BYHOUR=8,9", "BYSETPOS with several times a day"),
        ("RRULE:FREQ=DAILY\nRRULE:FREQ=DAILY", "expected one RRULE, got 2"),
        ("RDATE:20260101\nRRULE:FREQ=DAILY", "'RDATE' is not supported"),
        ("DTSTART:soon\nRRULE:FREQ=DAILY", "expected a time as in 20261201T090000"),
        ("DTSTART;TZID=Mars/Base:20260101T000000\nRRULE:FREQ=DAILY", "Mars/Base"),
        ("DTSTART:20260101T000000Z\nRRULE:FREQ=DAILY", "DTSTART is in the zone UTC, but the zone given is Asia/Tokyo"),
        ("FREQ=DAILY;" + "X" * 5000, "of at most 4,000 characters"),
    ],
)
def test_what_is_no_rule_is_refused(text: str, said: str) -> None:
    """With what is wrong."""
    with pytest.raises(TimerError, match=said):
        RRule(text, tz="Asia/Tokyo")


@settings(max_examples=examples(150), deadline=None)
@given(st.text(max_size=40) | st.text("FREQ=DAILYSECOND;INTERVALCOUNT0123\n:BYMOHUR", max_size=60))
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    """With a TimerError, never another exception."""
    with contextlib.suppress(TimerError):
        RRule(text, tz="UTC")


def test_the_command_line_takes_a_rule(command_line: CommandLine) -> None:
    """It is kept as it is unless a simpler trigger is the same; a list has it in a column."""
    words = ("timers", "add", "t", "--function", "f", "--no-check", "--tz", "UTC", "--rrule")
    text = "DTSTART:20900701T090000\nRRULE:FREQ=MONTHLY;BYDAY=2TU;UNTIL=20910301"
    added = command_line.json(*words, text, "--enable")
    assert (added["rrule"], added["next_fire"]) == (text, "2090-07-11T09:00:00+00:00")
    assert "RRULE:FREQ=MONTHLY;BYDAY=2TU;UNTIL=20910301 (UTC)" in command_line.run("timers", "list").stdout
    exported = command_line.run("timers", "export").stdout
    assert command_line.run("timers", "rm", "t").exit_code == 0
    path = command_line.write("timers.csv", exported)
    assert command_line.run("timers", "import", str(path), "--no-check").exit_code == 0
    assert command_line.run("timers", "export").stdout == exported
    edited = command_line.json("timers", "edit", "t", "--rrule", "FREQ=WEEKLY;BYDAY=MO;BYHOUR=8")
    assert (edited["cron"], edited["rrule"]) == ("0 0 8 ? * MON", None)
    assert "COUNT and UNTIL exclude each other" in command_line.refusal(
        "timers", "edit", "t", "--rrule", "FREQ=DAILY;COUNT=3;UNTIL=20260101"
    )


def test_an_impossible_rule_never_fires() -> None:
    """It is looked for in the years of expressions only."""
    trigger = RRule("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", tz="UTC")
    assert trigger.next_fire(datetime(2026, 1, 1, tzinfo=UTC)) is None
    assert trigger.count(datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)) == 0
