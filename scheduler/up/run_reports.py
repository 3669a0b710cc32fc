"""What `scheduler up` tells while it runs: each run that ends and each line that a run prints."""

from __future__ import annotations

import logging
from datetime import tzinfo
from typing import Any, Protocol

import click

from ..core.run import Ending, Line, Outcome, Run, Task
from ..formats import display
from ..formats.json import print_json_line, result_value
from ..formats.lines import line_of_run, print_line
from ..project.project import Project
from ..store.log_lines import LogLine
from ..store.runs import RunHistory
from .log_setup import JsonHandler, json_handler, level_of


class Journal:
    """The daemon's listener: tells on the daemon's thread, one line a thing."""

    def __init__(self, history: RunHistory, teller: RunReporter) -> None:
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


class RunReporter(Protocol):
    """Tells, from any thread."""

    def line(self, line: LogLine) -> None:
        """A line that a function printed."""
        ...

    def ended(self, task: Task, ending: Ending) -> None:
        """A run that ended."""
        ...


def teller_of(project: Project, *, as_json: bool) -> RunReporter:
    """As the settings and --json have it."""
    tz = display.zone(project.settings.tz)
    if (handler := json_handler()) is not None:
        return RecordTeller(handler, tz)
    return JsonTeller(tz) if as_json else WordTeller(tz)


class WordTeller:
    """On stdout, for people."""

    def __init__(self, tz: tzinfo) -> None:
        self._tz = tz

    def line(self, line: LogLine) -> None:
        print_line(line, self._tz)

    def ended(self, task: Task, ending: Ending) -> None:
        what = " · ".join(part for part in (ending.text, ending.error) if part)
        if ending.outcome is Outcome.SUCCEEDED:
            what = ending.result or ""
        late, took = _spans(task, ending)
        click.echo(
            f"{display.instant(ending.ended_at, self._tz)}  {task.timer}{_attempt(task)}"
            f"  {display.coloured(ending.outcome)}"
            f"  late {display.seconds(late)}, took {display.seconds(took)}  {display.plain(what)}".rstrip()
        )


class JsonTeller:
    """On stdout, for programs: one object a line."""

    def __init__(self, tz: tzinfo) -> None:
        self._tz = tz

    def line(self, line: LogLine) -> None:
        print_line(line, self._tz, as_json=True)

    def ended(self, task: Task, ending: Ending) -> None:
        late, took = _spans(task, ending)
        print_json_line(
            {
                "run": task.run_id,
                "timer": task.timer,
                "environment": task.environment,
                "fire_time": display.iso(task.fire_time, self._tz),
                "attempt": task.attempt,
                "ended_at": display.iso(ending.ended_at, self._tz),
                "lateness_s": late,
                "duration_s": took,
                "outcome": ending.outcome,
                "message": ending.text,
                "error": ending.error,
                "result": result_value(ending.result),
            }
        )


class RecordTeller:
    """As records of the loggers `scheduler.function` and `scheduler.run`, from the level on that is set."""

    def __init__(self, handler: JsonHandler, tz: tzinfo) -> None:
        self._handler = handler
        self._tz = tz

    def line(self, line: LogLine) -> None:
        self._tell(
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

    def ended(self, task: Task, ending: Ending) -> None:
        late, took = _spans(task, ending)
        self._tell(
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
            lateness_s=late,
            duration_s=took,
            error=ending.error,
            result=result_value(ending.result),
        )

    def _tell(self, logger: str, level: str, text: str, at: float, **about: Any) -> None:
        given = {"name": logger, **level_of(level), "msg": text, "created": at, **about}
        if given["levelno"] >= self._handler.level:
            self._handler.handle(logging.makeLogRecord(given))


def _attempt(task: Task) -> str:
    return "" if task.attempt == 1 else f" (attempt {task.attempt})"


def _spans(task: Task, ending: Ending) -> tuple[float | None, float | None]:
    if ending.started_at is None:
        return None, None
    late, took = ending.started_at - task.fire_time, ending.ended_at - ending.started_at
    return late.total_seconds(), took.total_seconds()
