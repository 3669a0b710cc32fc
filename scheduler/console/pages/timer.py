"""The page of one timer: its attributes, fire times and runs, and the actions on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Response, request

from ...core.attributes import ATTRIBUTES, Attribute
from ...core.environments import Environment
from ...core.timer import Timer
from ...core.zone_names import zone
from ...store.runs import RunFilter, RunHistory
from ...store.statistics import has_live_daemon
from ...store.timer_pages import TimerKey
from .. import drawing
from ..clock_shifts import clock_shifts
from ..current import author, console
from ..digest import queries
from ..digest.reading import unread_before
from ..links import go
from ..page_queries import keys_of
from ..preview import FIRES, fires_by_day, next_fires, preview
from ..reader import reader, shown_zone
from ..rendering import render, t
from ..timer_warnings import setting_warnings
from ..trigger_words import words_of
from ..unknown_functions import unknown_functions

_RUNS = 15
#: How many fire times the timeline has at most, and how many it reaches to; and the least that it reaches.
_FIRES_DRAWN, _SPAN_FIRES = 60, 12
_LEAST_SPAN = timedelta(minutes=1)
#: Attributes that are shown elsewhere on the page.
_APART = {"name", "environment", "enabled", "function", "params", "description", "tags"}
_FIRST_YEAR, _LAST_YEAR = 1970, 2099


def show(environment: str, name: str) -> str:
    """The page of a timer."""
    entry = console().timers.get(name, Environment(environment))
    timer, now = entry.timer, console().now()
    tz = zone(timer.trigger.tz or console().settings.tz)
    latest = RunHistory(console().store).page(RunFilter(timer=name, environment=environment), limit=_RUNS)
    key = TimerKey(environment, name)
    names = keys_of(console().store, key)
    with console().digest.reading() as digest:
        marks = queries.latest_of_names(digest, names, queries.MEASURED)
        unread = unread_before(digest)
    fires = next_fires(timer.schedule, now, _FIRES_DRAWN) if timer.enabled else []
    year = min(max(request.args.get("year", now.astimezone(tz).year, type=int), _FIRST_YEAR), _LAST_YEAR)
    line = _timeline(timer, marks, fires, now)
    return render(
        "timer.html",
        entry=entry,
        timer=timer,
        tz=tz,
        tz_name=shown_zone(timer.trigger.tz or console().settings.tz),
        words=words_of(timer.trigger, reader().language),
        preview=preview(timer.trigger, timer.schedule, now=now, limit_s=timer.limit_s),
        fires=fires[:FIRES],
        year=drawing.year_drawing(year, fires_by_day(timer.schedule, year, tz)),
        latest=latest,
        marks=marks,
        numbers=queries.numbers_of(marks),
        durations=drawing.durations(marks, limit_s=timer.limit_s),
        timeline=line,
        shifts=clock_shifts([timer.trigger.tz or reader().zone_name], line.start, line.end) if line else [],
        unread=unread,
        drawing=drawing,
        definition=_definition(timer),
        unknown=[] if entry.has_vanished else unknown_functions(console().store, [timer]),
        warned=[warning.message for warning in setting_warnings(timer)],
        daemon_runs=has_live_daemon(console().store),
    )


def _timeline(
    timer: Timer, marks: Sequence[queries.Mark], fires: Sequence[datetime], now: datetime
) -> drawing.Timeline | None:
    """The past and the future, as far as the twelfth fire time from now; None if there is neither."""
    if fires:
        span = fires[min(len(fires), _SPAN_FIRES) - 1] - now
    elif marks:
        span = now - marks[-min(len(marks), _SPAN_FIRES)].fire_time
    else:
        return None
    return drawing.timeline(marks, fires, now=now, span=max(span * 1.05, _LEAST_SPAN), limit_s=timer.limit_s)


def _definition(timer: Timer) -> list[tuple[str, str]]:
    """The other attributes, with their values as text."""
    shown = []
    for attribute in ATTRIBUTES:
        if attribute.name not in _APART and (reader().sees("params") or not attribute.is_secret):
            shown.append((attribute.name, _text(attribute, getattr(timer, attribute.name))))
    return shown


def _text(attribute: Attribute, value: Any) -> str:
    if isinstance(value, bool):
        return t("yes") if value else t("no")
    return f"{value:g}" if isinstance(value, float) else attribute.cell(value)


def enable(environment: str, name: str) -> Response:
    """Enable the timer from now on."""
    console().timers.enable(name, Environment(environment), now=console().now(), by=author())
    return _back(environment, name, "enabled")


def disable(environment: str, name: str) -> Response:
    """Disable the timer; a run in progress continues."""
    console().timers.disable(
        name, Environment(environment), now=console().now(), by=author(request.form.get("why", ""))
    )
    wanted = RunFilter(timer=name, environment=environment, is_open=True)
    open_runs = RunHistory(console().store).page(wanted, limit=_RUNS).items
    return _back(environment, name, "disabled_runs" if any(run.is_claimed for run in open_runs) else "disabled")


def reset(environment: str, name: str) -> Response:
    """Close the breaker of the timer."""
    console().timers.reset(name, Environment(environment), now=console().now(), by=author())
    return _back(environment, name, "reset")


def show_removal(environment: str, name: str) -> str:
    """Ask for the name of the timer before it is removed."""
    return render("remove.html", timer=console().timers.get(name, Environment(environment)).timer, failed=False)


def remove(environment: str, name: str) -> Response | tuple[str, int]:
    """Remove the timer after its name was typed; its runs stay in the history."""
    if request.form.get("typed", "").strip() != name:
        entry = console().timers.get(name, Environment(environment))
        return render("remove.html", timer=entry.timer, failed=True), 422
    console().timers.remove(name, Environment(environment), now=console().now(), by=author(request.form.get("why", "")))
    return go("timers", did="removed")


def _back(environment: str, name: str, did: str) -> Response:
    return go("timer", environment=environment, name=name, did=did)
