"""Calendars of working days: the values, and the fires that they move, against brute force."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartzcron import CronError, CronExpression
from quartzcron.calendars import Calendar, WorkingDays
from quartzcron.dialects import DialectError
from quartzcron.schedules import from_json, overlap, union
from tests.example_counts import examples
from tests.quartzcron.working_days_oracle import ROLLS, WorkingOracle
from tests.strategies import expressions, sparse_expressions, working_weeks

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
START, END = datetime(1969, 12, 31, 12), datetime(2099, 12, 31, 23, 59, 59)
NEW_YEAR = datetime(2026, 1, 1)
#: A long Spring Festival, and the Sunday and the Saturday that are worked for it.
FESTIVAL = {date(2026, 2, 16) + n * DAY: "Spring Festival" for n in range(8)}
CHINA = WorkingDays(holidays=FESTIVAL, worked=[date(2026, 2, 14), date(2026, 2, 28)], name="China")


# -- the value --


def test_a_calendar_answers_which_days_are_worked() -> None:
    """Week, holidays, worked days; next, previous, number."""
    assert [CHINA.is_working(date(2026, 2, day)) for day in (13, 14, 15, 16, 23, 24, 28)] == [1, 1, 0, 0, 0, 1, 1]
    assert CHINA.next_working(date(2026, 2, 14)) == date(2026, 2, 24)
    assert CHINA.previous_working(date(2026, 2, 24)) == date(2026, 2, 14)
    assert CHINA.count(date(2026, 2, 14), date(2026, 2, 24)) == 1
    assert CHINA.count(date(2026, 2, 24), date(2026, 2, 14)) == 0
    assert CHINA.is_working(datetime(2026, 2, 14, 23))
    assert CHINA.holidays[date(2026, 2, 17)] == "Spring Festival"
    assert list(CHINA.worked) == [date(2026, 2, 14), date(2026, 2, 28)]


@given(
    arguments=working_weeks(2024, 2027), day=st.dates(date(2024, 1, 1), date(2027, 12, 31)), roll=st.sampled_from(ROLLS)
)
@settings(max_examples=examples(60), deadline=None)
def test_all_answers_agree_with_a_walk_from_day_to_day(arguments: dict[str, Any], day: date, roll: str) -> None:
    """next, previous, count and rolled."""
    calendar = WorkingDays(**arguments)
    oracle = WorkingOracle("0 0 0 * * ?", roll, within=(day, day), **arguments)
    assert calendar.is_working(day) == oracle.is_working(day)
    assert calendar.rolled(day, roll) == oracle.target(day, roll)
    following, preceding = calendar.next_working(day), calendar.previous_working(day)
    assert following is not None
    assert preceding is not None
    between = [preceding + n * DAY for n in range(1, (following - preceding).days)]
    assert [one for one in between if oracle.is_working(one)] == [day] * oracle.is_working(day)
    assert oracle.is_working(following)
    assert oracle.is_working(preceding)
    assert calendar.count(preceding - DAY, following) == 2 + oracle.is_working(day)


def test_outside_1970_to_2099_the_week_is_assumed() -> None:
    """And no fire goes there."""
    assert WorkingDays().is_working(date(2150, 1, 1))
    assert not WorkingDays().is_working(date(2150, 1, 3))
    assert WorkingDays().next_working(date(2099, 12, 31)) is None
    assert WorkingDays().next_working(date(1200, 1, 1)) == date(1970, 1, 1)
    assert WorkingDays().previous_working(date(1970, 1, 1)) is None
    assert WorkingDays().previous_working(date(2300, 1, 1)) == date(2099, 12, 31)
    assert WorkingDays(holidays=[date(2150, 1, 1)]) == WorkingDays()
    assert WorkingDays().count(date(1, 1, 1), date(9999, 12, 31)) == WorkingDays().count(
        date(1969, 12, 31), date(2099, 12, 31)
    )
    last = WorkingDays(holidays=[date(2099, 12, 31), date(1970, 1, 1)])
    assert last.rolled(date(2099, 12, 31), "following") is None
    assert last.rolled(date(2099, 12, 31), "modified_following") == date(2099, 12, 30)
    assert last.rolled(date(1970, 1, 1), "preceding") is None
    assert last.rolled(date(1970, 1, 1), "modified_preceding") == date(1970, 1, 2)
    assert last.rolled(date(1969, 12, 31), "following") is None


def test_calendars_are_values() -> None:
    """Equal by working days, week and knowledge; hashable, picklable, immutable."""
    same = WorkingDays("mon,tue,3-6", holidays=list(FESTIVAL), worked=[date(2026, 2, 28), date(2026, 2, 14)])
    assert same == CHINA
    assert hash(same) == hash(CHINA)
    assert same != WorkingDays("MON-FRI", holidays=FESTIVAL)
    assert same != WorkingDays(holidays=same.holidays, worked=same.worked, known_until=date(2027, 12, 31))
    assert same != "MON-FRI"
    again = pickle.loads(pickle.dumps(CHINA))
    assert (again, again.name, again.holidays) == (CHINA, "China", CHINA.holidays)
    assert repr(CHINA) == "<WorkingDays China: MON-FRI, 8 holidays, 2 worked days, known until 2026-12-31>"
    assert repr(WorkingDays("1-7")) == "<WorkingDays SUN-SAT>"
    for change in (lambda: setattr(CHINA, "week", "FRI"), lambda: delattr(CHINA, "name")):
        with pytest.raises(AttributeError, match="immutable"):
            change()


@given(arguments=working_weeks())
@settings(max_examples=examples(40), deadline=None)
def test_json_gives_back_the_same_calendar(arguments: dict[str, Any]) -> None:
    """With names too."""
    named = dict.fromkeys(arguments["holidays"], "day off")
    for calendar in (WorkingDays(**arguments), WorkingDays(**{**arguments, "holidays": named}, name="firm")):
        again = WorkingDays.from_json(json.loads(json.dumps(calendar.to_json())))
        assert again == calendar
        assert (again.name, again.holidays, again.worked) == (calendar.name, calendar.holidays, calendar.worked)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"week": ""}, "'' is not a working week"),
        ({"week": "MON FRI"}, "is not a working week"),
        ({"week": "MON-FRY"}, "is not a working week"),
        ({"week": "FRI#1"}, "is not a working week"),
        ({"week": "FRIL"}, "is not a working week"),
        ({"name": "two\nlines"}, "up to 200 printable characters"),
        ({"name": "x" * 201}, "up to 200 printable characters"),
        ({"week": "?"}, "is not a working week"),
        (
            {"holidays": [NEW_YEAR], "worked": [date(2026, 1, 1)]},
            "2026-01-01 cannot be both a holiday and a worked day",
        ),
        ({"holidays": [date(2027, 5, 1)], "known_until": date(2026, 12, 31)}, "2027-05-01 is after 2026-12-31"),
        ({"holidays": list(Calendar.weekly("FRI")), "week": "FRI"}, "needs at least one working day"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    """With what is wrong."""
    with pytest.raises(CronError, match=message):
        WorkingDays(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"week": 5}, {"week": ["MON"]}, {"holidays": 5}, {"holidays": ["2026-01-01"]}, {"holidays": {date(2026, 1, 1): 5}},
     {"worked": [None]}, {"name": 5}, {"known_until": "2026-12-31"}],
)  # fmt: skip
def test_an_argument_of_a_wrong_type_is_a_type_error(arguments: dict[str, Any]) -> None:
    """As everywhere."""
    with pytest.raises(TypeError):
        WorkingDays(**arguments)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "must be an object of name, week"),
        ({"days": []}, "must be an object of name, week"),
        ({"week": 5}, "must be a str"),
        ({"week": "MON-FRY"}, "is not a working week"),
        ({"holidays": "2026-01-01"}, "holidays must be a list of dates"),
        ({"holidays": ["2026-02-30"]}, "holidays has dates such as \"2026-12-31\", got '2026-02-30'"),
        ({"holidays": ["2026-W01-1"]}, "holidays has dates such as"),
        ({"worked": [20260101]}, "worked has dates such as"),
        ({"worked": {"2026-01-01": 5}}, "the name of a worked day must be a str"),
        ({"known_until": "soon"}, "known_until has dates such as"),
        ({"name": 5}, "must be a str"),
    ],
)
def test_json_of_another_form_is_refused(value: object, message: str) -> None:
    """With what is wrong, as a CronError, since it is a value and not a program's mistake."""
    with pytest.raises(CronError, match=message):
        WorkingDays.from_json(value)


def test_calendars_are_combined() -> None:
    """What both work, what either works, with a firm's own days."""
    gulf = WorkingDays("SUN-THU", holidays=[date(2026, 3, 19)], name="the Gulf")
    west = WorkingDays(holidays=[date(2026, 12, 25)], worked=[date(2027, 1, 3)], name="the West")
    both, either = gulf & west, gulf | west
    assert (both.week, both.name, both.known_until) == ("MON-THU", "the Gulf and the West", date(2026, 12, 31))
    assert (either.week, either.name) == ("SUN-FRI", "the Gulf or the West")
    for day in (date(2026, 1, 1) + n * DAY for n in range(365)):
        assert both.is_working(day) == (gulf.is_working(day) and west.is_working(day))
        assert either.is_working(day) == (gulf.is_working(day) or west.is_working(day))
    with pytest.raises(CronError, match="SAT and MON-FRI have no working day in common"):
        _ = WorkingDays("SAT") & WorkingDays()
    firm = CHINA.less([date(2026, 2, 14)], name="firm").plus({date(2026, 2, 16): "inventory"})
    assert (firm.is_working(date(2026, 2, 14)), firm.is_working(date(2026, 2, 16)), firm.name) == (False, True, "firm")
    assert firm.known_until == CHINA.known_until


# -- expressions on working days --


@given(
    text=sparse_expressions() | expressions(with_years=False).map(lambda text: f"0 30 9 {' '.join(text.split()[3:])}"),
    arguments=working_weeks(2025, 2027),
    roll=st.sampled_from(ROLLS),
    start=st.datetimes(datetime(2025, 6, 1), datetime(2026, 12, 1)),
)
@settings(max_examples=examples(25), deadline=None)
def test_each_day_goes_where_a_walk_takes_it(text: str, arguments: dict[str, Any], roll: str, start: datetime) -> None:
    """All methods, within three months."""
    expression = CronExpression(text).on(WorkingDays(**arguments), roll)
    end = start + 90 * DAY
    oracle = WorkingOracle(text, roll, within=(start.date(), end.date()), **arguments)
    expected = [
        wall
        for n in range((end.date() - start.date()).days + 1)
        for wall in oracle.walls(start.date() + n * DAY)
        if start < wall <= end
    ]
    assert expression.count(start, end) == len(expected)
    assert expression.between(start, end) == expected
    assert expression.next_fire(start) == (expected[0] if expected else expression.next_fire(end))
    if expected:
        assert expression.prev_fire(end + SECOND.resolution) == expected[-1]
        assert expression.nth(len(expected), start) == expected[-1]
        assert all(map(expression.matches, expected[:50]))
    assert expression.matches(start) == oracle.is_wall(start.replace(microsecond=0))


LONG = {date(2031, 11, 1) + n * DAY for n in range(800)}
CALENDARS: list[dict[str, Any]] = [
    {"week": "MON-FRI"},
    {"week": "SUN-THU", "holidays": {date(year, month, 1) for year in range(1970, 2100) for month in (1, 5, 12)}},
    {"week": "FRI", "holidays": LONG, "worked": {date(year, 12, 31) for year in range(1970, 2030)}},
    {"week": "MON-FRI", "holidays": {date(1970, 1, 1), date(2099, 12, 31), date(2099, 12, 30), date(2000, 2, 29)}},
]


@pytest.mark.parametrize("roll", ROLLS)
@pytest.mark.parametrize("place", range(len(CALENDARS)))
def test_all_methods_agree_over_130_years(place: int, roll: str) -> None:
    """With runs of days off that are longer than a year, and days off at both ends."""
    text = ("0 0 17 L * ?", "0 30 8,9 1 * ?", "0 0 8 31 12,1 ?", "0 0 8 13 * ?")[place]
    expression = CronExpression(text).on(WorkingDays(**CALENDARS[place]), roll)
    oracle = WorkingOracle(text, roll, **CALENDARS[place])
    expected = [wall for day in sorted(oracle.moved) for wall in oracle.walls(day)]
    assert expression.between(START, END) == expected
    assert expression.count(START, END) == len(expected)
    forward, backward = [], []
    time: datetime | None = START
    while time is not None and (time := expression.next_fire(time)) is not None:
        forward.append(time)
    time = END
    while time is not None and (time := expression.prev_fire(time)) is not None:
        backward.append(time)
    assert forward == expected
    assert backward[::-1] == [fire for fire in expected if fire < END]
    assert [expression.nth(n, START) for n in range(1, len(expected) + 1, 97)] == expected[::97]
    assert expression.nth(len(expected) + 1, START) is None
    gaps = [later - earlier for earlier, later in pairwise(expected)]
    assert (expression.min_gap, expression.max_gap) == (min(gaps, default=None), max(gaps, default=None))
    assert expression.never_fires == (not expected)


#: A zone, and the second (UTC) at which its clocks change.
CHANGES = [
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),  # no 30 December
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),  # half an hour back
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Africa/Casablanca", datetime(2026, 2, 15, 2, tzinfo=UTC)),  # Ramadan
    ("Africa/Cairo", datetime(2026, 4, 23, 22, tzinfo=UTC)),  # midnight does not exist
    ("Africa/Cairo", datetime(2026, 10, 29, 21, tzinfo=UTC)),  # the hour before midnight twice
]


@pytest.mark.parametrize("dst", ["vixie", "quartz"])
@pytest.mark.parametrize(("zone", "change"), CHANGES)
def test_moved_fires_keep_their_wall_time_where_clocks_change(zone: str, change: datetime, dst: str) -> None:
    """A day off beside the change moves its fires onto the day of the change; the policy is that of the expression."""
    info = ZoneInfo(zone)
    day = change.astimezone(info).date()
    start, end = change - timedelta(hours=4), change + timedelta(hours=4)
    fires: list[datetime] = []
    for roll, off, text in (
        ("following", day - DAY, f"0 0/30 * {(day - DAY).day} * ?"),
        ("preceding", day, f"0 0,30 0,1,2,23 {day.day} * ?"),
        ("preceding", day + DAY, f"0 0,30 0,1,2,23 {(day + DAY).day} * ?"),
        ("modified_following", day - DAY, f"0 0,30 0,2,3 {(day - DAY).day} * ?"),
    ):
        arguments: dict[str, Any] = {"week": "1-7", "holidays": {off}}
        expression = CronExpression(text, tz=zone, dst=dst).on(WorkingDays(**arguments), roll)
        oracle = WorkingOracle(text, roll, dst=dst, within=(off - 2 * DAY, off + 2 * DAY), **arguments)
        expected = oracle.instants(info, start, end)
        assert expression.between(start - SECOND, end) == expected
        assert expression.count(start - SECOND, end) == len(expected)
        assert [expression.nth(n, start - SECOND) for n in range(1, len(expected) + 1)] == expected
        back, time = [], expression.prev_fire(end + SECOND)
        while time is not None and time >= start:
            back.append(time)
            time = expression.prev_fire(time)
        assert back[::-1] == expected
        assert all(map(expression.matches, expected))
        fires += expected
    assert fires


def test_fires_that_move_to_one_time_are_one() -> None:
    """Saturday's and Sunday's are Monday's."""
    daily = CronExpression("0 0 8,9 * * ?")
    moved = daily.on(WorkingDays(), "following")
    assert moved == CronExpression("0 0 8,9 ? * MON-FRI") == daily.on(WorkingDays(), "preceding")
    assert hash(moved) == hash(CronExpression("0 0 8,9 ? * MON-FRI"))
    assert moved.canonical == "0 0 8,9 ? * MON-FRI"
    assert moved.to_crontab() == "0 8,9 * * 1-5"
    assert CronExpression("0 0 17 L * ?").on(WorkingDays(), "preceding") == CronExpression("0 0 17 LW * ?")
    assert CronExpression("0 0 8 30 2 ?").on(WorkingDays(), "following").never_fires
    assert CronExpression("0 0 8 ? * SAT").on(WorkingDays()).never_fires
    assert CronExpression("0 0 8 ? * SAT").on(WorkingDays(), "only_off") == CronExpression("0 0 8 ? * SAT")


PAYDAY = CronExpression("0 0 17 L * ?", tz="Asia/Shanghai")


@pytest.mark.parametrize("roll", ROLLS)
def test_an_expression_on_working_days_is_a_value(roll: str) -> None:
    """Equal, picklable, with a JSON form; its days cannot be written as a text, which it says."""
    expression = PAYDAY.on(CHINA, roll)
    for again in (
        pickle.loads(pickle.dumps(expression)),
        CronExpression.from_json(json.loads(json.dumps(expression.to_json()))),
        from_json(json.loads(json.dumps(union(expression, PAYDAY).to_json()))).parts[0],
    ):
        assert again == expression
        assert hash(again) == hash(expression)
        assert again.describe() == expression.describe()
        assert repr(again) == repr(expression)
    assert repr(expression).endswith(f").on({CHINA!r}, roll={roll!r})")
    assert expression.known_until == date(2026, 12, 31)
    assert expression.text == PAYDAY.text
    if expression != PAYDAY.on(WorkingDays(), roll):
        with pytest.raises(CronError, match="by its calendar of working days cannot be written"):
            _ = expression.canonical
        with pytest.raises(DialectError, match="goes by working days"):
            expression.to_crontab()


@pytest.mark.parametrize(
    ("roll", "english", "chinese"),
    [
        ("skip", "on working days only", "仅工作日"),
        ("following", "or the working day after it", "遇休息日顺延至下一个工作日"),
        ("preceding", "or the working day before it", "遇休息日提前至上一个工作日"),
        ("modified_following", "or the working day after it, or before it where that is in another month",
         "遇休息日顺延至下一个工作日，跨月则提前至上一个工作日"),
        ("modified_preceding", "or the working day before it, or after it where that is in another month",
         "遇休息日提前至上一个工作日，跨月则顺延至下一个工作日"),
        ("only_off", "on days off only", "仅休息日"),
    ],
)  # fmt: skip
def test_descriptions_say_what_becomes_of_days_off(roll: str, english: str, chinese: str) -> None:
    """In both languages, with the name of the calendar if it has one."""
    expression = CronExpression("0 0 17 15 * ?").on(CHINA, roll)
    assert expression.describe() == f"At 17:00 on the 15th of every month, {english} (China)"
    assert expression.describe("zh") == f"每月 15 日 17:00（{chinese}，China）"
    unnamed = CronExpression("0 0 17 15 * ?").on(WorkingDays(holidays=FESTIVAL), roll)
    assert unnamed.describe() == f"At 17:00 on the 15th of every month, {english}"
    assert unnamed.describe("zh") == f"每月 15 日 17:00（{chinese}）"


def test_calendars_apply_one_after_the_other() -> None:
    """In the order in which they were given; the days that are taken out last do not come back."""
    closed = Calendar([date(2026, 2, 13), date(2026, 2, 14)], name="inventory")
    daily = CronExpression("0 0 8 15 2 ? 2026")
    first = daily.on(CHINA, "preceding")
    assert first.next_fire(NEW_YEAR) == datetime(2026, 2, 14, 8)
    assert first.excluding(closed).never_fires
    rest = daily.excluding(closed).on(CHINA, "preceding")
    assert rest.describe() == "At 08:00 on 14 February 2026"
    assert rest.next_fire(NEW_YEAR) == datetime(2026, 2, 14, 8)
    assert rest.calendar == closed
    assert rest.on(WorkingDays(), "preceding").next_fire(NEW_YEAR) == datetime(2026, 2, 13, 8)
    assert pickle.loads(pickle.dumps(rest)) == rest
    assert CronExpression("0 0 8 15 * ?").excluding(closed).on(CHINA, "preceding").describe() == (
        "At 08:00 on the 15th of every month, except on inventory, or the working day before it (China)"
    )
    with pytest.raises(CronError, match="leaves out the days of a calendar has no JSON form"):
        rest.to_json()
    for _ in range(10):
        daily = daily.on(CHINA)
    with pytest.raises(CronError, match="up to 10 calendars"):
        daily.on(CHINA)


def test_the_fires_of_another_expression_are_taken_out_of_moved_ones() -> None:
    """The times that are left keep their calendar."""
    expression = CronExpression("0 0/30 8-9 15 * ?").on(CHINA, "preceding")
    rest = expression.excluding(CronExpression("0 0 9 14 * ?"))
    expected = [fire for fire in expression.fires(NEW_YEAR) if (fire.day, fire.hour, fire.minute) != (14, 9, 0)]
    assert list(rest.fires(NEW_YEAR)) == expected


def test_two_calendars_with_the_same_days_keep_their_names() -> None:
    """Though the tables of their expressions are shared otherwise."""
    one, other = (
        CronExpression("0 0 9 1 * ?").on(WorkingDays(holidays=[date(2026, 5, 1)], name=name)) for name in "ab"
    )
    assert one == other
    assert (one.describe()[-3:], other.describe()[-3:]) == ("(a)", "(b)")
    days = [date(2026, 5, 1)]
    one, other = (CronExpression("0 0 9 1 * ?").excluding(Calendar(days, name=name)) for name in ("May", "Labour Day"))
    assert (one.describe()[-3:], other.describe()[-10:]) == ("May", "Labour Day")


def test_schedules_take_expressions_on_working_days() -> None:
    """Unions, overlaps and differences, with tables and with single steps."""
    moved = CronExpression("0 0 17 L * ?").on(CHINA, "preceding")
    weekly = CronExpression("0 0 17 ? * SAT")
    both, common = union(moved, weekly), overlap(moved, weekly)
    year = (NEW_YEAR, datetime(2027, 1, 1))
    assert both.between(*year) == sorted({*moved.between(*year), *weekly.between(*year)})
    assert both.count(*year) == len(both.between(*year))
    assert common.between(*year) == [datetime(2026, 2, 28, 17)]
    assert both.describe().startswith("Any of: at 17:00 on the last day of every month, or the working day before it")
    assert pickle.loads(pickle.dumps(both)) == both
    assert (both.known_until, union(weekly, weekly).known_until) == (date(2026, 12, 31), None)


@pytest.mark.parametrize("roll", ROLLS)
def test_schedules_move_to_working_days(roll: str) -> None:
    """A union by its parts; an overlap does not move, since its parts would move to different days."""
    parts = CronExpression("0 0 17 L * ?"), CronExpression("0 0 17 ? * SAT#2")
    year = (NEW_YEAR, datetime(2027, 1, 1))
    moved = union(union(*parts), overlap(parts[0])).on(CHINA, roll) if roll in ("skip", "only_off") else None
    expected = sorted({fire for part in parts for fire in part.on(CHINA, roll).between(*year)})
    assert union(*parts).on(CHINA, roll).between(*year) == expected
    if moved is None:
        with pytest.raises(CronError, match="the fires of an overlap do not move"):
            overlap(*parts).on(CHINA, roll)
    else:
        assert moved.between(*year) == expected
        common = overlap(CronExpression("0 0 17 * * ?"), parts[0]).on(CHINA, roll)
        assert common.between(*year) == parts[0].on(CHINA, roll).between(*year)


def test_a_roll_that_does_not_exist_is_refused() -> None:
    """With those that do."""
    with pytest.raises(CronError, match=r"unknown roll 'nearest'; use skip, following, .* or only_off"):
        PAYDAY.on(CHINA, "nearest")
    with pytest.raises(TypeError, match="roll must be one of skip"):
        PAYDAY.on(CHINA, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be WorkingDays, got Calendar"):
        PAYDAY.on(Calendar())  # type: ignore[arg-type]
    assert PAYDAY.known_until is None
    assert PAYDAY.on(WorkingDays()).known_until is None


@pytest.mark.parametrize(
    "value",
    [
        {"expression": "0 0 8 * * ?", "on": {}},
        {"expression": "0 0 8 * * ?", "on": ["cn"]},
        {"expression": "0 0 8 * * ?", "on": [{"roll": "skip"}]},
        {"expression": "0 0 8 * * ?", "on": [{"working_days": {}, "roll": 5}]},
        {"expression": "0 0 8 * * ?", "on": [{"working_days": {}, "roll": "x"}]},
        {"expression": "0 0 8 * * ?", "on": [{"working_days": {}, "more": 1}]},
        {"expression": "0 0 8 * * ?", "on": [{"working_days": {}}] * 11},
        {"expression": "0 0 8 * * ?", "off": []},
    ],
)
def test_an_expression_with_a_calendar_of_another_form_is_refused(value: object) -> None:
    """As a CronError."""
    with pytest.raises(CronError):
        CronExpression.from_json(value)
