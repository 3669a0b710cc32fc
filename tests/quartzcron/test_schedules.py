"""Unions, overlaps and differences: exact, in every mixture of zones, and in bounded time."""

from __future__ import annotations

import json
import pickle
import time
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quartzcron import CronError, CronExpression
from quartzcron.schedules import Overlap, Schedule, Union, difference, from_json, from_text, overlap, union
from tests.example_counts import examples
from tests.strategies import ZONE_NAMES, expressions, sparse_expressions

NEW_YEAR = datetime(2026, 1, 1)
NEW_YEAR_UTC = datetime(2026, 1, 1, tzinfo=UTC)
SOME_ZONES = st.sampled_from([None, "UTC", *ZONE_NAMES[1:8]])


@given(one=sparse_expressions(), other=sparse_expressions())
@settings(max_examples=examples(60), deadline=None)
def test_a_union_fires_when_either_does_and_an_overlap_when_both_do(one: str, other: str) -> None:
    """Against the sets of fires of one month."""
    left, right = CronExpression(one), CronExpression(other)
    start, end = NEW_YEAR, datetime(2026, 2, 1)
    fires = set(left.between(start, end)), set(right.between(start, end))
    assert union(left, right).between(start, end) == sorted(fires[0] | fires[1])
    assert overlap(left, right).between(start, end) == sorted(fires[0] & fires[1])


@given(
    one=sparse_expressions(),
    other=sparse_expressions(),
    zones=st.tuples(SOME_ZONES, SOME_ZONES),
    day=st.integers(0, 364),
)
@settings(max_examples=examples(60), deadline=None)
def test_overlaps_are_right_across_zones_and_their_transitions(
    one: str, other: str, zones: tuple[str | None, str | None], day: int
) -> None:
    """Two weeks from any day of 2026, forwards and backwards, compared as instants."""
    left, right = CronExpression(one, tz=zones[0]), CronExpression(other, tz=zones[1])
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo("America/New_York")) + timedelta(days=day)
    end = start + timedelta(days=14)
    in_utc = [{fire.astimezone(UTC) for fire in schedule.between(start, end)} for schedule in (left, right)]
    both = overlap(left, right)
    assert [fire.astimezone(UTC) for fire in both.fires(start, end)] == sorted(in_utc[0] & in_utc[1])
    latest = both.prev_fire(end)
    expected = max((fire for fire in in_utc[0] & in_utc[1] if fire < end.astimezone(UTC)), default=None)
    assert expected is None or (latest is not None and latest.astimezone(UTC) == expected)


@given(one=expressions(), other=expressions())
@settings(max_examples=examples(20), deadline=None)
def test_prev_fire_mirrors_next_fire(one: str, other: str) -> None:
    """From a fire back to itself."""
    for schedule in (
        union(CronExpression(one), CronExpression(other)),
        overlap(CronExpression(one), CronExpression(other)),
    ):
        fire = schedule.next_fire(NEW_YEAR)
        if fire is not None:
            assert schedule.prev_fire(fire + timedelta(seconds=1)) == fire
            assert schedule.matches(fire)


def meeting(schedule: Schedule | CronExpression, start: datetime, end: datetime) -> set[datetime]:
    """The fires of a schedule, computed with sets of the fires of its expressions."""
    if isinstance(schedule, CronExpression):
        return {fire.astimezone(UTC) for fire in schedule.between(start, end)}
    parts = [meeting(part, start, end) for part in schedule.parts]
    return set.union(*parts) if isinstance(schedule, Union) else set.intersection(*parts)


@st.composite
def nested(draw: st.DrawFn) -> Schedule:
    """Unions and overlaps of one another, in zones and under policies of all kinds."""
    zones = st.sampled_from(["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe"])
    leaves = st.builds(
        CronExpression, sparse_expressions(), tz=zones, dst=st.sampled_from(["vixie", "vixie", "vixie", "quartz"])
    )
    parts = st.lists(
        st.one_of(leaves, st.lists(leaves, min_size=1, max_size=3).map(lambda some: overlap(*some))),
        min_size=1,
        max_size=3,
    )
    unions = st.lists(parts.map(lambda some: union(*some)), min_size=1, max_size=3)
    return draw(unions.map(lambda some: overlap(*some)))


@given(schedule=nested(), day=st.integers(0, 364) | st.sampled_from([66, 302, 304, 92, 88, 276]))
@settings(max_examples=examples(40), deadline=None)
def test_nested_schedules_are_the_sets_that_they_say(schedule: Overlap, day: int) -> None:
    """Five days from any day of 2026, including transition days, forwards and backwards."""
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
    end = start + timedelta(days=5)
    expected = sorted(meeting(schedule, start, end))
    assert schedule.between(start, end) == expected
    back, fire = [], schedule.prev_fire(end + timedelta(seconds=1))
    while fire is not None and fire > start:
        back.append(fire)
        fire = schedule.prev_fire(fire)
    assert back[::-1] == expected


def test_an_overlap_of_many_unions_costs_what_its_parts_do() -> None:
    """Nine unions of four would be 262,144 overlaps; that none of them ever fires is found at once."""
    texts = [[f"* * * {1 + (5 * n + 7 * k) % 28},{1 + (3 * n + 11 * k) % 28} * ?" for k in range(4)] for n in range(9)]
    never = overlap(*(union(*map(CronExpression, four)) for four in texts))
    began = time.process_time()
    assert never.next_fire(datetime(1970, 1, 2, tzinfo=UTC)) is None
    assert never.prev_fire(datetime(2099, 12, 30)) is None
    assert time.process_time() - began < 10


def test_deep_and_wide_schedules_are_answered_or_refused() -> None:
    """Up to 1,000 expressions, nested up to 50 deep, whatever they share."""
    daily, weekly = CronExpression("0 0 8 * * ?"), CronExpression("0 0 8 ? * MON")

    def deep(levels: int) -> Schedule:
        found: Schedule = union(daily, weekly)
        for _ in range(levels):
            found = overlap(union(found, weekly), daily)
        return found

    def doubled(times: int) -> Schedule:
        found: Schedule = union(daily)
        for _ in range(times):
            found = union(overlap(found, weekly), overlap(found, daily))
        return found

    schedule = deep(24)
    assert schedule.next_fire(NEW_YEAR) == datetime(2026, 1, 1, 8)
    assert eval(repr(schedule)) == pickle.loads(pickle.dumps(schedule)) == schedule
    with pytest.raises(CronError, match="nested up to 50 deep"):
        deep(10_000)
    with pytest.raises(CronError, match="up to 1,000 expressions"):
        doubled(100)
    assert union(*[daily] * 1000).next_fire(NEW_YEAR) == datetime(2026, 1, 1, 8)


@pytest.mark.parametrize(
    ("one", "other", "zones"),
    [
        ("0/2 * * * * ?", "1/2 * * * * ?", ("Asia/Shanghai", "America/New_York")),
        ("* * * 1/2 * ?", "* * * 2/2 * ?", (None, None)),
        ("* * * ? * MON", "* * * ? * TUE", ("America/New_York", "America/New_York")),
        ("* * * * * ? 2030", "* * * * * ? 2031", ("UTC", "UTC")),
        ("0 0 8 30 2 ?", "* * * * * ?", (None, None)),
    ],
)
def test_that_two_never_meet_is_proved_in_bounded_time(
    one: str, other: str, zones: tuple[str | None, str | None]
) -> None:
    """130 years, most of them full of fires."""
    never = overlap(CronExpression(one, tz=zones[0]), CronExpression(other, tz=zones[1]))
    began = time.process_time()
    assert never.next_fire(datetime(1970, 1, 2, tzinfo=UTC)) is None
    assert never.prev_fire(datetime(2099, 12, 30, tzinfo=UTC)) is None
    assert time.process_time() - began < 20


def test_a_meeting_at_the_end_of_a_gap_is_found() -> None:
    """02:30 and 03:00 in New York are the same instant on the day on which 02:30 does not exist."""
    half_past_two, three = (CronExpression(text, tz="America/New_York") for text in ("0 30 2 * * ?", "0 0 3 * * ?"))
    both = overlap(half_past_two, three)
    assert both.next_fire(NEW_YEAR_UTC) == datetime(2026, 3, 8, 7, tzinfo=UTC)
    assert both.prev_fire(datetime(2026, 3, 9, tzinfo=UTC)) == datetime(2026, 3, 8, 7, tzinfo=UTC)


def test_overlaps_distribute_over_unions() -> None:
    """(a or b) and c."""
    a, b, c = (CronExpression(text) for text in ("0 0 8 ? * MON", "0 0 8 ? * TUE", "0 0 8 13 * ?"))
    both = overlap(union(a, b), c)
    assert {fire.strftime("%a %d") for fire in islice(both.fires(NEW_YEAR), 10)} == {"Mon 13", "Tue 13"}
    assert overlap(overlap(a, c), c).next_fire(NEW_YEAR) == overlap(a, c).next_fire(NEW_YEAR)


def test_naive_and_aware_questions() -> None:
    """A naive time is wall time in the zone that all share; if they differ it is refused."""
    shanghai, paris = (
        CronExpression("0 0 18 * * ?", tz="Asia/Shanghai"),
        CronExpression("0 0 12 * * ?", tz="Europe/Paris"),
    )
    fire = union(shanghai).next_fire(NEW_YEAR)
    assert fire == datetime(2026, 1, 1, 10, tzinfo=UTC)
    with pytest.raises(CronError, match="different zones"):
        overlap(shanghai, paris).next_fire(NEW_YEAR)
    with pytest.raises(TypeError, match="a time must be a datetime"):
        union(shanghai).next_fire("2026-01-01")  # type: ignore[arg-type]
    answer = overlap(shanghai, paris).next_fire(datetime(2026, 6, 1, tzinfo=ZoneInfo("Asia/Tokyo")))
    assert answer is not None
    assert str(answer.tzinfo) == "Asia/Tokyo"
    now = union(CronExpression("* * * * * ?")).next_fire()
    assert now is not None
    assert now.tzinfo is not None


def test_schedules_are_values() -> None:
    """Equal in any order, hashable, picklable, with a repr of their parts."""
    a, b = CronExpression("0 0 8 ? * MON"), CronExpression("0 0 8 13 * ?")
    assert union(a, b) == union(b, a)
    assert overlap(a, b) == overlap(b, a)
    assert union(a, b) != overlap(a, b)
    assert len({union(a, b), union(b, a), overlap(a, b), overlap(b, a)}) == 2
    for schedule in (union(a, b), overlap(a, b)):
        assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert repr(overlap(a, b)) == "overlap(CronExpression('0 0 8 ? * MON'), CronExpression('0 0 8 13 * ?'))"
    assert isinstance(union(a), Union)
    assert isinstance(overlap(a), Overlap)
    for make in (union, overlap):
        with pytest.raises(CronError, match="at least one part"):
            make()
        with pytest.raises(TypeError, match="each part of a schedule"):
            make("0 0 8 * * ?")  # type: ignore[arg-type]


def test_a_difference_has_the_fires_of_the_first_alone() -> None:
    """Of several others, in one zone; an expression where one can express it, else a union."""
    every_hour = CronExpression("0 0 8-12 * * ?", tz="Asia/Shanghai")
    nine, noon_on_fridays = CronExpression("0 0 9 * * ?", tz="Asia/Shanghai"), CronExpression("0 0 12 ? * FRI")
    assert difference(every_hour) is every_hour
    assert difference(every_hour, nine) == CronExpression("0 0 8,10-12 * * ?", tz="Asia/Shanghai")
    rest = difference(every_hour, nine, noon_on_fridays)
    assert isinstance(rest, Union)
    start, end = datetime(2026, 1, 1), datetime(2026, 1, 15)
    taken = {*nine.between(start, end)}
    expected = [
        fire for fire in every_hour.between(start, end) if fire not in taken and (fire.hour, fire.weekday()) != (12, 4)
    ]
    assert rest.between(start, end) == expected
    assert rest == every_hour.excluding(nine, noon_on_fridays)
    with pytest.raises(TypeError, match="CronExpression"):
        difference(every_hour, union(nine))  # type: ignore[arg-type]


def test_times_far_away_are_answered() -> None:
    """Before 1970 and after 2099."""
    both = overlap(CronExpression("0 0 8 * * ?"), CronExpression("0 0 * * * ?"))
    assert both.next_fire(datetime(1, 1, 1)) == datetime(1970, 1, 1, 8)
    assert both.prev_fire(datetime(9999, 12, 31)) == datetime(2099, 12, 31, 8)
    assert both.next_fire(datetime(9999, 12, 31)) is None
    assert both.prev_fire(datetime(1, 1, 1)) is None
    first, last = (
        edge.replace(tzinfo=timezone(timedelta(hours=hours)))
        for edge, hours in ((datetime.min, 23), (datetime.max, -23))
    )
    with pytest.raises(TypeError, match="both naive or both aware"):
        both.fires(first, datetime.max)
    for schedule in (both, union(both, CronExpression("0 0 9 * * ?", tz="Asia/Shanghai"))):
        assert schedule.next_fire(first) is not None
        assert schedule.next_fire(last) is schedule.prev_fire(first) is None
        assert schedule.prev_fire(last) is not None
        assert next(schedule.fires(first, last)) == schedule.next_fire(first)
        assert not schedule.matches(first)


# -- what an expression has as well --

MANY = st.lists(expressions() | sparse_expressions(), min_size=1, max_size=8)


@given(
    texts=MANY,
    zones=st.lists(SOME_ZONES, min_size=8, max_size=8),
    given=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Africa/Cairo"]),
    day=st.integers(0, 364) | st.sampled_from([66, 87, 302, 297, 304]),
    hours=st.sampled_from([1, 6, 49, 24 * 20]),
)
@settings(max_examples=examples(60), deadline=None)
def test_a_union_is_the_merge_of_its_parts(
    texts: list[str], zones: list[str | None], given: str, day: int, hours: int
) -> None:
    """Its fires, their number and the n-th, also where clocks change."""
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(given)) + timedelta(days=day)
    parts = [CronExpression(text, tz=zone) for text, zone in zip(texts, zones, strict=False)]
    end = (start.astimezone(UTC) + timedelta(hours=hours)).astimezone(start.tzinfo)
    parts = [part for part in parts if part.count(start, end) < 10_000] or [CronExpression("0 0 8 * * ?")]
    joint = union(*parts)
    expected = sorted({fire.astimezone(UTC) for part in parts for fire in part.fires(start, end)})
    assert [fire.astimezone(UTC) for fire in joint.between(start, end)] == expected
    assert joint.count(start, end) == len(expected)
    assert [fire.astimezone(UTC) for fire in islice(joint.fires(start), 3)][: len(expected)] == expected[:3]
    if expected:
        last = joint.nth(len(expected), start)
        assert last is not None
        assert last.astimezone(UTC) == expected[-1]
        assert last.tzinfo is start.tzinfo


@pytest.mark.parametrize(
    "text", ["* * * * * ?", "0/7 * 9-17 ? * MON-FRI", "0 0 8 29 2 ?", "0 0 8 L * ?", "0 30 1,2 * * ?"]
)
@pytest.mark.parametrize("zone", [None, "America/New_York", "Australia/Lord_Howe"])
def test_a_schedule_of_one_expression_counts_as_the_expression_does(text: str, zone: str | None) -> None:
    """By the tables of many years, and near clock changes."""
    one = CronExpression(text, tz=zone)
    starts = [datetime(1969, 5, 1), datetime(2025, 11, 2, 1, 30), datetime(2026, 3, 8, 1, 59, 59), datetime(2098, 6, 1)]
    for start in [edge if zone is None else edge.replace(tzinfo=UTC) for edge in starts]:
        end = start + timedelta(days=800, seconds=5)
        for schedule in (union(one), overlap(one), union(one, overlap(one, one))):
            assert schedule.count(start, end) == one.count(start, end)
            for n in (1, 40, 5_000, 200_000):
                # Up to the last year: once.
                if n < 1_000 or (start.year > 2000 and n < 10_000) or start.year == 2025:
                    assert schedule.nth(n, start) == one.nth(n, start)
        assert union(one).count(end, start) == 0


@given(one=sparse_expressions(), other=sparse_expressions(), year=st.integers(1969, 2070))
@settings(max_examples=examples(8), deadline=None)
def test_gaps_are_those_between_its_fires(one: str, other: str, year: int) -> None:
    """By wall clock: the shortest and the longest of all years, which repeat after 28."""
    left, right = CronExpression(one), CronExpression(other)
    for schedule in (union(left, right), overlap(left, right)):
        fires = schedule.between(datetime(year, 1, 1), datetime(year + 30, 1, 1))
        steps = [later - earlier for earlier, later in pairwise(fires)]
        assert schedule.min_gap == min(steps, default=None)
        assert schedule.max_gap == max(steps, default=None)
        assert schedule.never_fires == (not fires)
    assert union(left).min_gap == left.min_gap
    assert union(left).max_gap == left.max_gap


def test_gaps_need_one_wall_clock() -> None:
    """Expressions of different zones have none in common."""
    zoned = [CronExpression("0 0 8 * * ?", tz=zone) for zone in ("Asia/Shanghai", "Asia/Chongqing", "Europe/Paris")]
    assert union(*zoned[:2]).max_gap == timedelta(days=1)
    with pytest.raises(CronError, match="wall clock"):
        union(*zoned).min_gap  # noqa: B018 - reading it is the test


@given(schedule=nested())
@settings(max_examples=examples(40), deadline=None)
def test_texts_and_json_lead_back_to_the_schedule(schedule: Overlap) -> None:
    """Nested ones too; the text leaves out zone and policy, which JSON has."""
    assert from_json(json.loads(json.dumps(schedule.to_json()))) == schedule
    assert type(schedule).from_json(schedule.to_json()) == schedule
    alike = from_text(schedule.text, tz="UTC", dst="quartz")
    again = from_text(schedule.canonical, tz="UTC", dst="quartz")
    for read in (alike, again):
        expressions_of = read.expressions if isinstance(read, Schedule) else (read,)
        assert {one.canonical for one in expressions_of} == {one.canonical for one in schedule.expressions}
    for language in ("en", "zh"):
        assert schedule.describe(language)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("0 0 8 * * ? ||", "empty"),
        ("|| 0 0 8 * * ?", "empty"),
        ("(0 0 8 * * ?", "not closed"),
        ("0 0 8 * * ?)", "not expected"),
        ("0 0 8 * * ? || 0 0 9 * * ? && 0 0 10 * * ?", "needs brackets"),
        ("0 0 8 * * ? || 0 75 9 * * ?", "75 is out of range"),
        ("(" * 80 + "0 0 8 * * ?" + ")" * 80, "nested"),
    ],
)
def test_a_wrong_text_of_a_schedule_is_refused(text: str, message: str) -> None:
    """With the problem of the part, or of what joins them."""
    with pytest.raises(CronError, match=message):
        from_text(text)


def test_a_schedule_in_words() -> None:
    """The parts after what joins them; of one part, that part alone."""
    saturdays = [CronExpression(f"0 0 8 ? * SAT#{n}") for n in (1, 3)]
    meeting_day = overlap(union(*saturdays), CronExpression("0 0 8 1-20 * ?"))
    assert union(*saturdays).describe() == (
        "Any of: at 08:00 on the first Saturday of every month; at 08:00 on the third Saturday of every month"
    )
    assert union(saturdays[0]).describe() == saturdays[0].describe()
    assert "(Any of: " in meeting_day.describe()
    assert meeting_day.describe("zh").startswith("以下同时满足：(以下任一：")
    with pytest.raises(CronError, match="no descriptions"):
        union(*saturdays).describe("fr")


def test_days_and_times_are_taken_out_of_schedules() -> None:
    """As out of expressions, so that excluding goes on working on what it returned."""
    rest = CronExpression("0 0 8-10 * * ?").excluding(CronExpression("0 0 9 ? * MON"))
    assert isinstance(rest, Union)
    again = rest.excluding([date(2026, 1, 6)], CronExpression("0 0 10 * * ?"))
    start = datetime(2026, 1, 5)
    assert [f"{fire:%a %H}" for fire in again.between(start, datetime(2026, 1, 8))] == ["Mon 08", "Wed 08", "Wed 09"]
    both = overlap(rest, CronExpression("0 0 8 * * ?")).excluding([date(2026, 1, 5)])
    assert both.next_fire(start) == datetime(2026, 1, 6, 8)


@pytest.mark.parametrize("count", [10, 100, 400])
@pytest.mark.parametrize(("zone", "asked_in"), [("Europe/Berlin", "UTC"), ("Europe/Berlin", "Europe/Berlin")])
def test_a_union_of_many_costs_no_more_than_its_parts(count: int, zone: str, asked_in: str) -> None:
    """Six hours of 400 parts took 450 times as long when every part was asked anew after each fire."""
    parts = [CronExpression(f"{i % 60} {i % 59}/7 {i % 5}-{i % 5 + 15} ? * MON-FRI", tz=zone) for i in range(count)]
    start = datetime(2026, 1, 5, tzinfo=ZoneInfo(asked_in))
    end = start + timedelta(hours=6)
    joint = union(*parts)
    for part in parts:
        part.next_fire(start)
    costs = []
    for _ in range(3):
        began = time.process_time()
        fires = {fire for part in parts for fire in part.fires(start, end)}
        middle = time.process_time()
        assert set(joint.between(start, end)) == fires
        assert joint.count(start, end) == len(fires)
        costs.append((time.process_time() - middle) / (middle - began))
    assert min(costs) < 8


def test_a_schedule_is_formatted_as_its_text() -> None:
    """With a width, too, as an expression is."""
    both = union(CronExpression("0 0 8 ? * SAT#1"), CronExpression("0 0 8 ? * SAT#3"))
    assert f"{both:>200}" == str(both).rjust(200)
    assert f"{both}" == str(both)
