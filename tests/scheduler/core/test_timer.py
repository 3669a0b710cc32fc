"""Timers and their triggers: valid values are accepted, invalid ones refused with a message."""

import dataclasses
import inspect
import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.attributes import Delivery
from scheduler.core.calendars import RollConvention
from scheduler.core.chains import ThenOn
from scheduler.core.jitter import Shifted
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.timer import Environment, Timer
from scheduler.core.timer_checks import params_text
from scheduler.core.triggers import Cron, Every
from scheduler.engine.declaration_options import TimerOptions
from scheduler.errors import TimerError
from tests.scheduler.scripted_service import START
from tests.strategies import timers

MONDAY = Cron("0 0 8 ? * MON", "Asia/Shanghai")


def timer(**changes: object) -> Timer:
    return Timer(**{"name": "t", "function": "f", "trigger": MONDAY, **changes})  # type: ignore[arg-type]


def test_a_timer_is_created_disabled_with_the_defaults_of_the_specification() -> None:
    """15 s, at most once, production, UTC+8."""
    created = timer()
    assert not created.enabled
    assert created.limit_s == 15
    assert created.environment is Environment.PRODUCTION
    assert MONDAY.tz == "Asia/Shanghai"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"name": ""}, "name", "not blank"),
        ({"name": " "}, "name", "not blank"),
        ({"name": None}, "name", "got None"),
        ({"name": "a\nb"}, "name", r"control character U\+000A at column 2"),
        ({"name": "a\x1b[31m"}, "name", r"U\+001B"),
        ({"name": "a\u202eb"}, "name", r"U\+202E"),
        ({"name": "a\ud800"}, "name", r"U\+D800"),
        ({"name": "x" * 201}, "name", "201 characters; at most 200"),
        ({"function": "\0"}, "function", r"U\+0000"),
        ({"params": [1]}, "params", "a JSON object, got list"),
        ({"params": {1: 2}}, "params", "parameter names must be strings, got 1"),
        ({"params": {"a": {1, 2}}}, "params", "not JSON serializable"),
        ({"params": {"a": 1, "b": float("nan")}}, "params", "the parameter 'b' cannot be encoded as JSON"),
        ({"params": {"a": "x", "b\ud800": 1}}, "params", "the parameter .b.* cannot be encoded as JSON"),
        ({"ping_url": 5}, "ping_url", "ping_url = 5: expected an address"),
        ({"params": {"a": "x" * 70_000}}, "params", "70008 bytes, at most 65536"),
        ({"limit_s": 0}, "limit_s", "more than 0 s"),
        ({"limit_s": -1}, "limit_s", "more than 0 s"),
        ({"limit_s": float("nan")}, "limit_s", "more than 0 s"),
        ({"limit_s": 86_401}, "limit_s", "at most 86400 s"),
        ({"environment": "prod"}, "environment", "production, stage; got 'prod'"),
        ({"misfire": "never"}, "misfire", "fire_once, fire_all, skip"),
        ({"overlap": "x"}, "overlap", "skip, allow, queue_one"),
        ({"delivery": "twice"}, "delivery", "at_most_once, at_least_once"),
        ({"breaker_threshold": -1}, "breaker_threshold", "0 = never"),
        ({"breaker_threshold": "5"}, "breaker_threshold", "0 = never; got '5'"),
        ({"retries": -1}, "retries", "from 0 to 100, got -1"),
        ({"retries": 101}, "retries", "got 101"),
        ({"retries": True}, "retries", "got True"),
        ({"retry_backoff_s": 0}, "retry_backoff_s", "more than 0 s and at most 86400 s, got 0"),
        ({"retry_backoff_s": float("nan")}, "retry_backoff_s", "got nan"),
        ({"jitter_s": -1}, "jitter_s", "whole number of seconds from 0 to 86400, got -1"),
        ({"jitter_s": 1.5}, "jitter_s", "got 1.5"),
        ({"trigger": "0 0 8 ? * MON"}, "trigger", r"Cron\('0 0 8 \? \* MON'\) or Every\(60\), got '0 0 8"),
        ({"enabled": "yes"}, "enabled", "True or False, got 'yes'"),
        ({"jitter_s": 86_401}, "jitter_s", "got 86401"),
        ({"jitter_s": 61, "trigger": Every(60)}, "jitter_s", "longer than the shortest time between two fires, 60 s"),
        ({"jitter_s": 61, "trigger": Cron("0 0,1 8 ? * MON")}, "jitter_s", "between two fires, 60 s"),
    ],
)
def test_an_invalid_value_is_refused_with_the_name_of_its_attribute(
    changes: dict[str, object], field: str, words: str
) -> None:
    """The error has the attribute, the value, and what is allowed."""
    with pytest.raises(TimerError, match=words) as refused:
        timer(**changes)
    assert refused.value.field == field


@pytest.mark.parametrize("seconds", [0, -5, 366 * 86_400 + 1, 10 * 366 * 86_400, 1.5, "2", True])
def test_an_interval_is_a_whole_number_of_seconds_up_to_a_year(seconds: object) -> None:
    """Neither 0 nor ten years."""
    with pytest.raises(TimerError) as refused:
        Every(seconds)  # type: ignore[arg-type]
    assert refused.value.field == "every"


@pytest.mark.parametrize(
    ("expression", "tz", "field"),
    [
        ("0 0 8 ? * MON MON", "Asia/Shanghai", "expression"),
        ("* * * * *", "Asia/Shanghai", "expression"),
        ("0 0 8 30 2 ?", "Asia/Shanghai", "expression"),
        ("0 0 8 ? * MON", "Asia/Shangai", "tz"),
        ("0 0 8 ? * MON", "../../etc/passwd", "tz"),
    ],
)
def test_a_broken_expression_or_zone_is_refused(expression: str, tz: str, field: str) -> None:
    """The field says which of the two is wrong."""
    with pytest.raises(TimerError) as refused:
        Cron(expression, tz)
    assert refused.value.field == field


def test_policies_may_be_given_as_texts() -> None:
    """As they come from a command line or a file."""
    assert timer(misfire="skip", environment="stage").misfire is MisfirePolicy.SKIP


@given(
    seconds=st.integers(1, 366 * 86_400),
    anchor=st.datetimes(datetime(1990, 1, 1), datetime(2050, 1, 1), timezones=st.just(UTC)),
    after=st.datetimes(datetime(1980, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
)
def test_an_interval_keeps_its_step_from_the_anchor_on(seconds: int, anchor: datetime, after: datetime) -> None:
    """The next fire is after the instant, a whole number of steps from the anchor, and nothing lies in between."""
    trigger = Every(seconds, anchor=anchor)
    fire = trigger.next_fire(after)
    assert fire is not None
    assert fire > after
    assert fire > anchor
    assert (fire - anchor) % timedelta(seconds=seconds) == timedelta(0)
    assert fire - timedelta(seconds=seconds) <= max(after, anchor)
    assert trigger.prev_fire(fire + timedelta(microseconds=1)) == fire


@given(
    seconds=st.integers(1, 1000),
    start=st.integers(-2000, 5000),
    length=st.integers(0, 5000),
)
def test_counting_fires_agrees_with_walking_them(seconds: int, start: int, length: int) -> None:
    """count(a, b) is the number of fire times in [a, b)."""
    trigger = Every(seconds, anchor=START)
    a, b = START + timedelta(seconds=start), START + timedelta(seconds=start + length)
    walked, fire = 0, trigger.next_fire(a - timedelta(microseconds=1))
    while fire is not None and fire < b:
        walked, fire = walked + 1, trigger.next_fire(fire)
    assert trigger.count(a, b) == walked


@given(timers(), st.integers(-100_000, 100_000), st.integers(0, 20_000))
def test_jitter_moves_every_fire_time_by_the_same_and_no_other(kept: Timer, start: int, length: int) -> None:
    """Next, previous and number of fires are those of the trigger, some seconds later."""
    schedule, a = kept.schedule, START + timedelta(seconds=start)
    offset = schedule.offset if isinstance(schedule, Shifted) else timedelta(0)
    assert timedelta(0) <= offset <= timedelta(seconds=max(0, kept.jitter_s - 1))
    fire = kept.trigger.next_fire(a)
    assert fire is not None
    assert schedule.next_fire(a + offset) == fire + offset
    assert schedule.prev_fire(fire + offset + timedelta(seconds=1)) == fire + offset
    b = a + timedelta(seconds=length)
    assert schedule.count(a + offset, b + offset) == kept.trigger.count(a, b)


def test_jitter_is_the_same_on_every_machine_and_differs_between_timers() -> None:
    """It follows from environment and name alone; what was published once stays."""
    jittered = [timer(name=name, environment=env, jitter_s=3600) for env in Environment for name in ("report", "tidy")]
    assert [str(each.schedule) for each in jittered] == [
        "0 0 8 ? * MON (Asia/Shanghai) + 2425 s",
        "0 0 8 ? * MON (Asia/Shanghai) + 956 s",
        "0 0 8 ? * MON (Asia/Shanghai) + 310 s",
        "0 0 8 ? * MON (Asia/Shanghai) + 2495 s",
    ]


def test_jitter_spreads_timers_over_the_whole_of_it() -> None:
    """Six hundred timers of one minute: every second of it has some, none has many."""
    offsets = Counter(str(timer(name=f"t{n}", trigger=Every(60), jitter_s=60).schedule) for n in range(600))
    assert len(offsets) == 60
    assert max(offsets.values()) < 30


@given(
    st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5), max_size=5)
)
def test_parameters_survive_as_json(params: dict[str, object]) -> None:
    """What comes back is what went in."""
    if any("\ud800" <= c <= "\udfff" for c in json.dumps(params, ensure_ascii=False)):
        return
    assert json.loads(params_text(params)) == params


@given(
    expression=st.sampled_from(
        ["0 0 8 ? * MON", "0/20 * * * * ?", "0 30 1-3 * * ?", "0 15 10 L * ?", "59 59 23 ? * 6#3"]
    ),
    tz=st.sampled_from(["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"]),
    start=st.datetimes(datetime(2026, 3, 1), datetime(2026, 11, 10), timezones=st.just(UTC)),
    length=st.timedeltas(timedelta(0), timedelta(hours=3)),
    on_a_fire=st.booleans(),
)
def test_counting_cron_fires_agrees_with_walking_them(
    expression: str, tz: str, start: datetime, length: timedelta, on_a_fire: bool
) -> None:
    """[a, b) for expressions too, where a or b are fire times themselves."""
    trigger = Cron(expression, tz)
    if on_a_fire:
        first = trigger.next_fire(start)
        assert first is not None
        start = first
    end = start + length
    walked, fire = 0, trigger.next_fire(start - timedelta(microseconds=1))
    while fire is not None and fire < end:
        walked, fire = walked + 1, trigger.next_fire(fire)
    assert trigger.count(start, end) == walked


@pytest.mark.parametrize("choices", [Environment, MisfirePolicy, OverlapPolicy, Delivery, RollConvention, ThenOn])
@pytest.mark.parametrize("declared", [Timer, TimerOptions])
def test_type_checkers_know_the_choices_of_a_timer(declared: type, choices: type[StrEnum]) -> None:
    """As texts, in the signature of Timer and in the options of `@engine.timer`."""
    (texts,) = re.findall(rf"{choices.__name__}\s*\|\s*Literal\[([^\]]*)\]", inspect.getsource(declared))
    assert re.findall(r'"(\w+)"', texts) == list(choices)


def test_type_checkers_know_the_fields_of_a_timer() -> None:
    """The signature for type checkers has each field."""
    source = inspect.getsource(Timer).partition("def __init__(")[2].partition(") -> None")[0]
    assert re.findall(r"^ +(\w+):", source, re.MULTILINE) == [field.name for field in dataclasses.fields(Timer)]
