"""Backfilling a timer: running the fire times of a past span that have no run."""

from __future__ import annotations

from datetime import datetime

from flask import Response, make_response, request

from ...claims.requested_runs import Backfill, backfill, cancel_backfill, plan_backfill
from ...core.environments import Environment
from ...core.zone_names import zone
from ...errors import TimerError
from ...store.stored_timer import StoredTimer
from ..current import author, console
from ..links import go
from ..rendering import render
from ..typed_times import past

#: How many fire times the page lists.
_LISTED = 100


def show(environment: str, name: str) -> Response:
    """The form; with a span in the address, what it would enter."""
    entry = console().timers.get(name, Environment(environment))
    if not request.args.get("start"):
        return _page(entry)
    try:
        span = _span(entry)
        planned = plan_backfill(console().store, name, Environment(environment), span, now=console().now())
    except TimerError as error:
        return _page(entry, fault=str(error))
    return _page(entry, planned=planned)


def enter(environment: str, name: str) -> Response:
    """Enter the runs of the span."""
    entry = console().timers.get(name, Environment(environment))
    try:
        by = author(request.form.get("why", ""))
        backfill(console().store, name, Environment(environment), _span(entry), now=console().now(), by=by)
    except TimerError as error:
        return _page(entry, fault=str(error))
    return go("timer", environment=environment, name=name, did="backfilled")


def take_back(environment: str, name: str) -> Response:
    """Delete the backfilled runs that have not begun."""
    cancel_backfill(console().store, name, Environment(environment), now=console().now(), by=author())
    return go("timer", environment=environment, name=name, did="taken_back")


def _span(entry: StoredTimer) -> tuple[datetime, datetime]:
    """The span of the request: wall times are those of the timer's zone."""
    tz = zone(entry.timer.trigger.tz or console().settings.tz)
    now = console().now()
    start = past(request.values.get("start"), "start", now=now, tz=tz)
    end = past(request.values.get("end"), "end", now=now, tz=tz) or now
    if start is None:
        raise TimerError("start: give the beginning of the span, as in 2026-01-05 00:00", field="start")
    if start >= end:
        raise TimerError(f"start: {start.isoformat()} is not before the end, {end.isoformat()}", field="start")
    return start, end


def _page(entry: StoredTimer, *, planned: Backfill | None = None, fault: str | None = None) -> Response:
    tz_name = entry.timer.trigger.tz or console().settings.tz
    page = render(
        "backfill.html",
        timer=entry.timer,
        planned=planned,
        listed=planned.fire_times[:_LISTED] if planned else (),
        fault=fault,
        tz=zone(tz_name),
        tz_name=tz_name,
        start=request.values.get("start", ""),
        end=request.values.get("end", ""),
    )
    return make_response(page, 422 if fault else 200)
