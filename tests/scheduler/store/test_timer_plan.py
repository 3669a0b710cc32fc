"""What many timers are changed to is computed before the store is locked: what was changed meanwhile is not lost."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, update

from quartzcron.calendars import WorkingDays
from scheduler.core.timer import Environment, Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Cron, Every
from scheduler.errors import TimerError
from scheduler.store import timer_apply, timers_at_once
from scheduler.store.calendars import CalendarTable
from scheduler.store.change_pages import ChangeHistory
from scheduler.store.change_recording import Author, Way
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.schema import calendars, runs, timers
from scheduler.store.timer_apply import WantedTimer, apply_timers
from scheduler.store.timer_pages import TimerKey
from scheduler.store.timer_plan import FEW
from scheduler.store.timers import TimerTable
from scheduler.store.timers_at_once import BulkAction, change_timers
from tests.example_counts import examples
from tests.scheduler.scripted_service import START, empty

BY = Author("ann", Way.API)
LATER = START + timedelta(minutes=10)
COUNT = FEW + 4
NAMES = [f"t{number}" for number in range(COUNT)]
KEYS = [TimerKey("production", name) for name in NAMES]
TRIGGERS = [Every(60), Every(1), Cron("0 0 8 ? * MON", "UTC"), Cron("* * * * * ?", "UTC")]

Change = Callable[[Store], object]


def timer(number: int) -> Timer:
    return Timer(
        name=NAMES[number],
        function="f",
        trigger=TRIGGERS[number % len(TRIGGERS)],
        enabled=number % 3 > 0,
        fire_on_enable=number % 5 == 0,
        calendar="firm" if number % 4 > 1 else None,
        tags=("a",) if number % 2 else (),
    )


def fill(store: Store) -> None:
    empty(store)
    CalendarTable(store).add("firm", WorkingDays(holidays=[date(2026, 1, 1)]), now=START)
    TimerTable(store).add([timer(number) for number in range(COUNT)], now=START, quota=0)


def raw(store: Store, name: str, **columns: Any) -> None:
    """Write columns as a daemon does, without a new revision."""
    with store.writing() as connection:
        connection.execute(update(timers).where(timers.c.name == name).values(columns))


def present(store: Store) -> tuple[Any, ...]:
    """All that a change may write, without what is random."""
    with store.reading() as connection:
        rows = [
            {name: value for name, value in row._mapping.items() if name != "revision"}
            for row in connection.execute(select(timers).order_by(timers.c.environment, timers.c.name))
        ]
    changes = [
        (change.author, change.action, change.name, change.before, change.after)
        for change in ChangeHistory(store).page(limit=200).items
    ]
    requested = [(run.timer, run.kind, run.fire_time) for run in RunHistory(store).runs()]
    return rows, changes, requested


#: What happens between the computing and the writing.
MEANWHILE: list[Change] = [
    lambda store: TimerTable(store).edit("t1", Environment.PRODUCTION, {"limit_s": 3}, now=LATER),
    lambda store: TimerTable(store).edit("t2", Environment.PRODUCTION, {"trigger": Every(7)}, now=LATER),
    lambda store: TimerTable(store).enable("t3", now=LATER),
    lambda store: TimerTable(store).disable("t4", now=LATER),
    lambda store: TimerTable(store).remove("t5", now=LATER),
    lambda store: TimerTable(store).rename("t6", "new", now=LATER),
    lambda store: TimerTable(store).add([Timer(name="t20", function="g", trigger=Every(5))], now=LATER, quota=0),
    lambda store: raw(store, "t7", breaker_state="open", consecutive_failures=5, last_error="broken"),
    lambda store: raw(store, "t8", next_fire_at=stamp(LATER + timedelta(minutes=1))),
    lambda store: CalendarTable(store).change("firm", WorkingDays(week="6-7"), now=LATER),
]

ACTIONS: list[Change] = [
    *(
        lambda store, action=action: change_timers(store, KEYS, action, now=LATER, by=BY)  # type: ignore[misc]
        for action in BulkAction
    ),
    lambda store: apply_timers(store, [timer(number) for number in range(COUNT)], now=LATER, by=BY, quota=0),
    lambda store: apply_timers(
        store,
        [replace(timer(number), trigger=TRIGGERS[2 + number % 2], retries=number % 2) for number in range(COUNT)],
        now=LATER,
        by=BY,
        quota=0,
    ),
    lambda store: apply_timers(
        store,
        [
            WantedTimer(replace(timer(number), name=f"t{number + 4}", jitter_s=5.0), names_state=False)
            for number in range(COUNT)
        ],
        prune=[Environment.PRODUCTION],
        now=LATER,
        by=BY,
        quota=COUNT,
    ),
    lambda store: CalendarTable(store).change("firm", WorkingDays(), now=LATER, by=BY),
]


@pytest.fixture(scope="module")
def memory() -> Iterator[Store]:
    """A store for many examples, each of which empties it."""
    with Store("sqlite://") as store:
        yield store


def attempt(change: Change, store: Store) -> str | None:
    """What a change is refused for."""
    try:
        change(store)
    except TimerError as error:
        return str(error)
    return None


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(action=st.sampled_from(ACTIONS), meanwhile=st.lists(st.sampled_from(MEANWHILE), max_size=4, unique=True))
def test_what_is_changed_meanwhile_counts(memory: Store, action: Change, meanwhile: list[Change]) -> None:
    """The outcome is that of the same change computed afterwards, within its transaction."""
    outcomes = []
    for computes_before in (True, False):
        fill(memory)
        with pytest.MonkeyPatch.context() as patch:
            if computes_before:
                between(patch, memory, meanwhile)
            else:
                for change in meanwhile:
                    attempt(change, memory)
                patch.setattr(timers_at_once, "FEW", 10**9)
                patch.setattr(timer_apply, "FEW", 10**9)
            error = attempt(action, memory)
            if error is not None and computes_before:
                # Refused before anything else happened, or after.
                return
        outcomes.append((error, *present(memory)))
    assert outcomes[0] == outcomes[1]


def between(patch: pytest.MonkeyPatch, store: Store, changes: list[Change]) -> None:
    """Make changes before the next transaction that writes."""
    original = store.writing_and_notifying

    def writing_and_notifying() -> AbstractContextManager[Connection]:
        patch.setattr(store, "writing_and_notifying", original)
        for change in changes:
            attempt(change, store)
        return original()

    patch.setattr(store, "writing_and_notifying", writing_and_notifying)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    action=st.sampled_from(BulkAction),
    numbers=st.lists(st.integers(0, COUNT), max_size=COUNT, unique=True),
    late=st.booleans(),
)
def test_a_dry_run_says_what_the_action_does(memory: Store, action: BulkAction, numbers: list[int], late: bool) -> None:
    """It returns the same timers, or refuses with the same words; and changes nothing."""
    fill(memory)
    with memory.writing() as connection:
        # The timers of this calendar never fire again.
        if late:
            connection.execute(update(timers).where(timers.c.name == "t3").values(ends_at=stamp(LATER)))
    keys = [TimerKey("production", f"t{number}") for number in numbers]
    before, said = present(memory), []
    for dry_run in (True, False):
        try:
            said.append(change_timers(memory, keys, action, now=LATER, by=BY, dry_run=dry_run))
        except TimerError as error:
            said.append(str(error))  # type: ignore[arg-type]
        if dry_run:
            assert present(memory) == before
    assert said[0] == said[1]


def test_a_dry_run_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    """Nor does it keep one waiting: it takes no lock."""
    url = str(tmp_path / "store.db")
    with Store(url) as store, Store(url, busy_timeout_s=0.05) as other:
        fill(store)
        with store.writing():
            change_timers(other, KEYS, BulkAction.REMOVE, now=LATER, by=BY, dry_run=True)
            applied = apply_timers(other, [timer(0)], prune=[Environment.PRODUCTION], now=LATER, dry_run=True)
        assert len(applied.differences) == COUNT - 1
        assert len(TimerTable(store).list()) == COUNT


def test_thousands_are_written_in_a_few_statements(store: Store) -> None:
    """So the store is not locked for one statement a timer."""
    new = [Timer(name=f"t{number}", function="f", trigger=Every(60), enabled=True) for number in range(300)]
    statements: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        original = Connection.execute

        def execute(self: Connection, statement: Any, *args: Any, **named: Any) -> Any:
            statements.append(str(statement))
            return original(self, statement, *args, **named)

        patch.setattr(Connection, "execute", execute)
        TimerTable(store).add(new, now=START, quota=0)
        apply_timers(store, [replace(each, retries=1 + n % 2) for n, each in enumerate(new)], now=LATER, quota=0)
        keys = [TimerKey("production", each.name) for each in new]
        for action in (BulkAction.DISABLE, BulkAction.ENABLE, BulkAction.RUN, BulkAction.REMOVE):
            change_timers(store, keys, action, now=LATER, by=BY)
    assert len(statements) < 150
    assert len(RunHistory(store).runs(limit=400)) == 300
    with store.reading() as connection:
        assert connection.execute(select(runs.c.timer_id).where(runs.c.timer_id.is_not(None))).all() == []
        assert connection.execute(select(calendars.c.name)).all() == []
