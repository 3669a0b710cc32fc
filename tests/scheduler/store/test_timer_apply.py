"""A list of timers is applied: all of it, or nothing; what is as the list says is left alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.errors import DuplicateTimerError, RepeatedTimerError, TimerError, TimerQuotaError
from scheduler.store.change_pages import ChangeHistory
from scheduler.store.database import Store
from scheduler.store.declaration_sync import synchronise
from scheduler.store.schema import timers
from scheduler.store.timer_apply import ListEffect, WantedTimer, apply_timers
from scheduler.store.timers import TimerTable
from tests.example_counts import examples
from tests.scheduler.scripted_service import START, empty

PRODUCTION, STAGE = Environment
LATER = START + timedelta(minutes=30)
A = Timer(name="a", function="f", trigger=Every(60), params={"n": 1, "m": (1, 2)}, enabled=True)
B = Timer(name="b", function="f", trigger=Cron("0 0 8 ? * MON", "UTC"))


@pytest.fixture(scope="module")
def memory() -> Iterator[Store]:
    """A store for many examples, each of which empties it."""
    with Store("sqlite://") as store:
        yield store


def rows(store: Store) -> list[Any]:
    with store.reading() as connection:
        return list(connection.execute(select(timers).order_by(timers.c.id)))


TIMERS = st.lists(
    st.builds(
        lambda name, where, trigger, enabled, retries: Timer(
            name=name, function="f", trigger=trigger, environment=where, enabled=enabled, retries=retries
        ),
        st.sampled_from("abc"),
        st.sampled_from(Environment),
        st.sampled_from([Every(60), Every(90), Cron("0 0 8 ? * MON", "UTC")]),
        st.booleans(),
        st.integers(0, 1),
    ),
    max_size=5,
    unique_by=lambda timer: (timer.environment, timer.name),
)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=TIMERS, wanted=TIMERS, prune=st.sets(st.sampled_from(Environment)))
def test_the_store_is_as_the_list_says(
    memory: Store, before: list[Timer], wanted: list[Timer], prune: set[Environment]
) -> None:
    """Every timer of the list, and of the others those that are not pruned; a second time nothing differs."""
    empty(memory)
    table = TimerTable(memory)
    table.add(before, now=START, quota=0)
    tried = apply_timers(memory, wanted, prune=prune, now=LATER, quota=0, dry_run=True)
    assert [entry.timer for entry in table.list()] == [
        timer.anchored(START) for timer in sorted(before, key=lambda timer: (timer.environment, timer.name))
    ]
    applied = apply_timers(memory, wanted, prune=prune, now=LATER, quota=0)
    assert applied == tried
    expected = {(timer.environment, timer.name): timer for timer in before if timer.environment not in prune}
    expected |= {(timer.environment, timer.name): timer for timer in wanted}
    stored = {(entry.timer.environment, entry.timer.name): entry.timer for entry in table.list()}
    assert {key: timer.anchored(START) for key, timer in stored.items()} == {
        key: timer.anchored(START) for key, timer in expected.items()
    }
    again = apply_timers(memory, wanted, prune=prune, now=LATER, quota=0)
    assert (again.differences, again.unchanged) == ((), len(wanted))


def test_what_is_as_the_list_says_is_left_alone(store: Store) -> None:
    """No column of its row changes: an interval is counted on, a breaker stays open, what is due stays due."""
    TimerTable(store).add([A, B], now=START)
    with store.writing() as connection:
        connection.execute(update(timers).values(breaker_state="open", consecutive_failures=5))
    before = rows(store)
    applied = apply_timers(store, [A, replace(B, retries=1)], now=LATER)
    after = rows(store)
    assert (applied.unchanged, [each.effect for each in applied.differences]) == (1, [ListEffect.CHANGED])
    assert after[0] == before[0]
    assert (after[1].retries, after[1].breaker_state) == (1, "closed")
    assert len(ChangeHistory(store).page().items) == 3


def test_one_timer_that_is_refused_undoes_all(store: Store) -> None:
    """A name twice, one timer too many, one that never fires again: the store is as before."""
    TimerTable(store).add([A], now=START)
    before = rows(store)
    over = Timer(name="over", function="f", trigger=Cron("0 0 8 1 1 ? 2020", "UTC"), enabled=True)
    for wanted, quota, error in (
        ([B, B], 0, RepeatedTimerError),
        ([B, replace(B, name="c")], 1, TimerQuotaError),
        ([B, over], 0, TimerError),
    ):
        with pytest.raises(error):
            apply_timers(store, wanted, prune=[PRODUCTION], now=LATER, quota=quota)
        assert rows(store) == before


def test_what_is_pruned_makes_room(store: Store) -> None:
    """Under a quota of one, one timer takes the place of another."""
    TimerTable(store).add([A], now=START)
    apply_timers(store, [B], prune=[PRODUCTION], now=LATER, quota=1)
    assert [entry.timer.name for entry in TimerTable(store).list()] == ["b"]


def test_declared_timers_are_not_pruned(store: Store) -> None:
    """They would come back; one that is no longer declared is."""
    synchronise(store, [A], PRODUCTION, now=START)
    applied = apply_timers(store, [], prune=[PRODUCTION], now=LATER)
    assert ([timer.name for timer in applied.declared], applied.differences) == (["a"], ())
    synchronise(store, [], PRODUCTION, now=START)
    assert [each.effect for each in apply_timers(store, [], prune=Environment, now=LATER).differences] == [
        ListEffect.REMOVED
    ]


def test_a_timer_stays_enabled_unless_the_list_says_otherwise(store: Store) -> None:
    """And disabled."""
    TimerTable(store).add([A, B], now=START)
    wanted = [WantedTimer(replace(A, enabled=False), False), WantedTimer(replace(B, enabled=True), False)]
    assert apply_timers(store, wanted, now=LATER).unchanged == 2
    apply_timers(store, [timer for timer, _ in wanted], now=LATER)
    assert [entry.timer.enabled for entry in TimerTable(store).list()] == [False, True]


# Names


def test_a_renamed_timer_keeps_its_breaker_and_what_is_due(store: Store) -> None:
    """Its row is the same but for the name; `edit` closes the breaker as ever."""
    table = TimerTable(store)
    table.add([A], now=START)
    with store.writing() as connection:
        connection.execute(update(timers).values(breaker_state="open", consecutive_failures=5))
    (before,) = rows(store)
    table.rename("a", "z", now=START + timedelta(hours=1))
    (after,) = rows(store)
    kept = before._asdict() | {"name": "z", "revision": before.revision + 1}
    assert after._asdict() == kept


def test_a_name_that_is_taken_is_refused(store: Store) -> None:
    """So is one that is no name, and that of a declared timer, whose name stands in its function's file."""
    table = TimerTable(store)
    table.add([A], now=START)
    synchronise(store, [B], PRODUCTION, now=START)
    with pytest.raises(DuplicateTimerError):
        table.rename("a", "b", now=START)
    with pytest.raises(TimerError, match="leading or trailing whitespace"):
        table.rename("a", " c", now=START)
    with pytest.raises(TimerError, match=r"'b' is declared with @engine.timer, which gives its name"):
        table.rename("b", "c", now=START)
    assert [entry.timer.name for entry in table.list()] == ["a", "b"]
