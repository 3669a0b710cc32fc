"""The causes of alerts among what a daemon's transaction writes: endings, fire times that do not run, abandoned runs.

Each function returns events for store/alert_recording.py; if no rule selects one of their causes, they read nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from ..core.alerts import TROUBLES, AlertEvent, AlertRules, Cause
from ..core.breaker import Verdict
from ..core.run import MESSAGES, Ending, Kind, Outcome, Task
from ..store.alert_recording import open_troubles, write_alerts
from ..store.database import store_of

_OF_OUTCOME = {
    Outcome.FAILED: Cause.FAILED,
    Outcome.TIMED_OUT: Cause.TIMED_OUT,
    Outcome.ABANDONED: Cause.ABANDONED,
    Outcome.SHORT_CIRCUITED: Cause.SHORT_CIRCUITED,
    Outcome.MISFIRED: Cause.LATE,
}


def alert_of_endings(
    connection: Connection,
    ended: Sequence[tuple[Task, Ending]],
    retried: Collection[int],
    further: Sequence[AlertEvent] = (),
) -> None:
    """Write the alerts of runs that have ended, and `further` ones; a run that is tried again has not failed yet."""
    rules = store_of(connection).alerts
    if not rules.rules:
        return
    troubled = open_troubles(connection) if rules.causes & TROUBLES else set()
    events: list[AlertEvent] = []
    for task, ending in ended:
        if rules.late_s < _NEVER_S and (late := _late(task, ending, rules.late_s)) is not None:
            events.append(late)
        key = str(task.environment), task.timer
        if ending.outcome is Outcome.SUCCEEDED:
            if key in troubled and ending.verdict is Verdict.GOOD and task.kind is not Kind.BACKFILL:
                troubled.discard(key)
                events.append(AlertEvent(Cause.RECOVERED, ending.ended_at, task.timer, task.environment, task.run_id))
            continue
        cause = _OF_OUTCOME.get(ending.outcome)
        if cause in rules.causes and cause is not None and task.run_id not in retried:
            troubled.add(key)
            message = ending.error or ending.text
            events.append(AlertEvent(cause, ending.ended_at, task.timer, task.environment, task.run_id, message))
    if events or further:
        write_alerts(connection, [*events, *further])


_NEVER_S = float("inf")


def alert_of_ending(connection: Connection, run_id: int, timer: str, environment: str, ending: Ending) -> None:
    """Write the alert of a run that has ended without a worker."""
    cause = _OF_OUTCOME.get(ending.outcome)
    if cause is not None and cause in store_of(connection).alerts.causes:
        message = ending.error or ending.text
        write_alerts(connection, [AlertEvent(cause, ending.ended_at, timer, environment, run_id, message)])


def _late(task: Task, ending: Ending, late_s: float) -> AlertEvent | None:
    """The event of a scheduled run that has begun more than `late_s` late; the first attempt only."""
    if ending.started_at is None or task.kind is not Kind.SCHEDULED or task.attempt > 1:
        return None
    late = (ending.started_at - task.fire_time).total_seconds()
    if late <= late_s:
        return None
    text = f"the run began {late:,.1f} s after its fire time, {task.fire_time.isoformat(timespec='seconds')}"
    return AlertEvent(Cause.LATE, ending.started_at, task.timer, task.environment, task.run_id, text, late_s=late)


def events_of_passed_over(
    rules: AlertRules, outcome: Outcome, timer: tuple[str, str], fire_time: datetime, now: datetime, count: int = 1
) -> Iterable[AlertEvent]:
    """The event of fire times that do not run; `timer` is name and environment."""
    cause = _OF_OUTCOME.get(outcome)
    if cause is None or cause not in rules.causes:
        return
    name, environment = timer
    late_s = (now - fire_time).total_seconds()
    yield AlertEvent(cause, now, name, environment, None, MESSAGES[outcome], count, late_s)


def finished(rules: AlertRules, timers: Iterable[tuple[str, str]], now: datetime) -> Iterable[AlertEvent]:
    """The events of timers, by name and environment, whose last fire time is claimed."""
    if Cause.FINISHED in rules.causes:
        for name, environment in timers:
            yield AlertEvent(Cause.FINISHED, now, name, environment, message="its last fire time has come")


def alert_of_abandoned(connection: Connection, rows: Iterable[Row[Any]], now: datetime, message: str) -> None:
    """Write the alerts of runs that were abandoned and are not entered again."""
    rules = store_of(connection).alerts
    if Cause.ABANDONED in rules.causes:
        events = [AlertEvent(Cause.ABANDONED, now, row.timer, row.environment, row.id, message) for row in rows]
        if events:
            write_alerts(connection, events)


def alert_of_lost_daemons(connection: Connection, rows: Iterable[Row[Any]], now: datetime) -> None:
    """Write the alerts of daemons that have ended without stopping."""
    if Cause.NO_DAEMON not in store_of(connection).alerts.causes:
        return
    text = "it has ended without stopping, or lost its lease; another daemon serves the store now"
    events = [AlertEvent(Cause.NO_DAEMON, now, f"{row.host}, process {row.pid}", message=text) for row in rows]
    if events:
        write_alerts(connection, events)
