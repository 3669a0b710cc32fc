"""TODO-DOC"""

from __future__ import annotations

import json
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

import click

from ..core.run import Run
from ..core.triggers import Cron
from .display import (
    iso,
    zone_of,
)

if TYPE_CHECKING:
    from ..store.log_lines import LogLine
    from ..store.timers import StoredTimer


def print_json(value: Any) -> None:
    """One JSON document."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_json_line(value: Any) -> None:
    """One JSON object on a line of its own, for what goes on and on."""
    click.echo(json.dumps(value, ensure_ascii=False))


def timer_json(entry: StoredTimer, default_tz: str) -> dict[str, Any]:
    """A timer of the store."""
    timer, breaker, tz = entry.timer, entry.breaker, zone_of(entry.timer, default_tz)
    trigger = timer.trigger
    cron, every = (trigger, None) if isinstance(trigger, Cron) else (None, trigger)
    return {
        "name": timer.name,
        "environment": timer.environment,
        "function": timer.function,
        "params": dict(timer.params),
        "cron": cron and cron.expression,
        "tz": cron and cron.tz,
        "dst": cron and cron.dst,
        "every_s": every and every.seconds,
        "enabled": timer.enabled,
        "next_fire": iso(entry.next_fire, tz),
        "limit_s": timer.limit_s,
        "misfire": timer.misfire,
        "overlap": timer.overlap,
        "delivery": timer.delivery,
        "jitter_s": timer.jitter_s,
        "retries": timer.retries,
        "retry_backoff_s": timer.retry_backoff_s,
        "breaker": {
            "threshold": timer.breaker_threshold,
            "state": breaker.state,
            "consecutive_failures": breaker.consecutive_failures,
            "next_probe_at": iso(breaker.next_probe_at, tz),
            "last_error": breaker.last_error,
        },
        "declared_in": entry.declared_in,
        "created_at": iso(entry.created_at, tz),
    }


def result_value(text: str | None) -> Any:
    """What a function returned: the JSON value, or a text where that was cut, or never was one."""
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
    }


def line_json(line: LogLine, tz: tzinfo) -> dict[str, Any]:
    """A line that a function printed; timer and run are null where a client called it."""
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
