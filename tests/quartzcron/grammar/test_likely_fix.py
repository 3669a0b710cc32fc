"""Did you mean …? Only where every reading of the text means the same."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from quartzcron import CronError, CronExpression, CronSyntaxError
from quartzcron.dialects import DialectError
from tests.example_counts import examples


def fix_of(text: str) -> str | None:
    """The fix of an invalid text; of a valid one, itself."""
    try:
        CronExpression(text)
    except CronSyntaxError as error:
        return error.fix
    return text


def items(low: int, high: int, *names: str) -> st.SearchStrategy[str]:
    """Lists as people write them."""
    value = number = st.integers(low, high).map(str)
    if names:
        value |= st.sampled_from(names)
    span = st.tuples(number, number).map("-".join)
    steps = st.integers(1, 7).map(str)
    item = st.one_of(value, span, st.tuples(span | st.just("*"), steps).map("/".join))
    return st.just("*") | st.lists(item, min_size=1, max_size=2).map(",".join)


MINUTES, HOURS, MONTH_DAYS = items(0, 59), items(0, 23), items(1, 31)
MONTHS, SPRING_WEEK = items(1, 12, "JAN", "dec"), items(0, 7, "MON", "fri")
WEEK, NAMED_WEEK = items(1, 7, "MON", "fri"), st.sampled_from(["MON", "MON-FRI", "sat,SUN", "*"])
FIVE = st.tuples(MINUTES, HOURS, MONTH_DAYS, MONTHS, SPRING_WEEK).map(" ".join)


@given(st.one_of(FIVE, st.tuples(MINUTES, HOURS, st.just("*"), st.just("*"), SPRING_WEEK).map(" ".join)))
@settings(max_examples=examples(300))
def test_the_fix_of_a_crontab_line_fires_when_the_line_does(text: str) -> None:
    """Or there is none."""
    fix = fix_of(text)
    try:
        meant = CronExpression.from_crontab(text)
    except DialectError:
        return  # a step such as 5/15, or a range that runs backwards: not every cron takes it
    assert fix is None or CronExpression(fix) == meant


@given(st.tuples(MINUTES, HOURS, MONTH_DAYS, MONTHS, SPRING_WEEK).map(lambda five: f"0 {' '.join(five)}"))
@settings(max_examples=examples(300))
@example("0 * * * * 0,7-7")  # every day in Spring
def test_the_fix_of_six_fields_fires_when_spring_does(text: str) -> None:
    """Which numbers the days of the week from Sunday = 0: numbers that mean something else in Quartz get no fix."""
    fix = fix_of(text)
    try:
        meant = CronExpression.from_spring(text)
    except DialectError:
        return
    assert fix is None or CronExpression(fix) == meant


@given(
    st.tuples(MINUTES, HOURS, MONTH_DAYS, MONTHS, NAMED_WEEK | WEEK),
    st.booleans(),
    st.sampled_from(["*", "2026", "2026-2030"]),
)
@settings(max_examples=examples(300))
def test_the_fix_of_an_eventbridge_schedule_has_its_order_of_fields(
    five: tuple[str, ...], right: bool, year: str
) -> None:
    """The seconds are added; a ? where it belongs, or none at all, which Amazon refuses, changes nothing."""
    minutes, hours, by_month, months, by_week = five
    if right:
        by_month, by_week = (by_month, "?") if by_month != "*" else ("?", by_week)
    text = f"cron({minutes} {hours} {by_month} {months} {by_week} {year})"
    fix = fix_of(text)
    if right:
        assert fix is not None
        try:
            assert CronExpression(fix) == CronExpression.from_eventbridge(text)
        except DialectError:
            return
    elif fix is not None:
        days = (by_month, "?") if by_week == "*" else ("?", by_week)
        assert CronExpression(fix) == CronExpression(f"0 {minutes} {hours} {days[0]} {months} {days[1]} {year}")


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        # both day fields in cron(…): minutes come first all the same
        ("cron(0 8 * * * *)", "0 0 8 * * ? *"),
        ("cron(55 7-23 * * * *)", "0 55 7-23 * * ? *"),
        ("CRON(34 12 * * SAT *)", "0 34 12 ? * SAT *"),
        ("cron(0 8 1 * * *)", "0 0 8 1 * ? *"),
        ("cron(0 12 * * 1 *)", None),
        ("cron(0 8 * * 2-6)", None),
        ("cron(0 8 * * MON-FRI)", "0 0 8 ? * MON-FRI"),
        ("cron(0 0 8 ? * MON)", "0 0 8 ? * MON"),
        # 8 o'clock with a field too many, or hourly in Spring
        ("0 8 * * * *", None),
        ("0 8 * * 1 *", None),
        ("0 9-17 * * * *", None),
        ("0 0 * * 1 *", None),
        ("0 0 * * * *", "0 0 * * * ?"),
        ("0 30 * * * *", "0 30 * * * ?"),
        ("0 0/5 * * * *", "0 0/5 * * * ?"),
        # the 8th of each month there, or 8 o'clock here
        ("0 0 8 * ? *", None),
        ("0 8 * * ? *", "0 0 8 * * ? *"),
        # Sunday with crontab's numbers, Monday with Quartz's
        ("0 8 ? * 2", None),
        ("0 8 ? * MON", "0 0 8 ? * MON"),
        ("0 8 * * L", None),
        ("0 8 * * 0-7/2", "0 0 8 ? * SUN,TUE,THU,SAT"),
        ("0 0 8 * * 0", "0 0 8 ? * SUN"),
        ("0 0 8 ? * 6,0", "0 0 8 ? * SAT,SUN"),
        ("0 0 8 * * 7", None),
        # the 8th of each month, or 8 o'clock with a field forgotten behind it
        ("0 0 8 * ?", None),
        ("0 0 8,20 * ?", None),
        ("0 0 31 * ?", "0 0 0 31 * ?"),
        ("15 10 * * ?", "0 15 10 * * ?"),
        # a day by name is the same one in each dialect
        ("0 0 8 * * MON#1", "0 0 8 ? * MON#1"),
        ("0 8 * * fri#2", "0 0 8 ? * fri#2"),
        ("0 0 8 * * 2#1", None),
        # a zone or a comment behind the fields
        ("0 1 * * * ? UTC", "0 1 * * * ?"),
        ("0 0 8 ? * MON America/New_York", "0 0 8 ? * MON"),
        ("0 8 * * * Asia/Shanghai", "0 0 8 * * ?"),
        ("0 0 8 ? * TUE  # tuesday", "0 0 8 ? * TUE"),
        ("0 8 * * 1 #", "0 0 8 ? * MON"),
        ("# nothing", None),
    ],
)
def test_a_fix_is_offered_where_there_is_one_reading(text: str, fix: str | None) -> None:
    """And none where there are two."""
    assert fix_of(text) == fix


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        # what nobody sees
        ("\ufeff0 0 8 ? * MON", "0 0 8 ? * MON"),
        ("0 0 8 * * ?\u200b", "0 0 8 * * ?"),
        ("\u202a0 0 8 * * ?\u202c", "0 0 8 * * ?"),
        # what a word processor writes
        ("“0 0 12 * * ?”", "0 0 12 * * ?"),
        ("0 0 8 ? * MON–FRI", "0 0 8 ? * MON-FRI"),
        ("0 0 8 ? ∗ MON", "0 0 8 ? * MON"),
        ("0 0∕15 * * * ?", "0 0/15 * * * ?"),
        # Chinese keyboards and days
        ("0 0 8、20 * * ?", "0 0 8,20 * * ?"),
        ("０ ０ ８ ？ ＊ ＭＯＮ", "0 0 8 ? * MON"),
        ("0 0 8 ? * 周一至周五", "0 0 8 ? * MON-FRI"),
        ("0 0 8 ? * 星期天", "0 0 8 ? * SUN"),
        # lines of a crontab
        ("0 22 * * 1-5 root /usr/bin/backup", "0 0 22 ? * MON-FRI"),
        ("*/5 * * * * curl http://x", "0 */5 * * * ?"),
        # intervals and instants of others
        ("rate(5 minutes)", "0 0/5 * * * ?"),
        ("rate(1 hour)", "0 0 * * * ?"),
        ("@every 30s", "0/30 * * * * ?"),
        ("PT15M", "0 0/15 * * * ?"),
        ("every 2 hours", "0 0 0/2 * * ?"),
        ("rate(7 minutes)", None),
        ("@every 1h30m", None),
        ("PT1H30M", None),
        ("0m", None),
        ("at(2026-12-24T18:00:00)", "0 0 18 24 12 ? 2026"),
        ("2026-12-24 18:00", "0 0 18 24 12 ? 2026"),
        ("2026-13-24 18:00", None),
    ],
)
def test_a_text_that_was_copied_from_elsewhere_is_recognised(text: str, fix: str | None) -> None:
    """With the expression that it means, where there is one."""
    assert fix_of(text) == fix


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "rate(7 minutes)",
            "this is an interval of EventBridge; a cron expression names times; a timer takes an interval as every=",
        ),
        ("@every 1h30m", "this is an interval"),
        ("at(2026-12-24T18:00:00)", "this is one instant; as a cron expression it has a year"),
        ("Mon *-*-* 08:00", "this is systemd's OnCalendar; CronExpression.from_oncalendar reads it"),
        ("daily", "this is systemd's OnCalendar"),
        ("RRULE:FREQ=DAILY;BYHOUR=8", "this is a recurrence rule of iCalendar"),
        ("0 0 8 * * ? || 0 0 9 * * ?", "these are several expressions; quartzcron.schedules.from_text reads them"),
        (
            "0 0 8 * * ?; 0 0 9 * * ?",
            "these are several expressions; quartzcron.schedules.from_text reads them with ||",
        ),
        ("0 0 8 * * ?\n0 0 9 ? * MON,FRI\n", "these are several expressions"),
        ("0 0 8 ? * MON #3", "a blank ends a field; the third Friday is written without blanks, as in FRI#3"),
        ("0 0 8 * ?", "5 fields, a Quartz expression has 6 or 7; they are seconds minutes hours"),
        ("0 0 8 * * ? TZ=UTC", "a time zone is not part of the expression; give it as tz='UTC'"),
        ("0 22 * * 1-5 root /bin/true", "a command is not part of the expression; this is a crontab line"),
        ("0 0 8 * * ?\u200b", "invisible character"),
        ("0 0 8 * * ? CST", "a time zone is not part of the expression; give it as tz='CST'"),
    ],
)
def test_a_text_of_another_kind_is_one_problem(text: str, message: str) -> None:
    """Which says what it is."""
    with pytest.raises(CronSyntaxError) as refused:
        CronExpression(text)
    assert len(refused.value.problems) == 1
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "text", ["rate(" * 50_000, "P1" * 50_000, "0m" * 50_000, "周" * 100_000, "* " * 9 + "x" * 100_000]
)
def test_a_long_text_is_diagnosed_at_once(text: str) -> None:
    """Whatever it begins like."""
    began = process_time()
    assert fix_of(text) is None
    assert process_time() - began < 2


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Z", "+08:00", "GMT+8", "America/Argentina/Buenos_Aires"])
@pytest.mark.parametrize("text", ["0 1 * * * ?", "0 0 8 ? * MON", "0 0 8 ? * MON 2026", "0 8 * * 1"])
def test_a_zone_behind_the_fields_is_not_taken_for_a_field(text: str, zone: str) -> None:
    """In one problem, which says where a zone belongs."""
    with pytest.raises(CronSyntaxError, match="a time zone is not part of the expression") as refused:
        CronExpression(f"{text} {zone}")
    assert len(refused.value.problems) == 1
    assert refused.value.hint == f"give it as tz={zone!r}"


@pytest.mark.parametrize(
    ("week", "hint"),
    [
        ("7", "7 is Saturday: if it was Sunday, as in Spring, write SUN"),
        ("1", "1 is Sunday: if it was Monday, as in Spring, write MON"),
        ("5-6", "5 is Thursday: if it was Friday, as in Spring, write FRI-SAT"),
        ("0", "0 is Sunday in Spring and crontab; write SUN"),
        ("1#2", "1 is Sunday"),
    ],
)
def test_the_hint_on_numbers_speaks_of_the_day_that_was_written(week: str, hint: str) -> None:
    """Not of Sunday and Monday, whatever it was."""
    with pytest.raises(CronSyntaxError) as refused:
        CronExpression(f"0 0 4 * * {week}")
    assert str(refused.value.problems[0].hint).endswith(hint)


@pytest.mark.parametrize("text", ["0 0 * * * ?h", "0 0 8 ？ * MON", "0 0 8 ?? * MON", "0 0 8 * * ？"])
def test_a_broken_question_mark_is_one_problem(text: str) -> None:
    """That both day fields are given is not another one."""
    with pytest.raises(CronError) as refused:
        CronExpression(text)
    assert isinstance(refused.value, CronSyntaxError)
    assert len(refused.value.problems) == 1


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        # a list or a range in several words
        ("0 0 8 ? * MON, FRI", "0 0 8 ? * MON,FRI"),
        ("0 0 8 ? * MON, WED, FRI", "0 0 8 ? * MON,WED,FRI"),
        ("0 0 8 ,12 ? * MON", "0 0 8,12 ? * MON"),
        ("0 0 8 1, 15 * ?", "0 0 8 1,15 * ?"),
        ("0 0 8 - 17 ? * MON", "0 0 8-17 ? * MON"),
        ("0 0 8 ? * MON to FRI", "0 0 8 ? * MON-FRI"),
        ("0 0 8 ? * Mon through Fri", "0 0 8 ? * Mon-Fri"),
        ("0 0 8 ? * SAT and SUN", "0 0 8 ? * SAT,SUN"),
        ("0 0 8 ? * MON..FRI", "0 0 8 ? * MON-FRI"),
        ("0 0 8 ? * MON;FRI", "0 0 8 ? * MON,FRI"),
        ("0 8 * * MON, FRI", "0 0 8 ? * MON,FRI"),
        ("0, 0, 8, *, *, ?", "0 0 8 * * ?"),
        ("0,8,*,*,MON", "0 0 8 ? * MON"),
        ("0,30,8,*,*,?", None),  # at 8:30, or at 8:00 and 8:30
        ("0;0;8;?;*;MON", "0 0 8 ? * MON"),
        ("0%200%208%20*%20*%20%3F", "0 0 8 * * ?"),
        ("cron(0/5, 9-18, ?, *, MON-FRI, *)", "0 0/5 9-18 ? * MON-FRI *"),
        ("MON,TUE,WED,THU,FRI", None),
        ("0 0 8, * * ?", None),  # 8 o'clock with a comma too many, or midnight as a crontab line
        ("0 0 1, 2 * ?", None),
        # names longer than three letters, of the week, and in Chinese
        ("0 0 8 ? * Tues,Thurs", "0 0 8 ? * Tue,Thu"),
        ("0 0 8 ? Sept Weds", "0 0 8 ? Sep Wed"),
        ("0 0 8 ? * mondays", "0 0 8 ? * mon"),
        ("0 0 8 ? * WEEKDAYS", "0 0 8 ? * MON-FRI"),
        ("0 8 * * weekend", "0 0 8 ? * SAT,SUN"),
        ("0 0 8 ? * 周一～周五", "0 0 8 ? * MON-FRI"),
        ("0 0 8 ? * 週一到週五", "0 0 8 ? * MON-FRI"),
        ("0 0 8 1 十二月 ?", "0 0 8 1 12 ?"),
        ("0 0 8 1 ３月 ?", "0 0 8 1 3 ?"),
        ("0 0 8 ? * 周六和周日", "0 0 8 ? * SAT,SUN"),
        # the last Friday of other programs, by name: with a number they count from another day
        ("0 0 8 ? * FRI#L", "0 0 8 ? * FRIL"),
        ("0 0 8 ? * fri#last", "0 0 8 ? * friL"),
        ("0 0 8 ? * FRI#-1", "0 0 8 ? * FRIL"),
        ("0 0 8 ? * LFRI", "0 0 8 ? * FRIL"),
        ("0 0 8 ? * L5", None),
        ("0 0 8 ? * 5#L", None),
        ("0 0 8 ? * MON~FRI", None),  # a random day in OpenBSD's cron
        # what is around it
        ("(0 0 8 * * ?)", "0 0 8 * * ?"),
        ("['0 0 8 * * ?']", "0 0 8 * * ?"),
        ("0 0 8 * * ?;", "0 0 8 * * ?"),
        ("0 0 8 * * ?\0", "0 0 8 * * ?"),
        ("0 0 8\u200b * * ?", "0 0 8 * * ?"),
        ("0 0 1\u200b2 * ?", None),  # 12 o'clock or 1 o'clock on the 2nd
        ("8:30", "0 30 8 * * ?"),
        ("08:30:15", "15 30 8 * * ?"),
        ("24:30", None),
        # not a command
        ("0 0 8 * * &quest;", None),
        ("0 0 8 * * Montag", None),
        ("0 8 * * * backup.sh", "0 0 8 * * ?"),
        ("0 8 * * * /bin/true", "0 0 8 * * ?"),
        # not a comment
        ("0 0 8 ? * #3", None),
        ("0 0 8 ? * MON #3", None),  # the third Monday, or a comment
        ("0 0 8 ? * 6 #3", None),
        ("0 0 8 ? * 6# 3", None),
        ("0 0 8 ? * MON #30", "0 0 8 ? * MON"),
        # not a crontab line with a command
        ("0 0 8 * * ?|Europe/Berlin", None),
        ("0 0 8 * * ?</cron>", None),
        # digits that are raised are not those beside them
        ("0 0 1² * * ?", None),
        ("0 0 ½ * * ?", None),
        ("0 0 8 1½ * ?", None),
        # what stands around it in a program
        ("'0 0 8 * * ?',", "0 0 8 * * ?"),
        ("0 0 8 * * ? TZ=UTC", "0 0 8 * * ?"),
    ],
)
def test_an_expression_as_people_write_it_is_understood(text: str, fix: str | None) -> None:
    """Blanks in lists, long names, the signs around it; nothing where it may mean two things."""
    assert fix_of(text) == fix


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0 8 ? * MON, FRI", "column 15: a blank ends a field; a list is written without blanks, as in MON,FRI"),
        ("0 0 8 ? * LUN", "LUN is not a value; days of the week go from 1 to 7 or SUN to SAT"),
        ("0 0 8 ? * MÄR", "unexpected character 'Ä'; days of the week go from 1 to 7 or SUN to SAT"),
        ("0 0 8 ? * weekday", "weekday is not a value"),
        ("0 0 8 ? * 3W", "3W is not valid here; the last Friday is 6L or FRIL"),
        ("0 0 8 ? * #3", "column 11: #3 is missing a day; the third Friday is 6#3 or FRI#3"),
        ("0 0 8 * * ?\0", "column 12: invisible character '\\x00'"),
        ("H H * * *", "a key picks a value for H in CronExpression.hashed"),
        ("DTSTART:20260101T080000\nRRULE:FREQ=DAILY", "this is a recurrence rule of iCalendar"),
        ("8:30", "this is a time of day"),
        ("{0 0 8 * * ?}", "brackets are not part of the expression; remove them"),
    ],
)
def test_the_message_says_what_is_wrong_and_not_something_else(text: str, message: str) -> None:
    """FRI after a blank is no time zone, and LUN is not a wrong L."""
    with pytest.raises(CronSyntaxError) as refused:
        CronExpression(text)
    assert message in str(refused.value)


def test_a_member_of_an_enum_is_its_text() -> None:
    """Its own format is another one."""

    class Schedule(str, Enum):  # noqa: UP042, which formats as its text
        DAILY = "0 0 8 * * ?"

    expression = CronExpression(Schedule.DAILY)
    assert type(expression.text) is str
    assert f"{expression} {expression!r}" == "0 0 8 * * ? CronExpression('0 0 8 * * ?')"


#: What people and programs do to an expression.
CHANGES: dict[str, Callable[[str], str]] = {
    "commas between fields": lambda text: ", ".join(text.split()),
    "commas for blanks": lambda text: ",".join(text.split()),
    "semicolons for blanks": lambda text: ";".join(text.split()),
    "in an address": lambda text: text.replace(" ", "+").replace("?", "%3F"),
    "blank after a comma": lambda text: text.replace(",", ", "),
    "blank before a comma": lambda text: text.replace(",", " ,", 1),
    "and": lambda text: text.replace(",", " and ", 1),
    "semicolons": lambda text: text.replace(",", ";"),
    "blanks around a dash": lambda text: text.replace("-", " - ", 1),
    "to": lambda text: text.replace("-", " to ", 1),
    "dots": lambda text: text.replace("-", ".."),
    "a long dash": lambda text: text.replace("-", "–"),
    "wide signs": lambda text: "".join(chr(ord(c) + 0xFEE0) if c in "0123456789*?,-/" else c for c in text),
    "brackets": lambda text: f"({text})",
    "quotes": lambda text: f"“{text}”",
    "a semicolon at the end": lambda text: f"{text};",
    "a NUL": lambda text: f"{text}\0",
    "a comment": lambda text: f"{text} # nightly",
}
WRITTEN = st.tuples(
    MINUTES,
    MINUTES,
    HOURS,
    st.one_of(
        st.tuples(MONTH_DAYS, MONTHS, st.just("?")).map(" ".join),
        st.tuples(st.just("?"), MONTHS, WEEK | st.sampled_from(["MON-FRI", "SAT,SUN", "FRI-MON", "TUE#3"])).map(
            " ".join
        ),
    ),
    st.sampled_from(["", " 2026", " 2026,2028", " 2026-2030"]),
).map(lambda parts: " ".join(parts[:4]) + parts[4])


@given(WRITTEN, st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=2, unique=True))
@settings(max_examples=examples(300))
def test_the_fix_of_a_disfigured_expression_is_that_expression(text: str, names: list[str]) -> None:
    """Or there is none, whatever was done to it."""
    try:
        meant = CronExpression(text)
    except CronSyntaxError:
        return
    disfigured = text
    for name in names:
        disfigured = CHANGES[name](disfigured)
    fix = fix_of(disfigured)
    assert fix is None or CronExpression(fix) == meant
