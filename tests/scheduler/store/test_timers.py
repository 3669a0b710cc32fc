"""Timers are added, read, changed and removed; a refused call leaves the store as it was."""

from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Row, update

from scheduler.clock import ManualClock
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.timer import Delivery, Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.errors import DuplicateTimerError, RepeatedTimerError, TimerError, TimerQuotaError, UnknownTimerError
from scheduler.store import timers as timers_module
from scheduler.store.database import Store
from scheduler.store.schema import timers
from scheduler.store.timers import TimerTable
from tests.example_counts import examples
from tests.scheduler.scripted_service import START

PRODUCTION, STAGE = Environment
MONDAY = Timer(name="monday", function="f", trigger=Cron("0 0 8 ? * MON", "Asia/Shanghai"))


@pytest.fixture
def timetable(store: Store) -> TimerTable:
    return TimerTable(store)


@settings(
    max_examples=examples(50),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    trigger=st.sampled_from([Cron("0 0 8 ? * MON", "America/New_York", "quartz"), Every(77, anchor=START)]),
    environment=st.sampled_from(Environment),
    limit_s=st.floats(0.1, 1000),
    misfire=st.sampled_from(MisfirePolicy),
    overlap=st.sampled_from(OverlapPolicy),
    delivery=st.sampled_from(Delivery),
    breaker_threshold=st.integers(0, 100),
    jitter_s=st.integers(0, 77),
    retries=st.integers(0, 100),
    retry_backoff_s=st.floats(0.1, 1000),
    params=st.dictionaries(st.text("abc", min_size=1), st.integers() | st.text("åß∂", max_size=3), max_size=3),
)
def test_a_timer_comes_back_as_it_went_in(timetable: TimerTable, **attributes: object) -> None:
    """Every attribute survives the store; only an interval's anchor is set to the beginning."""
    timer = Timer(name="t", function="f", **attributes)  # type: ignore[arg-type]
    timetable.add([timer], now=START)
    assert timetable.get("t", timer.environment).timer == timer
    timetable.remove("t", timer.environment)


def test_whole_numbers_and_fractions_of_seconds_are_added_together(timetable: TimerTable) -> None:
    """15 and 0.5 in one call; the database gets floats only."""
    seconds = [(15, 0.5), (0.5, 10), (15, 10), (1.5, 2.5)]
    new = [
        Timer(name=f"t{rank}", function="f", trigger=Every(60), limit_s=limit_s, retry_backoff_s=backoff_s)
        for rank, (limit_s, backoff_s) in enumerate(seconds)
    ]
    timetable.add(new, now=START)
    assert [(kept.timer.limit_s, kept.timer.retry_backoff_s) for kept in timetable.list()] == seconds


def test_a_second_timer_of_the_same_name_is_refused(timetable: TimerTable) -> None:
    """And the first one is not changed."""
    timetable.add([MONDAY], now=START)
    with pytest.raises(DuplicateTimerError, match="timer 'monday' exists already in production"):
        timetable.add([replace(MONDAY, function="g")], now=START)
    assert [entry.timer for entry in timetable.list()] == [MONDAY]


def test_a_name_that_is_twice_in_a_list_is_refused_as_such(timetable: TimerTable) -> None:
    """The message has the places in the list, and not that the store has one already."""
    new = [replace(MONDAY, name="first"), MONDAY, replace(MONDAY, function="g")]
    with pytest.raises(
        RepeatedTimerError, match="production has 'monday' twice in the list, as entries 2 and 3"
    ) as error:
        timetable.add(new, now=START)
    assert (error.value.name, error.value.entries) == ("monday", (2, 3))
    assert timetable.list() == []


def test_both_environments_may_use_a_name(timetable: TimerTable) -> None:
    """Names are unique within production and within stage."""
    timetable.add([MONDAY, replace(MONDAY, environment=STAGE)], now=START)
    assert [entry.timer.environment for entry in timetable.list()] == [PRODUCTION, STAGE]
    assert [entry.timer.environment for entry in timetable.list(STAGE)] == [STAGE]


def test_an_environment_holds_five_timers_under_leanclouds_rules(
    timetable: TimerTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The specification's limit; 0 lifts it."""
    monkeypatch.setenv("SCHEDULER_RULES", "leancloud")
    six = [replace(MONDAY, name=f"t{number}") for number in range(6)]
    with pytest.raises(TimerQuotaError, match="production has 5 timers"):
        timetable.add(six, now=START)
    assert timetable.list() == []
    timetable.add(six[:5], now=START)
    with pytest.raises(TimerQuotaError):
        timetable.add(six[5:], now=START)
    timetable.add(six[5:], now=START, quota=0)


def test_adding_is_all_or_nothing(timetable: TimerTable) -> None:
    """One bad name among good ones leaves nothing."""
    with pytest.raises(DuplicateTimerError):
        timetable.add([MONDAY, replace(MONDAY, name="other"), MONDAY], now=START)
    assert timetable.list() == []


@pytest.mark.parametrize("name", [" t", "t ", "t\u00a0"])
def test_blanks_at_the_ends_of_a_new_name_are_refused(timetable: TimerTable, name: str) -> None:
    """In the name of the timer and in that of its function, also in an edit: they are invisible."""
    timetable.add([MONDAY], now=START)
    for what in ("name", "function"):
        with pytest.raises(TimerError, match=f"{what} '.*' has leading or trailing whitespace; use 't'"):
            timetable.add([replace(MONDAY, **{"name": "x", what: name})], now=START)
        with pytest.raises(TimerError, match="has leading or trailing whitespace"):
            timetable.edit("monday", PRODUCTION, {what: name}, now=START)
    assert [entry.timer for entry in timetable.list()] == [MONDAY]


def test_an_older_name_with_blanks_can_be_corrected(timetable: TimerTable, store: Store) -> None:
    """It is shown, changed, and renamed."""
    timetable.add([MONDAY], now=START)
    with store.writing() as connection:
        connection.execute(update(timers).values(name=" monday"))
    assert timetable.edit(" monday", PRODUCTION, {"limit_s": 5.0}, now=START).timer.limit_s == 5
    assert timetable.edit(" monday", PRODUCTION, {"name": "monday"}, now=START).timer.name == "monday"


def test_the_error_for_an_unknown_timer_lists_the_known_ones(timetable: TimerTable) -> None:
    """Those of its environment."""
    timetable.add([MONDAY], now=START)
    with pytest.raises(UnknownTimerError, match="no timer 'mnday' in production; known timers: monday"):
        timetable.get("mnday")


def test_enabling_gives_the_next_fire_time(timetable: TimerTable) -> None:
    """Disabling removes it."""
    timetable.add([MONDAY], now=START)
    enabled = timetable.enable("monday", now=START)
    assert enabled.timer.enabled
    assert str(enabled.next_fire) == "2026-01-05 00:00:00+00:00"
    assert timetable.disable("monday").next_fire is None


def test_a_timer_that_never_fires_again_is_refused(timetable: TimerTable) -> None:
    """Its only year is in the past."""
    with pytest.raises(TimerError, match=r"^monday: 0 0 8 1 1 \? 2020.* never fires after 2026-01-01"):
        timetable.add([replace(MONDAY, trigger=Cron("0 0 8 1 1 ? 2020"))], now=START)


def test_editing_changes_what_is_named_and_nothing_else(timetable: TimerTable) -> None:
    """The next fire follows from the new trigger."""
    timetable.add([MONDAY], now=START)
    timetable.enable("monday", now=START)
    edited = timetable.edit("monday", PRODUCTION, {"trigger": Every(60)}, now=START)
    assert edited.next_fire is not None
    assert (edited.next_fire - START).total_seconds() == 60
    assert replace(edited.timer, trigger=MONDAY.trigger, enabled=False) == MONDAY


def test_an_invalid_edit_changes_nothing(timetable: TimerTable) -> None:
    """An attribute that does not exist, a value that is out of range, a name that is taken."""
    timetable.add([MONDAY, replace(MONDAY, name="other")], now=START)
    for changes in ({"colour": "red"}, {"limit_s": -1}, {"name": "other"}):
        with pytest.raises(TimerError):
            timetable.edit("monday", PRODUCTION, changes, now=START)
    assert timetable.get("monday").timer == MONDAY


def test_a_removed_timer_is_gone(timetable: TimerTable, clock: ManualClock) -> None:
    """And its name is free."""
    timetable.add([MONDAY], now=clock.now())
    timetable.remove("monday")
    assert timetable.list() == []
    timetable.add([MONDAY], now=clock.now())


def test_after_a_setback_of_the_clock_only_timers_changed_meanwhile_are_computed_under_the_lock(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No daemon can claim from a SQLite file meanwhile; and what was changed before the lock is not lost."""
    table, earlier = TimerTable(store), START - timedelta(days=400)
    new = [Timer(name=name, function="f", trigger=Every(10), enabled=True) for name in ("a", "b", "c")]
    table.add(new, now=START)
    writing, from_clock = type(store).writing, timers_module._from_clock
    computed: list[str] = []

    def computing(row: Row[Any], *rest: Any) -> Any:
        computed.append(row.name)
        return from_clock(row, *rest)

    def edited_first(store: Store) -> AbstractContextManager[Connection]:
        with writing(store) as connection:
            connection.execute(update(timers).where(timers.c.name == "b").values(function="g"))
        computed.append("locked")
        return writing(store)

    monkeypatch.setattr(timers_module, "_from_clock", computing)
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "writing", edited_first)
        assert table.recompute_next_fires(now=earlier) == 3
    assert computed == ["a", "b", "c", "locked", "b"]
    assert table.get("b").timer.function == "g"
    assert {stored.next_fire for stored in table.list()} == {earlier + timedelta(seconds=10)}
