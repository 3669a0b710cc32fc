"""scheduler worker tells a service manager that it is ready, alive and stopping, over a real datagram socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.store.catalogue import read_functions
from scheduler.store.database import Store
from tests.scheduler.postgres_server import Server
from tests.scheduler.up.test_service_manager import Manager
from tests.waiting import eventually

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler.celery_processes import WatchedDaemon, Worker

CLOUD = """
import os
from scheduler.engine import Engine

engine = Engine()


@engine.define
def names():
    return sorted(name for name in os.environ if name.startswith(("NOTIFY", "WATCHDOG")))
"""
pytestmark = pytest.mark.slow


def test_a_worker_is_ready_when_it_takes_messages_and_says_that_it_stops(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it starts, it asks for more time; functions do not see the address of the manager. They are described."""
    manager = Manager(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        worker = Worker(tmp_path, url, "pgmq://", concurrency=1, cloud=CLOUD)
        try:
            told = eventually(manager.told, lambda told: told.count("WATCHDOG=1") >= 3)
            assert told[0] == "EXTEND_TIMEOUT_USEC=30000000"
            ready = told.index("READY=1")
            assert told[ready + 1] == "STATUS=serving production and stage: 1 functions, 1 at a time"
            assert "WATCHDOG=1" not in told[:ready]
            assert watched.run("names", "names").result == "[]"
            described = {(found.environment, found.name, found.signature) for found in read_functions(store)}
            assert described == {("production", "names", "()"), ("stage", "names", "()")}
        finally:
            status = worker.stop()
        assert status == 0
        assert "STOPPING=1" in manager.told()
    manager.socket.close()
