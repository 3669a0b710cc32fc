"""Timers that end, and that begin by an event: exactly so many runs, whatever becomes of up to three daemons.

In test_accounting_many_daemons.py, timers fire for ever. Here they have a number of runs, a window that ends, a
calendar that changes while they are due, a failure that pauses them, and runs when they are enabled or a daemon starts.
"""

from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete, select

from quartzcron.calendars import WorkingDays
from scheduler.clock import ManualClock
from scheduler.core.any_of import AnyOf
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.timer import Delivery, Environment, Timer
from scheduler.core.timestamps import instant
from scheduler.core.triggers import Cron
from scheduler.store.calendars import CalendarTable
from scheduler.store.database import Store
from scheduler.store.schema import metadata, runs
from scheduler.store.timers import TimerTable
from tests.example_counts import examples
from tests.scheduler.claims.test_accounting_many_daemons import FAULTS, Node
from tests.scheduler.fault_scale import IS_LONG, scaled
from tests.scheduler.postgres_server import Server
from tests.scheduler.scripted_service import FAILURE, START, SUCCESS, kill

PRODUCTION = Environment.PRODUCTION
EACH_SECOND, NEVER = Cron("* * * * * ?", "UTC"), Cron("0 0 0 1 1 ? 2099", "UTC")
#: The number of runs of `counted`, and how long the window of `passing` is open.
MOST_RUNS, WINDOW_S = 5, 20
OFF, ON = WorkingDays(holidays=[START.date()]), WorkingDays()
#: How the timers fire whose fire times are all accounted for; `shared` has instants of both of its triggers.
ACCOUNTED: dict[str, Any] = {
    "shared": AnyOf(Cron("0/4 * * * * ?", "UTC"), Cron("0/6 * * * * ?", "UTC")),
    "passing": EACH_SECOND,
    "working": Cron("0/3 * * * * ?", "UTC"),
}
#: The seconds of a minute in which `shared` fires.
SHARED_SECONDS = sorted({*range(0, 60, 4), *range(0, 60, 6)})
NOT_RUN = ("misfired", "skipped_overlap")


def entered(rows: list[Any], kind: str) -> list[Any]:
    """The runs of a kind, without those that repeat one whose daemon was killed."""
    return [row for row in rows if row.kind == kind and row.attempt == 1]


def counted(rows: list[Any]) -> list[Any]:
    """The runs that count for `max_runs`."""
    return [row for row in entered(rows, "scheduled") if row.timer == "counted" and row.outcome not in NOT_RUN]


class Ends(RuleBasedStateMachine):
    """Up to three daemons with these timers."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    @initialize(
        overlap=st.sampled_from(OverlapPolicy),
        misfire=st.sampled_from(MisfirePolicy),
        delivery=st.sampled_from(Delivery),
        grace=st.sampled_from([(5.0, 0.0), (1.0, 0.0), (2.0, 4.0)]),
    )
    def start(self, overlap: Any, misfire: Any, delivery: Any, grace: tuple[float, float]) -> None:
        self.clock = ManualClock(START + timedelta(hours=1))
        self.store = Store(self.url)
        with self.store.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table))
        self.timetable, self.calendars = TimerTable(self.store), CalendarTable(self.store)
        self.ending: Any = SUCCESS
        self.nodes: list[Node] = []
        self.begun: list[Any] = []
        self.greetings = self.starts = 0
        self.first_of_count = 0
        self.is_working = True
        self.closes_at = self.now() + timedelta(seconds=WINDOW_S)
        #: The spans in which each timer has to be accounted for: (begin, end], None while it goes on.
        self.spans: dict[str, list[list[Any]]] = {name: [[self.now(), None]] for name in ACCOUNTED}
        self.spans["passing"] = [[self.now(), self.closes_at - timedelta(microseconds=1)]]
        self.calendars.add("firm", ON, now=self.now())
        options = {"overlap": overlap, "misfire": misfire, "delivery": delivery, "breaker_threshold": 0}
        options |= {"grace_s": grace[0], "catch_up_s": grace[1]}
        accounted = {
            "passing": {"ends_at": self.closes_at, "remove_when_finished": True},
            "working": {"calendar": "firm"},
        }
        timers = [
            *(
                Timer(name=name, function="f", trigger=trigger, enabled=True, **options, **accounted.get(name, {}))
                for name, trigger in ACCOUNTED.items()
            ),
            Timer(name="counted", function="f", trigger=EACH_SECOND, enabled=True, max_runs=MOST_RUNS, **options),
            Timer(name="fragile", function="f", trigger=EACH_SECOND, enabled=True, pause_on_failure=True, **options),
            Timer(name="greeted", function="f", trigger=NEVER, fire_on_enable=True, **options),
            Timer(name="started", function="f", trigger=NEVER, enabled=True, fire_on_start=True, **options),
        ]
        self.timetable.add(timers, now=self.now(), quota=0)
        self.joins()
        self.joins()

    def now(self) -> datetime:
        return self.clock.now()

    def settle(self) -> None:
        for node in list(self.nodes):
            node.settle()

    def rows(self) -> list[Any]:
        with self.store.reading() as connection:
            return list(connection.execute(select(runs).order_by(runs.c.id)))

    # What happens

    @precondition(lambda self: len(self.nodes) < 3)
    @rule()
    def joins(self) -> None:
        node = Node(self.url, self.clock, 0.0, lambda _: self.ending)
        # It is told at its first turn; one that was killed is known to be dead at once.
        self.starts += not self.nodes
        self.nodes.append(node)
        node.settle()

    @precondition(lambda self: self.nodes)
    @rule(i=st.integers(0, 2), leaves=st.booleans())
    def ends(self, i: int, leaves: bool) -> None:
        """Killed at this moment, or asked to stop."""
        node = self.nodes.pop(i % len(self.nodes))
        node.store.next.fault, node.store.next.before = "", None
        if leaves:
            node.daemon.stop()
            node.turn()
            node.daemon.close()
        else:
            kill(node.daemon, self.store)
        self.begun += node.executor.begun
        node.store.close()

    @rule(seconds=st.sampled_from([0.001, 0.05, 0.3, 1.0, 2.5, 7.0, 20.0]), settles=st.booleans())
    def time_passes(self, seconds: float, settles: bool) -> None:
        self.clock.advance(seconds)
        if settles:
            self.settle()

    @precondition(lambda self: self.nodes)
    @rule(i=st.integers(0, 2), n=st.integers(1, 3))
    def one_turns(self, i: int, n: int) -> None:
        for _ in range(n):
            self.nodes[i % len(self.nodes)].turn()

    @rule(ending=st.sampled_from([SUCCESS, SUCCESS, FAILURE, None]))
    def functions_change(self, ending: Any) -> None:
        self.ending = ending

    @precondition(lambda self: any(node.executor.going_on for node in self.nodes))
    @rule(ending=st.sampled_from([SUCCESS, FAILURE]))
    def runs_end(self, ending: Any) -> None:
        for node in self.nodes:
            for task in list(node.executor.going_on):
                node.executor.end(task, *ending)

    @precondition(lambda self: self.nodes)
    @rule(i=st.integers(0, 2), fault=st.sampled_from(FAULTS))
    def the_store_fails(self, i: int, fault: str) -> None:
        self.nodes[i % len(self.nodes)].store.next.fault = fault

    @precondition(lambda self: self.nodes)
    @rule(i=st.integers(0, 2), stall_s=st.sampled_from([0.003, 0.3, 1.2, 4]))
    def one_stalls_before_its_next_transaction(self, i: int, stall_s: float) -> None:
        node = self.nodes[i % len(self.nodes)]

        def stall() -> None:
            self.clock.advance(stall_s)
            for other in list(self.nodes):
                if other is not node:
                    other.settle()

        node.store.next.before = stall

    @rule()
    def the_calendar_changes(self) -> None:
        """The fire that is due stays due, and what was claimed ahead fires all the same.

        Of several that were missed, the later ones are those of the calendar as it is now.
        """
        self.is_working = not self.is_working
        due = self.timetable.get("working").next_fire or self.now()
        self.calendars.change("firm", ON if self.is_working else OFF, now=self.now())
        spans = self.spans["working"]
        if self.is_working:
            spans.append([self.now(), None])
        else:
            spans[-1][1] = min(due, self.now())

    @rule()
    def the_greeted_timer_is_enabled(self) -> None:
        """Not by enabling it once more: it is disabled first."""
        self.timetable.disable("greeted")
        self.timetable.enable("greeted", now=self.now())
        self.greetings += 1

    @precondition(lambda self: self.nodes and self.timetable.get("counted").state == "finished")
    @rule()
    def the_counted_timer_is_enabled_again(self) -> None:
        """Disabled and enabled, it counts anew; not while a run is open, which may be given back to the old count."""
        rows = self.rows()
        if all(row.outcome is not None for row in rows if row.timer == "counted"):
            assert len(counted(rows)) - self.first_of_count == MOST_RUNS
            self.first_of_count = len(counted(rows))
            self.timetable.disable("counted")
            self.timetable.enable("counted", now=self.now())

    @precondition(lambda self: self.timetable.get("fragile").state == "disabled")
    @rule()
    def the_fragile_timer_is_enabled_again(self) -> None:
        self.timetable.enable("fragile", now=self.now())

    # What holds

    @invariant()
    def nothing_runs_too_often(self) -> None:
        if not hasattr(self, "nodes"):
            return
        rows = self.rows()
        assert len(entered(rows, "on_enable")) <= self.greetings
        assert len(entered(rows, "on_start")) <= self.starts
        assert len(counted(rows)) - self.first_of_count <= MOST_RUNS
        assert [row for row in rows if row.timer == "passing" and instant(row.fire_at) >= self.closes_at] == []
        assert max(self.accounted().values(), default=0) <= 1
        begun = Counter((task.run_id, task.attempt) for task in self.all_begun())
        assert max(begun.values(), default=0) <= 1, begun.most_common(3)

    def all_begun(self) -> list[Any]:
        return [*self.begun, *(task for node in self.nodes for task in node.executor.begun)]

    def accounted(self) -> Counter[tuple[str, datetime]]:
        """In how many rows each fire time is."""
        found: Counter[tuple[str, datetime]] = Counter()
        for row in self.rows():
            if row.timer not in ACCOUNTED or row.kind != "scheduled" or row.attempt > 1:
                continue
            fire_times = [instant(row.fire_at)]
            while fire_times[-1] < instant(row.last_fire_at):
                fire_times.append(ACCOUNTED[row.timer].next_fire(fire_times[-1]))
            assert row.count == len(fire_times) or row.timer == "working", row
            found.update((row.timer, fire_time) for fire_time in fire_times)
        return found

    def must(self, until: datetime) -> set[tuple[str, datetime]]:
        """The fire times that had to be accounted for, found second by second."""
        seconds = {"shared": SHARED_SECONDS, "passing": range(60), "working": range(0, 60, 3)}
        found = set()
        for name, spans in self.spans.items():
            for begin, end in spans:
                last = until if end is None else min(end, until)
                at = begin.replace(microsecond=0) + timedelta(seconds=1)
                while at <= last:
                    if at.second in seconds[name]:
                        found.add((name, at))
                    at += timedelta(seconds=1)
        return found

    def teardown(self) -> None:
        if not hasattr(self, "nodes"):
            return
        try:
            for node in self.nodes:
                node.store.next.fault, node.store.next.before = "", None
            if not self.nodes:
                self.joins()
            self.all_is_accounted_for()
        finally:
            for node in self.nodes:
                kill(node.daemon, self.store)
                node.store.close()
            self.store.close()

    def all_is_accounted_for(self) -> None:
        self.ending = SUCCESS
        self.runs_end(SUCCESS)  # type: ignore[no-untyped-call, unused-ignore]
        for _ in range(5):
            self.clock.advance(16.0)
            self.settle()
        # The last ones may have been claimed by a daemon that had to wait for the lease of another one.
        until = self.now() - timedelta(seconds=1)
        lost = self.must(until) - set(self.accounted())
        assert not lost, sorted(lost)[:10]
        self.nothing_runs_too_often()  # type: ignore[no-untyped-call, unused-ignore]
        rows = self.rows()
        assert len(entered(rows, "on_enable")) == self.greetings
        assert len(entered(rows, "on_start")) == self.starts
        states = {entry.timer.name: entry.state for entry in self.timetable.list()}
        assert states["counted"] == "finished"
        assert len(counted(rows)) - self.first_of_count == MOST_RUNS
        assert "passing" not in states
        self.a_failure_pauses_the_fragile_timer()

    def a_failure_pauses_the_fragile_timer(self) -> None:
        self.ending = FAILURE
        if self.timetable.get("fragile").state == "disabled":
            self.timetable.enable("fragile", now=self.now())
        self.clock.advance(16.0)
        self.settle()
        assert self.timetable.get("fragile").state == "disabled"


def test_timers_that_end_run_exactly_as_often_as_they_should(tmp_path: Path) -> None:
    """The quick form plays the same histories whenever the same modules are loaded; the long one, new ones."""
    play(f"sqlite:///{tmp_path}/store.db")


@pytest.mark.slow
def test_timers_that_end_do_so_on_a_server(postgres: Server) -> None:
    with postgres.database() as url:
        play(url)


def play(url: str) -> None:
    run_state_machine_as_test(
        partial(Ends, url),
        settings=settings(
            phases=[Phase.generate],
            max_examples=examples(scaled(8, 300)),
            stateful_step_count=30,
            derandomize=not IS_LONG,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
