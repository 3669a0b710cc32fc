"""CeleryExecutor: functions run by the workers of a Celery fleet, on whatever machines, behind a broker.

Runs are published when they are due, functions that are known to be fast several to a message. How a run ends, its
worker writes into the store (fleet.py), and tells this executor; so what is reported here is recorded already. The
broker may lose messages or double them: for a run that nobody begins another one is sent, and no run begins twice.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import DBAPIError

from ..clock import Clock, SystemClock
from ..core.breaker import Verdict
from ..core.run import Ending, Outcome, Task
from ..errors import NOT_QUEUED
from ..executors import Report
from ..store.database import Store
from ..store.listen import Subscription
from ..workers import protocol
from .broker import celery_app, prepare, queues
from .broker_connection import CONNECT_S, connect
from .runs import FleetRuns, RunProgress

if TYPE_CHECKING:
    from celery import Celery  # type: ignore[import-untyped, import-not-found, unused-ignore]

T = TypeVar("T")

log = logging.getLogger("scheduler.executor")

#: The name of the one task that Celery knows.
TASK = "scheduler.run"
#: A function whose runs take longer than this, with what is written of them, has a message of its own.
FAST_S = 0.05
#: How many runs share a message at most, and over how many messages they are spread before any grows.
CHUNK_TASKS, SPREAD = 50, 8
#: For how long a worker begins further runs of one message; the hard limit of a message is longer by this.
CHUNK_S = 1.0
#: What a worker may need to begin a run and to write down its end, beside the function's own time.
WRITE_S = 0.2
#: When it is asked again who begins a run: so long after it was published, and then after twice as long each time.
ASK_AGAIN_S = 5.0
#: How long a run may wait for a worker.
MAX_QUEUED_S = 600.0
#: A worker is lost whose run has not ended so long after its limit: Celery kills within two seconds.
LOST_S = 5.0
#: How often to look at all runs; most news comes by itself.
LOOK_EVERY_S = 1.0
#: How long to wait before publishing again when the broker did not take it.
RETRY_S = 0.5
#: How long to wait, at the end, for what is still to be published.
LEAVE_S = 2.0
#: How many ids go into one statement.
_LOOK_AT_ONCE = 1_000


@dataclass(slots=True)
class _Open:
    """A run that has not ended, as far as this executor knows; instants are monotonic seconds."""

    task: Task
    give_up_at: float
    ask_again_at: float
    ask_after_s: float = ASK_AGAIN_S
    worker: str | None = None
    #: When its worker is taken for lost.
    lost_at: float = 0.0


class CeleryExecutor:
    """Publishes tasks to the workers of a fleet, through `broker` (`pgmq://`, `amqp://…`, `redis://…`).

    `pgmq://` alone is a queue in the store's own database, which is a PostgreSQL. ConfigError for a broker or a store
    that does not serve.
    """

    def __init__(self, store: Store, broker: str, *, clock: Clock | None = None) -> None:
        app = celery_app(broker, store)
        prepare(broker, store)
        self._store = store
        self._fleet = FleetRuns(store)
        self._clock = clock or SystemClock()
        self._open: dict[int, _Open] = {}
        self._typical_s: dict[str, float] = {}
        self._look_at = 0.0
        self._report = Report()
        self._channel = f"scheduler_{token_hex(8)}"
        self._session = Subscription(store, self._channel)
        self._publisher = Publisher(app, queues(store), self._channel)

    def submit(self, tasks: Sequence[Task]) -> None:
        now = self._clock.monotonic()
        for task in tasks:
            self._open[task.run_id] = _Open(task, now + MAX_QUEUED_S, now + ASK_AGAIN_S)
        self._publish(tasks)

    @property
    def waiting(self) -> int:
        """How many runs no worker has begun, as far as is known here."""
        return sum(run.worker is None for run in self._open.values())

    def adopt(self, tasks: Sequence[Task]) -> None:
        """Take over runs of a daemon that is gone; those that nobody has begun are published again."""
        # Those that a worker has begun take no notice of a further message.
        self.submit(tasks)
        self._look_at = 0.0

    def collect(self) -> Report:
        now = self._clock.monotonic()
        self._listen(now)
        if self._open and now >= self._look_at:
            self._look(self._open)
            self._look_at = now + LOOK_EVERY_S
            self._look_after(now)
        report, self._report = self._report, Report()
        return report

    def filenos(self) -> list[int]:
        return self._session.filenos()

    def next_check(self) -> float | None:
        if self._report.recorded:
            return 0.0
        return max(0.0, self._look_at - self._clock.monotonic()) if self._open else None

    def stop(self) -> None:
        """Publish what is still to be published, if that can be done at once; what runs, goes on."""
        self._publisher.stop()
        self._session.close()
        self._open.clear()

    # Listening to the workers

    def _listen(self, now: float) -> None:
        """Look at the runs of which a worker has spoken: they have ended, or need a worker again."""
        news = self._session.heard()
        if not self._session.is_open:
            try:
                self._session.connected()
            except DBAPIError as error:
                self._session.close()
                self._store.raise_translated(error)
            # Nobody knows what was said meanwhile.
            self._look_at = 0.0
        told = {int(run_id) for notice in news or () for run_id in notice.split(",")}
        told &= self._open.keys()
        if told:
            moved = self._look(told)
            self._publish(self._asked_again([self._open[run_id] for run_id in told - moved], now))

    def _look(self, run_ids: Collection[int]) -> set[int]:
        """See in the store how far runs are; returns those that somebody has begun or ended."""
        moved: set[int] = set()
        ended: list[int] = []
        now = self._clock.monotonic()
        for some in _parts(run_ids, _LOOK_AT_ONCE):
            for progress in self._fleet.look(some):
                moved.add(progress.run_id)
                if self._note(progress, now):
                    ended.append(progress.run_id)
        for some in _parts(ended, _LOOK_AT_ONCE):
            self._report.kept += self._fleet.printed(some)
        return moved

    def _note(self, progress: RunProgress, now: float) -> bool:
        """Note how far a run is; True when it has ended."""
        run = self._open[progress.run_id]
        if progress.ending is not None:
            del self._open[progress.run_id]
            self._learn(run.task, progress.ending)
            self._report.recorded.append((run.task, progress.ending))
            return True
        if run.worker is None:
            # Counted from when it was seen, not from when it began: that is the time of another machine's clock.
            run.lost_at = now + run.task.limit_s + CHUNK_S + LOST_S
        run.worker = progress.worker
        return False

    def _learn(self, task: Task, ending: Ending) -> None:
        if ending.started_at is not None:
            took_s = (ending.ended_at - ending.started_at).total_seconds()
            self._typical_s[task.function] = max(took_s, self._typical_s.get(task.function, took_s) * 0.8)

    # Seeing to what does not end by itself

    def _look_after(self, now: float) -> None:
        unbegun: list[_Open] = []
        for run in self._open.values():
            if run.worker is not None:
                if now >= run.lost_at:
                    self._fleet.abandon(run.task.run_id, run.worker, self._clock.now())
                    self._look_at = 0.0
            elif now >= run.give_up_at:
                self._give_up(run.task)
            elif now >= run.ask_again_at:
                unbegun.append(run)
        if unbegun:
            self._publisher.put_again(list(self._chunks(self._asked_again(unbegun, now))))

    def _give_up(self, task: Task) -> None:
        error = f"no worker began it within {MAX_QUEUED_S:.0f} s"
        now = self._clock.now()
        ending = Ending(outcome=Outcome.FAILED, verdict=Verdict.NEUTRAL, ended_at=now, message=NOT_QUEUED, error=error)
        self._fleet.give_up(task.run_id, ending)
        self._look_at = 0.0

    def _asked_again(self, unbegun: Sequence[_Open], now: float) -> list[Task]:
        for run in unbegun:
            run.ask_after_s *= 2
            run.ask_again_at = now + run.ask_after_s
        return [run.task for run in unbegun]

    # Publishing

    def _publish(self, tasks: Sequence[Task]) -> None:
        for chunk in self._chunks(tasks):
            self._publisher.put(chunk)

    def _chunks(self, tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
        """What goes into one message: one run, or some of the same limit whose functions are known to be fast."""
        together: dict[tuple[str, float], list[Task]] = {}
        for task in tasks:
            if self._typical_s.get(task.function, FAST_S) < FAST_S:
                together.setdefault((task.environment, task.limit_s), []).append(task)
            else:
                yield [task]
        for alike in together.values():
            most = min(CHUNK_TASKS, -(-len(alike) // SPREAD))
            for chunk in _parts(alike, most):
                yield from _of_bounded_size(chunk)


def _parts(things: Collection[T], most: int) -> Iterator[list[T]]:
    rest = iter(list(things))
    while part := list(itertools.islice(rest, most)):
        yield part


def _of_bounded_size(tasks: Sequence[Task]) -> Iterator[Sequence[Task]]:
    """The tasks in order, parted where their parameters grow too large for one message."""
    chunk: list[Task] = []
    size = 0
    for task in tasks:
        size += len(task.params)
        if chunk and size > protocol.CHUNK_BYTES:
            yield chunk
            chunk, size = [], len(task.params)
        chunk.append(task)
    if chunk:
        yield chunk


class Publisher:
    """Sends messages to the broker on a thread of its own, in order; while the broker is away, they wait here."""

    def __init__(self, app: Celery, queues: Mapping[str, str], channel: str) -> None:
        self._app = app
        self._queues = queues
        self._channel = channel
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._producer: Any = None
        self._complaint = ""
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._thread.start()

    def put(self, chunk: Sequence[Task]) -> None:
        """Have tasks of one environment and limit sent, as one message."""
        self._jobs.put(lambda: self._send(chunk))

    def put_again(self, chunks: Sequence[Sequence[Task]]) -> None:
        """The same, but where messages wait for the workers: then those of these tasks may wait among them."""
        self._jobs.put(lambda: self._send_again(chunks))

    def stop(self) -> None:
        """Send what is left, unless the broker is away."""
        self._stopping = True
        self._jobs.put(None)
        self._thread.join(LEAVE_S)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            while not self._is_done(job) and not self._stopping:
                time.sleep(RETRY_S)
        if self._producer is not None:
            with contextlib.suppress(Exception):
                # With a farewell, so that what was sent last arrives.
                self._producer.connection.release()

    def _is_done(self, job: Callable[[], None]) -> bool:
        was_connected = self._producer is not None
        try:
            job()
        except Exception as error:  # each transport has errors of its own
            self._disconnect()
            if was_connected:
                # That may have been lost long ago; a new connection shows whether the broker is there.
                return self._is_done(job)
            if not self._complaint:
                self._complaint = str(error) or type(error).__name__
                log.error("the broker does not answer (%s); trying again every %g s", self._complaint, RETRY_S)
            return False
        if self._complaint:
            log.info("the broker answers again")
            self._complaint = ""
        return True

    def _send(self, chunk: Sequence[Task]) -> None:
        first = chunk[0]
        self._app.send_task(
            TASK,
            ([protocol.order_of(task) for task in chunk], self._channel),
            producer=self._connected(),
            queue=self._queues[first.environment],
            time_limit=first.limit_s + WRITE_S + (CHUNK_S if len(chunk) > 1 else 0),
            ignore_result=True,
            retry=False,
        )

    def _send_again(self, chunks: Sequence[Sequence[Task]]) -> None:
        if not self._jobs.empty():
            return
        waits = {name: self._waits(self._queues[name]) for name in {chunk[0].environment for chunk in chunks}}
        for chunk in chunks:
            if not waits[chunk[0].environment]:
                self._send(chunk)

    def _waits(self, queue: str) -> bool:
        """Whether messages wait in a queue; a broker may forget one that is empty."""
        producer = self._connected()
        try:
            return bool(producer.channel.queue_declare(queue, passive=True).message_count)
        except producer.connection.channel_errors:
            self._disconnect()
            return False

    def _connected(self) -> Any:
        if self._producer is None:
            connection = self._app.connection_for_write()
            connect(connection)
            self._producer = self._app.amqp.Producer(connection, auto_declare=False)
        return self._producer

    def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(Exception):
                # Without a farewell, for which a broker that is away would have to be waited.
                producer.connection.collect(CONNECT_S)
