"""The digest of the history: its sums equal those of the rows, whatever happens between two looks."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import delete, insert, select, update

pytest.importorskip("flask")

from scheduler.console.digest import queries
from scheduler.console.digest.file import OUTCOMES, DigestFile
from scheduler.console.digest.reading import Digest, unread_before
from scheduler.core.run import Outcome
from scheduler.core.timer import Timer
from scheduler.core.timestamps import instant, stamp
from scheduler.core.triggers import Every
from scheduler.store.database import Store
from scheduler.store.schema import runs, timers
from scheduler.store.timer_pages import TimerKey
from scheduler.store.timers import TimerTable
from tests.example_counts import examples

START = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
NAMES = ("a", "b", "c")
FIRST, LAST = START - timedelta(hours=1), START + timedelta(hours=200)


def run_values(number: int, name: str, **values: Any) -> dict[str, Any]:
    """The row of a run that a daemon has claimed, one every seven minutes."""
    at = stamp(START) + number * 420_000_000
    return {
        "timer": name,
        "function": "f",
        "environment": "production",
        "kind": "scheduled",
        "fire_at": at,
        "last_fire_at": at,
        "count": 1,
        "attempt": 1,
        "request_id": f"{number:016x}",
        "owner": 1,
        "claimed_at": at,
        "message": "",
        "lines_dropped": 0,
        **values,
    }


def ending(number: int, outcome: Outcome, took_ms: int) -> dict[str, Any]:
    """What the end of a run changes in its row."""
    at = stamp(START) + number * 420_000_000
    return {"outcome": outcome.value, "started_at": at, "ended_at": at + took_ms * 1000}


def add_runs(store: Store, *values: dict[str, Any]) -> None:
    with store.writing() as connection:
        for row in values:
            connection.execute(insert(runs).values(**row))


def sums(digest: Digest) -> Counter[tuple[str, Outcome]]:
    """The fires of all hours, by environment and outcome; and as the tables of single timers have them."""
    with digest.reading() as connection:
        found: Counter[tuple[str, Outcome]] = Counter()
        for hour in queries.hours(connection, FIRST, LAST):
            for outcome, fires in hour.fires.items():
                found["", outcome] += fires
        for name in NAMES:
            for mark in queries.latest_of(connection, TimerKey("production", name), 10_000):
                if mark.outcome is not None:
                    found[name, mark.outcome] += mark.fires
    return found


class History(RuleBasedStateMachine):
    """Daemons claim, end, count on, release and prune; a console reads in small portions, and is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store("sqlite://")
        table = TimerTable(self.store)
        table.add([Timer(name=name, function="f", trigger=Every(60)) for name in NAMES], now=START)
        self.digest = Digest(self.store)
        self.number = 0
        #: What was pruned after the digest had read it.
        self.past: Counter[tuple[str, Outcome]] = Counter()

    def rows(self) -> list[Any]:
        with self.store.reading() as connection:
            return list(connection.execute(select(runs).order_by(runs.c.id)))

    def change(self, statement: Any) -> None:
        with self.store.writing() as connection:
            connection.execute(statement)

    @rule(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=6))
    def claim(self, names: list[str]) -> None:
        for name in names:
            self.number += 1
            add_runs(self.store, run_values(self.number, name))

    @rule(place=st.integers(0, 9), outcome=st.sampled_from(list(Outcome)), took_ms=st.integers(0, 100_000))
    def end(self, place: int, outcome: Outcome, took_ms: int) -> None:
        for row in [row for row in self.rows() if row.outcome is None][place : place + 1]:
            self.change(update(runs).where(runs.c.id == row.id).values(**ending(self.number, outcome, took_ms)))

    @rule(name=st.sampled_from(NAMES), more=st.integers(1, 5))
    def count_on(self, name: str, more: int) -> None:
        """The breaker of a timer is open: its fire times are counted in one row, until a run begins."""
        with self.store.writing() as connection:
            held = connection.execute(select(timers.c.counter_run_id).where(timers.c.name == name)).scalar()
            if held is not None:
                connection.execute(update(runs).where(runs.c.id == held).values(count=runs.c["count"] + more))
                return
            self.number += 1
            row = run_values(self.number, name, outcome=Outcome.SHORT_CIRCUITED.value)
            run_id = connection.execute(insert(runs).values(**row).returning(runs.c.id)).scalar()
            connection.execute(update(timers).where(timers.c.name == name).values(counter_run_id=run_id))

    @rule(name=st.sampled_from(NAMES))
    def stop_counting(self, name: str) -> None:
        self.change(update(timers).where(timers.c.name == name).values(counter_run_id=None))

    @rule()
    def release(self) -> None:
        """The latest claim is given back; SQLite gives its id to the next run."""
        for row in self.rows()[-1:]:
            if row.outcome is None:
                self.change(delete(runs).where(runs.c.id == row.id))

    @rule(number=st.integers(1, 4))
    def prune(self, number: int) -> None:
        """The oldest runs are too old; never the newest one."""
        while self.digest.step():
            pass
        with self.store.reading() as connection:
            counting = set(connection.execute(select(timers.c.counter_run_id)).scalars())
        for row in self.rows()[:-1][:number]:
            if row.outcome is not None and row.id not in counting:
                self.change(delete(runs).where(runs.c.id == row.id))
                self.past["", Outcome(row.outcome)] += row._mapping["count"]
                self.past[row.timer, Outcome(row.outcome)] += row._mapping["count"]

    @rule(portion=st.integers(1, 4))
    def read(self, portion: int) -> None:
        self.digest.step(portion)

    @rule()
    def kill_the_reader(self) -> None:
        """Before the commit."""
        with suppress(ZeroDivisionError), self.digest._file.writing() as connection:
            connection.execute("DELETE FROM path")
            raise ZeroDivisionError

    @rule()
    def delete_the_file(self) -> None:
        self.digest._file.discard()
        self.past.clear()

    @precondition(lambda self: self.number % 3 == 0)
    @invariant()
    def sums_equal_the_rows(self) -> None:
        expected = Counter(self.past)
        for row in self.rows():
            if row.outcome is not None:
                expected["", Outcome(row.outcome)] += row._mapping["count"]
                expected[row.timer, Outcome(row.outcome)] += row._mapping["count"]
        assert sums(self.digest) == expected

    def teardown(self) -> None:
        self.digest.close()
        self.store.close()


History.TestCase.settings = settings(max_examples=examples(15), stateful_step_count=25, deadline=None)
TestHistory = History.TestCase


def test_both_databases_are_read(store: Store) -> None:
    """Strips, numbers, failures, spreads and rankings of the same few runs."""
    digest = Digest(store)
    add_runs(
        store,
        *(run_values(n, "a", **ending(n, Outcome.SUCCEEDED, 100)) for n in range(1, 20)),
        run_values(20, "b", **ending(20, Outcome.FAILED, 5_000)),
        run_values(21, "b", **ending(21, Outcome.FAILED, 7_000)),
        run_values(22, "a"),
    )
    with digest.reading() as connection:
        marks = queries.latest_of(connection, TimerKey("production", "a"), 24)
        assert [mark.outcome for mark in marks] == [Outcome.SUCCEEDED] * 19 + [None]
        numbers = queries.numbers_of(marks)
        assert (numbers.took_p50_s, numbers.took_p95_s, numbers.late_p95_s) == (0.1, 0.1, 0.0)
        (failing,) = queries.went_wrong(connection, since=START, most=8)
        assert (failing.timer, failing.failures, failing.outcome) == ("b", 2, Outcome.FAILED)
        spread = queries.spread(connection, "took", FIRST, LAST)
        assert sum(spread.runs) == 21
        assert spread.percentile_s(50) == pytest.approx(0.1, rel=0.5)
        assert spread.percentile_s(99) == pytest.approx(7, rel=0.5)
        ranked = queries.rankings(connection, FIRST, LAST)
        assert [(row.timer, row.value) for row in ranked.longest] == [("b", 7_000), ("a", 100)]
        assert [(row.timer, row.value) for row in ranked.failures] == [("b", 2)]
        assert unread_before(connection) is None
    digest.close()


def test_rankings_over_several_days_are_those_of_all_runs(tmp_path: Path) -> None:
    """However the runs are divided into portions: of each day only the first timers of each environment are kept."""
    draw, begin = Random(7), datetime(2026, 11, 30, tzinfo=UTC)
    rows = []
    for number in range(600):
        outcome = draw.choice((Outcome.SUCCEEDED, Outcome.FAILED))
        values = ending(number, outcome, draw.randrange(60))
        late = {"started_at": values["started_at"] + draw.choice((-5, 0, 1, 40)) * 1000}
        named = {"environment": draw.choice(("production", "stage"))}
        rows.append(run_values(number, f"t{draw.randrange(30):02}", **{**values, **late, **named}))
    with Store(tmp_path / "store.db") as store:
        add_runs(store, *rows)
        digest = Digest(store)
        while digest.step(37):
            pass
        with digest.reading() as connection:
            for environment in (None, "production", "stage"):
                for days in (1, 2, 4):
                    until = begin + timedelta(days=days)
                    found = queries.rankings(connection, begin, until, environment=environment)
                    counted = [
                        row
                        for row in rows
                        if row["fire_at"] < stamp(until) and environment in (None, row["environment"])
                    ]
                    assert [[row.value for row in ranked] for ranked in found] == ranked_by_hand(counted)
        digest.close()


def ranked_by_hand(rows: Sequence[dict[str, Any]]) -> list[list[int]]:
    """The first values of the three rankings of these runs."""
    failures: Counter[tuple[str, str]] = Counter()
    longest: Counter[tuple[str, str]] = Counter()
    latest: Counter[tuple[str, str]] = Counter()
    for row in rows:
        key = row["environment"], row["timer"]
        failures[key] += row["outcome"] == Outcome.FAILED.value
        longest[key] = max(longest[key], (row["ended_at"] - row["started_at"]) // 1000)
        latest[key] = max(latest[key], (row["started_at"] - row["fire_at"]) // 1000)
    return [sorted((n for n in each.values() if n > 0), reverse=True)[:10] for each in (failures, longest, latest)]


def test_a_run_that_commits_late_is_found(store: Store) -> None:
    """On a server, a transaction may have taken lower ids than one that committed before it."""
    if not store.has_server:
        pytest.skip("a file has one writer, which takes ids and commits in one order")
    digest = Digest(store)
    now = stamp(datetime.now(UTC))
    first = run_values(1, "a", **ending(1, Outcome.SUCCEEDED, 5))
    add_runs(store, {**first, "id": 100, "claimed_at": now}, {**first, "id": 105, "claimed_at": now})
    digest.catch_up()
    add_runs(store, *({**first, "id": number, "claimed_at": now} for number in (101, 103)))
    assert sums(digest)["", Outcome.SUCCEEDED] == 4
    assert sums(digest)["a", Outcome.SUCCEEDED] == 4
    digest.close()


def test_the_page_says_what_is_not_read_yet(tmp_path: Path) -> None:
    """The newest runs are read first."""
    with Store(tmp_path / "store.db") as store:
        add_runs(store, *(run_values(n, "a", **ending(n, Outcome.SUCCEEDED, 5)) for n in range(1, 11)))
        digest = Digest(store)
        assert digest.step(4)
        with digest._file.reading() as connection:
            assert unread_before(connection) == instant(stamp(START) + 7 * 420_000_000)
            marks = queries.latest_of(connection, TimerKey("production", "a"), 24)
        assert [mark.id for mark in marks] == [7, 8, 9, 10]
        digest.close()


def test_the_file_is_in_the_folder_of_the_project(tmp_path: Path) -> None:
    """Readable by its owner only; a damaged one is made anew."""
    folder = tmp_path / ".scheduler"
    folder.mkdir()
    with Store(folder / "store.db") as store:
        add_runs(store, run_values(1, "a", **ending(1, Outcome.FAILED, 5)))
        digest = Digest(store)
        assert sums(digest)["a", Outcome.FAILED] == 1
        assert stat.S_IMODE((folder / "console.db").stat().st_mode) == 0o600
        (folder / "console.db").write_bytes(os.urandom(20_000))
        digest.catch_up()
        assert sums(digest)["a", Outcome.FAILED] == 1
        digest.close()


def test_another_store_at_the_same_place_is_read_from_its_beginning(tmp_path: Path) -> None:
    """Its ids are those of other runs."""
    folder = tmp_path / ".scheduler"
    for outcome in (Outcome.FAILED, Outcome.SUCCEEDED):
        folder.mkdir(exist_ok=True)
        for path in folder.glob("store.db*"):
            path.unlink()
        with Store(folder / "store.db") as store:
            number = OUTCOMES.index(outcome)
            add_runs(store, *(run_values(number * 10 + n, "a", **ending(n, outcome, 5)) for n in range(3)))
            digest = Digest(store)
            assert sums(digest)["a", outcome] == 3
            assert sums(digest).total() == 6
            digest.close()


def test_two_consoles_share_the_file(tmp_path: Path) -> None:
    """Each run is counted once, whichever console reads it."""
    folder = tmp_path / ".scheduler"
    folder.mkdir()
    with Store(folder / "store.db") as store:
        one, other = Digest(store), Digest(store)
        for number in range(1, 20):
            add_runs(store, run_values(number, "a", **ending(number, Outcome.SUCCEEDED, 5)))
            (one if number % 2 else other).step(1)
        assert sums(one)["", Outcome.SUCCEEDED] == sums(other)["", Outcome.SUCCEEDED] == 19
        one.close()
        other.close()


def test_without_a_folder_to_write_to_there_is_a_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a user without a home."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with Store(tmp_path / "timers.db") as store:
        assert DigestFile(store).path.parent.parent != tmp_path
        add_runs(store, run_values(1, "a", **ending(1, Outcome.FAILED, 5)))
        digest = Digest(store)
        assert sums(digest)["a", Outcome.FAILED] == 1
        digest.close()
