"""What `scheduler up` tells while it runs: each run that ends and each line that a run prints."""

from __future__ import annotations

import logging
import sys
from datetime import datetime, tzinfo
from typing import Any

import click

from ..engine.capture import is_caught
from ..history import History
from ..run import Ending, Line, Outcome, Run, Task
from . import show
from .logs import line_of_run, print_line


class Journal:
    """The daemon's listener: prints on the daemon's thread, one line a thing.

    It falls silent when nobody reads any more: timers must not stop because a terminal or a pipe is closed.
    """

    def __init__(self, history: History, tz: tzinfo, *, as_json: bool) -> None:
        self._history = history
        self._tz = tz
        self._as_json = as_json
        #: What is known of a run that still goes on.
        self._runs: dict[int, Run | Task] = {}
        self._is_read = True

    def __call__(self, ended: list[tuple[Task, Ending]], lines: list[Line]) -> None:
        if not self._is_read:
            return
        try:
            self._print(ended, lines)
        except OSError:
            self._is_read = False

    def _print(self, ended: list[tuple[Task, Ending]], lines: list[Line]) -> None:
        self._runs.update((task.run_id, task) for task, _ in ended)
        for line in lines:
            if run := self._run(line.run_id):
                print_line(line_of_run(line, run), self._tz, as_json=self._as_json)
        for task, ending in ended:
            self._print_run(task, ending)
            self._runs.pop(task.run_id, None)

    def _run(self, run_id: int) -> Run | Task | None:
        if run_id not in self._runs and (run := self._history.run(run_id)):
            self._runs[run_id] = run
        return self._runs.get(run_id)

    def _print_run(self, task: Task, ending: Ending) -> None:
        if self._as_json:
            show.print_json_line(_ended_json(task, ending, self._tz))
            return
        what = " · ".join(part for part in (ending.text, ending.error) if part)
        if ending.outcome is Outcome.SUCCEEDED:
            what = ending.result or ""
        late, took = _spans(task, ending)
        click.echo(
            f"{show.instant(ending.ended_at, self._tz)}  {task.timer}{_attempt(task)}  {show.coloured(ending.outcome)}"
            f"  late {show.seconds(late)}, took {show.seconds(took)}  {show.plain(what)}".rstrip()
        )


def _attempt(task: Task) -> str:
    return "" if task.attempt == 1 else f" (attempt {task.attempt})"


def _ended_json(task: Task, ending: Ending, tz: tzinfo) -> dict[str, Any]:
    late, took = _spans(task, ending)
    return {
        "run": task.run_id,
        "timer": task.timer,
        "environment": task.environment,
        "fire_time": show.iso(task.fire_time, tz),
        "attempt": task.attempt,
        "ended_at": show.iso(ending.ended_at, tz),
        "lateness_s": late,
        "duration_s": took,
        "outcome": ending.outcome,
        "message": ending.text,
        "error": ending.error,
        "result": show.result_value(ending.result),
    }


def _spans(task: Task, ending: Ending) -> tuple[float | None, float | None]:
    if ending.started_at is None:
        return None, None
    late, took = ending.started_at - task.fire_time, ending.ended_at - ending.started_at
    return late.total_seconds(), took.total_seconds()


class _Formatter(logging.Formatter):
    def __init__(self, tz: tzinfo) -> None:
        super().__init__("%(asctime)s  %(levelname)s  %(name)s: %(message)s")
        self._tz = tz

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002
        return show.instant(datetime.fromtimestamp(record.created, self._tz), self._tz)


def log_to_stderr(level: str, tz: tzinfo) -> None:
    """Send what the service and the user's code log to stderr, from a level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(tz))
    # What a call logs is shown as a line of the call.
    handler.addFilter(lambda record: not is_caught(record))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for chatty in ("alembic", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
