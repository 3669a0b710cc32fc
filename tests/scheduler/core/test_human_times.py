"""Times as people write them, and intervals."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.human_times import read_human, read_past
from scheduler.core.intervals import calendar_interval, read_interval, seconds_of
from scheduler.core.zone_names import zone
from scheduler.errors import TimerError
from tests.example_counts import examples

#: A Tuesday, 11:15:20 in Berlin.
NOW = datetime(2026, 12, 1, 10, 15, 20, 500, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-24 18:00", "2026-12-24 18:00"),
        ("2026-12-24T18:00:00+08:00", "2026-12-24 11:00"),
        ("2026-12-24 18:00 +0800", "2026-12-24 11:00"),
        ("2026-12-24", "2026-12-24 00:00"),
        ("24 Dec 2026 18:00", "2026-12-24 18:00"),
        ("Dec 24, 2026 6pm", "2026-12-24 18:00"),
        ("24 Dec 18:00", "2026-12-24 18:00"),
        ("1 March 8:00", "2027-03-01 08:00"),
        ("24/12/2026 18:00", "2026-12-24 18:00"),
        ("in 20 minutes", "2026-12-01 11:35:20"),
        ("+20m", "2026-12-01 11:35:20"),
        ("in 1h 30m", "2026-12-01 12:45:20"),
        ("in 90s", "2026-12-01 11:16:50"),
        ("in 2 days", "2026-12-03 11:15:20"),
        ("in 1 month", "2027-01-01 11:15:20"),
        ("18:00", "2026-12-01 18:00"),
        ("at 18:00", "2026-12-01 18:00"),
        ("9:00", "2026-12-02 09:00"),
        ("6 pm", "2026-12-01 18:00"),
        ("noon", "2026-12-01 12:00"),
        ("today 23:59:59", "2026-12-01 23:59:59"),
        ("today 9:00", "2026-12-01 09:00"),
        ("tomorrow at 9:00", "2026-12-02 09:00"),
        ("Tomorrow 9am", "2026-12-02 09:00"),
        ("next monday 9:00", "2026-12-07 09:00"),
        ("monday 9:00", "2026-12-07 09:00"),
        ("tuesday 9:00", "2026-12-08 09:00"),
        ("tuesday 12:00", "2026-12-01 12:00"),
        ("next tuesday 12:00", "2026-12-08 12:00"),
        ("on Fri at 7:30 pm", "2026-12-04 19:30"),
        ("9:00 tomorrow", "2026-12-02 09:00"),
        ("noon on Friday", "2026-12-04 12:00"),
        ("Thu, 24 Dec 2026 18:00", "2026-12-24 18:00"),
        ("thursday 24 december 6 pm", "2026-12-24 18:00"),
        ("2027-1-5 at 9:00", "2027-01-05 09:00"),
        ("2027/1/5 6 pm", "2027-01-05 18:00"),
        ("in an hour", "2026-12-01 12:15:20"),
        ("in a day", "2026-12-02 11:15:20"),
        ("2027/10/11 9:00", "2027-10-11 09:00"),
        ("2027.10.11 09:00:30", "2027-10-11 09:00:30"),
        ("2027-1-5 9:00", "2027-01-05 09:00"),
        ("2027/1/5", "2027-01-05 00:00"),
        ("2027年1月5日 9:00", "2027-01-05 09:00"),
        ("2027年1月5日9:00", "2027-01-05 09:00"),
        ("2027-1-5 9:00 +08:00", "2027-01-05 02:00"),
    ],
)
def test_a_time_is_read_as_it_is_meant(text: str, expected: str) -> None:
    """In the zone, which is Berlin's here."""
    wall = read_human(text, now=NOW, tz=zone("Europe/Berlin")).astimezone(zone("Europe/Berlin"))
    assert wall.replace(tzinfo=None) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-12-01 11:15:20.000500"),
        ("2 hours ago", "2026-12-01 09:15:20"),
        ("90s ago", "2026-12-01 11:13:50"),
        ("2h", "2026-12-01 09:15:20"),
        ("-2h", "2026-12-01 09:15:20"),
        ("+2h", "2026-12-01 13:15:20"),
        ("2d", "2026-11-29 11:15:20"),
        ("1 month ago", "2026-11-01 11:15:20"),
        ("yesterday", "2026-11-30 00:00"),
        ("yesterday at 9:00", "2026-11-30 09:00"),
        ("today", "2026-12-01 00:00"),
        ("today 18:00", "2026-12-01 18:00"),
        ("9:00", "2026-12-01 09:00"),
        ("18:00", "2026-11-30 18:00"),
        ("monday", "2026-11-30 00:00"),
        ("tuesday", "2026-12-01 00:00"),
        ("last tuesday 18:00", "2026-11-24 18:00"),
        ("on wed 9am", "2026-11-25 09:00"),
        ("24 Dec 18:00", "2025-12-24 18:00"),
        ("1 March", "2026-03-01 00:00"),
        ("2026-12-24 18:00", "2026-12-24 18:00"),
        ("2020-01-01T00:00Z", "2020-01-01 01:00"),
        ("in 20 minutes", "2026-12-01 11:35:20"),
    ],
)
def test_a_past_time_is_the_last_one(text: str, expected: str) -> None:
    """What names its year, or is said to be in the future, stays what it is."""
    wall = read_past(text, now=NOW, tz=zone("Europe/Berlin")).astimezone(zone("Europe/Berlin"))
    assert wall.replace(tzinfo=None) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a time"),
        ("soon", "'soon' is not a time"),
        ("many hours ago", "write it as in '20 minutes ago'"),
        ("yesterday morning", "'morning' is not a time of day"),
        ("99999999 years ago", "is not a time"),
        ("200 years ago", "outside the years 1970 to 2099"),
        ("120", "has no day|is not a time|outside the years"),
    ],
)
def test_what_is_no_past_time_is_refused(text: str, said: str) -> None:
    """With what is wrong and how it is written."""
    with pytest.raises(TimerError, match=said):
        read_past(text, now=NOW, tz=zone("Europe/Berlin"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a time"),
        ("soon", "'soon' is not a time; write it as in '2026-12-24 18:00'"),
        ("10/11/2026 18:00", "may be a day and a month, or a month and a day"),
        ("2026-13-40", "is not a time"),
        ("2027/2/30 9:00", "is not a time"),
        ("2027/2/30 6 pm", "there is no day 2027-02-30"),
        ("0001-01-01", "outside the years 1970 to 2099"),
        ("Fri, 24 Dec 2026 18:00", "2026-12-24 is a Thursday"),
        ("2026-12-24 18:00 Asia/Shanghai", "give the zone with --tz Asia/Shanghai"),
        ("2027年13月5日", "is not a time"),
        ("2027/10/11/12", "may be a day and a month"),
        ("in many minutes", "write a delay as in 'in 20 minutes'"),
        ("in 99999999 years", "is not a time"),
        ("tomorrow", "'tomorrow' has no time of day; write it as in 'tomorrow 9:00'"),
        ("monday morning", "'morning' is not a time of day"),
        ("December 2026", "has no day"),
        ("2026-12-24 18:00 CST", "CST may be one of several zones"),
        ("2200-01-01 00:00", "outside the years 1970 to 2099"),
        ("25:00", "is not a time"),
        ("x" * 101, "is not a time"),
    ],
)
def test_what_is_no_time_is_refused(text: str, said: str) -> None:
    """With what is wrong and how it is written."""
    with pytest.raises(TimerError, match=said):
        read_human(text, now=NOW, tz=zone("Europe/Berlin"))


@settings(max_examples=examples(200), deadline=None)
@given(st.text(max_size=30) | st.text("0123456789:-/ apmonditueswfrxtyzT+.,", max_size=30))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    """With a TimerError, never another exception."""
    with contextlib.suppress(TimerError):
        assert read_human(text, now=NOW, tz=zone("Europe/Berlin")).tzinfo is UTC
    with contextlib.suppress(TimerError):
        assert read_past(text, now=NOW, tz=zone("Europe/Berlin")).tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("60", 60),
        (60, 60),
        ("90s", 90),
        ("5m", 300),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1 hour and 30 minutes", 5400),
        ("1d", "1 day"),
        ("1d 12h", 129_600),
        ("2 weeks", "2 weeks"),
        ("3mo", "3 months"),
        ("1 year, 6 months", "1 year 6 months"),
    ],
)
def test_an_interval_is_read_in_its_units(text: str | int, expected: int | str) -> None:
    """As seconds, or as the calendar counts it; what was read is read again."""
    assert read_interval(text) == expected
    assert read_interval(expected) == expected


@pytest.mark.parametrize("text", ["", "soon", "5x", "1h 2h", "h", "1.5h", "-5m", "1 month 2 hours", None, True, [60]])
def test_what_is_no_interval_is_refused(text: object) -> None:
    """With a ValueError, which names the forms."""
    with pytest.raises(ValueError, match=r"expected an interval as in|mixes units"):
        read_interval(text)


def test_days_and_weeks_are_seconds_too_but_months_are_not() -> None:
    """`1d` without a time of day is 24 hours."""
    assert (seconds_of("1 day"), seconds_of("2 weeks"), seconds_of(60)) == (86_400, 1_209_600, 60)
    with pytest.raises(ValueError, match="'3 months' is not a fixed number of seconds"):
        seconds_of("3 months")
    assert calendar_interval("2 weeks") == (0, 0, 2, 0)
    assert calendar_interval("90s") is None
