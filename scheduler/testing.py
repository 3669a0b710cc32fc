"""ManualScheduler: for your own tests, a Scheduler whose clock the test moves, and whose functions run at once.

def test_the_report_is_sent_on_mondays():
    with ManualScheduler(engine, now=datetime(2026, 1, 1, tzinfo=UTC)) as scheduler:
        scheduler.add(Timer(name="report", function="send_report", trigger=Cron("0 0 8 ? * MON"), enabled=True))
        scheduler.advance(days=7)
        assert [run.outcome for run in scheduler.runs()] == ["succeeded"]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextvars import copy_context
from datetime import datetime, timedelta
from typing import Any

from .clock import Clock, ManualClock
from .core.run import Ending, Outcome, Run, Task
from .core.timer import Environment
from .daemon.loop import Daemon
from .executors import Report, outcome
from .functions.calling import invoke
from .functions.context import Call, TimerCall, current_call
from .functions.loading import registry_of
from .functions.registry import Registry
from .service import Scheduler
from .store.database import Store

__all__ = ["InlineExecutor", "ManualClock", "ManualScheduler"]


class InlineExecutor:
    """Runs each function at once, in the calling thread; without limits."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._report = Report()

    def submit(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._report.ended.append((task, self._run(task)))

    def collect(self) -> Report:
        report, self._report = self._report, Report()
        return report

    def filenos(self) -> list[int]:
        return []

    def next_check(self) -> float | None:
        return 0.0 if self._report.ended else None

    def stop(self) -> None:
        self._report = Report()

    def _run(self, task: Task) -> Ending:
        started_at = self._clock.now()
        end = copy_context().run(outcome.of_call, lambda: self._call(task))
        return end.ending(started_at, self._clock.now())

    def _call(self, task: Task) -> Any:
        timer = TimerCall(task.timer, task.fire_time, task.attempt, task.past_due)
        current_call.set(Call(function=task.function, request_id=task.request_id, timer=timer))
        return invoke(self._registry.get(task.function), json.loads(task.params))


class ManualScheduler(Scheduler):
    """A Scheduler in memory, without threads, on a ManualClock that begins at `now`.

    `functions` is an Engine or a Registry. A test may also move `clock`: `clock.jump(-3600)` sets it back, as NTP may.
    """

    def __init__(self, functions: Any, *, now: datetime, quota: int = 0) -> None:
        if now.tzinfo is None:
            raise ValueError(f"now needs a time zone, as in datetime(2026, 1, 1, tzinfo=UTC); got {now!r}")
        self.clock = ManualClock(now)
        registry = registry_of(functions)
        executors = dict.fromkeys(Environment, InlineExecutor(registry, self.clock))
        super().__init__(Store("sqlite://"), executors=executors, clock=self.clock, quota=quota)
        self._registry = registry
        self._owns_store = True
        self._manual = Daemon(self.store, executors, clock=self.clock)

    def start(self) -> None:
        """Do nothing: runs happen in `advance` and `wait`."""

    def stop(self, *, timeout_s: float | None = None) -> None:
        """Release all resources."""
        self._manual.close()
        super().stop(timeout_s=timeout_s)

    def advance(self, **duration: float) -> None:
        """Let time pass, given as for `timedelta` (`days=1`, `minutes=5`); each timer fires at its own fire time."""
        passed = timedelta(**duration)
        if passed < timedelta(0):
            raise ValueError(f"time goes forward, not by {passed}; clock.jump sets the clock back")
        end = self.clock.now() + passed
        self._settle()
        while (due := self._manual.next_due) is not None and due <= end:
            self.clock.advance_to(max(due, self.clock.now()))
            self._settle()
        self.clock.advance_to(max(end, self.clock.now()))
        self._settle()

    def wait(self, run_id: int, *, timeout_s: float = 0.0) -> Run:
        """Run due tasks, and return the run; a requested run has ended then."""
        self._settle()
        return super().wait(run_id, timeout_s=timeout_s)

    def runs(
        self,
        timer: str | None = None,
        environment: Environment | None = None,
        *,
        outcomes: Sequence[Outcome] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100_000,
    ) -> list[Run]:
        """The latest runs, oldest first, other than those of a Scheduler; the attributes are the same."""
        return super().runs(timer, environment, outcomes=outcomes, since=since, until=until, limit=limit)[::-1]

    def _settle(self) -> None:
        self._manual.wake()
        while self._manual.step() == 0 or self._manual.gave_head_start:
            pass
