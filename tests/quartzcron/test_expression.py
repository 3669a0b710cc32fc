"""CronExpression as a value, and its fire times in naive time: against the oracle, and by properties."""

from __future__ import annotations

import copy
import json
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from itertools import islice, pairwise

import pytest
from dateutil import rrule
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import quartzcron
from quartzcron import CronError, CronExpression, PolicyError, UnknownZoneError
from tests.example_counts import examples
from tests.quartzcron.oracle import Oracle
from tests.strategies import expressions, naive_times

SECOND = timedelta(seconds=1)
NEW_YEAR = datetime(2026, 1, 1)


def test_the_public_names_are_these() -> None:
    """A new public name is a decision, not an accident."""
    assert quartzcron.__all__ == [
        "CronError",
        "CronExpression",
        "CronSyntaxError",
        "PolicyError",
        "Problem",
        "UnknownZoneError",
    ]


# -- fire times --


@pytest.mark.parametrize(
    ("text", "fires"),
    [
        ("* * * * * ?", ["2026-01-01 00:00:01", "2026-01-01 00:00:02"]),
        ("0 0 8 ? * MON", ["2026-01-05 08:00:00", "2026-01-12 08:00:00"]),
        ("0 0/30 9-17 ? * MON-FRI", ["2026-01-01 09:00:00", "2026-01-01 09:30:00"]),
        ("0 0 22-2 * * ?", ["2026-01-01 01:00:00", "2026-01-01 02:00:00", "2026-01-01 22:00:00"]),
        ("0 0 8 L * ?", ["2026-01-31 08:00:00", "2026-02-28 08:00:00"]),
        ("0 0 8 LW * ?", ["2026-01-30 08:00:00", "2026-02-27 08:00:00"]),
        ("0 0 8 15W * ?", ["2026-01-15 08:00:00", "2026-02-16 08:00:00"]),
        ("0 0 8 1W * ?", ["2026-01-01 08:00:00", "2026-02-02 08:00:00"]),
        ("0 0 8 31W * ?", ["2026-01-30 08:00:00", "2026-03-31 08:00:00"]),
        ("0 0 8 L-29W * ?", ["2026-01-02 08:00:00", "2026-03-02 08:00:00", "2026-04-01 08:00:00"]),
        ("0 0 8 ? * 6#3", ["2026-01-16 08:00:00", "2026-02-20 08:00:00"]),
        ("0 0 8 ? * FRIL", ["2026-01-30 08:00:00", "2026-02-27 08:00:00"]),
        ("0 0 8 ? 2 MON#5", ["2044-02-29 08:00:00", "2072-02-29 08:00:00"]),
        ("0 0 8 29 2 ?", ["2028-02-29 08:00:00", "2032-02-29 08:00:00"]),
        ("0 0 8 1 1 ? 2090", ["2090-01-01 08:00:00"]),
        ("59 59 23 31 12 ? 2099", ["2099-12-31 23:59:59"]),
        ("0 0 8 30 2 ?", []),
        ("0 0 8 1 1 ? 2020", []),
    ],
)
def test_the_first_fires_of_2026(text: str, fires: list[str]) -> None:
    """The expressions of the manual, one by one."""
    assert [str(fire) for fire in islice(CronExpression(text).fires(NEW_YEAR), max(2, len(fires)))] == fires


@given(expressions(), st.integers(1970, 2099))
def test_the_days_of_a_year_are_those_of_the_oracle(text: str, year: int) -> None:
    """Day by day: fires on the days, and only on the days, that the grammar names."""
    at_noon = " ".join(["0 0 12", *text.split()[3:]])
    fires = CronExpression(at_noon).between(datetime(year, 1, 1), datetime(year, 12, 31, 23))
    assert [fire.date() for fire in fires] == Oracle(text).days(date(year, 1, 1), date(year, 12, 31))


@given(expressions(with_years=False), naive_times())
def test_the_times_of_a_day_are_those_of_the_oracle(text: str, time: datetime) -> None:
    """Forwards and backwards, a day that fires has all its times, in order."""
    expression, oracle = CronExpression(text), Oracle(text)
    first = expression.next_fire(time)
    assume(first is not None and len(oracle.seconds) * len(oracle.minutes) * len(oracle.hours) < 2_000)
    assert first is not None
    walls = oracle.walls(first.date())
    midnight = datetime.combine(first.date(), datetime.min.time())
    last = midnight + timedelta(days=1) - SECOND
    assert expression.between(midnight - SECOND, last) == walls
    backwards, fire = [], expression.prev_fire(last + SECOND)
    while fire is not None and fire >= midnight:
        backwards.append(fire)
        fire = expression.prev_fire(fire)
    assert backwards[::-1] == walls


@given(expressions(), naive_times())
def test_nothing_fires_between_a_time_and_its_next_fire(text: str, time: datetime) -> None:
    """next_fire is strictly later, is named by the grammar, and is the first such."""
    expression, oracle = CronExpression(text), Oracle(text)
    fire = expression.next_fire(time)
    if fire is None:
        assert not oracle.days(time.date() + timedelta(days=1), date(2099, 12, 31))[:1]
        return
    assert fire > time
    assert oracle.is_wall(fire)
    between = [day for day in oracle.days(time.date(), fire.date()) if day not in (time.date(), fire.date())]
    assert between == []
    edges = {time.date(), fire.date()} if len(oracle.seconds) * len(oracle.minutes) < 600 else set()
    assert not [wall for day in edges for wall in oracle.walls(day) if time < wall < fire]


@given(expressions(), naive_times())
def test_prev_is_the_mirror_of_next(text: str, time: datetime) -> None:
    """Stepping forwards and then backwards ends where one would expect."""
    expression = CronExpression(text)
    later, earlier = expression.next_fire(time), expression.prev_fire(time)
    whole = time.replace(microsecond=0)
    at_or_before = whole if expression.matches(time) else earlier
    if later is not None:
        assert expression.prev_fire(later) == at_or_before
    if earlier is not None:
        assert earlier < time
        assert expression.next_fire(earlier) == (time if expression.matches(time) and whole == time else later)


@given(expressions(), naive_times(first=1971))
def test_matches_agrees_with_next_fire(text: str, time: datetime) -> None:
    """A second matches exactly if it is the next fire after the second before."""
    expression = CronExpression(text)
    whole = time.replace(microsecond=0)
    assert expression.matches(time) == (expression.next_fire(whole - SECOND) == whole)


@given(expressions(), naive_times(), st.integers(1, 300))
def test_counting_agrees_with_walking(text: str, time: datetime, n: int) -> None:
    """nth is n steps of next_fire; count is how many steps there are."""
    expression = CronExpression(text)
    walked = list(islice(expression.fires(time), n))
    assert expression.nth(n, time) == (walked[-1] if len(walked) == n else None)
    if walked:
        assert expression.count(time, walked[-1]) == len(walked)
        assert expression.count(time, walked[-1] - SECOND / 2) == len(walked) - 1
        assert expression.count(walked[-1], time) == 0


@given(expressions(), naive_times(), st.integers(0, 3))
def test_between_is_what_fires_yields(text: str, time: datetime, days: int) -> None:
    """The start is excluded and the end included, as for next_fire."""
    expression = CronExpression(text)
    assume(expression._pattern.times.count < 5_000)
    end = min(time + timedelta(days=days, hours=5), datetime(2099, 12, 31, 23, 59, 59))
    fires, fire = [], expression.next_fire(time)
    while fire is not None and fire <= end:
        fires.append(fire)
        fire = expression.next_fire(fire)
    assert expression.between(time, end) == fires
    assert expression.count(time, end) == len(fires)


@given(
    st.sets(st.integers(0, 6), min_size=1),
    st.sets(st.integers(0, 23), min_size=1, max_size=3),
    st.integers(0, 59),
    naive_times(1990, 2080),
)
def test_weekly_fires_are_those_of_dateutil(days: set[int], hours: set[int], minute: int, time: datetime) -> None:
    """dateutil.rrule, which is independent of Quartz, has the same times."""
    names = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
    text = f"0 {minute} {','.join(map(str, hours))} ? * {','.join(names[day] for day in days)}"
    rule = rrule.rrule(rrule.WEEKLY, dtstart=time, byweekday=days, byhour=hours, byminute=minute, bysecond=0, count=20)
    expected = [fire for fire in rule if fire > time][:15]
    assert list(islice(CronExpression(text).fires(time), len(expected))) == expected


@given(st.integers(1, 5), st.integers(1, 7), naive_times(1990, 2080))
def test_the_nth_weekday_is_that_of_dateutil(n: int, day: int, time: datetime) -> None:
    """d#n is BYDAY=nXX; dL is BYDAY=-1XX."""
    weekday = [rrule.SU, rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA][day - 1]
    for text, position in ((f"0 0 8 ? * {day}#{n}", n), (f"0 0 8 ? * {day}L", -1)):
        rule = rrule.rrule(
            rrule.MONTHLY, dtstart=time, byweekday=weekday(position), byhour=8, byminute=0, bysecond=0, count=5
        )
        expected = [fire for fire in rule if fire > time]
        assert list(islice(CronExpression(text).fires(time), len(expected))) == expected


# -- the ends of the range --


@pytest.mark.parametrize(
    ("after", "fire"),
    [
        (datetime.min, datetime(1970, 1, 1)),
        (datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(1970, 1, 1)),
        (datetime(1970, 1, 1), datetime(1970, 1, 1, 0, 0, 1)),
        (datetime(2099, 12, 31, 23, 59, 58), datetime(2099, 12, 31, 23, 59, 59)),
        (datetime(2099, 12, 31, 23, 59, 59), None),
        (datetime(2100, 1, 1), None),
        (datetime.max, None),
    ],
)
def test_the_first_and_the_last_second(after: datetime, fire: datetime | None) -> None:
    """1970 to 2099 and no more; no time overflows."""
    every_second = CronExpression("* * * * * ?")
    assert every_second.next_fire(after) == fire
    aware = every_second.next_fire(after.replace(tzinfo=UTC))
    assert aware == (fire and fire.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("before", "fire"),
    [
        (datetime.max, datetime(2099, 12, 31, 23, 59, 59)),
        (datetime(2100, 1, 1), datetime(2099, 12, 31, 23, 59, 59)),
        (datetime(1970, 1, 1, 0, 0, 0, 1), datetime(1970, 1, 1)),
        (datetime(1970, 1, 1), None),
        (datetime.min, None),
    ],
)
def test_the_first_and_the_last_second_backwards(before: datetime, fire: datetime | None) -> None:
    """The mirror of the same."""
    every_second = CronExpression("* * * * * ?")
    assert every_second.prev_fire(before) == fire
    assert every_second.prev_fire(before.replace(tzinfo=UTC)) == (fire and fire.replace(tzinfo=UTC))


# -- what never fires, and how often the others do --


@pytest.mark.parametrize(
    "text",
    ["0 0 8 30 2 ?", "0 0 8 31 2,4,6,9,11 ?", "0 0 8 29 2 ? 2025", "0 0 8 ? 2 MON#5 2025-2030", "0 0 8 L-30 2 ?"],
)
def test_an_expression_that_never_fires_says_so(text: str) -> None:
    """Known without a search."""
    expression = CronExpression(text)
    assert expression.never_fires
    assert expression.next_fire(datetime(1970, 1, 1)) is None
    assert expression.prev_fire(datetime(2099, 12, 31)) is None
    assert expression.min_gap is None
    assert expression.count(datetime(1970, 1, 1), datetime(2099, 12, 31)) == 0


@given(expressions())
def test_never_fires_means_that_nothing_is_found(text: str) -> None:
    """The claim agrees with the search from the beginning."""
    expression = CronExpression(text)
    assert expression.never_fires == (expression.next_fire(datetime.min) is None)


@pytest.mark.parametrize(
    ("text", "shortest", "longest"),
    [
        ("* * * * * ?", 1, 1),
        ("0 0/5 * * * ?", 300, 300),
        ("0 0 8 * * ?", 86_400, 86_400),
        ("0 0 9-17 ? * MON-FRI", 3_600, 3 * 86_400 - 8 * 3_600),
        ("0 0 8 29 2 ?", 1_461 * 86_400, 1_461 * 86_400),
        ("0 0 8 L * ?", 28 * 86_400, 31 * 86_400),
        ("0 0 0,23 * * ?", 3_600, 23 * 3_600),
        ("0 0 8 1 1 ? 2026,2030", 1_461 * 86_400, 1_461 * 86_400),
        ("0,30 15,20 8 1 1 ? 2026", 30, 270),
    ],
)
def test_gaps_between_fires(text: str, shortest: int, longest: int) -> None:
    """min_gap and max_gap, in seconds by wall clock."""
    expression = CronExpression(text)
    assert expression.min_gap == timedelta(seconds=shortest)
    assert expression.max_gap == timedelta(seconds=longest)


def test_a_single_fire_has_no_gap() -> None:
    """None rather than a guess."""
    assert CronExpression("0 0 8 1 1 ? 2026").max_gap is None


@given(expressions(), naive_times())
def test_every_gap_lies_between_the_shortest_and_the_longest(text: str, time: datetime) -> None:
    """Walking never leaves the bounds."""
    expression = CronExpression(text)
    shortest, longest = expression.min_gap, expression.max_gap
    fires = list(islice(expression.fires(time), 30))
    for earlier, later in pairwise(fires):
        assert shortest is not None
        assert longest is not None
        assert shortest <= later - earlier <= longest


# -- a value --


@given(expressions())
def test_the_normal_form_is_the_same_expression(text: str) -> None:
    """canonical parses to an equal expression, whose normal form it is."""
    expression = CronExpression(text)
    canonical = CronExpression(expression.canonical)
    assert canonical == expression
    assert hash(canonical) == hash(expression)
    assert canonical.canonical == expression.canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0 0 8 ? * 2 *", "0 0 8 ? * MON"),
        ("0 0 8 ? * 1-7", "0 0 8 * * ?"),
        ("0 0/5 * 1-31 1-12 ?", "0 0/5 * * * ?"),
        ("0 0,30 8 ? * sunday,6#3"[:-4], "0 0,30 8 ? * SUN"),
        ("0 0-0 8 l,15,3w,lw * ? 2026-2028", "0 0 8-8 15,3W,L,LW * ? 2026-2028"),
        ("5 4 3 ? 2 friL", "5 4 3 ? 2 FRIL"),
        ("5 4 3 ? 2 FRI#2", "5 4 3 ? 2 FRI#2"),
    ],
)
def test_normal_forms(text: str, canonical: str) -> None:
    """Sorted, weekdays by name, no needless year; fixed times stay lists and intervals stay intervals."""
    assert CronExpression(text).canonical == canonical


def test_fixed_times_and_intervals_differ() -> None:
    """They have the same wall times, but differ in an overlap."""
    assert CronExpression("0 0,30 1 * * ?") != CronExpression("0 0/30 1 * * ?")


def test_zone_and_policy_are_part_of_the_value() -> None:
    """Equal only in the same zone, as whatever object, and under the same policy."""
    daily = "0 0 8 * * ?"
    assert CronExpression(daily, tz="Asia/Shanghai") != CronExpression(daily)
    assert CronExpression(daily, tz="Asia/Shanghai") != CronExpression(daily, tz="Asia/Tokyo")
    assert CronExpression(daily, dst="quartz") != CronExpression(daily)
    assert CronExpression(daily) != daily


@pytest.mark.parametrize(
    "expression",
    [
        CronExpression("0 0 8 ? * MON"),
        CronExpression("0  0 8 ? * mon", tz="Asia/Shanghai"),
        CronExpression("0 0 8 ? * MON", tz="UTC", dst="quartz"),
        CronExpression("0 0 8 ? * MON", tz="+05:45"),
    ],
    ids=repr,
)
def test_repr_pickle_and_copy_give_the_value_back(expression: CronExpression) -> None:
    """The text is kept as it was written."""
    twin = eval(repr(expression))
    for other in (twin, pickle.loads(pickle.dumps(expression)), copy.copy(expression), copy.deepcopy(expression)):
        assert other == expression
        assert (other.text, other.dst, str(other.tz)) == (expression.text, expression.dst, str(expression.tz))


@given(
    text=expressions(),
    tz=st.sampled_from([None, "Asia/Shanghai", "+08:00", timezone(timedelta(hours=-3))]),
    dst=st.sampled_from(["vixie", "quartz"]),
)
@settings(max_examples=examples(30), deadline=None)
def test_json_gives_the_value_back(text: str, tz: str | tzinfo | None, dst: str) -> None:
    """The text alone where that is all, else an object."""
    expression = CronExpression(text, tz=tz, dst=dst)
    written = json.dumps([expression], default=CronExpression.to_json)
    (back,) = map(CronExpression.from_json, json.loads(written))
    assert (back, back.text) == (expression, expression.text)
    assert isinstance(json.loads(written)[0], str) == (tz is None and dst == "vixie")


@pytest.mark.parametrize("value", [None, 3, [], {}, {"expression": 3}, {"expression": "0 0 8 * * ?", "zone": "UTC"}])
def test_json_of_another_form_is_refused(value: object) -> None:
    """The error names the valid forms; a calendar has no JSON form."""
    with pytest.raises(CronError, match="an object of expression, tz, dst and on"):
        CronExpression.from_json(value)
    with pytest.raises(CronError, match="has no JSON form"):
        CronExpression("0 0 8 * * ?").excluding([date(2026, 1, 1)]).to_json()


def test_pickles_of_0_1_0_load() -> None:
    """Job stores have them; they name a function that has moved."""
    kept = b"cquartzcron.expression\n_make\n(cquartzcron.expression\nCronExpression\nV0 0 8 ? * MON\nNVquartz\ntR."
    assert pickle.loads(kept) == CronExpression("0 0 8 ? * MON", dst="quartz")


def test_errors_pickle() -> None:
    """An error crosses a process boundary whole."""
    with pytest.raises(CronError) as caught:
        CronExpression("0 75 8 * * ?")
    error = pickle.loads(pickle.dumps(caught.value))
    assert (str(error), error.column, error.drawing) == (str(caught.value), 3, caught.value.drawing)


def test_an_expression_is_immutable() -> None:
    """No attribute can be set, added or deleted."""
    expression = CronExpression("0 0 8 ? * MON")
    for name in ("text", "dst", "tz", "new"):
        with pytest.raises(AttributeError):
            setattr(expression, name, "x")
    with pytest.raises(AttributeError):
        del expression.text


def test_a_subclass_keeps_its_class() -> None:
    """From the memo of texts, in pickles, and without the days of a calendar or the fires of another expression."""

    class Ours(CronExpression):
        __slots__ = ()

    CronExpression("0 0 8 ? * MON")
    assert type(Ours("0 0 8 ? * MON")) is Ours
    assert type(pickle.loads(pickle.dumps(CronExpression("0 0 8 ? * MON")))) is CronExpression
    ours = Ours("0 0 8,9 ? * MON")
    assert type(ours.excluding([date(2026, 1, 5)])) is Ours
    assert type(ours.excluding(CronExpression("0 0 8 * * ?"))) is Ours


@pytest.mark.parametrize("bad", [date(2026, 1, 1), "2026-01-01", 0, 1.5, []])
def test_a_time_is_a_datetime(bad: object) -> None:
    """Anything else is a TypeError that says so."""
    expression = CronExpression("0 0 8 ? * MON")
    for ask in (expression.next_fire, expression.prev_fire, expression.matches):
        with pytest.raises(TypeError, match="a time must be a datetime"):
            ask(bad)  # type: ignore[operator]


def test_wrong_arguments_are_refused_with_a_hint() -> None:
    """Zone, policy and n."""
    with pytest.raises(UnknownZoneError, match="did you mean 'Asia/Shanghai'"):
        CronExpression("0 0 8 * * ?", tz="Asia/Shangai")
    with pytest.raises(PolicyError, match="'vixie' or 'quartz'"):
        CronExpression("0 0 8 * * ?", dst="java")
    with pytest.raises(TypeError, match="zone name or a tzinfo"):
        CronExpression("0 0 8 * * ?", tz=8)  # type: ignore[arg-type]
    with pytest.raises(CronError, match="at least 1"):
        CronExpression("0 0 8 * * ?").nth(0, NEW_YEAR)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("GMT+8", "+08:00"),  # the nearest name, Etc/GMT+8, is eight hours behind UTC
        ("UTC+8", "+08:00"),
        ("utc-3:30", "-03:30"),
        ("+0800", "+08:00"),
        ("+8", "+08:00"),
        ("Beijing", "Asia/Shanghai"),
        ("Asia/Beijing", "Asia/Shanghai"),
        ("asia/shanghai", "Asia/Shanghai"),
        ("New York", "America/New_York"),
    ],
)
def test_a_zone_of_another_spelling_gets_the_right_hint(name: str, meant: str) -> None:
    """A hint that is itself a valid name, and the one that was probably meant."""
    with pytest.raises(UnknownZoneError) as caught:
        CronExpression("0 0 8 * * ?", tz=name)
    assert caught.value.hint == f"did you mean {meant!r}?"
    assert CronExpression("0 0 8 * * ?", tz=meant).tz is not None


def test_an_expression_is_formatted_as_its_text() -> None:
    """For tables of them."""
    assert f"{CronExpression('0 0 8 * * ?'):>14}|" == "   0 0 8 * * ?|"


def test_no_time_means_now() -> None:
    """In the expression's zone, or else in that of this machine; the answer is aware."""
    for expression in (CronExpression("* * * * * ?"), CronExpression("* * * * * ?", tz="Asia/Shanghai")):
        now = datetime.now(UTC)
        later, earlier = expression.next_fire(), expression.prev_fire()
        assert later is not None
        assert earlier is not None
        assert earlier <= datetime.now(UTC)
        assert timedelta(0) < later - now < timedelta(seconds=5)


def test_threads_share_an_expression() -> None:
    """Eight threads that jump between years and zones all get right answers."""
    expression = CronExpression("0 0/7 8-9 ? * MON-FRI")
    times = [datetime(1971 + n % 120, 1 + n % 12, 1 + n % 28, n % 24, tzinfo=(None, UTC)[n % 2]) for n in range(400)]
    expected = [expression.next_fire(time) for time in times]

    def ask(seed: int) -> bool:
        order = random.Random(seed).sample(range(400), 400)
        return all(expression.next_fire(times[n]) == expected[n] for n in order)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(16)))


def test_importing_is_cheap() -> None:
    """None of the modules that cost milliseconds is imported before it is needed."""
    heavy = ["re", "typing", "dataclasses", "calendar", "dateutil", "zoneinfo", "pytz", "inspect", "enum", "argparse"]
    code = f"import sys; old = set(sys.modules); import quartzcron; print(set({heavy}) & (set(sys.modules) - old))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, cwd=".")
    assert done.stdout.strip() == "set()", done.stderr
