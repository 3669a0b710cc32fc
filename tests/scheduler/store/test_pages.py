"""Pages of runs, lines, changes and timers: all that match, each once, in order; a page looks at few rows only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event, insert

from scheduler.core.run import Kind, Outcome
from scheduler.core.timer import Environment, Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Cron, Every
from scheduler.store import pages, timer_pages
from scheduler.store.change_pages import ChangeFilter, ChangeHistory
from scheduler.store.change_recording import Author, Way
from scheduler.store.database import Store
from scheduler.store.log_lines import LineFilter, LogLines
from scheduler.store.pages import Page, first_id_since
from scheduler.store.runs import RunFilter, RunHistory
from scheduler.store.schema import call_lines, lines, runs, timers
from scheduler.store.timer_pages import TimerFilter, TimerState, page_of_timers
from scheduler.store.timers import TimerTable
from tests.example_counts import examples
from tests.scheduler.scripted_service import START, empty

PRODUCTION, STAGE = Environment
OUTCOMES = st.sampled_from([None, Outcome.SUCCEEDED, Outcome.FAILED])
RUNS = st.lists(
    st.fixed_dictionaries(
        {
            "timer": st.sampled_from(["a", "b"]),
            "environment": st.sampled_from(["production", "stage"]),
            "function": st.sampled_from(["f", "g"]),
            "kind": st.sampled_from([Kind.SCHEDULED, Kind.MANUAL]),
            "outcome": OUTCOMES,
        }
    ),
    max_size=30,
)
FILTERS = st.builds(
    RunFilter,
    timer=st.sampled_from([None, "a", "c"]),
    environment=st.sampled_from([None, "stage"]),
    function=st.sampled_from([None, "g"]),
    kind=st.sampled_from([None, Kind.MANUAL]),
    outcomes=st.sampled_from([(), (Outcome.FAILED,), (Outcome.FAILED, Outcome.SUCCEEDED)]),
    is_open=st.booleans(),
    since=st.sampled_from([None, START + timedelta(hours=7)]),
    until=st.sampled_from([None, START + timedelta(hours=19)]),
)


@pytest.fixture(scope="module")
def memory() -> Iterator[Store]:
    """A store for many examples, each of which empties it."""
    with Store("sqlite://") as store:
        yield store


@contextmanager
def looking_at(most: int) -> Iterator[None]:
    with patch.object(pages, "MAX_LOOKED_AT", most), patch.object(timer_pages, "MAX_LOOKED_AT", most):
        yield


def all_pages(read: Callable[[Any], Page[Any, Any]], limit: int) -> list[Any]:
    """What the pages hold, one after the other."""
    found: list[Any] = []
    page = read(None)
    for _ in range(1_000):
        assert len(page.items) <= limit
        found += page.items
        if page.next is None:
            assert page.looked_back_to is None
            return found
        assert len(page.items) == limit or page.looked_back_to is not None or page.next is not None
        page = read(page.next)
    raise AssertionError("the pages do not end")


def enter_run(connection: Connection, number: int, **values: Any) -> int:
    """A run that fires so many hours after START."""
    at = stamp(START + timedelta(hours=number))
    row = {
        "timer_id": None, "timer": "a", "function": "f", "environment": "production", "kind": Kind.SCHEDULED,
        "fire_at": at, "last_fire_at": at, "count": 1, "attempt": 1, "request_id": f"r{number}", "claimed_at": at,
        "message": "", "lines_dropped": 0, **values,
    }  # fmt: skip
    run_id: int = connection.execute(insert(runs).values(row).returning(runs.c.id)).scalar_one()
    return run_id


def is_wanted(number: int, row: dict[str, Any], wanted: RunFilter) -> bool:
    at = START + timedelta(hours=number)
    outcomes = {*wanted.outcomes, *([None] if wanted.is_open else [])}
    return (
        all(getattr(wanted, name) in (None, row[name]) for name in ("timer", "environment", "function", "kind"))
        and (not outcomes or row["outcome"] in outcomes)
        and (wanted.since is None or at >= wanted.since)
        and (wanted.until is None or at < wanted.until)
    )


@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=RUNS, wanted=FILTERS, limit=st.integers(1, 5), most=st.integers(1, 7))
def test_pages_of_runs_have_each_run_once(
    memory: Store, rows: list[dict[str, Any]], wanted: RunFilter, limit: int, most: int
) -> None:
    """For every filter, however few rows a page looks at."""
    empty(memory)
    with looking_at(most):
        with memory.writing() as connection:
            for number, row in enumerate(rows):
                enter_run(connection, number, **row)
        history = RunHistory(memory)
        found = all_pages(lambda before: history.page(wanted, before=before, limit=limit), limit)
        expected = [f"r{number}" for number, row in enumerate(rows) if is_wanted(number, row, wanted)]
        assert [run.request_id for run in found] == expected[::-1]


def test_a_page_of_runs_says_how_far_it_has_looked(store: Store) -> None:
    """It is short, has the instant of the last row that it looked at, and where to go on."""
    with store.writing() as connection:
        for number in range(10):
            enter_run(connection, number, timer="a" if number % 4 == 0 else "b")
    with looking_at(3):
        page = RunHistory(store).page(RunFilter(timer="a"), limit=2)
        assert [run.request_id for run in page.items] == ["r8"]
        assert page.looked_back_to == START + timedelta(hours=7)
        page = RunHistory(store).page(RunFilter(timer="a"), before=page.next, limit=2)
        assert [run.request_id for run in page.items] == ["r4"]
    assert [run.request_id for run in RunHistory(store).page(limit=2).items] == ["r9", "r8"]


def test_a_run_that_counts_several_fire_times_is_found_by_each(store: Store) -> None:
    """Its span and the wanted one have an instant in common."""
    day = timedelta(days=1)
    with store.writing() as connection:
        enter_run(connection, 72, fire_at=stamp(START), last_fire_at=stamp(START + 2 * day), outcome=Outcome.MISFIRED)
    for since, until, count in ((-2, -1, 0), (-2, 1, 1), (1, 1.5, 1), (2, 3, 1), (2.5, 3, 0)):
        history = RunHistory(store)
        wanted = RunFilter(since=START + since * day, until=START + until * day)
        assert len(history.page(wanted).items) == count
        assert len(history.runs(since=wanted.since, until=wanted.until)) == count


def test_the_runs_of_a_renamed_timer_are_found_by_its_name(store: Store) -> None:
    """Those under its former name until it was renamed; later ones of that name are another timer's."""
    table = TimerTable(store)
    table.add([Timer(name="a", function="f", trigger=Every(60))], now=START)
    with store.writing() as connection:
        enter_run(connection, 1)
        enter_run(connection, 2, environment="stage")
        run_id = enter_run(connection, 4, timer="b")
        enter_run(connection, 5)
        connection.execute(
            insert(lines).values(run_id=run_id, at=stamp(START), level="info", text="said"),
        )
    table.edit("a", PRODUCTION, {"name": "b"}, now=START + timedelta(hours=3))
    history = RunHistory(store)
    assert [run.request_id for run in history.runs(timer="b")] == ["r4", "r1"]
    assert [run.request_id for run in history.runs(timer="b", environment=PRODUCTION)] == ["r4", "r1"]
    assert [run.request_id for run in history.runs(timer="a")] == ["r5", "r2", "r1"]
    assert [line.timer for line in LogLines(store).latest(LineFilter(timer="b"), 9)[0]] == ["b"]


@settings(max_examples=examples(60), deadline=None)
@given(
    kinds=st.lists(st.sampled_from(["run", "call"]), max_size=25),
    level=st.sampled_from([None, "warning"]),
    text=st.sampled_from([None, "L1"]),
    limit=st.integers(1, 4),
    most=st.integers(1, 6),
)
def test_pages_of_lines_have_each_line_once(
    memory: Store, kinds: list[str], level: str | None, text: str | None, limit: int, most: int
) -> None:
    """Lines of runs and of calls together, newest first."""
    empty(memory)
    with looking_at(most):
        with memory.writing() as connection:
            run_id = enter_run(connection, 0)
            for number, kind in enumerate(kinds):
                values: dict[str, Any] = {
                    "at": stamp(START) + number, "level": ("info", "error")[number % 2], "text": f"l{number}",
                }  # fmt: skip
                if kind == "run":
                    connection.execute(insert(lines).values(run_id=run_id, **values))
                else:
                    names = {"function": "f", "environment": "production", "request_id": "r"}
                    connection.execute(insert(call_lines).values(**values, **names))
        wanted = LineFilter(level=level, text=text)
        found = all_pages(lambda before: LogLines(memory).page(wanted, before=before, limit=limit), limit)
        expected = [
            f"l{number}"
            for number in range(len(kinds))
            if (level is None or number % 2) and (text is None or f"l{number}".startswith("l1"))
        ]
        assert [line.text for line in found] == expected[::-1]


@settings(max_examples=examples(60), deadline=None)
@given(
    names=st.lists(st.tuples(st.sampled_from(Environment), st.text("abAB", min_size=1, max_size=3)), unique=True),
    wanted=st.builds(
        TimerFilter,
        text=st.sampled_from([None, "AB", "%"]),
        environment=st.sampled_from([None, "stage"]),
        tag=st.sampled_from([None, "aB"]),
        state=st.sampled_from([None, TimerState.ENABLED, TimerState.DISABLED]),
    ),
    limit=st.integers(1, 4),
    most=st.integers(1, 6),
)
def test_pages_of_timers_have_each_timer_once(
    memory: Store, names: list[tuple[Environment, str]], wanted: TimerFilter, limit: int, most: int
) -> None:
    """In the order of environments and names."""
    empty(memory)
    with looking_at(most):
        every = Every(60)
        new = [
            Timer(name=name, function="f", trigger=every, environment=where, tags=[name], enabled=len(name) == 2)
            for where, name in names
        ]
        TimerTable(memory).add(new, now=START, quota=0)
        found = all_pages(lambda after: page_of_timers(memory, wanted, after=after, limit=limit), limit)
        assert [(entry.timer.environment, entry.timer.name) for entry in found] == sorted(
            (timer.environment, timer.name)
            for timer in new
            if (wanted.text is None or wanted.text.lower() in timer.name.lower())
            and wanted.environment in (None, timer.environment)
            and (wanted.tag is None or wanted.tag in timer.tags)
            and (wanted.state is None or timer.enabled == (wanted.state is TimerState.ENABLED))
        )


def test_timers_are_found_by_their_states(store: Store) -> None:
    """Enabled, disabled, finished, in trouble."""
    past = {"ends_at": START + timedelta(days=1)}
    new = [
        Timer(name="on", function="f", trigger=Every(60), enabled=True),
        Timer(name="off", function="f", trigger=Every(60), tags=["%", "ü"]),
        Timer(name="over", function="f", trigger=Every(60), enabled=True, **past),
        Timer(name="sick", function="f", trigger=Cron("0 0 8 ? * MON", "UTC"), enabled=True),
    ]
    TimerTable(store).add(new, now=START, quota=0)
    with store.writing() as connection:
        connection.execute(timers.update().where(timers.c.name == "over").values(next_fire_at=None))
        connection.execute(timers.update().where(timers.c.name == "sick").values(consecutive_failures=1))

    def names(**wanted: Any) -> list[str]:
        return [entry.timer.name for entry in page_of_timers(store, TimerFilter(**wanted)).items]

    assert names() == ["off", "on", "over", "sick"]
    assert names(state=TimerState.ENABLED) == ["on", "sick"]
    assert names(state=TimerState.DISABLED) == ["off"]
    assert names(state=TimerState.FINISHED) == ["over"]
    assert names(state=TimerState.IN_TROUBLE) == ["sick"]
    assert names(tag="ü") == names(tag="%") == ["off"]
    assert names(tag="Ü") == names(tag="o") == []


def test_pages_of_changes_have_each_change_once(store: Store) -> None:
    """For one timer, one author, one way, and a time span."""
    table = TimerTable(store)
    for number in range(8):
        by = Author(f"ann{number % 2}", Way.API if number % 3 else Way.CONSOLE)
        timer = Timer(name=f"t{number}", function="f", trigger=Every(60))
        table.add([timer], now=START + timedelta(hours=number), quota=0, by=by)
    history = ChangeHistory(store)
    span = {"since": START + timedelta(hours=2), "until": START + timedelta(hours=5)}
    for wanted, expected in (
        (ChangeFilter(), [7, 6, 5, 4, 3, 2, 1, 0]),
        (ChangeFilter(author="NN1"), [7, 5, 3, 1]),
        (ChangeFilter(way=Way.CONSOLE), [6, 3, 0]),
        (ChangeFilter(name="t4"), [4]),
        (ChangeFilter(**span), [4, 3, 2]),
    ):
        for most in (1, 3, 100):
            with looking_at(most):
                found = all_pages(lambda before, w=wanted: history.page(w, before=before, limit=2), 2)
            assert [record.name for record in found] == [f"t{number}" for number in expected]


@given(
    gaps=st.lists(st.integers(0, 3), max_size=40),
    ids=st.lists(st.integers(1, 1_000), unique=True, max_size=40),
    since=st.integers(-5, 130),
)
@settings(max_examples=examples(100), deadline=None)
def test_an_instant_is_found_among_ids(memory: Store, gaps: list[int], ids: list[int], since: int) -> None:
    """No row of that time or later has a lower id; and the row before is older, an hour allowed."""
    empty(memory)
    with memory.writing() as connection:
        hours, rows = 0, []
        for gap, run_id in zip(gaps, sorted(ids), strict=False):
            hours += gap
            rows.append((enter_run(connection, hours, id=run_id), hours))
        first = first_id_since(connection, runs.c.id, runs.c.claimed_at, START + timedelta(hours=since))
        assert [run_id for run_id, hour in rows if run_id >= first] == [
            run_id for run_id, hour in rows if hour >= since - 1
        ]


def test_no_page_of_runs_or_lines_sorts(tmp_path: Path) -> None:
    """Their statements find the rows in the order in which they are wanted, and stop at the end of the page."""
    with Store(str(tmp_path / "s.db")) as store:
        said: list[tuple[str, Any]] = []
        event.listen(store._engine, "before_cursor_execute", lambda *given: said.append((given[2], given[3])))
        RunHistory(store).page(RunFilter(timer="a", since=START, until=START))
        LogLines(store).page(LineFilter(text="x", level="error", since=START))
        ChangeHistory(store).page(ChangeFilter(author="a", since=START))
        queries = [(sql, given) for sql, given in said if sql.startswith("SELECT")]
        assert len(queries) > 6
        with store.reading() as connection:
            for sql, given in queries:
                steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)]
                assert not [step for step in steps if "TEMP B-TREE" in step], sql


@pytest.mark.parametrize("level", ["debug", "critical"])
def test_a_level_stands_for_itself_and_those_above(store: Store, level: str) -> None:
    """From debug on, all; from critical on, one."""
    with store.writing() as connection:
        for rank, each in enumerate(("debug", "info", "warning", "error", "critical")):
            names = {"function": "f", "environment": "production", "request_id": "r"}
            connection.execute(insert(call_lines).values(at=rank, level=each, text="x", **names))
    assert len(LogLines(store).page(LineFilter(level=level)).items) == {"debug": 5, "critical": 1}[level]
