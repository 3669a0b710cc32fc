"""Conversions between dialects: exact or refused, by round trips, by croniter, and by what the manuals say."""

from __future__ import annotations

import contextlib
import pickle
import re
import shutil
import subprocess
import time
from datetime import datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartzcron import CronError, CronExpression
from quartzcron.dialects import DialectError
from tests.example_counts import examples
from tests.strategies import convertible_expressions, crontabs, expressions, invalid_texts

NEW_YEAR = datetime(2026, 1, 1)
DIALECTS = ("crontab", "spring", "eventbridge", "oncalendar")


def read(dialect: str, text: str) -> CronExpression:
    found = getattr(CronExpression, f"from_{dialect}")(text)
    assert isinstance(found, CronExpression)
    return found


def by_hash(text: str) -> CronExpression:
    return CronExpression.hashed(text, key="key")


def written(dialect: str, expression: CronExpression) -> str:
    text = getattr(expression, f"to_{dialect}")()
    assert isinstance(text, str)
    return text


def walls(expression: CronExpression) -> object:
    """Equal for expressions that fire at the same wall times."""
    times = expression._pattern.times
    return times.seconds, times.minutes, times.hours, expression._pattern.days.key


# -- both ways --


@pytest.mark.parametrize("dialect", DIALECTS)
@given(text=convertible_expressions() | expressions())
@settings(max_examples=examples(40), deadline=None)
def test_what_a_dialect_can_express_comes_back(dialect: str, text: str) -> None:
    """To the dialect and back again, every wall time from 1970 to 2099 is the same; or it is refused."""
    expression = CronExpression(text)
    try:
        there = written(dialect, expression)
    except DialectError:
        return
    back = read(dialect, there)
    assert walls(back) == walls(expression)
    assert [*islice(back.fires(NEW_YEAR), 5)] == [*islice(expression.fires(NEW_YEAR), 5)]


@pytest.mark.parametrize("dialect", ["crontab", "spring", "eventbridge"])
@pytest.mark.parametrize("text", ["0 0 8 * * ?", "0 0 8-8 * * ?", "0 0 8,9,10 * * ?", "0 0/30 9-17 ? * MON-FRI"])
def test_fixed_times_stay_fixed_and_intervals_intervals(dialect: str, text: str) -> None:
    """So that what happens where clocks change is the same as well."""
    expression = CronExpression(text)
    assert read(dialect, written(dialect, expression)) == expression


@given(text=crontabs())
@settings(max_examples=examples(40), deadline=None)
def test_croniter_agrees_about_crontabs(text: str) -> None:
    """Five fires of every line that is read, except where croniter reads `1-1` as all, or `*/2` as a restriction."""
    croniter = pytest.importorskip("croniter")
    try:
        ours = CronExpression.from_crontab(text)
    except DialectError:
        return
    words = text.split()
    if re.search(r"\b(\d+)-\1\b", text):
        return
    if "*" not in (words[2], words[4]) and "*" in words[2] + words[4]:
        return
    theirs = croniter.croniter(text, NEW_YEAR)
    for fire in islice(ours.fires(NEW_YEAR), 5):
        assert fire == theirs.get_next(datetime)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("text", ["0 0/20 9-17 ? * MON-FRI", "0 0 8 L * ?", "0 0 8 ? * FRIL", "5 0 8 ? * MON#1"])
def test_systemd_agrees_about_oncalendar(text: str) -> None:
    """The normalised form and the next elapse of systemd-analyze calendar."""
    calendar = CronExpression(text).to_oncalendar()
    command = ["systemd-analyze", "calendar", "--base-time=2026-01-01 00:00:00 UTC", f"{calendar} UTC"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    fire = CronExpression(text).next_fire(datetime(2026, 1, 1))
    assert f"{fire:%Y-%m-%d %H:%M:%S}" in done.stdout


# -- crontab --


@pytest.mark.parametrize(
    ("crontab", "quartz"),
    [
        ("*/15 9-17 * * 1-5", "0 0/15 9-17 ? * MON-FRI"),
        ("0 8 * * 0", "0 0 8 ? * SUN"),
        ("0 8 * * 7", "0 0 8 ? * SUN"),
        ("0 8 * * 5-7", "0 0 8 ? * FRI-SUN"),
        ("0 8 * * mon-fri", "0 0 8 ? * MON-FRI"),
        ("0 0 1,15 jan *", "0 0 0 1,15 1 ?"),
        ("0 0 */10 * *", "0 0 0 1/10 * ?"),
        ("5-59/15 * * * *", "0 5/15 * * * ?"),
        ("0 0 1-31 * 1", "0 0 0 * * ?"),
        ("0 0 * * 0-6", "0 0 0 * * ?"),
        ("0 9 */1,1-7 * 1", "0 0 9 ? * MON"),
        ("0 9 1-7 * */7", "0 0 9 ? * SUN#1"),
        ("@daily", "0 0 0 * * ?"),
        ("@midnight", "0 0 0 * * ?"),
        ("@hourly", "0 0 * * * ?"),
        ("@weekly", "0 0 0 ? * SUN"),
        ("@monthly", "0 0 0 1 * ?"),
        (" @Yearly ", "0 0 0 1 1 ?"),
    ],
)
def test_crontab_lines_are_read(crontab: str, quartz: str) -> None:
    """Sunday is 0 and 7; either day field matches, unless one of them begins with a star: then both have to."""
    assert CronExpression.from_crontab(crontab) == CronExpression(quartz)


@pytest.mark.parametrize(
    ("crontab", "zone"),
    [
        ("CRON_TZ=Asia/Tokyo 30 8 * * 1-5", "Asia/Tokyo"),
        ("TZ=Europe/Berlin\t30 8 * * 1-5", "Europe/Berlin"),
        ("cron_tz='UTC' 30 8 * * 1-5", "UTC"),
    ],
)
def test_a_zone_before_a_crontab_line_is_its_zone(crontab: str, zone: str) -> None:
    """It takes precedence over the argument, as that of OnCalendar does; one that is not in the database is refused."""
    meant = CronExpression("0 30 8 ? * MON-FRI", tz=zone)
    assert CronExpression.from_crontab(crontab) == CronExpression.from_crontab(crontab, tz="Asia/Shanghai") == meant
    with pytest.raises(CronError, match="unknown time zone 'Mars'"):
        CronExpression.from_crontab("TZ=Mars 30 8 * * 1-5")
    with pytest.raises(DialectError, match="expected 5 fields, got 0"):
        CronExpression.from_crontab("TZ=UTC")


@pytest.mark.parametrize(
    ("crontab", "part", "reason"),
    [
        ("0 8 13 * 5", "days", "no Quartz expression has days of month 13 or days of week 5"),
        ("0 8 */2 * 5", "days", "days of month */2 and days of week 5"),
        ("0 8 30 2 *", "days", "never fires"),
        ("0 8 * *", None, "5 fields, got 4"),
        ("0 0 8 * * ?", None, "5 fields, got 6"),
        ("", None, "5 fields, got 0"),
        ("@reboot", None, "is not a calendar time"),
        ("0/15 * * * *", "minute", "write 0-59/15"),
        ("60 * * * *", "minute", "60 is not within 0 to 59"),
        ("0 17-9 * * *", "hour", "17-9 runs backwards"),
        ("0 8 ? * 1", "day of month", "'?' is not a value"),
        ("0 8 L * *", "day of month", "'L' is not a value"),
        ("0 8 * * 1,", "day of week", "'' is not a value"),
        ("*/0 * * * *", "minute", "'0' is not a step"),
        ("99999999999999999999 * * * *", "minute", "not within"),
    ],
)
def test_crontab_lines_are_refused_with_the_reason(crontab: str, part: str | None, reason: str) -> None:
    """The error carries the part in question."""
    with pytest.raises(DialectError, match="crontab") as caught:
        CronExpression.from_crontab(crontab)
    assert reason in caught.value.reason
    assert (caught.value.dialect, caught.value.part) == ("crontab", part)


@pytest.mark.parametrize(
    ("quartz", "crontab"),
    [
        ("0 0 8 ? * MON-FRI", "0 8 * * 1-5"),
        ("0 0/20 * ? * SUN,SAT", "*/20 * * * 0,6"),
        ("0 5/15 * * * ?", "5-59/15 * * * *"),
        ("0 0 8 L 12 ?", "0 8 31 12 *"),
        ("0 0 22-2 * * ?", "0 0-2,22,23 * * *"),
    ],
)
def test_crontab_lines_are_written(quartz: str, crontab: str) -> None:
    """In what every cron reads: numbers, and steps of a range or a star."""
    assert CronExpression(quartz).to_crontab() == crontab


@pytest.mark.parametrize(
    ("quartz", "part"),
    [
        ("30 0 8 * * ?", "seconds"),
        ("0 0 8 * * ? 2026", "year"),
        ("0 0 8 L * ?", "day of month"),
        ("0 0 8 ? * MON#1", "day of week"),
        ("0 0 8 30 2 ?", None),
    ],
)
def test_what_crontab_cannot_express_is_refused(quartz: str, part: str | None) -> None:
    """Seconds, years, L, W, #, never."""
    with pytest.raises(DialectError) as caught:
        CronExpression(quartz).to_crontab()
    assert caught.value.part == part


# -- Spring --


@pytest.mark.parametrize(
    ("spring", "quartz"),
    [
        ("0 0 * * * *", "0 0 * * * ?"),
        ("*/10 * * * * *", "*/10 * * * * ?"),
        ("0 0 8-10 * * *", "0 0 8-10 * * ?"),
        ("0 0 6,19 * * *", "0 0 6,19 * * ?"),
        ("0 0/30 8-10 * * *", "0 0/30 8-10 * * ?"),
        ("0 0 9-17 * * MON-FRI", "0 0 9-17 ? * MON-FRI"),
        ("0 0 0 25 DEC ?", "0 0 0 25 12 ?"),
        ("0 0 0 L * *", "0 0 0 L * ?"),
        ("0 0 0 L-3 * *", "0 0 0 L-3 * ?"),
        ("0 0 0 1W * *", "0 0 0 1W * ?"),
        ("0 0 0 LW * *", "0 0 0 LW * ?"),
        ("0 0 0 * * 5L", "0 0 0 ? * FRIL"),
        ("0 0 0 * * THUL", "0 0 0 ? * THUL"),
        ("0 0 0 ? * 5#2", "0 0 0 ? * FRI#2"),
        ("0 0 0 ? * MON#1", "0 0 0 ? * MON#1"),
        ("0 0 0 * * 0", "0 0 0 ? * SUN"),
        ("0 0 0 * * 7", "0 0 0 ? * SUN"),
        ("0 0 0 * * 0-6", "0 0 0 * * ?"),
        ("0 0 0 * * SUN-TUE", "0 0 0 ? * SUN-TUE"),
        ("0 0 0 * * FRI-SUN", "0 0 0 ? * FRI-SUN"),
        ("0 0 9 1-7 * MON", "0 0 9 ? * MON#1"),
        ("0 0 9 29-31 * 0#5", "0 0 9 ? * SUN#5"),
        ("0 0 9 1,L * *", "0 0 9 1,L * ?"),
        ("@weekly", "0 0 0 ? * SUN"),
        ("@midnight", "0 0 0 * * ?"),
    ],
)
def test_spring_is_read(spring: str, quartz: str) -> None:
    """Monday is 1, Sunday 0 or 7; `*` and `?` are the same; both day fields have to match."""
    assert CronExpression.from_spring(spring) == CronExpression(quartz)


@pytest.mark.parametrize(
    ("spring", "reason"),
    [
        ("0 0 0 13 * FRI", "no Quartz expression has days of month 13 that are days of week FRI"),
        ("0 0 0 * * MON#1,MON#3", "that are days of week MON#1,MON#3"),
        ("0 0 0 31W * *", "31W may be a day of another month there"),
        ("0 0 0 L-30 * *", "L-30 may be a day of another month there"),
        ("0 0 0 * * MON#6", "not one of #1 to #5"),
        ("0 0 0 * * L", "not a value"),
        ("0 0 0 WL * *", "not a value"),
        ("0 0 0 15WX * *", "not a value"),
        ("0 0 0 * * * *", "6 fields, got 7"),
        ("0 0 25 * * *", "25 is not within 0 to 23"),
        ("0 0 23-1 * * *", "runs backwards"),
    ],
)
def test_spring_is_refused_with_the_reason(spring: str, reason: str) -> None:
    """Texts that Quartz cannot express, and texts that Spring does not accept."""
    with pytest.raises(DialectError) as caught:
        CronExpression.from_spring(spring)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("quartz", "spring"),
    [
        ("0 0 8 ? * MON-FRI", "0 0 8 * * MON-FRI"),
        ("0 0 8 ? * SUN-TUE", "0 0 8 * * MON-TUE,SUN"),
        ("0 0 8 1,15,L * ?", "0 0 8 1,15,L * *"),
        ("0 0 8 ? 1-3 FRI#3", "0 0 8 * 1-3 FRI#3"),
        ("0 0 8 ? * FRIL", "0 0 8 * * FRIL"),
        ("15/20 * * * * ?", "15/20 * * * * *"),
    ],
)
def test_spring_is_written(quartz: str, spring: str) -> None:
    """Weekdays by name, which are the same in every numbering."""
    assert CronExpression(quartz).to_spring() == spring.replace("MON-TUE", "MON,TUE")


@pytest.mark.parametrize("quartz", ["0 0 8 L-1W * ?", "0 0 8 29W * ?", "0 0 8 * * ? 2026", "0 0 8 31 4 ?"])
def test_what_spring_cannot_express_is_refused(quartz: str) -> None:
    """Years, L-nW, days at which it leaves the month, never."""
    with pytest.raises(DialectError, match="Spring"):
        CronExpression(quartz).to_spring()


# -- EventBridge --


@pytest.mark.parametrize(
    ("eventbridge", "quartz"),
    [
        ("cron(0 8 ? * MON-FRI *)", "0 0 8 ? * MON-FRI"),
        ("0 10 * * ? *", "0 0 10 * * ?"),
        ("0 9 ? * 2#1 *", "0 0 9 ? * MON#1"),
        ("0 0 ? * 6L *", "0 0 0 ? * FRIL"),
        ("0/5 8-17 ? * MON-FRI *", "0 0/5 8-17 ? * MON-FRI"),
        ("30 14 10,20 * ? 2026-2030", "0 30 14 10,20 * ? 2026-2030"),
        ("cron(0 8 3W * ? *)", "0 0 8 3W * ?"),
    ],
)
def test_eventbridge_is_read(eventbridge: str, quartz: str) -> None:
    """With or without cron(…)."""
    assert CronExpression.from_eventbridge(eventbridge) == CronExpression(quartz)


@pytest.mark.parametrize(
    ("eventbridge", "reason"),
    [
        ("rate(5 minutes)", "counts from the creation of its rule"),
        ("at(2026-01-01T00:00:00)", "is not cron(…)"),
        ("cron(0 8 ? * MON-FRI *", "is not cron(…)"),
        ("0 8 * * 3#1", "6 fields, got 5"),
        ("0 8 * * * *", "both day fields are given"),
        ("0 8 ? * MON 2026-2199", "years go from 1970 to 2099"),
    ],
)
def test_eventbridge_is_refused_with_the_reason(eventbridge: str, reason: str) -> None:
    """A rate is not tied to the clock."""
    with pytest.raises(DialectError) as caught:
        CronExpression.from_eventbridge(eventbridge)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("quartz", "eventbridge"),
    [
        ("0 0/15 9-17 ? * MON-FRI", "cron(*/15 9-17 ? * MON-FRI *)"),
        ("0 0 8 L * ?", "cron(0 8 L * ? *)"),
        ("0 0 8 1 1 ? 2026,2027", "cron(0 8 1 1 ? 2026,2027)"),
        ("0 0 8 * * ?", "cron(0 8 * * ? *)"),
    ],
)
def test_eventbridge_is_written(quartz: str, eventbridge: str) -> None:
    """With cron(…) around it."""
    assert CronExpression(quartz).to_eventbridge() == eventbridge


@pytest.mark.parametrize(
    "quartz", ["30 0 8 * * ?", "0 0 8 LW * ?", "0 0 8 L-3 * ?", "0 0 8 1,L * ?", "0 0 8 31W * ?", "0 0 8 30 2 ?"]
)
def test_what_eventbridge_cannot_express_is_refused(quartz: str) -> None:
    """Seconds, and what its guide does not list."""
    with pytest.raises(DialectError, match="EventBridge"):
        CronExpression(quartz).to_eventbridge()


# -- OnCalendar --


@pytest.mark.parametrize(
    ("calendar", "quartz"),
    [
        ("daily", "0 0 0 * * ?"),
        ("hourly", "0 0 * * * ?"),
        ("minutely", "0 * * * * ?"),
        ("weekly", "0 0 0 ? * MON"),
        ("quarterly", "0 0 0 1 1,4,7,10 ?"),
        ("semiannually", "0 0 0 1 1,7 ?"),
        ("Mon..Fri 9..17:00/20", "0 0/20 9-17 ? * MON-FRI"),
        ("Sat,Sun *-*-* 10:00", "0 0 10 ? * SAT,SUN"),
        ("Thursday", "0 0 0 ? * THU"),
        ("Mon-Wed,Sat 08:00", "0 0 8 ? * MON-WED,SAT"),
        ("*-*-* *:*:30", "30 * * * * ?"),
        ("*:0/15:10", "10 0/15 * * * ?"),
        ("2026-01-01", "0 0 0 1 1 ? 2026"),
        ("2026..2030-12-25 08:30", "0 30 8 25 12 ? 2026-2030"),
        ("2026/2-*-01 08:30", "0 30 8 1 * ? 2026/2"),
        ("*-*~01", "0 0 0 L * ?"),
        ("*-02~03 12:00", "0 0 12 L-2 2 ?"),
        ("*-*~01,03 12:00", "0 0 12 L,L-2 * ?"),
        ("Fri *-*~07/1 18:00", "0 0 18 ? * FRIL"),
        ("*-*~01..03", "0 0 0 L-2,L-1,L * ?"),
        ("*-*~02..06/2", "0 0 0 L-1,L-3,L-5 * ?"),
        ("semi-annually", "0 0 0 1 1,7 ?"),
        ("Mon *-*-01..07 09:00", "0 0 9 ? * MON#1"),
        ("05-05", "0 0 0 5 5 ?"),
    ],
)
def test_oncalendar_is_read(calendar: str, quartz: str) -> None:
    """The examples of systemd.time(7), and more."""
    assert walls(CronExpression.from_oncalendar(calendar)) == walls(CronExpression(quartz))


def test_oncalendar_carries_its_zone() -> None:
    """In and out."""
    weekly = CronExpression.from_oncalendar("Mon 08:00 Asia/Shanghai")
    assert weekly.tz == CronExpression("0 0 8 * * ?", tz="Asia/Shanghai").tz
    assert weekly.to_oncalendar() == "Mon *-*-* 08:00:00 Asia/Shanghai"
    assert CronExpression.from_oncalendar("daily UTC").tz is not None
    with pytest.raises(DialectError, match="time zone"):
        CronExpression.from_oncalendar("daily Asia/Shangai")
    with pytest.raises(DialectError, match="time zone"):
        CronExpression("0 0 8 * * ?", tz="+05:45").to_oncalendar()


@pytest.mark.parametrize(
    "calendar",
    [
        "",
        "*-*-13,~01",
        "Fri *-*-13",
        "Fri..Mon 08:00",
        "08:00:00.5",
        "*/2:00",
        "1:2:3:4",
        "1900-01-01",
        "tomorrow",
        "*-02~x",
        "*-02~07/0",
        "*-*~31",
        "*-*~29..31",
        "*-*~03..01",
        "Mon/14",
        "fortnightly",
        "a b c d e f",
        "1-2-3-4",
        "*-02-30",
    ],
)
def test_oncalendar_is_refused(calendar: str) -> None:
    """What systemd or Quartz does not have."""
    with pytest.raises(DialectError, match="OnCalendar"):
        CronExpression.from_oncalendar(calendar)


@pytest.mark.parametrize("quartz", ["0 0 8 15W * ?", "0 0 8 1,L * ?", "0 0 8 30 2 ?"])
def test_what_oncalendar_cannot_express_is_refused(quartz: str) -> None:
    """W, and days from both ends of the month."""
    with pytest.raises(DialectError, match="OnCalendar"):
        CronExpression(quartz).to_oncalendar()


# -- all --


@given(text=crontabs() | invalid_texts() | st.text(max_size=30))
@settings(max_examples=examples(150), deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    """By every dialect, with no other exception than a CronError."""
    for reader in [*(getattr(CronExpression, f"from_{dialect}") for dialect in DIALECTS), by_hash]:
        try:
            assert isinstance(reader(text), CronExpression)
        except CronError as error:
            assert str(error)  # noqa: PT017 - any text may be fine or not


@pytest.mark.parametrize("text", ["0 0 0 " + "1W," * 30_000 + "1W * *", "* * * * " + "1," * 50_000, "Mon," * 25_000])
def test_long_texts_take_no_long_time(text: str) -> None:
    """Linear in the length of the text, whatever repeats in it."""
    began = time.process_time()
    for dialect in DIALECTS:
        with contextlib.suppress(CronError):
            read(dialect, text)
    assert time.process_time() - began < 5


def test_a_dialect_error_is_a_cron_error_and_pickles() -> None:
    """With its data."""
    error = DialectError("crontab", "year", "it has no years")
    assert isinstance(error, CronError)
    assert str(pickle.loads(pickle.dumps(error))) == "crontab, year: it has no years"


def test_zone_and_policy_are_passed_on() -> None:
    """To the expression that is made."""
    daily = CronExpression.from_crontab("30 2 * * *", tz="America/New_York", dst="quartz")
    assert daily.dst == "quartz"
    fire = daily.next_fire(datetime(2026, 3, 7, 12, tzinfo=ZoneInfo("America/New_York")))
    assert fire is not None
    assert fire.utcoffset() == timedelta(hours=-4)
    assert fire.day == 9


@pytest.mark.parametrize("wrong", [None, 5, b"0 8 * * *", ["a"]])
@pytest.mark.parametrize("reader", ["from_crontab", "from_spring", "from_eventbridge", "from_oncalendar"])
def test_what_is_no_text_is_a_type_error(reader: str, wrong: object) -> None:
    """With the type of the argument."""
    with pytest.raises(TypeError, match=f"a schedule must be a str, got {type(wrong).__name__}"):
        getattr(CronExpression, reader)(wrong)


@pytest.mark.parametrize("text", ["0 0 0 L-28 * ?", "0 0 0 L,L-29 * ?", "0 0 0 L,L-30 * ?"])
def test_oncalendar_counts_28_days_from_the_end(text: str) -> None:
    """systemd parses no more."""
    with pytest.raises(DialectError, match="up to 28 days"):
        CronExpression(text).to_oncalendar()
    assert CronExpression("0 0 0 L-27 * ?").to_oncalendar() == "*-*~28 00:00:00"


@pytest.mark.parametrize("word", ["Mon/14", "fortnightly"])
def test_a_word_that_is_no_zone_is_not_called_one(word: str) -> None:
    """It was to be a date, or a word such as daily."""
    with pytest.raises(DialectError) as refused:
        CronExpression.from_oncalendar(word)
    assert "time zone" not in str(refused.value)


HOURS = st.sets(st.integers(0, 23), min_size=1, max_size=6)
SIXTY = st.sets(st.integers(0, 59), min_size=1, max_size=4)


@given(hours=HOURS, minutes=SIXTY, seconds=SIXTY)
@settings(max_examples=examples(200))
def test_an_interval_keeps_a_step_in_every_form(hours: set[int], minutes: set[int], seconds: set[int]) -> None:
    """Irregular values too; a range from a value to itself is written only where all three fields have one value."""
    texts = [",".join(map(str, sorted(values))) for values in (seconds, minutes, hours)]
    texts[2] = f"{min(hours)}-{min(hours)}" + "".join(f",{hour}" for hour in sorted(hours)[1:])
    expression = CronExpression(f"{' '.join(texts)} * * ?")
    forms = [expression.canonical, CronExpression(expression.canonical).to_spring()]
    if seconds == {0}:
        forms += [expression.to_crontab(), expression.to_eventbridge()]
        assert CronExpression.from_crontab(expression.to_crontab()) == expression
        assert CronExpression.from_eventbridge(expression.to_eventbridge()) == expression
    assert CronExpression(expression.canonical) == expression
    assert CronExpression.from_spring(expression.to_spring()) == expression
    alone = max(map(len, (hours, minutes, seconds))) == 1
    assert alone or not any(re.search(r"\b(\d+)-\1\b", form) for form in forms)
