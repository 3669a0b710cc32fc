"""Calendars of working days from files: what they mean, which are refused, and that none takes long."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest

from quartzcron import CronError
from quartzcron.contrib.calendar_files import from_csv, from_ics

icalendar = pytest.importorskip("icalendar")

#: Processor time in which any file is read or refused, on a slow machine; typical ones take milliseconds.
LONGEST_S = 60


def ics(folder: Path, *events: str, head: str = "") -> Path:
    """A file of events, each given by its lines."""
    body = "".join(f"BEGIN:VEVENT\n{event}\nEND:VEVENT\n" for event in events)
    path = folder / "firm.ics"
    path.write_text(f"BEGIN:VCALENDAR\nVERSION:2.0\n{head}{body}END:VCALENDAR\n", encoding="utf-8")
    return path


def csv(folder: Path, text: str) -> Path:
    path = folder / "firm.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01,New Year\n2026-01-04,,work\n",
        "\ufeff# days off\n\nDate,Name,Kind\n2026/1/1,New Year,off\n2026/01/04,,Work\n",
        "kind,date,name\n休,2026-01-01,New Year\n班,2026-01-04,\n",
        "date,kind,name\r\n2026-01-01,,New Year\r\n2026-01-04,worked,,,\r\n",
        "date;name;kind\r\n2026-1-1;New Year;off\r\n20260104;;work\r\n",
        "date,name,kind\n2026-01-01 00:00:00,New Year,off\n2026/1/4 0:00,,work\n",
        "日期\t节日\t类型\n2026年1月1日\tNew Year\t休\n2026.1.4\t\t班\n",
    ],
)
def test_a_csv_file_has_a_date_in_each_line(tmp_path: Path, text: str) -> None:
    """And a name, and whether it is worked, in any order with a first line that says so."""
    calendar = from_csv(csv(tmp_path, text))
    assert calendar.holidays == {date(2026, 1, 1): "New Year"}
    assert list(calendar.worked) == [date(2026, 1, 4)]
    assert (calendar.name, calendar.known_until) == ("firm", date(2026, 12, 31))
    other = from_csv(csv(tmp_path, text), week="SUN-THU", name="x", known_until=date(2027, 6, 30))
    assert (other.week, other.name, other.known_until) == ("SUN-THU", "x", date(2027, 6, 30))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "firm.csv has no dates"),
        ("2026-01-01\n2026-02-30\n", "firm.csv, line 2: '2026-02-30' is not a date such as 2026-12-31"),
        ("1.2.2026\n", "line 1: '1.2.2026' is not a date"),
        ("2026-01/02\n", "is not a date"),
        ("20260230\n", "'20260230' is not a date"),
        ("2026-01-01,a,maybe\n", "line 1: 'maybe' is neither off nor work"),
        ("2026-01-01,Monday, a holiday,off\n", "line 1: more than 3 columns; put a name with a comma in quotes"),
        ("2026-01-01\n2026-01-01,,work\n", "line 2: 2026-01-01 cannot be both"),
        ("date,when\n", "line 1: the columns are date, name and kind, got 'date, when'"),
        ('"2026-01-01\n', "line 1: unexpected end of data"),
        ("2026-01-01," + "x" * 1_900_000, "field larger than field limit"),
        ("2026-01-01\n" * 200_000, "firm.csv has more than 2 MB"),
    ],
)
def test_a_csv_file_that_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """Whatever is in it."""
    with pytest.raises(CronError, match=message):
        from_csv(csv(tmp_path, text))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """As spreadsheets write Chinese."""
    path = csv(tmp_path, "")
    path.write_bytes("2026-01-01,元旦\n2026-01-02,元旦".encode("gbk"))
    with pytest.raises(CronError, match=r"firm\.csv, line 1: it is not UTF-8"):
        from_csv(path)
    with pytest.raises(FileNotFoundError):
        from_csv(tmp_path / "none.csv")


def test_events_of_whole_days_are_days_off(tmp_path: Path) -> None:
    """With their titles; worked days are recognised by Apple's mark, or by their title."""
    path = ics(
        tmp_path,
        "DTSTART;VALUE=DATE:20260215\nDTEND;VALUE=DATE:20260224\nSUMMARY:春节",
        "DTSTART;VALUE=DATE:20260214\nSUMMARY:春节 补班",
        "DTSTART;VALUE=DATE:20260228\nSUMMARY:春节\nX-APPLE-SPECIAL-DAY:ALTERNATE-WORKDAY",
        "DTSTART:20260303T090000Z\nDTEND:20260303T100000Z\nSUMMARY:a meeting",
        "DTSTART:20260304T000000\nDTEND:20260306T000000\nSUMMARY:two days",
        "DTSTART;VALUE=DATE:20260401\nDURATION:P2D\nSUMMARY:spring",
        "DTSTART;VALUE=DATE:20260501\nSTATUS:CANCELLED",
        head="X-WR-CALNAME:中国\n",
    )
    calendar = from_ics(path)
    assert list(calendar.worked) == [date(2026, 2, 14), date(2026, 2, 28)]
    assert [f"{day:%m-%d}" for day in calendar.holidays] == [
        *(f"02-{day}" for day in range(15, 24)),
        *("03-04", "03-05", "04-01", "04-02"),
    ]
    assert (calendar.name, calendar.holidays[date(2026, 2, 15)]) == ("中国", "春节")


@pytest.mark.parametrize(
    "event",
    [
        "DTSTART;TZID=PRC;VALUE=DATE:20260301",
        "DTSTART:20260301T000000\nDURATION:P1D",
        "DTSTART;TZID=Europe/Berlin:20260301T000000\nDTEND;TZID=Europe/Berlin:20260302T000000",
        "DTSTART:20260301\nDTEND:20260301",
        "DTSTART;VALUE=DATE:20260301\nSUMMARY:a\nSUMMARY:b",
    ],
)
def test_a_day_may_be_written_as_programs_write_it(tmp_path: Path, event: str) -> None:
    """With a zone, from midnight on, without an end."""
    calendar = from_ics(ics(tmp_path, event, head="X-WR-CALNAME:firm\nX-WR-CALNAME:other\n"))
    assert list(calendar.holidays) == [date(2026, 3, 1)]
    assert calendar.holidays[date(2026, 3, 1)] in (None, "a")
    assert calendar.name == "firm"


@pytest.mark.parametrize("other", ["DTSTART;VALUE=DATE:20270102", "DTSTART;VALUE=DATE:20270101\nSTATUS:CANCELLED"])
def test_one_day_of_a_recurring_event_may_be_moved_or_cancelled(tmp_path: Path, other: str) -> None:
    """By an event with the UID of that one, and the day."""
    rule = "UID:1\nDTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY;COUNT=2"
    calendar = from_ics(ics(tmp_path, rule, f"UID:1\nRECURRENCE-ID;VALUE=DATE:20270101\n{other}"))
    moved = [] if "CANCELLED" in other else [date(2027, 1, 2)]
    assert list(calendar.holidays) == [date(2026, 1, 1), *moved]


@pytest.mark.parametrize("encoding", ["gbk", "utf-16"])
def test_an_ics_file_in_another_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    """The titles that mark worked days would be unreadable, so worked days would count as days off."""
    path = ics(tmp_path, "DTSTART;VALUE=DATE:20260214\nSUMMARY:春节 补班")
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
    with pytest.raises(CronError, match=r"firm\.ics, line \d: it is not UTF-8; save it as UTF-8"):
        from_ics(path)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """Its last days are missing."""
    path = ics(tmp_path, "DTSTART;VALUE=DATE:20260214", "DTSTART;VALUE=DATE:20260215")
    path.write_text(path.read_text(encoding="utf-8")[:-30])
    with pytest.raises(CronError, match="END:VCALENDAR is missing"):
        from_ics(path)


@pytest.mark.parametrize(
    ("rule", "days", "known_until"),
    [
        ("RRULE:FREQ=YEARLY", ["2025-11-27", "2026-11-27", "2027-11-27"], date(2099, 12, 31)),
        ("RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", ["2025-11-27", "2026-11-26", "2027-11-25"], date(2099, 12, 31)),
        ("RRULE:FREQ=YEARLY;UNTIL=20260101T000000Z", ["2025-11-27"], date(2025, 12, 31)),
        ("RRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;VALUE=DATE:20251204", ["2025-11-27", "2025-12-11"], date(2025, 12, 31)),
        ("RDATE;VALUE=DATE:20260102,20260103", ["2025-11-27", "2026-01-02", "2026-01-03"], date(2026, 12, 31)),
        ("RRULE:FREQ=DAILY;INTERVAL=2;COUNT=2", ["2025-11-27", "2025-11-29"], date(2025, 12, 31)),
    ],
)
def test_recurrence_rules_are_followed(tmp_path: Path, rule: str, days: list[str], known_until: date) -> None:
    """As dateutil reads them; up to the end of 2099."""
    calendar = from_ics(ics(tmp_path, f"DTSTART;VALUE=DATE:20251127\n{rule}"))
    assert [str(day) for day in calendar.holidays][: len(days)] == days
    assert len(calendar.holidays) == (75 if known_until.year == 2099 else len(days))
    assert calendar.known_until == known_until


BOMB = "DTSTART;VALUE=DATE:19700101\nRRULE:FREQ={}"


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "has no event that lasts whole days"),
        (["SUMMARY:x"], "event 'x': it has no date that can be read"),
        (["DTSTART;VALUE=DATE:20261301"], "cannot be read"),
        (["DTSTART;VALUE=DATE:20260101\nDTEND;VALUE=DATE:99991231"], "a holiday lasts at most 366"),
        (["DTSTART;VALUE=DATE:20260102\nDTEND;VALUE=DATE:20260101"], "it lasts -1 days"),
        ([BOMB.format("SECONDLY")], "is not a yearly, monthly, weekly or daily one of whole days"),
        ([BOMB.format("DAILY;BYHOUR=1,2,3")], "is not a yearly"),
        ([BOMB.format("DAILY;BYMONTH=2;BYMONTHDAY=30")], "is not a yearly"),
        ([BOMB.format("YEARLY;INTERVAL=0")], "is not a yearly|cannot be read"),
        ([BOMB.format("YEARLY;BYDAY=XX")], "cannot be read"),
        ([BOMB.format("DAILY")] * 10, "names more than 100,000 days"),
        ([BOMB.format("MONTHLY;BYMONTH=2;BYMONTHDAY=30")] * 20, "has no event that lasts whole days"),
        ([BOMB.format("YEARLY")] * 201, "has more than 200 recurrence rules"),
        (["BEGIN:VEVENT"] * 5_000 + ["END:VEVENT"] * 5_000, "firm.ics"),
    ],
)
def test_an_ics_file_that_is_wrong_is_refused_in_time(tmp_path: Path, events: list[str], message: str) -> None:
    """Rules that never end, or that never come true, as well."""
    path = ics(tmp_path, *events)
    began = time.process_time()
    with pytest.raises(CronError, match=message):
        from_ics(path)
    assert time.process_time() - began < LONGEST_S


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xfe\0\0", b"BEGIN:VCALENDAR\n" * 10_000, b"x" * 50_000_000])
def test_a_file_that_is_no_calendar_is_refused_in_time(tmp_path: Path, data: bytes) -> None:
    """Of 50 MB no more is read than a calendar may have."""
    path = tmp_path / "firm.ics"
    path.write_bytes(data)
    began = time.process_time()
    with pytest.raises(CronError, match=r"is not an iCalendar file|has more than 2 MB|is not UTF-8"):
        from_ics(path)
    assert time.process_time() - began < LONGEST_S
