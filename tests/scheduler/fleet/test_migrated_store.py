"""A fleet's worker whose store a newer version migrates meanwhile: it ends with one line, and loses no run."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from scheduler.core.run import Outcome
from scheduler.store.database import Store
from tests.scheduler.postgres_server import Server
from tests.waiting import eventually

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler.celery_processes import WatchedDaemon, Worker

CLOUD = """
import time
from pathlib import Path
from scheduler.engine import Engine

engine = Engine()


@engine.define
def wait(path):
    Path(path, "begun").touch()
    while not Path(path, "go").exists():
        time.sleep(0.01)


@engine.define
def note(path):
    Path(path, "noted").touch()
"""
SAID = "a newer version of scheduler has brought the store from schema"


@pytest.mark.slow
def test_a_worker_ends_when_a_newer_version_has_migrated_its_store(postgres: Server, tmp_path: Path) -> None:
    """Its run in progress ends well, the next one stays open for another worker, and the exit status is 1."""
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        worker = Worker(tmp_path, url, "pgmq://", concurrency=2, cloud=CLOUD)
        try:
            for name in ("wait", "note"):
                watched.add(name, name, limit_s=60.0, params={"path": str(tmp_path)})
            (going_on,) = watched.begin("wait")
            eventually((tmp_path / "begun").exists)
            with store.writing() as connection:
                connection.execute(text("UPDATE scheduler_version SET version_num = '9999'"))
            (next_one,) = watched.begin("note")
            eventually(lambda: any(SAID in line for line in worker.log))
            (tmp_path / "go").touch()
            assert worker.ended() == 1
        finally:
            if worker.process.poll() is None:
                worker.kill()
        assert sum(SAID in line for line in worker.log) == 1
        assert not any("Traceback" in line for line in worker.log)
        outcomes = {run.id: run.outcome for run in watched.history.runs()}
        assert outcomes == {going_on: Outcome.SUCCEEDED, next_one: None}
        assert not (tmp_path / "noted").exists()
