"""ScriptedExecutor, which runs nothing and ends tasks as the test says; Service, a daemon with it on a manual clock."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, update

from scheduler.claims.leases import CHECK_LOCKS_EVERY_S, CHECK_ROWS_EVERY_S
from scheduler.clock import ManualClock
from scheduler.core.breaker import Verdict
from scheduler.core.run import Ending, Line, Outcome, Task
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.daemon.loop import Daemon
from scheduler.executors import Report
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.schema import daemons, metadata
from scheduler.store.timers import TimerTable

START = datetime(2026, 1, 1, tzinfo=UTC)

SUCCESS = (Outcome.SUCCEEDED, Verdict.GOOD)
FAILURE = (Outcome.FAILED, Verdict.FAILURE)
REFUSAL = (Outcome.FAILED, Verdict.NEUTRAL)
TIME_OUT = (Outcome.TIMED_OUT, Verdict.FAILURE)


def kill(daemon: Daemon, store: Store) -> None:
    """Leave the store as a killed daemon does: its row is there, its process is gone."""
    release(daemon)
    with store.writing() as connection:
        connection.execute(
            update(daemons).where(daemons.c.id == daemon._lease.id).values(process_started="another process")
        )


def settle(daemon: Daemon) -> None:
    """Let a daemon take turns until it has nothing more to do at this instant."""
    while daemon.step() == 0 or daemon.gave_head_start:
        pass


def empty(store: Store) -> None:
    """Delete all rows of a store."""
    with store.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))


def release(daemon: Daemon) -> None:
    """Close the descriptors that the kernel closes when a process ends."""
    daemon._sleeper.close()
    daemon._wake_socket.close()
    daemon._session_lock.close()


class Service:
    """A daemon on a store, with a scripted executor and a clock that the test moves."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store, self.clock = store, clock
        self.timetable, self.history = TimerTable(store), RunHistory(store)
        self.executor = ScriptedExecutor(clock)
        self.daemon: Daemon | None = None
        self.start()

    def start(self) -> None:
        """Start a daemon, after the one before was killed."""
        self.executor = ScriptedExecutor(self.clock, self.executor.script)
        self.daemon = Daemon(self.store, {Environment.PRODUCTION: self.executor}, clock=self.clock)

    def kill(self) -> None:
        if self.daemon is not None:
            kill(self.daemon, self.store)
        self.daemon = None

    def add(self, name: str = "t", seconds: int = 10, **options: Any) -> None:
        """Add an enabled interval timer."""
        timer = Timer(name=name, function="f", trigger=Every(seconds), enabled=True, **options)
        self.timetable.add([timer], now=self.clock.now(), quota=0)

    def settle(self) -> None:
        """Let the daemon take turns until it has nothing more to do at this instant."""
        assert self.daemon is not None
        # A notification of PostgreSQL may not have arrived yet.
        self.daemon.wake()
        settle(self.daemon)

    def after(self, seconds: float) -> None:
        """Let time pass, then let the daemon take its turns."""
        self.clock.advance(seconds)
        self.settle()

    def after_a_lease(self) -> None:
        """Let more than the length of a lease pass, in which the daemon looks at the others as often as usual."""
        every_s = CHECK_LOCKS_EVERY_S if self.store.has_server else CHECK_ROWS_EVERY_S
        for _ in range(int(self.store.lease.total_seconds() / every_s) + 2):
            self.after(every_s)

    def rows(self) -> list[tuple[int, int, str | None]]:
        """The history, oldest first: fire time in seconds after START, count, outcome."""
        return [
            (round((run.fire_time - START).total_seconds()), run.count, run.outcome)
            for run in reversed(self.history.runs(limit=1000))
        ]


class ScriptedExecutor:
    """Ends each task at once with the result of `script`; with None it goes on until `end` is called."""

    def __init__(
        self, clock: ManualClock, script: Callable[[Task], tuple[Outcome, Verdict] | None] = lambda _: SUCCESS
    ) -> None:
        self.clock = clock
        self.script = script
        self.begun: list[Task] = []
        self.going_on: list[Task] = []
        self._report = Report()

    def submit(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self.begun.append(task)
            ending = self.script(task)
            if ending is None:
                self.going_on.append(task)
            else:
                self._end(task, *ending)

    def end(self, task: Task, outcome: Outcome = Outcome.SUCCEEDED, verdict: Verdict = Verdict.GOOD) -> None:
        self.going_on.remove(task)
        self._end(task, outcome, verdict)

    def cancel(self, run_ids: Collection[int]) -> None:
        for task in [task for task in self.going_on if task.run_id in run_ids]:
            self.end(task, Outcome.CANCELLED, Verdict.LOST)

    def print(self, task: Task, text: str, level: str = "info") -> None:
        self._report.lines.append(Line(task.run_id, self.clock.now(), level, text))

    def _end(self, task: Task, outcome: Outcome, verdict: Verdict) -> None:
        now = self.clock.now()
        error = None if outcome is Outcome.SUCCEEDED else "as the script says"
        self._report.ended.append(
            (task, Ending(outcome=outcome, verdict=verdict, started_at=now, ended_at=now, error=error))
        )

    def collect(self) -> Report:
        report, self._report = self._report, Report()
        return report

    def filenos(self) -> list[int]:
        return []

    def next_check(self) -> float | None:
        return 0.0 if self._report.ended else None

    def stop(self) -> None:
        self.going_on.clear()
