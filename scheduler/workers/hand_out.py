"""HandOut: which worker is sent which tasks, and how many at a time.

A chunk is sent to every idle worker, and a second one to a worker whose task and next one are fast. Orders can be
packed before the tasks are due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..clock import Clock
from ..core.run import Task
from . import protocol
from .pool_size import PoolSize
from .queue import TaskQueue
from .worker import WorkerProcess

#: A run that takes longer than this blocks its worker: the tasks behind it are moved to other workers.
BLOCKED_S = 0.02
#: The most chunks that a worker has: the one in progress, and the next one, so that it need not wait.
CHUNKS_AT_ONCE = 2
#: How many orders a worker processes, without calling a function, to warm up before many tasks.
WARM_UP_RUNS = 20


class HandOut:
    """Sends the tasks of a queue to the workers of a pool; the executor shares both, and also changes them."""

    def __init__(self, workers: Sequence[WorkerProcess], queue: TaskQueue, pool_size: PoolSize, clock: Clock) -> None:
        self._workers = workers
        self._queue = queue
        self._pool_size = pool_size
        self._clock = clock
        #: Chunks that `prepare` packed, by the id of their first run.
        self._packed: dict[int, tuple[list[Task], bytes]] = {}

    def send(self) -> None:
        """Send tasks to every idle worker, then further chunks of fast ones to workers that run a fast one.

        While the pool grows, the last idle worker is reserved for functions that do not take long.
        """
        now = self._clock.monotonic()
        ready = [worker for worker in self._workers if worker.takes_tasks]
        sharing = sum((worker.running_s(now) or 0.0) < BLOCKED_S for worker in ready)
        spares = sum(not worker.chunks for worker in ready)
        grows = len(ready) < len(self._workers) or self._pool_size.may_grow(len(self._workers), now)
        for chunks_before in range(CHUNKS_AT_ONCE):
            packed: list[tuple[WorkerProcess, list[Task], bytes]] = []
            for worker in ready:
                if not self._queue:
                    break
                if worker.chunks == chunks_before and (not chunks_before or self._may_queue(worker, now)):
                    spares -= not chunks_before
                    take = self._queue.take if spares or not grows else self._queue.take_unless_long
                    if chunk := take(now, sharing=max(1, sharing - len(packed))):
                        packed.append((worker, chunk, self._orders_of(chunk)))
            # Send to all of them in a row: a worker that wakes up may preempt the daemon, and the others would wait.
            for worker, chunk, orders in packed:
                if not worker.send(chunk, orders):
                    self._queue.put_back(chunk)

    def _orders_of(self, chunk: list[Task]) -> bytes:
        prepared, orders = self._packed.pop(chunk[0].run_id, ([], b""))
        return orders if prepared == chunk else protocol.pack_orders(chunk)

    def _may_queue(self, worker: WorkerProcess, now: float) -> bool:
        """Whether a busy worker may get a second chunk: its task and the next one are fast, and it is not blocked."""
        current = worker.current
        if current is None or not (self._queue.is_fast(current) and self._queue.has_fast_next(now)):
            return False
        running_s = worker.running_s(now)
        return running_s is None or running_s < BLOCKED_S

    def prepare(self, tasks: Sequence[Task], typical_s: Callable[[str], float | None]) -> None:
        """Pack the orders for tasks as they will be sent, and have the idle workers warm up with some of them."""
        idle = [worker for worker in self._workers if worker.takes_tasks and not worker.chunks]
        if self._queue or not idle:
            return
        trial = TaskQueue(typical_s)
        trial.add(tasks, now := self._clock.monotonic())
        shares = [len(idle) - served for _ in range(CHUNKS_AT_ONCE) for served in range(len(idle))]
        self._packed.clear()
        while trial:
            chunk = trial.take(now, sharing=shares.pop(0) if shares else len(idle))
            self._packed[chunk[0].run_id] = chunk, protocol.pack_orders(chunk)
        # Without the parameters: a warm-up does not use them, and they might not fit into one message.
        orders = protocol.pack_orders([task._replace(params="{}") for task in tasks[:WARM_UP_RUNS]])
        for worker in idle:
            worker.warm_up(orders)
