"""How long the history is kept: by age and by number, in portions; open runs and rows that still count are kept."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select, update

from scheduler.core.run import Kind, Line, Outcome
from scheduler.core.timer import Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Every
from scheduler.store import retention
from scheduler.store.database import Store
from scheduler.store.retention import Retention
from scheduler.store.rows import line_columns
from scheduler.store.runs import RunHistory
from scheduler.store.schema import lines, runs, timers
from scheduler.store.timers import TimerTable
from tests.example_counts import examples
from tests.scheduler.scripted_service import FAILURE, START, Service, empty

NOW = START + timedelta(days=100)


def enter(store: Store, timer_id: int | None, ended_at: datetime | None) -> int:
    """A run of a timer that has ended or goes on, and that printed two lines; returns its id."""
    at = stamp(ended_at or NOW)
    with store.writing() as connection:
        run_id = connection.execute(
            insert(runs)
            .values(
                timer_id=timer_id,
                timer=f"t{timer_id}",
                function="f",
                environment="production",
                kind=Kind.SCHEDULED,
                fire_at=at,
                last_fire_at=at,
                count=1,
                attempt=1,
                request_id="r",
                claimed_at=at,
                ended_at=ended_at and at,
                outcome=ended_at and Outcome.SUCCEEDED,
                message="",
                lines_dropped=0,
            )
            .returning(runs.c.id)
        ).scalar_one()
        printed = [line_columns(Line(run_id, NOW, "info", "said")) for _ in range(2)]
        connection.execute(insert(lines), printed)
    return int(run_id)


def add_timers(store: Store, count: int) -> list[int]:
    new = [Timer(name=f"t{number}", function="f", trigger=Every(60)) for number in range(count)]
    return [entry.id for entry in TimerTable(store).add(new, now=START, quota=0)]


def kept(store: Store) -> list[int]:
    return sorted(run.id for run in RunHistory(store).runs(limit=100_000))


def prune(rule: Retention) -> int:
    """Prune portion by portion; returns the number of portions."""
    portions = 1
    while rule.prune(NOW):
        portions += 1
        assert portions < 1_000
    return portions


@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    entered=st.lists(st.tuples(st.sampled_from([0, 1, 2, None]), st.sampled_from([1, 29, 31, 90, None])), max_size=25),
    keep_runs=st.integers(0, 4),
    most_runs=st.integers(1, 4),
    most_lines=st.integers(1, 5),
)
def test_what_is_kept_is_young_enough_and_few_enough(
    store: Store,
    entered: list[tuple[int | None, int | None]],
    keep_runs: int,
    most_runs: int,
    most_lines: int,
) -> None:
    """However small the portions. The oracle applies the rule run by run; lines are deleted with their runs."""
    empty(store)
    timer_ids = add_timers(store, 3)
    # Ids rise with time.
    entered.sort(key=lambda pair: 0 if pair[1] is None else -pair[1])
    expected, seen = [], Counter[int | None]()
    rows = []
    for which, age_days in entered:
        timer_id = None if which is None else timer_ids[which]
        ended_at = None if age_days is None else NOW - timedelta(days=age_days)
        rows.append((enter(store, timer_id, ended_at), timer_id, age_days))
    for run_id, timer_id, age_days in reversed(rows):
        seen[timer_id] += 1
        surplus = keep_runs and seen[timer_id] > keep_runs
        if age_days is None or not (age_days > 30 or surplus):
            expected.append(run_id)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("MAX_RUNS", most_runs), ("MAX_LINES", most_lines)):
            patch.setattr(retention, name, value)
        prune(Retention(store, timedelta(days=30), keep_runs))
    assert kept(store) == sorted(expected)
    with store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(lines)).scalar_one() == 2 * len(expected)


def test_a_long_history_is_deleted_in_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no transaction takes long."""
    (timer_id,) = add_timers(store, 1)
    for _ in range(10):
        enter(store, timer_id, NOW - timedelta(days=50))
    monkeypatch.setattr(retention, "MAX_RUNS", 3)
    assert prune(Retention(store)) == 4
    assert kept(store) == []


def test_a_row_that_still_counts_fire_times_is_kept(store: Store) -> None:
    """Fire times that are short-circuited for months stand in one row, however old its first one is."""
    (timer_id,) = add_timers(store, 1)
    counting = enter(store, timer_id, NOW - timedelta(days=50))
    enter(store, timer_id, NOW - timedelta(days=50))
    with store.writing() as connection:
        connection.execute(update(timers).values(counter_run_id=counting))
    prune(Retention(store, keep_runs=1))
    assert kept(store) == [counting]


def test_the_daemon_prunes_by_itself(service: Service) -> None:
    """Portion by portion, and then once an hour."""
    service.executor.script = lambda _: FAILURE
    service.add(breaker_threshold=0)
    service.after(10)
    (old,) = service.history.runs()
    assert old.outcome is Outcome.FAILED
    service.kill()
    service.clock.advance(31 * 86_400)
    service.start()
    service.settle()
    late, missed = service.history.runs()
    assert (late.outcome, missed.outcome) == (Outcome.FAILED, Outcome.MISFIRED)
    assert missed.fire_time > old.fire_time
