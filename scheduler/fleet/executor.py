"""CeleryExecutor: functions run by the workers of a Celery fleet, on any machines, behind a broker.

Tasks are published when they are due, those of fast functions several to a message. The worker writes how a run ended
into the store (runs.py) and notifies this executor, so what is reported here is recorded already. The broker may lose
or double messages: a run that no worker begins is published again, and no run begins twice.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from secrets import token_hex
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from ..clock import Clock, SystemClock
from ..core.breaker import Verdict
from ..core.run import Ending, Outcome, Task
from ..core.timer import Environment
from ..errors import NOT_QUEUED
from ..executors import Report, outcome
from ..store.database import Store
from ..store.subscription import Subscription
from .broker import celery_app, prepare, queues
from .message import CHUNK_S
from .presence import no_worker_serves, unserved
from .publisher import Publisher
from .runs import TIMER_REMOVED, FleetRuns, RunProgress

T = TypeVar("T")

log = logging.getLogger("scheduler.executor")

#: Tasks of a function that takes less than this, including what is written about its run, share messages.
FAST_S = 0.05
#: The most tasks of a message, and the number of messages over which tasks are spread first.
CHUNK_TASKS, SPREAD = 50, 8
#: After how long a run that has not begun is published again; the time doubles up to the second value.
REPUBLISH_S, LONGEST_REPUBLISH_S = 5.0, 20.0
#: When to try again to republish, if the queue held messages, because this run's may be among them.
RECHECK_S = 2.0
#: If a run has begun that was published this much later than another, the message of the other is lost.
OVERTAKEN_S = 10.0
#: How long a run may wait for a worker.
MAX_QUEUED_S = 600.0
#: A worker whose run has not ended this long after its limit is lost: Celery kills within two seconds.
LOST_S = 5.0
#: How often the rows of all runs are read; most changes are notified.
POLL_S = 1.0
#: How long after the start to check whether workers serve, and how often while runs wait.
LOOK_S = 5.0
#: How many ids go into one statement.
_IDS_A_STATEMENT = 1_000


@dataclass(slots=True)
class _OpenRun:
    """A run that has not ended, according to the last read of its row; instants are monotonic seconds."""

    task: Task
    since: float
    #: When its last message was handed to the publisher.
    published_at: float
    give_up_at: float
    republish_at: float
    republish_after_s: float = REPUBLISH_S
    worker: str | None = None
    #: When its worker counts as lost.
    lost_at: float = 0.0


class CeleryExecutor:
    """Publishes tasks to the workers of a fleet, through `broker` (`pgmq://`, `amqp://…`, `redis://…`).

    `pgmq://` alone is a queue in the store's own database, which must be a PostgreSQL. ConfigError for an unusable
    broker or store. It logs each of the `environments` that no worker serves.
    """

    def __init__(
        self,
        store: Store,
        broker: str,
        *,
        environments: Sequence[Environment] = tuple(Environment),
        clock: Clock | None = None,
    ) -> None:
        app = celery_app(broker, store)
        prepare(broker, store)
        self._store = store
        self._fleet = FleetRuns(store)
        self._clock = clock or SystemClock()
        self._open: dict[int, _OpenRun] = {}
        self._typical_s: dict[str, float] = {}
        self._poll_at = 0.0
        #: By environment, when the message of a run that has begun was published, the latest one.
        self._begun_up_to: dict[str, float] = {}
        #: When the oldest run that no worker has begun was submitted, in monotonic seconds.
        self._oldest_since: float | None = None
        self._environments = [str(environment) for environment in environments]
        #: The environments without a worker that were logged; and when to check again.
        self._unserved: list[str] = []
        self._look_at = self._clock.monotonic() + LOOK_S
        self._report = Report()
        self._channel = f"scheduler_{token_hex(8)}"
        self._session = Subscription(store, self._channel)
        self._publisher = Publisher(app, queues(store), self._channel)

    def submit(self, tasks: Sequence[Task]) -> None:
        now = self._clock.monotonic()
        for task in tasks:
            self._open[task.run_id] = _OpenRun(task, now, now, now + MAX_QUEUED_S, now + REPUBLISH_S)
        self._publish(tasks)

    @property
    def waiting(self) -> int:
        """The number of runs that no worker has begun, as far as this executor knows."""
        return sum(run.worker is None for run in self._open.values())

    @property
    def oldest_unbegun_s(self) -> float:
        """How long the oldest run has been waiting for a worker, as of the last second."""
        since = self._oldest_since
        return 0.0 if since is None else max(0.0, self._clock.monotonic() - since)

    def adopt(self, tasks: Sequence[Task]) -> None:
        """Take over runs of a daemon that has ended; those that have not begun are published again."""
        # Another message has no effect on runs that have begun.
        self.submit(tasks)
        self._poll_at = 0.0

    def cancel(self, run_ids: Collection[int]) -> None:
        """End those of these runs that no worker has begun, and have the workers kill the others."""
        theirs = [self._open[run_id] for run_id in run_ids if run_id in self._open]
        for run in theirs:
            if run.worker is None:
                # Unless a worker has begun it meanwhile.
                self._fleet.give_up(run.task.run_id, outcome.cancelled_unbegun(self._clock.now()))
        if theirs:
            self._fleet.announce_cancellations()
            self._poll_at = 0.0

    def collect(self) -> Report:
        now = self._clock.monotonic()
        self._read_notifications(now)
        if self._open and now >= self._poll_at:
            self._read_progress(self._open)
            self._poll_at = now + POLL_S
            self._handle_overdue(now)
        if not self._open:
            self._oldest_since = None
        if now >= self._look_at:
            self._look_for_workers(now)
        report, self._report = self._report, Report()
        return report

    def filenos(self) -> list[int]:
        return self._session.filenos()

    def next_check(self) -> float | None:
        if self._report.recorded:
            return 0.0
        at = min(self._poll_at if self._open else inf, self._look_at)
        return None if at == inf else max(0.0, at - self._clock.monotonic())

    def stop(self) -> None:
        """Publish the remaining messages, for a bounded time; runs in the fleet continue."""
        self._publisher.stop()
        self._session.close()
        self._open.clear()

    # Reading what workers have written

    def _read_notifications(self, now: float) -> None:
        """Read the rows of runs that workers notified: those have ended, or must be published again."""
        payloads = self._session.receive()
        if not self._session.is_open:
            try:
                self._session.connect()
            except DBAPIError as error:
                self._session.close()
                self._store.raise_translated(error)
            # Notifications may have been missed meanwhile.
            self._poll_at = 0.0
        notified = _run_ids(payloads or ()) & self._open.keys()
        if notified:
            begun = self._read_progress(notified)
            self._publish(self._postponed(self._renewed([self._open[run_id] for run_id in notified - begun]), now))

    def _read_progress(self, run_ids: Collection[int]) -> set[int]:
        """Read from the store how far runs are; returns those that have begun or ended."""
        begun: set[int] = set()
        ended: list[int] = []
        now = self._clock.monotonic()
        for some in _parts(run_ids, _IDS_A_STATEMENT):
            for progress in self._fleet.progress(some):
                begun.add(progress.run_id)
                if self._update(progress, now):
                    ended.append(progress.run_id)
        for some in _parts(ended, _IDS_A_STATEMENT):
            self._report.recorded_lines += self._fleet.lines(some)
        return begun

    def _update(self, progress: RunProgress, now: float) -> bool:
        """Update an open run; True when it has ended."""
        run = self._open[progress.run_id]
        if run.worker is None and progress.worker is not None:
            environment = run.task.environment
            self._begun_up_to[environment] = max(run.published_at, self._begun_up_to.get(environment, 0.0))
        if progress.ending is not None:
            del self._open[progress.run_id]
            self._learn_duration(run.task, progress.ending)
            self._report.recorded.append((run.task, progress.ending))
            return True
        if run.worker is None:
            # Counted from this read, because the begin in the row is by the clock of another machine.
            run.lost_at = now + run.task.limit_s + CHUNK_S + LOST_S
        run.worker = progress.worker
        return False

    def _learn_duration(self, task: Task, ending: Ending) -> None:
        if ending.started_at is not None:
            took_s = (ending.ended_at - ending.started_at).total_seconds()
            self._typical_s[task.function] = max(took_s, self._typical_s.get(task.function, took_s) * 0.8)

    # Runs that take too long to begin or to end

    def _handle_overdue(self, now: float) -> None:
        """Abandon runs whose workers are lost, fail those that waited too long, publish others again."""
        unbegun: list[_OpenRun] = []
        overtaken: list[_OpenRun] = []
        self._oldest_since = min((run.since for run in self._open.values() if run.worker is None), default=None)
        if self._oldest_since is not None and self._oldest_since <= now - LOOK_S:
            self._look_at = min(self._look_at, now)
        for run in self._open.values():
            if run.worker is not None:
                if now >= run.lost_at:
                    self._fleet.abandon(run.task.run_id, run.worker, self._clock.now())
                    self._poll_at = 0.0
            elif now >= run.give_up_at:
                self._give_up(run.task)
            elif now >= run.republish_at:
                run.republish_at = now + RECHECK_S
                (overtaken if self._is_overtaken(run) else unbegun).append(run)
        # The queue may never be empty: the fleet may be too small for what is due.
        self._publish(self._postponed(self._renewed(overtaken), now))
        if unbegun:
            self._publisher.put_again(list(self._chunks([run.task for run in self._renewed(unbegun)])))
        published = self._publisher.published_again()
        self._postponed([self._open[run_id] for run_id in published if run_id in self._open], now)

    def _is_overtaken(self, run: _OpenRun) -> bool:
        """Whether workers have taken messages that were published long after that of a run that has not begun."""
        return self._begun_up_to.get(run.task.environment, 0.0) - run.published_at > OVERTAKEN_S

    def _look_for_workers(self, now: float) -> None:
        """Log when an environment has no worker, and when it has one again."""
        unserved_now = unserved(self._store, self._environments)
        if new := [name for name in unserved_now if name not in self._unserved]:
            log.warning("%s", no_worker_serves(new))
        if over := [name for name in self._unserved if name not in unserved_now]:
            log.info("a worker serves %s", " and ".join(over))
        self._unserved = unserved_now
        # Checked again only while runs wait, so that an idle store is not polled.
        is_waiting = bool(unserved_now) or self._oldest_since is not None
        self._look_at = now + LOOK_S if is_waiting else inf

    def _give_up(self, task: Task) -> None:
        error = f"no worker began it within {MAX_QUEUED_S:.0f} s"
        now = self._clock.now()
        ending = Ending(outcome=Outcome.FAILED, verdict=Verdict.NEUTRAL, ended_at=now, message=NOT_QUEUED, error=error)
        self._fleet.give_up(task.run_id, ending)
        self._poll_at = 0.0

    def _renewed(self, unbegun: Sequence[_OpenRun]) -> list[_OpenRun]:
        """These runs with the limits that their timers have now; those whose timers are gone are abandoned."""
        if not unbegun:
            return []
        limits = self._fleet.limits([run.task.run_id for run in unbegun])
        for run in unbegun:
            limit_s = limits.get(run.task.run_id)
            if limit_s is not None:
                run.task = run.task._replace(limit_s=limit_s)
                continue
            ended_at = self._clock.now()
            ending = Ending(Outcome.ABANDONED, Verdict.NEUTRAL, ended_at, error=TIMER_REMOVED)
            self._fleet.give_up(run.task.run_id, ending)
            self._poll_at = 0.0
        return [run for run in unbegun if run.task.run_id in limits]

    def _postponed(self, unbegun: Sequence[_OpenRun], now: float) -> list[Task]:
        """Double the time until these runs are published again; returns their tasks."""
        for run in unbegun:
            run.published_at = now
            run.republish_after_s = min(2 * run.republish_after_s, LONGEST_REPUBLISH_S)
            run.republish_at = now + run.republish_after_s
        return [run.task for run in unbegun]

    # Publishing

    def _publish(self, tasks: Sequence[Task]) -> None:
        for chunk in self._chunks(tasks):
            self._publisher.put(chunk)

    def _chunks(self, tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
        """The tasks of each message: one, or several of fast functions with the same environment and limit."""
        together: dict[tuple[str, float], list[Task]] = {}
        for task in tasks:
            if self._typical_s.get(task.function, FAST_S) < FAST_S:
                together.setdefault((task.environment, task.limit_s), []).append(task)
            else:
                yield [task]
        for alike in together.values():
            most = min(CHUNK_TASKS, -(-len(alike) // SPREAD))
            yield from _parts(alike, most)


def _parts(items: Collection[T], most: int) -> Iterator[list[T]]:
    """The items in lists of `most` at most."""
    rest = iter(list(items))
    while part := list(itertools.islice(rest, most)):
        yield part


def _run_ids(payloads: Sequence[str]) -> set[int]:
    """The ids in notifications, "7,8"; other text is ignored, because any client of the database can notify."""
    words = {word for payload in payloads for word in payload.split(",")}
    return {int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 20}
