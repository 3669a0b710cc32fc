"""Handlers that functions install see, in the worker process, the exception that ends a run."""

from __future__ import annotations

from pathlib import Path

from scheduler.workers.executor import ProcessExecutor
from tests.scheduler.workers.test_executor import run

FUNCTIONS = """
import logging
from pathlib import Path

from scheduler.errors import LeanEngineError
from scheduler.functions import Registry

registry = Registry()


class Tracker(logging.Handler):
    def emit(self, record):
        if record.exc_info:
            with Path("events").open("a") as file:
                print(record.name, record.timer, repr(record.exc_info[1]), file=file)


logging.basicConfig(format="formatted: %(message)s")
logging.getLogger().addHandler(Tracker())


@registry.define
def fails():
    logging.warning("beware")
    raise ValueError("no such luck")


@registry.define
def refuses():
    raise LeanEngineError(123, "not you")
"""


def test_an_error_is_seen_once_by_handlers_and_once_in_the_lines(tmp_path: Path) -> None:
    """A handler on stderr adds nothing to the traceback, which is among the lines already; a refusal is no error."""
    (tmp_path / "functions_with_tracker.py").write_text(FUNCTIONS)
    executor = ProcessExecutor(str(tmp_path / "functions_with_tracker.py"), workers=1, folder=tmp_path)
    executor.start()
    try:
        _, lines = run(executor, "fails")
        run(executor, "refuses")
    finally:
        executor.stop()
    assert (tmp_path / "events").read_text() == "scheduler.functions.errors t ValueError('no such luck')\n"
    assert lines[:2] == [("warning", "formatted: beware"), ("error", "Traceback (most recent call last):")]
    assert [text for _, text in lines].count("ValueError: no such luck") == 1
    assert not [text for _, text in lines if "failed [request" in text]
