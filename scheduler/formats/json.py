"""Timers, runs and lines as JSON objects, as --json prints them. Their keys are fixed; instants are ISO 8601."""

from __future__ import annotations

import json
from datetime import date, tzinfo
from typing import TYPE_CHECKING, Any, TextIO

import click

from ..core.attributes import ATTRIBUTES
from ..core.run import Run
from ..core.trigger_kinds import TRIGGERS, UnreadableTrigger
from ..core.triggers import Trigger
from .display import (
    iso,
    zone_of,
)

if TYPE_CHECKING:
    from ..core.log_line import LogLine
    from ..store.alert_queue import StoredAlert
    from ..store.calendars import StoredCalendar
    from ..store.change_pages import ChangeRecord
    from ..store.stored_timer import StoredTimer


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_json_line(value: Any, *, file: TextIO | None = None) -> None:
    """Print one JSON object on a line of its own, for endless output."""
    click.echo(json.dumps(value, ensure_ascii=False), file=file)


def timer_json(entry: StoredTimer, default_tz: str) -> dict[str, Any]:
    """A timer of the store."""
    timer, breaker, tz = entry.timer, entry.breaker, zone_of(entry.timer, default_tz)
    attributes = {row.key: row.to_json(getattr(timer, row.name)) for row in ATTRIBUTES if row.key is not None}
    return {
        **{name: attributes.pop(name) for name in ("name", "environment", "function", "params")},
        **_trigger_json(timer.trigger),
        "enabled": attributes.pop("enabled"),
        "state": entry.state,
        "next_fire": iso(entry.next_fire, tz),
        **attributes,
        "breaker": {
            "threshold": timer.breaker_threshold,
            "state": breaker.state,
            "consecutive_failures": breaker.consecutive_failures,
            "next_probe_at": iso(breaker.next_probe_at, tz),
            "last_error": breaker.last_error,
        },
        "declared_in": entry.declared_in,
        "created_at": iso(entry.created_at, tz),
        "revision": entry.revision,
    }


def _trigger_json(trigger: Trigger) -> dict[str, Any]:
    """The options of a trigger by key; the options of other built-in kinds are null."""
    options = [option for kind in TRIGGERS.values() for option in kind.options]
    values = {option.key: None for option in options if option.key}
    given = trigger.option_values()
    values |= {option.key: given[option.name] for option in trigger.options if option.key}
    if isinstance(trigger, UnreadableTrigger):
        return {**values, "trigger": {"kind": trigger.stored_kind, **trigger.as_json(), "error": trigger.reason}}
    return values


def result_value(text: str | None) -> Any:
    """The result of a run: its JSON value, or the text if it is not JSON, for example because it was cut."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def run_json(run: Run, tz: tzinfo) -> dict[str, Any]:
    """A run of the history."""
    return {
        "id": run.id,
        "timer": run.timer,
        "environment": run.environment,
        "function": run.function,
        "kind": run.kind,
        "fire_time": iso(run.fire_time, tz),
        "last_fire_time": iso(run.last_fire_time, tz),
        "count": run.count,
        "attempt": run.attempt,
        "request_id": run.request_id,
        "started_at": iso(run.started_at, tz),
        "ended_at": iso(run.ended_at, tz),
        "lateness_s": run.lateness_s,
        "duration_s": run.duration_s,
        "outcome": run.outcome,
        "message": run.message,
        "error": run.error,
        "result": result_value(run.result),
        "lines_dropped": run.lines_dropped,
        "due_at": iso(run.due_at, tz),
        "retry_at": iso(run.retry_at, tz),
        "own_params": None if run.own_params is None else json.loads(run.own_params),
        "cancel_requested_at": iso(run.cancel_requested_at, tz),
        "cause_id": run.cause_id,
    }


def line_json(line: LogLine, tz: tzinfo) -> dict[str, Any]:
    """A line that a function printed; `timer` and `run` are null if a client called the function."""
    return {
        "at": iso(line.at, tz),
        "timer": line.timer,
        "run": line.run_id,
        "function": line.function,
        "environment": line.environment,
        "request_id": line.request_id,
        "level": line.level,
        "text": line.text,
    }


def change_json(record: ChangeRecord, tz: tzinfo) -> dict[str, Any]:
    """A recorded change; `before` and `after` contain the attributes that differ, by name."""
    return {
        "id": record.id,
        "at": iso(record.at, tz),
        "author": record.author,
        "way": record.way,
        "why": record.why,
        "subject": record.subject,
        "action": record.action,
        "name": record.name,
        "environment": record.environment,
        "former_name": record.former_name,
        "before": record.before,
        "after": record.after,
    }


def alert_json(alert: StoredAlert, tz: tzinfo) -> dict[str, Any]:
    """An alert."""
    return {
        "id": alert.id,
        "webhook_id": alert.key,
        "rule": alert.rule,
        "cause": alert.cause.value,
        "subject": alert.subject,
        "environment": alert.environment or None,
        "at": iso(alert.at, tz),
        "last_at": iso(alert.last_at, tz),
        "count": alert.count,
        "is_open": alert.is_open,
        "run_id": alert.run_id,
        "message": alert.message,
        "state": alert.state,
        "attempts": alert.attempts,
        "delivered_at": iso(alert.delivered_at, tz),
        "error": alert.error,
    }


def calendar_json(calendar: StoredCalendar, today: date, tz: tzinfo) -> dict[str, Any]:
    """A calendar of working days, without its days."""
    days = calendar.working_days
    return {
        "name": calendar.name,
        "week": days.week,
        "holidays": len(days.holidays),
        "worked": len(days.worked),
        "known_until": None if days.known_until is None else days.known_until.isoformat(),
        "ends_soon": calendar.ends_soon(today),
        "timers": calendar.timers,
        "source": calendar.source,
        "changed_at": iso(calendar.changed_at, tz),
    }
