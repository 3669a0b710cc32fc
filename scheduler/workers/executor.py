"""ProcessExecutor: functions run in worker processes, which are killed with their children at the limit.

Workers start before they are needed. A function that is known to be fast shares a worker's queue with others; one that
turns out to be slow loses what stands behind it to other workers. The pool grows while functions are slow or hang, up
to `max_workers`, and shrinks again when they are not.
"""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from ..clock import Clock, SystemClock
from ..core.breaker import Verdict
from ..core.log_limits import dropped_text
from ..core.run import Ending, Line, Outcome, Task
from ..core.timestamps import instant
from ..errors import NOT_QUEUED, TargetError
from ..executors import EndedWell, Report
from . import process_tree, protocol
from .pool_size import PoolSize
from .queue import LONG_S, SLOW_WAITS_S, TaskQueue
from .worker import SETTLED_S, ProtocolError, Worker

log = logging.getLogger("scheduler.executor")

#: A run that takes longer than this blocks its worker: others get what waits behind it.
BLOCKED_S = 0.02
#: How many chunks of tasks a worker may have before it: one in progress, and one so that it need not wait.
CHUNKS_AT_ONCE = 2
#: How many runs a worker rehearses before the first of many.
REHEARSED = 20
#: How many tasks may wait for a worker before further ones are refused.
MAX_PENDING = 40_000
#: How long to wait before starting a worker again after one could not load the functions.
RETRY_S = 2.0


class ProcessExecutor:
    """Runs the functions of `target` (a cloud.py, or module:attribute) in a pool of worker processes.

    `workers` are kept ready, at most `max_workers` run at a time; `environ` is added to their environment,
    and `folder` is where they start.
    """

    def __init__(
        self,
        target: str,
        *,
        workers: int = 2,
        max_workers: int = 32,
        clock: Clock | None = None,
        environ: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        if not 1 <= workers <= max_workers:
            raise ValueError(f"workers must be at least 1 and at most max_workers ({max_workers}), not {workers}")
        # Absolute, because the functions may change the working folder before further workers start.
        self._target = str(Path(folder or "", target).resolve()) if target.endswith(".py") else target
        self._staffing = PoolSize(workers, max_workers)
        self._clock = clock or SystemClock()
        self._environ = {**os.environ, **(environ or {})}
        self._folder = folder
        self._members: list[Worker] = []
        self._typical_s: dict[str, float] = {}
        self._backlog = TaskQueue(self._typical_s.get)
        #: Orders that were packed beforehand, by the run of their first task.
        self._packed: dict[int, tuple[list[Task], bytes]] = {}
        self._report = Report()
        self._broken: str | None = None
        #: Whether more workers are to be hired in the next turns.
        self._is_short = False

    def start(self, *, timeout_s: float = 30.0) -> None:
        """Start the workers and wait until one has loaded the functions; TargetError where it cannot."""
        process_tree.sweep_orphans()
        while len(self._members) < self._staffing.workers:
            self._hire()
        give_up_at = self._clock.monotonic() + timeout_s
        while not any(member.ready for member in self._members):
            select.select(self.filenos(), [], [], 0.1)
            self._collect_from_all()
            if self._broken:
                raise TargetError(self._broken)
            if self._clock.monotonic() > give_up_at:
                raise TargetError(f"{self._target} was not loaded within {timeout_s:.0f} s")

    def submit(self, tasks: Sequence[Task]) -> None:
        room = MAX_PENDING - len(self._backlog)
        self._backlog.add(tasks[:room], self._clock.monotonic())
        now = self._clock.now()
        for task in tasks[room:]:
            ending = Ending(outcome=Outcome.FAILED, verdict=Verdict.NEUTRAL, ended_at=now, message=NOT_QUEUED)
            self._report.ended.append((task, ending))
        self._dispatch()

    def prepare(self, tasks: Sequence[Task]) -> None:
        """Pack the orders for tasks as they will be handed out, and have the workers rehearse some of them."""
        idle = [member for member in self._members if member.ready and not member.chunks]
        if self._backlog or not idle:
            return
        trial = TaskQueue(self._typical_s.get)
        trial.add(tasks, now := self._clock.monotonic())
        shares = [len(idle) - served for _ in range(CHUNKS_AT_ONCE) for served in range(len(idle))]
        self._packed.clear()
        while trial:
            chunk = trial.take(now, sharing=shares.pop(0) if shares else len(idle))
            self._packed[chunk[0].run_id] = chunk, protocol.pack_orders(chunk)
        # Without their parameters, which nobody looks at: they might not fit into a message.
        rehearsed = protocol.pack_orders([task._replace(params="{}") for task in tasks[:REHEARSED]])
        for member in idle:
            member.rehearse(rehearsed)

    def collect(self) -> Report:
        now = self._clock.monotonic()
        self._collect_from_all()
        for member in list(self._members):
            if self._enforce_limit(member, now):
                # A kill takes milliseconds: what is due meanwhile comes before the next one.
                break
        self._dispatch()
        self._fit_pool(now)
        for member in self._members:
            member.yield_to_others(now)
        report, self._report = self._report, Report()
        return report

    def filenos(self) -> list[int]:
        return [fileno for member in self._members for fileno in member.filenos()]

    def next_check(self) -> float | None:
        if self._report or self._is_short:
            return 0.0
        now = self._clock.monotonic()
        checks = [_next_check_of(member, task, now) for member in self._members if (task := member.current)]
        if self._backlog.long:
            checks.append(SLOW_WAITS_S)
        count, is_waited_for = len(self._members), bool(self._backlog)
        if (change_s := self._staffing.next_change_s(count, is_waited_for=is_waited_for, now=now)) is not None:
            checks.append(change_s)
        return min(checks, default=None)

    def stop(self) -> None:
        for member in self._members:
            member.kill()
            member.close()
        self._members.clear()
        self._backlog.clear()

    @property
    def waiting(self) -> int:
        return len(self._backlog)

    # Listening to the workers

    def _collect_from_all(self) -> None:
        for member in list(self._members):
            self._collect_from(member)
            reason = member.exit_reason()
            if reason is not None:
                self._bury(member, reason)

    def _collect_from(self, member: Worker) -> None:
        try:
            self._hear(member)
        except ProtocolError:
            member.kill()
            member.mute()
        self._backlog.put_back(member.given_back)
        member.given_back.clear()

    def _hear(self, member: Worker) -> None:
        for news in member.news():
            if isinstance(news, EndedWell):
                self._end_well(news)
                continue
            task, started_at, ended_at, outcome, verdict, error, result, lines_dropped = news
            ending = Ending(
                _OUTCOMES[outcome],
                _VERDICTS[verdict],
                instant(ended_at),
                instant(started_at),
                error,
                result,
                lines_dropped,
            )
            self._end(task, ending, (ended_at - started_at) / 1_000_000)
        if member.printed:
            self._take_printed(member)

    def _end_well(self, ended: EndedWell) -> None:
        for task, (started_at, ended_at) in zip(*ended, strict=True):
            self._note_took(task, (ended_at - started_at) / 1_000_000)
        self._report.well.append(ended)

    def _end(self, task: Task, ending: Ending, took_s: float) -> None:
        self._note_took(task, took_s)
        self._report.ended.append((task, ending))
        if ending.lines_dropped:
            text = dropped_text(ending.lines_dropped)
            self._report.lines.append(Line(task.run_id, ending.ended_at, "warning", text))

    def _note_took(self, task: Task, took_s: float) -> None:
        # One slow run outweighs some fast ones: sharing a queue with it costs more than having one of one's own.
        self._typical_s[task.function] = (took_s + self._typical_s.get(task.function, took_s)) / 2

    def _take_printed(self, member: Worker) -> None:
        printed, member.printed = member.printed, []
        for run_id, at, level, text in printed:
            if run_id:
                self._report.lines.append(Line(run_id, self._clock.now() if at is None else instant(at), level, text))
            else:
                log.info("worker %d: %s", member.pid, text)

    # Limits and deaths

    def _enforce_limit(self, member: Worker, now: float) -> bool:
        """Kill a worker that is over its limit; whether it was."""
        running_s, task = member.running_for(now), member.current
        if running_s is None or task is None:
            return False
        if running_s >= min(BLOCKED_S, task.limit_s):
            self._typical_s[task.function] = max(running_s, self._typical_s.get(task.function, 0.0))
            # What stands behind it goes elsewhere; and then the worker can begin nothing else between this look and
            # the kill.
            self._backlog.put_back(member.take_back(now))
        if running_s < task.limit_s or not member.can_begin_nothing(now):
            return False
        self._collect_from(member)
        if member.current is not task or member.running_for(now) is None:
            return False
        self._kill(member, task)
        return True

    def _kill(self, member: Worker, task: Task) -> None:
        started_at = self._clock.now() - timedelta(seconds=task.limit_s)
        member.kill()
        self._collect_from(member)
        if member.current is task:
            error = f"over its limit of {task.limit_s:g} s"
            self._end_dead(member, Outcome.TIMED_OUT, error, started_at, task.limit_s)
        self._dismiss(member)

    def _end_dead(self, member: Worker, outcome: Outcome, error: str, started_at: datetime, took_s: float) -> None:
        """The task that a worker was at has ended with the worker."""
        member.read_output(to_the_end=True)
        self._take_printed(member)
        task, dropped = member.end_current()
        ending = Ending(
            outcome=outcome,
            verdict=Verdict.FAILURE,
            started_at=started_at,
            ended_at=self._clock.now(),
            error=error,
            lines_dropped=dropped,
        )
        self._end(task, ending, took_s)

    def _bury(self, member: Worker, reason: str) -> None:
        """A worker died by itself: its run has failed, what it had not begun goes elsewhere."""
        self._collect_from(member)
        member.kill()
        running_s = member.running_for(self._clock.monotonic())
        if running_s is not None:
            started_at = self._clock.now() - timedelta(seconds=running_s)
            self._end_dead(member, Outcome.FAILED, reason, started_at, running_s)
        self._backlog.put_back(member.leave_unbegun())
        if not member.has_begun_any:
            # Whatever kills a worker that has done nothing yet will kill the next one too: no haste.
            self._staffing.put_off(self._clock.monotonic() + RETRY_S)
        if not member.ready:
            self._cannot_load(member.broken or f"{reason} while it loaded {self._target}")
        self._dismiss(member)

    def _cannot_load(self, why: str) -> None:
        """The functions do not load; what waits for them fails, unless there are workers that have them still."""
        self._broken = why
        log.error("%s", why)
        if any(member.ready for member in self._members):
            return
        now = self._clock.now()
        for task in self._backlog.clear():
            ending = Ending(outcome=Outcome.FAILED, verdict=Verdict.FAILURE, ended_at=now, error=why)
            self._report.ended.append((task, ending))

    def _dismiss(self, member: Worker) -> None:
        self._members.remove(member)
        member.close()

    # Handing out work

    def _dispatch(self) -> None:
        """First every idle worker gets something, then fast tasks queue up behind fast ones.

        The last idle one is kept from functions that take long, while there are to be more.
        """
        now = self._clock.monotonic()
        ready = [member for member in self._members if member.ready]
        sharing = sum((member.running_for(now) or 0.0) < BLOCKED_S for member in ready)
        spares = sum(not member.chunks for member in ready)
        grows = len(ready) < len(self._members) or self._staffing.may_hire(len(self._members), now)
        for chunks_before in range(CHUNKS_AT_ONCE):
            packed: list[tuple[Worker, list[Task], bytes]] = []
            for member in ready:
                if not self._backlog:
                    break
                if member.chunks == chunks_before and (not chunks_before or self._may_queue(member, now)):
                    spares -= not chunks_before
                    take = self._backlog.take if spares or not grows else self._backlog.take_for_the_last
                    if chunk := take(now, sharing=max(1, sharing - len(packed))):
                        packed.append((member, chunk, self._orders_of(chunk)))
            # At once: a worker that wakes up takes the processor from the daemon, and the others would wait for it.
            for member, chunk, orders in packed:
                if not member.send(chunk, orders):
                    self._backlog.put_back(chunk)

    def _orders_of(self, chunk: list[Task]) -> bytes:
        prepared, orders = self._packed.pop(chunk[0].run_id, ([], b""))
        return orders if prepared == chunk else protocol.pack_orders(chunk)

    def _may_queue(self, member: Worker, now: float) -> bool:
        """Whether the next task and the one that the worker is at are both fast, and it is not stuck."""
        current = member.current
        if current is None or not (self._backlog.is_fast(current) and self._backlog.has_fast_next(now)):
            return False
        running_s = member.running_for(now)
        return running_s is None or running_s < BLOCKED_S

    def _fit_pool(self, now: float) -> None:
        """Hire a worker, or let one go, where the pool has not as many as it should."""
        blocked = sum((member.running_for(now) or 0.0) >= BLOCKED_S for member in self._members)
        starting = sum(not member.ready for member in self._members)
        held_up = blocked + self._backlog.long
        change = self._staffing.change(len(self._members), starting=starting, held_up=held_up, now=now)
        # One a turn: what is due meanwhile comes before the next one.
        self._is_short = change > 1
        if change > 0:
            self._hire()
        elif change < 0:
            self._let_one_go(now)

    def _hire(self) -> None:
        self._members.append(Worker(self._target, self._environ, self._folder))

    def _let_one_go(self, now: float) -> None:
        idle = next((member for member in self._members if member.ready and not member.chunks), None)
        if idle is not None:
            idle.kill()
            self._dismiss(idle)
        self._staffing.tried_to_let_go(now)


#: A look-up in a table is quicker than a call of the class.
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_VERDICTS = {verdict.value: verdict for verdict in Verdict}


def _next_check_of(member: Worker, task: Task, now: float) -> float:
    """Seconds until a busy worker may be blocked, or over its limit."""
    running_s = member.running_for(now)
    if running_s is None:
        return BLOCKED_S
    if running_s < BLOCKED_S:
        return max(0.0, min(BLOCKED_S, task.limit_s) - running_s)
    if member.has_more_behind() or not member.can_begin_nothing(now):
        return SETTLED_S
    until = min(task.limit_s, LONG_S) if running_s < LONG_S else task.limit_s
    # The word in memory counts whole milliseconds.
    return max(0.0, until - running_s) + 0.001
