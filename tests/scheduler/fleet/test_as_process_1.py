"""scheduler worker as process 1, as in a container without an init."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.core.run import Outcome
from scheduler.store.database import Store
from tests.scheduler.postgres_server import Server
from tests.scheduler.up_process import children, living
from tests.waiting import eventually

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler.celery_processes import CLOUD, WatchedDaemon, Worker

UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def _may_unshare() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*UNSHARE, "true"], check=False).returncode == 0


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not _may_unshare(), reason="no process namespace can be made here")]

ORPHAN = """

@engine.define
def orphan():
    subprocess.run(["sh", "-c", "setsid sleep 1 &"], check=True)
"""


@pytest.fixture(params=["pgmq", "redis"])
def worker(request: pytest.FixtureRequest, postgres: Server, tmp_path: Path) -> Iterator[tuple[Worker, str, str]]:
    """A worker as process 1, with the URLs of its store and its broker; one broker needs threads, one an event loop."""
    broker = "pgmq://" if request.param == "pgmq" else request.getfixturevalue("redis").url
    with postgres.database() as url:
        started = Worker(tmp_path, url, broker, concurrency=2, cloud=CLOUD + ORPHAN, under=UNSHARE)
        try:
            yield started, url, broker
        finally:
            if started.process.poll() is None:
                started.kill()


def test_it_runs_functions_keeps_limits_and_ends(worker: tuple[Worker, str, str], tmp_path: Path) -> None:
    """Its children live, none stays as a zombie, and SIGTERM ends it with status 0."""
    process, url, broker = worker
    (pid,) = children(process.process.pid)
    with Store(url) as store, WatchedDaemon(store, broker) as watched:
        assert watched.run("hello", "hello").outcome is Outcome.SUCCEEDED
        before = children(pid)
        assert watched.run("spin", "spin", limit_s=1.0).outcome is Outcome.TIMED_OUT
        assert watched.run("orphan", "orphan").outcome is Outcome.SUCCEEDED
        # The orphan becomes a child of process 1.
        eventually(lambda: len(children(pid)), lambda seen: seen > len(before))
        eventually(lambda: len(children(pid)), lambda seen: seen == len(before))
        assert watched.run("again", "hello").outcome is Outcome.SUCCEEDED
    os.kill(pid, signal.SIGTERM)
    assert process.ended() == 0, process.log
    assert not living(pid)
    assert "Traceback" not in "".join(process.log)
