"""What the main process of a fleet's worker keeps after faults, counted in the process itself, does not grow."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scheduler.store.database import Store
from tests.scheduler.postgres_server import Server
from tests.waiting import eventually

pytest.importorskip("celery")
pytest.importorskip("pgmq")
pytest.importorskip("redis")

from redis import Redis as RedisClient

from scheduler.fleet.runs import CANCELLATIONS
from tests.scheduler.broker_servers import Redis
from tests.scheduler.celery_processes import CLOUD, WatchedDaemon, Worker

pytestmark = pytest.mark.slow

#: On a signal, the process writes how many objects of each class it has, and how many descriptors.
COUNTS = (
    CLOUD
    + """
import gc, json
from collections import Counter


def count(*_):
    gc.collect()
    counts = Counter(type(each).__qualname__ for each in gc.get_objects())
    counts["descriptors"] = len(os.listdir("/proc/self/fd"))
    Path("counts.part").write_text(json.dumps(counts))
    os.replace("counts.part", "counts")


signal.signal(signal.SIGUSR2, count)
"""
)
#: How often each fault happens between two counts.
FAULTS = 12
#: The first of them are not counted: what is made once is made then.
WARM_UP = 3


class Counted:
    """A worker whose main process tells what it has."""

    def __init__(self, folder: Path, url: str, broker: str, watched: WatchedDaemon) -> None:
        self._counts = folder / "counts"
        self.watched = watched
        self.process = Worker(folder, url, broker, concurrency=2, cloud=COUNTS)
        watched.add("nothing", "nothing", overlap="allow")

    def grown_by(self, fault: Callable[[], object]) -> dict[str, int]:
        """By class, how many more objects the process has after FAULTS of these; it serves after each."""
        self._cause(fault, WARM_UP)
        before = self._counted()
        self._cause(fault, FAULTS)
        after = self._counted()
        return {name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)}

    def _cause(self, fault: Callable[[], object], times: int) -> None:
        for _ in range(times):
            fault()
            self.watched.end_of(*self.watched.begin("nothing"))

    def _counted(self) -> dict[str, int]:
        self._counts.unlink(missing_ok=True)
        self.process.process.send_signal(signal.SIGUSR2)
        eventually(self._counts.exists)
        counts: dict[str, int] = json.loads(self._counts.read_text())
        return counts


@contextmanager
def counted(folder: Path, url: str, broker: str) -> Iterator[Counted]:
    with Store(url) as store, WatchedDaemon(store, broker) as watched:
        worker = Counted(folder, url, broker, watched)
        try:
            yield worker
        finally:
            worker.process.stop()


def test_a_lost_connection_to_redis_leaves_nothing_in_the_event_loop(
    postgres: Server, redis: Redis, tmp_path: Path
) -> None:
    """Kombu's own transport stays, and the loop calls it in each turn."""
    client = RedisClient.from_url(redis.url)
    with postgres.database() as url, counted(tmp_path, url, redis.url) as worker:
        grown = worker.grown_by(lambda: client.client_kill_filter(_type="normal", skipme=True))
    client.close()
    assert grown.get("RedisTransport", 0) <= 1
    assert grown.get("descriptors", 0) < FAULTS / 2


def test_a_lost_connection_to_the_store_leaves_no_store(postgres: Server, tmp_path: Path) -> None:
    """Nor anything of it in the caches of SQLAlchemy."""
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'scheduler'"
    listening = f"SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN {CANCELLATIONS}'"

    def lose_the_store() -> None:
        postgres.execute(cut)
        eventually(lambda: postgres.execute(listening))

    with postgres.database() as url, counted(tmp_path, url, "pgmq://") as worker:
        grown = worker.grown_by(lose_the_store)
    assert grown.get("PGDialect_psycopg", 0) <= 1
    assert grown.get("descriptors", 0) < FAULTS / 2


def test_a_child_that_died_leaves_nothing(postgres: Server, tmp_path: Path) -> None:
    with postgres.database() as url, counted(tmp_path, url, "pgmq://") as worker:
        worker.watched.add("die", "die", overlap="allow")
        grown = worker.grown_by(lambda: worker.watched.end_of(*worker.watched.begin("die")))
    assert not {name: count for name, count in grown.items() if count >= FAULTS}
