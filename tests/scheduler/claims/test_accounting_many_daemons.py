"""Several daemons on one store: every due fire time stands in one row, whatever stalls, dies or changes."""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, delete, select

from scheduler.claims.cancellations import request_cancel
from scheduler.claims.requested_runs import request_run
from scheduler.clock import ManualClock
from scheduler.core.misfire import MisfirePolicy
from scheduler.core.overlap import OverlapPolicy
from scheduler.core.timer import Delivery, Environment, Timer
from scheduler.core.timestamps import instant
from scheduler.core.triggers import Cron
from scheduler.daemon.loop import HEAD_START_S, Daemon
from scheduler.daemon.turn_errors import RETRY_S
from scheduler.errors import StoreUnavailableError
from scheduler.store.database import Store
from scheduler.store.pause_table import PauseTable
from scheduler.store.postgres import PostgresStore
from scheduler.store.schema import daemons, metadata, runs
from scheduler.store.sqlite import SqliteStore
from scheduler.store.timers import TimerTable
from tests.example_counts import examples
from tests.scheduler.fault_scale import IS_LONG, scaled
from tests.scheduler.postgres_server import Server
from tests.scheduler.scripted_service import FAILURE, START, SUCCESS, ScriptedExecutor, kill

PRODUCTION = Environment.PRODUCTION
TRIGGERS = {
    "t0": Cron("* * * * * ?", "UTC"),
    "t1": Cron("* * * * * ?", "UTC"),
    "t2": Cron("0/2 * * * * ?", "UTC"),
    "t3": Cron("0/5 * * * * ?", "UTC"),
    "t4": Cron("0/7 * * * * ?", "UTC"),
    "t5": Cron("0/10 * * * * ?", "UTC"),
}
NAMES = sorted(TRIGGERS)
#: Timers that another one follows, which is disabled.
LEADERS, FOLLOWER = {"t1", "t3"}, "after"
#: By how much the clocks of daemons are wrong, in seconds.
SKEWS = [0.0, 0.0, 0.003, -0.003, 0.1, -0.1, 1.5, -1.5, 3.0, -3.0]
#: How long a daemon stands still between reading its clock and its next transaction.
STALLS = [0.003, 0.3, 1.2, 4, 12]
#: Where a transaction fails.
WRITE_FAULTS, READ_FAULT = ("unreached", "before", "after"), "read"
FAULTS = [*WRITE_FAULTS, READ_FAULT]
#: How many turns a daemon takes at most until it comes to rest; the runs of a follower begin one after the other.
MOST_TURNS = 3_000


class SkewedClock:
    """A clock with a constant error."""

    def __init__(self, clock: ManualClock, skew_s: float) -> None:
        self.clock, self.skew = clock, timedelta(seconds=skew_s)

    def now(self) -> datetime:
        return self.clock.now() + self.skew

    def monotonic(self) -> float:
        return self.clock.monotonic()


@dataclass
class NextTransaction:
    """A hook that is called before the next transaction that writes, and where that one or the next read fails."""

    before: Callable[[], None] | None = None
    fault: str = ""


class FaultyStore(Store):
    """One daemon's store, whose next transaction that writes may be disturbed.

    The daemon has a view of it, which shares `next`.
    """

    def __init__(self, url: str) -> None:
        self.next = NextTransaction()
        super().__init__(url)

    @contextmanager
    def writing(self, *a: Any, **k: Any) -> Iterator[Connection]:
        hook, self.next.before = self.next.before, None
        if hook is not None:
            hook()
        fault = self._take(WRITE_FAULTS)
        if fault == "unreached":
            raise StoreUnavailableError("unreached")
        with super().writing(*a, **k) as connection:
            yield connection
            if fault == "before":
                raise StoreUnavailableError("before the commit")
        if fault == "after":
            raise StoreUnavailableError("after the commit")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        if self._take([READ_FAULT]):
            raise StoreUnavailableError("not read")
        with super().reading() as connection:
            yield connection

    def _take(self, faults: Collection[str]) -> str:
        """The next fault, if it is one of these; there is none after it."""
        fault = self.next.fault
        if fault not in faults:
            return ""
        self.next.fault = ""
        return fault


class FaultySqliteStore(FaultyStore, SqliteStore):
    """A file."""


class FaultyPostgresStore(FaultyStore, PostgresStore):
    """A database of a server."""


class Node:
    """One daemon, with its own clock, executor and store."""

    def __init__(self, url: str, clock: ManualClock, skew_s: float, script: Callable[[Any], Any]) -> None:
        self.store = FaultySqliteStore(url) if url.startswith("sqlite") else FaultyPostgresStore(url)
        self.clock = SkewedClock(clock, skew_s)
        self.executor = ScriptedExecutor(self.clock, script)  # type: ignore[arg-type]
        self.daemon = Daemon(self.store, {PRODUCTION: self.executor}, clock=self.clock)
        self._is_busy = False

    def settle(self) -> None:
        """Let it take turns until it has nothing more to do, unless it stands still during one."""
        self.daemon.wake()
        waits: list[float] = []
        while not (self._is_busy or (_are_settled(waits) and self.daemon.holds_lease)):
            wait_s = self.turn()
            # After a hand-out the daemon leaves the processors to workers for a moment, and has more to do.
            waits.append(0.0 if self.daemon.gave_head_start else wait_s)
            assert len(waits) < MOST_TURNS, waits[-6:]

    def turn(self) -> float:
        """Take one turn; returns how long it would sleep."""
        if self._is_busy:
            return RETRY_S
        self._is_busy = True
        try:
            wait_s = self.daemon.turn()
            assert self.daemon.faults["unforeseen"] == 0
            return wait_s
        finally:
            self._is_busy = False


def _are_settled(waits: list[float]) -> bool:
    """Whether, after turns that returned these waits, nothing is left to do at this instant."""
    return bool(waits) and (waits[-1] > HEAD_START_S or (len(waits) > 2 and min(waits[-3:]) > 0))


class Daemons(RuleBasedStateMachine):
    """Up to three daemons, whose turns and faults are interleaved with changes of timers."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    @initialize(
        overlap=st.sampled_from(OverlapPolicy),
        misfire=st.sampled_from(MisfirePolicy),
        delivery=st.sampled_from(Delivery),
        retries=st.sampled_from([0, 0, 2]),
    )
    def start(self, overlap: Any, misfire: Any, delivery: Any, retries: int) -> None:
        self.clock = ManualClock(START)
        self.store = Store(self.url)
        with self.store.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table))
        self.timetable = TimerTable(self.store)
        self.ending: Any = SUCCESS
        self.options = {"overlap": overlap, "misfire": misfire, "delivery": delivery, "retries": retries}
        self.begun: list[Any] = []
        #: The runs that were cancelled, and whether they were waiting then.
        self.cancelled: dict[int, bool] = {}
        self.nodes: list[Node] = []
        #: Since when each enabled timer has to be accounted for, and the spans before that, which ended with a change.
        self.since: dict[str, datetime] = {}
        self.must: dict[str, list[tuple[datetime, datetime]]] = {name: [] for name in NAMES}
        #: The latest reading of any clock.
        self.latest = START
        #: The leaders that were removed for a while, so that not every run of theirs leads on.
        self.removed: set[str] = set()
        after = Timer(name=FOLLOWER, function="f", trigger=Cron("0 0 0 1 1 ?", "UTC"), **self.options)
        self.timetable.add([after, *(self.timer(name) for name in NAMES)], now=self.now(), quota=0)
        for name in NAMES:
            self.since[name] = self.now()
        self.join(0.0)
        self.join(0.0)
        self.elapse(0.5)
        self.all_settle()

    def timer(self, name: str) -> Timer:
        more = {**self.options, "breaker_threshold": 3, "retry_backoff_s": 0.4}
        then = [FOLLOWER] if name in LEADERS else []
        return Timer(name=name, function="f", trigger=TRIGGERS[name], enabled=True, then=then, **more)

    def now(self) -> datetime:
        return self.clock.now()

    def elapse(self, seconds: float) -> None:
        """Let time pass while no daemon does anything."""
        self.clock.advance(seconds)
        self.clocks()

    def all_settle(self) -> None:
        for node in list(self.nodes):
            node.settle()

    def ends(self, name: str) -> None:
        """From now on, by the slowest clock, a timer need not be accounted for."""
        if name in self.since:
            # A fire time that is due and not claimed is dropped by the change.
            next_fire = self.timetable.get(name).next_fire
            # A claim ahead of a timer that was disabled may still be released.
            lowest = min([self.now(), *(n.daemon._clock.now() for n in self.nodes)])
            until = min(lowest, next_fire - timedelta(microseconds=1))
            self.must[name].append((self.since.pop(name), until))
            # What was claimed ahead may have been released since.
            self.must[name] = [(begin, min(end, until)) for begin, end in self.must[name]]

    @precondition(lambda self: len(self.nodes) < 3)
    @rule(skew_s=st.sampled_from(SKEWS))
    def join(self, skew_s: float) -> None:
        node = Node(self.url, self.clock, skew_s, lambda _: self.ending)
        self.nodes.append(node)
        node.settle()

    @precondition(lambda self: self.nodes)
    @rule(i=st.integers(0, 2))
    def killed(self, i: int) -> None:
        node = self.nodes.pop(i % len(self.nodes))
        self.begun += node.executor.begun
        kill(node.daemon, self.store)
        node.store.close()

    @precondition(lambda self: self.nodes)
    @rule(i=st.integers(0, 2))
    def leaves(self, i: int) -> None:
        node = self.nodes.pop(i % len(self.nodes))
        node.daemon.stop()
        node.turn()
        node.daemon.close()
        self.begun += node.executor.begun
        node.store.close()

    @rule(seconds=st.sampled_from([0.001, 0.004, 0.05, 0.3, 1.0, 2.5, 7.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.elapse(seconds)

    @rule(before_s=st.sampled_from([0.25, 0.1, 0.007, 0.004, 0.003, 0.002, 0.0]), n=st.integers(1, 2))
    def a_second_comes(self, before_s: float, n: int) -> None:
        due = self.now().replace(microsecond=0) + timedelta(seconds=n) - timedelta(seconds=before_s)
        self.elapse(max(0.0, (due - self.now()).total_seconds()))

    @precondition(lambda self: self.nodes)
    @rule(i=st.integers(0, 2))
    def one_settles(self, i: int) -> None:
        self.nodes[i % len(self.nodes)].settle()

    @precondition(lambda self: self.nodes)
    @rule(i=st.integers(0, 2), n=st.integers(1, 4))
    def one_turns(self, i: int, n: int) -> None:
        for _ in range(n):
            self.nodes[i % len(self.nodes)].turn()

    @rule(ending=st.sampled_from([SUCCESS, SUCCESS, FAILURE, None]))
    def functions_change(self, ending: Any) -> None:
        self.ending = ending

    @precondition(lambda self: any(n.executor.going_on for n in self.nodes))
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
    @rule(i=st.integers(0, 2))
    def a_session_is_lost(self, i: int) -> None:
        """On a server, with the lock by which others see that the daemon lives."""
        self.nodes[i % len(self.nodes)].daemon._session_lock.close()

    @precondition(lambda self: self.nodes)
    @rule(i=st.integers(0, 2), stall_s=st.sampled_from(STALLS))
    def one_stalls_before_its_next_transaction(self, i: int, stall_s: float) -> None:
        """It has read its clock, and then stands still while the others go on."""
        node = self.nodes[i % len(self.nodes)]

        def stall() -> None:
            self.elapse(stall_s)
            for other in list(self.nodes):
                if other is not node:
                    other.settle()

        node.store.next.before = stall

    @rule(
        name=st.sampled_from(NAMES),
        how=st.sampled_from(["edit", "switch", "readd", "rename", "disable", "enable"]),
        stale_s=st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.01, 0.3, 1.5, 4.0]),
    )
    def a_timer_is_changed(self, name: str, how: str, stale_s: float) -> None:
        now = self.now() - timedelta(seconds=stale_s)
        was_on = name in self.since
        if how == "enable" and was_on:
            return
        # What is due stays due where a timer fires at the same times as before.
        goes_on = was_on and how in ("edit", "rename")
        if was_on and not goes_on:
            self.ends(name)
        if how == "edit":
            self.timetable.edit(name, PRODUCTION, {"limit_s": 3.0}, now=now)
        elif how == "switch":
            self.timetable.disable(name)
            self.timetable.enable(name, now=now)
        elif how == "readd":
            self.removed.add(name)
            self.timetable.remove(name)
            self.timetable.add([self.timer(name)], now=now, quota=0)
        elif how == "rename":
            self.timetable.edit(name, PRODUCTION, {"name": name + "x"}, now=now)
            self.timetable.edit(name + "x", PRODUCTION, {"name": name}, now=now)
        elif how == "disable":
            self.timetable.disable(name)
        else:
            self.timetable.enable(name, now=now)
        next_fire = self.timetable.get(name).next_fire
        if next_fire is not None and not goes_on:
            self.since[name] = next_fire - timedelta(microseconds=1)
            assert next_fire <= max(self.latest, self.clocks()) + timedelta(seconds=10.5), (name, how, next_fire)

    def clocks(self) -> datetime:
        """The latest reading of any clock so far."""
        self.latest = max([self.latest, self.now(), *(n.daemon._clock.now() for n in self.nodes)])
        return self.latest

    @rule(name=st.sampled_from(NAMES))
    def a_run_is_asked_for(self, name: str) -> None:
        request_run(self.store, name, PRODUCTION, now=self.now())

    @rule(pick=st.integers(0, 9))
    def a_run_is_cancelled(self, pick: int) -> None:
        """Any that has no outcome; a run that had not begun must never begin, except where a daemon has it in hand."""
        with self.store.reading() as connection:
            rows = connection.execute(select(runs).where(runs.c.outcome.is_(None)).order_by(runs.c.id)).all()
        if rows:
            row = rows[pick % len(rows)]
            request_cancel(self.store, row.id, now=self.now())
            self.cancelled[row.id] = row.owner is None

    @rule(seconds=st.sampled_from([0.0, 0.004, 0.3, 3.0, 12.0]))
    def everything_is_paused(self, seconds: float) -> None:
        """For a while, in which the daemons take their turns; what is missed is accounted for afterwards.

        No run begins whose claim was not answered before the pause, except those that were requested.
        """
        pauses = PauseTable(self.store)
        unknown = {
            task.run_id for node in self.nodes for task in node.daemon._claims._unknown.claimed if task.kind != "manual"
        }
        pauses.pause(now=self.now())
        for node in self.nodes:
            node.daemon.wake()
            node.turn()
        self.elapse(seconds)
        self.all_settle()
        assert not unknown & {task.run_id for node in self.nodes for task in node.executor.begun}
        pauses.resume(now=self.now())

    @rule(seconds=st.sampled_from([-30, 30, -3, 3, 600]))
    def the_clock_is_set(self, seconds: float) -> None:
        self.clocks()
        self.clock.jump(seconds)

    @invariant()
    def nothing_is_doubled(self) -> None:
        if not hasattr(self, "nodes"):
            return
        found = self.accounted()
        double = {key: rows for key, rows in found.items() if len(rows) > 1}
        assert not double, double
        calls = Counter(
            (task.timer, task.fire_time, task.kind, task.run_id if task.kind != "scheduled" else 0, task.attempt)
            for task in itertools.chain(self.begun, *(node.executor.begun for node in self.nodes))
        )
        assert max(calls.values(), default=0) <= 1, [c for c in calls.items() if c[1] > 1]
        waited = {run_id for run_id, waited in self.cancelled.items() if waited}
        begun = {task.run_id for task in itertools.chain(self.begun, *(node.executor.begun for node in self.nodes))}
        assert not waited & begun

    @invariant()
    def each_success_of_a_leader_leads_to_one_run(self) -> None:
        if not hasattr(self, "nodes"):
            return
        with self.store.reading() as connection:
            rows = connection.execute(select(runs)).all()
        led = Counter(row.cause_id for row in rows if row.kind == "chained" and row.attempt == 1)
        assert max(led.values(), default=0) <= 1
        for row in rows:
            leads = row.timer.removesuffix("x") in LEADERS and row.outcome == "succeeded"
            assert led[row.id] == leads or row.timer.removesuffix("x") in self.removed, row

    def has_others_leases(self) -> bool:
        with self.store.reading() as connection:
            held = set(connection.execute(select(daemons.c.id)).scalars())
        assert self.clock.now() < START + timedelta(days=1)
        return bool(held - {node.daemon._lease.id for node in self.nodes})

    def accounted(self) -> dict[tuple[str, datetime], list[Any]]:
        """By timer and fire time, the rows that account for it; a run that is tried again counts once."""
        with self.store.reading() as connection:
            rows = connection.execute(select(runs).where(runs.c.kind == "scheduled", runs.c.attempt == 1)).all()
        found: dict[tuple[str, datetime], list[Any]] = {}
        for row in rows:
            name = row.timer.removesuffix("x")
            fire_time, n = instant(row.fire_at), 1
            found.setdefault((name, fire_time), []).append(row)
            while fire_time < instant(row.last_fire_at):
                fire_time = TRIGGERS[name].next_fire(fire_time)
                n += 1
                found.setdefault((name, fire_time), []).append(row)
            assert n == row.count, row
        return found

    def teardown(self) -> None:
        if not hasattr(self, "nodes"):
            return
        try:
            if not self.nodes:
                self.join(0.0)
            self.ending = SUCCESS
            for node in self.nodes:
                node.store.next.fault, node.store.next.before = "", None
                for task in list(node.executor.going_on):
                    node.executor.end(task, *SUCCESS)
            for _ in range(4):
                self.elapse(16.0)
                self.all_settle()
            # A daemon that left while its store failed left its lease, too; this process, which it names, still runs.
            while self.has_others_leases():
                self.elapse(4.0)
                self.all_settle()
            self.nothing_is_doubled()
            found = self.accounted()
            until = min([self.now(), *(n.daemon._clock.now() for n in self.nodes)])
            lost = []
            for name in NAMES:
                spans = [*self.must[name]]
                if name in self.since:
                    spans.append((self.since[name], until))
                for begin, end in spans:
                    at = TRIGGERS[name].next_fire(begin)
                    while at <= end:
                        if (name, at) not in found:
                            lost.append((name, at.time().isoformat()))
                        at = TRIGGERS[name].next_fire(at)
            assert not lost, lost[:20]
            with self.store.reading() as connection:
                left = connection.execute(select(runs).where(runs.c.outcome.is_(None))).all()
                open_still = [row.id for row in left if row.id in self.cancelled]
            assert not open_still, open_still
            stuck = [r for r in left if instant(r.fire_at) < self.now() - timedelta(seconds=40)]
            assert not stuck, stuck[:3]
        finally:
            for node in self.nodes:
                node.store.next.fault, node.store.next.before = "", None
                kill(node.daemon, self.store)
                node.store.close()
            self.store.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_reaches_the_daemon(tmp_path: Path, fault: str) -> None:
    """The next transaction of its own fails, and the fire is on record once."""
    node = Node(f"sqlite:///{tmp_path}/store.db", clock := ManualClock(START), 0.0, lambda task: SUCCESS)
    try:
        timer = Timer(name="t", function="f", trigger=Cron("0 * * * * ?", "UTC"), enabled=True)
        TimerTable(node.store).add([timer], now=START)
        node.settle()
        stalls: list[None] = []
        node.store.next.before, node.store.next.fault = lambda: stalls.append(None), fault
        clock.advance(60)
        waits = [node.turn() for _ in range(3)]
        assert (len(stalls), node.store.next.fault) == (1, ""), waits
        assert node.daemon.faults["store"] > 0
    finally:
        kill(node.daemon, node.store)
        node.store.close()


def test_many_daemons_account_for_every_fire_time(tmp_path: Path) -> None:
    """The quick form plays the same histories whenever the same modules are loaded; the long one, new ones."""
    play(f"sqlite:///{tmp_path}/store.db", histories=scaled(25, 400))


@pytest.mark.slow
def test_many_daemons_on_a_server_do_so_too(postgres: Server) -> None:
    with postgres.database() as url:
        play(url, histories=scaled(4, 200))


def play(url: str, *, histories: int) -> None:
    run_state_machine_as_test(
        partial(Daemons, url),
        settings=settings(
            max_examples=examples(histories),
            stateful_step_count=40,
            derandomize=not IS_LONG,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
