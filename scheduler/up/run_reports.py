"""Reports of `scheduler up`: each line that a function prints, and each run that ends."""

from __future__ import annotations

import logging
import sys
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Protocol

import click

from ..core.log_line import LogLine
from ..core.run import Ending, Line, Outcome, Run, Task
from ..core.zone_names import zone
from ..formats import display
from ..formats.json import print_json_line, result_value
from ..formats.lines import line_of_run, print_line
from ..project.settings import Settings
from .log_setup import JsonHandler, json_handler, level_attributes

if TYPE_CHECKING:
    from ..store.runs import RunHistory


class RunReporter(Protocol):
    """Reports lines and ends of runs; may be called from any thread."""

    def line(self, line: LogLine) -> None:
        """Report a line that a function printed."""
        ...

    def run_ended(self, task: Task, ending: Ending) -> None:
        """Report a run that ended."""
        ...


def make_reporter(settings: Settings, *, as_json: bool) -> RunReporter:
    """A reporter to the log if that is JSON, else to stdout: as JSON with --json, else as text."""
    tz = zone(settings.tz)
    if (handler := json_handler()) is not None:
        return LogReporter(handler, tz)
    return JsonReporter(tz) if as_json else TextReporter(tz)


class ReportingListener:
    """A daemon's listener that passes lines and ends of runs to a reporter, on the daemon's thread."""

    def __init__(self, history: RunHistory, reporter: RunReporter) -> None:
        self._history = history
        self._reporter = reporter
        #: The runs in progress that have printed a line, by id.
        self._runs: dict[int, Run | Task] = {}

    def __call__(self, ended: list[tuple[Task, Ending]], lines: list[Line]) -> None:
        self._runs.update((task.run_id, task) for task, _ in ended)
        for line in lines:
            if run := self._run(line.run_id):
                self._reporter.line(line_of_run(line, run))
        for task, ending in ended:
            self._reporter.run_ended(task, ending)
            self._runs.pop(task.run_id, None)

    def _run(self, run_id: int) -> Run | Task | None:
        if run_id not in self._runs and (run := self._history.run(run_id)):
            self._runs[run_id] = run
        return self._runs.get(run_id)


class TextReporter:
    """Prints text to the stdout that it was made with, because functions may replace sys.stdout."""

    def __init__(self, tz: tzinfo) -> None:
        self._tz = tz
        self._stream = sys.stdout

    def line(self, line: LogLine) -> None:
        print_line(line, self._tz, file=self._stream)

    def run_ended(self, task: Task, ending: Ending) -> None:
        what = " · ".join(part for part in (ending.text, ending.error) if part)
        if ending.outcome is Outcome.SUCCEEDED:
            what = ending.result or ""
        lateness_s, duration_s = _lateness_and_duration(task, ending)
        attempt = "" if task.attempt == 1 else f" (attempt {task.attempt})"
        click.echo(
            f"{display.instant(ending.ended_at, self._tz)}  {task.timer}{attempt}"
            f"  {display.coloured(ending.outcome)}"
            f"  late {display.seconds(lateness_s)}, took {display.seconds(duration_s)}  {display.plain(what)}".rstrip(),
            file=self._stream,
        )


class JsonReporter:
    """Prints one JSON object per line to the stdout that it was made with."""

    def __init__(self, tz: tzinfo) -> None:
        self._tz = tz
        self._stream = sys.stdout

    def line(self, line: LogLine) -> None:
        print_line(line, self._tz, as_json=True, file=self._stream)

    def run_ended(self, task: Task, ending: Ending) -> None:
        lateness_s, duration_s = _lateness_and_duration(task, ending)
        print_json_line(
            {
                "run": task.run_id,
                "timer": task.timer,
                "environment": task.environment,
                "fire_time": display.iso(task.fire_time, self._tz),
                "attempt": task.attempt,
                "ended_at": display.iso(ending.ended_at, self._tz),
                "lateness_s": lateness_s,
                "duration_s": duration_s,
                "outcome": ending.outcome,
                "message": ending.text,
                "error": ending.error,
                "result": result_value(ending.result),
            },
            file=self._stream,
        )


class LogReporter:
    """Writes records of the loggers `scheduler.function` and `scheduler.run` to the JSON log, at its level."""

    def __init__(self, handler: JsonHandler, tz: tzinfo) -> None:
        self._handler = handler
        self._tz = tz

    def line(self, line: LogLine) -> None:
        self._emit(
            "scheduler.function",
            line.level,
            line.text,
            line.at.timestamp(),
            request_id=line.request_id,
            timer=line.timer,
            run_id=line.run_id,
            function=line.function,
            environment=line.environment,
        )

    def run_ended(self, task: Task, ending: Ending) -> None:
        lateness_s, duration_s = _lateness_and_duration(task, ending)
        self._emit(
            "scheduler.run",
            "info" if ending.outcome is Outcome.SUCCEEDED else "warning",
            ending.text or ending.outcome.value,
            ending.ended_at.timestamp(),
            request_id=task.request_id,
            timer=task.timer,
            run_id=task.run_id,
            function=task.function,
            environment=task.environment,
            attempt=task.attempt,
            fire_time=display.iso(task.fire_time, self._tz),
            outcome=ending.outcome.value,
            lateness_s=lateness_s,
            duration_s=duration_s,
            error=ending.error,
            result=result_value(ending.result),
        )

    def _emit(self, logger: str, level: str, text: str, created: float, **about: Any) -> None:
        attributes = {"name": logger, **level_attributes(level), "msg": text, "created": created, **about}
        if attributes["levelno"] >= self._handler.level:
            self._handler.handle(logging.makeLogRecord(attributes))


def _lateness_and_duration(task: Task, ending: Ending) -> tuple[float | None, float | None]:
    """Lateness and duration in seconds; None for a run that did not start."""
    if ending.started_at is None:
        return None, None
    lateness, duration = ending.started_at - task.fire_time, ending.ended_at - ending.started_at
    return lateness.total_seconds(), duration.total_seconds()
