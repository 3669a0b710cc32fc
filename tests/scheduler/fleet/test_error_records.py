"""Handlers that `cloud.py` adds get what a fleet's functions log, and the exception that ends a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.store.database import Store
from tests.scheduler.celery_processes import CLOUD, WatchedDaemon, Worker
from tests.scheduler.postgres_server import Server

pytest.importorskip("celery")
pytest.importorskip("pgmq")

pytestmark = pytest.mark.slow

#: A handler of a file, and a library that wraps the method of loggers as Sentry's SDK does.
TRACKED = (
    CLOUD
    + """
import logging

file = logging.FileHandler("records")
file.setFormatter(logging.Formatter("%(name)s %(timer)s"))
file.addFilter(lambda record: bool(record.exc_info))
logging.getLogger().addHandler(file)
_call_handlers = logging.Logger.callHandlers


def call_handlers(self, record):
    _call_handlers(self, record)
    if record.exc_info:
        with Path("events").open("a") as events:
            print(repr(record.exc_info[1]), file=events)


logging.Logger.callHandlers = call_handlers
"""
)


def test_an_error_of_a_fleets_function_is_reported_once(postgres: Server, tmp_path: Path) -> None:
    """To the handlers of the root logger, and to what wraps its method; not on the worker's stderr."""
    with postgres.database() as url, Store(url) as store, WatchedDaemon(store, "pgmq://") as watched:
        worker = Worker(tmp_path, url, "pgmq://", concurrency=1, cloud=TRACKED)
        try:
            error = watched.run("failing", "fail").error
            watched.run("refusing", "refuse")
        finally:
            worker.stop()
    assert error is not None
    name = error.partition(":")[0]
    assert (tmp_path / "records").read_text().splitlines()[0] == "scheduler.functions.errors failing"
    (event,) = (tmp_path / "events").read_text().splitlines()
    assert event.startswith(f"{name}(")
    assert not [line for line in worker.log if "Traceback" in line]
