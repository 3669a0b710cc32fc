"""The same is done with several timers: with all of them, or with none; and a key gives the same run."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scheduler.claims.requested_runs import request_run
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.errors import TimerError, UnknownTimerError
from scheduler.store.change_pages import ChangeHistory
from scheduler.store.change_recording import Author, Way
from scheduler.store.database import Store
from scheduler.store.request_keys import RequestKey
from scheduler.store.runs import RunHistory
from scheduler.store.timer_pages import TimerKey
from scheduler.store.timers import TimerTable
from scheduler.store.timers_at_once import BulkAction, change_timers
from tests.scheduler.scripted_service import START

BY = Author("ann", Way.API, "all of them")
KEYS = [TimerKey("production", "a"), TimerKey("stage", "a"), TimerKey("production", "b")]


@pytest.fixture
def table(store: Store) -> TimerTable:
    table = TimerTable(store)
    a, b = (Timer(name=name, function="f", trigger=Every(60)) for name in "ab")
    table.add([a, b, Timer(name="a", function="f", trigger=Every(60), environment=Environment.STAGE)], now=START)
    return table


def test_each_action_changes_all(store: Store, table: TimerTable) -> None:
    """With one record for each timer; an action that changes nothing of a timer has none."""
    change_timers(store, KEYS, BulkAction.ENABLE, now=START, by=BY)
    assert all(entry.next_fire is not None for entry in table.list())
    change_timers(store, KEYS, BulkAction.RUN, now=START, by=BY)
    assert len(RunHistory(store).runs()) == 3
    change_timers(store, KEYS, BulkAction.DISABLE, now=START, by=BY, dry_run=True)
    assert all(entry.timer.enabled for entry in table.list())
    change_timers(store, KEYS, BulkAction.DISABLE, now=START, by=BY)
    change_timers(store, KEYS, BulkAction.RESET, now=START, by=BY)
    change_timers(store, KEYS, BulkAction.REMOVE, now=START, by=BY)
    assert table.list() == []
    made = [change.action for change in ChangeHistory(store).page(limit=50).items if change.author == "ann"]
    assert [*reversed(made)] == ["enabled"] * 3 + ["requested"] * 3 + ["disabled"] * 3 + ["removed"] * 3


def test_one_that_is_missing_stops_all(store: Store, table: TimerTable) -> None:
    """So does one that would never fire."""
    before = table.list()
    with pytest.raises(UnknownTimerError):
        change_timers(store, [*KEYS, TimerKey("stage", "b")], BulkAction.REMOVE, now=START, by=BY)
    over = Timer(name="over", function="f", trigger=Every(60), ends_at=START + timedelta(hours=1))
    table.add([over], now=START)
    keys = [*KEYS, TimerKey("production", "over")]
    with pytest.raises(TimerError, match="'over' in production"):
        change_timers(store, keys, BulkAction.ENABLE, now=START + timedelta(days=1), by=BY)
    assert [entry for entry in table.list() if entry.timer.name != "over"] == before


@pytest.mark.usefixtures("table")
def test_a_key_gives_the_same_run_for_a_day(store: Store) -> None:
    """Another request with it is refused; after a day it is forgotten."""
    key = RequestKey.of("ann", "k", "run a")

    def run(after: timedelta, key: RequestKey = key) -> int:
        return request_run(store, "a", Environment.PRODUCTION, now=START + after, by=BY, key=key)

    first = run(timedelta())
    assert run(timedelta(hours=23)) == first
    with pytest.raises(TimerError, match="another request"):
        run(timedelta(), RequestKey.of("ann", "k", "run b"))
    assert run(timedelta(), RequestKey.of("eve", "k", "run a")) != first
    assert run(timedelta(hours=25)) != first
    assert len(RunHistory(store).runs()) == 3
