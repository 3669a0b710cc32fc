"""What `scheduler up` tells while it runs: each run that ends and each line that a run prints."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, tzinfo
from typing import TextIO

from ..cli.logs import line_of_run
from ..cli.teller import Teller
from ..core.run import Ending, Line, Run, Task
from ..engine.capture import is_caught
from ..formats import display
from ..project.settings import Config
from ..store.runs import History
from .log_setup import JsonHandler, LogStream


class Journal:
    """The daemon's listener: tells on the daemon's thread, one line a thing."""

    def __init__(self, history: History, teller: Teller) -> None:
        self._history = history
        self._teller = teller
        #: What is known of a run that still goes on.
        self._runs: dict[int, Run | Task] = {}

    def __call__(self, ended: list[tuple[Task, Ending]], lines: list[Line]) -> None:
        self._runs.update((task.run_id, task) for task, _ in ended)
        for line in lines:
            if run := self._run(line.run_id):
                self._teller.line(line_of_run(line, run))
        for task, ending in ended:
            self._teller.ended(task, ending)
            self._runs.pop(task.run_id, None)

    def _run(self, run_id: int) -> Run | Task | None:
        if run_id not in self._runs and (run := self._history.run(run_id)):
            self._runs[run_id] = run
        return self._runs.get(run_id)


class _Formatter(logging.Formatter):
    def __init__(self, tz: tzinfo) -> None:
        super().__init__("%(asctime)s  %(levelname)s  %(name)s: %(message)s")
        self._tz = tz

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002
        return display.instant(datetime.fromtimestamp(record.created, self._tz), self._tz)


def log_to_stderr(config: Config) -> None:
    """Send what the service and the user's code log to stderr, as the settings have it.

    Where logs are JSON, so is all else that is printed there.
    """
    tz, level = display.zone(config.tz), config.log_level
    handler: logging.StreamHandler[TextIO]
    if config.log_format == "json":
        handler = JsonHandler(sys.stderr, tz)
        handler.setLevel(level.upper())
        sys.stderr = LogStream(handler, sys.stderr.fileno())
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Formatter(tz))
    # What a call logs is shown as a line of the call.
    handler.addFilter(lambda record: not is_caught(record))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for chatty in ("alembic", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
