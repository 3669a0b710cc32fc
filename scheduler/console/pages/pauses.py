"""Pausing all timers, those of an environment or those with a tag, and ending a pause."""

from __future__ import annotations

from flask import Response, make_response, request

from ...core.environments import Environment
from ...errors import TimerError
from ...store.pause_table import PauseTable
from ...store.pauses import Pause
from ...store.timer_pages import has_timer_of
from ..current import author, console
from ..links import go
from ..reader import reader
from ..rendering import render
from ..typed_times import coming

_FIELDS = ("environment", "tag", "until", "why")


def show(fault: str | None = None) -> str:
    """The pauses, and the form for a further one."""
    pauses = [pause for pause in PauseTable(console().store).list() if pause.timer_id is None]
    return render(
        "pauses.html", pauses=pauses, given={name: request.form.get(name, "") for name in _FIELDS}, fault=fault
    )


def pause() -> Response:
    """Begin a pause."""
    try:
        until = coming(request.form.get("until"), "until", now=console().now(), tz=reader().tz)
        begun = PauseTable(console().store).pause(
            _environment(),
            request.form.get("tag", "").strip() or None,
            now=console().now(),
            until=until,
            by=author(request.form.get("why", "")),
        )
    except TimerError as error:
        return make_response(show(str(error)), 422)
    return go("pauses", did=_done(begun))


def _done(begun: Pause) -> str:
    """The message after a pause has begun, which says so if no timer has its tag."""
    if begun.tag is None or has_timer_of(console().store, begun.environment, begun.tag):
        return "paused"
    return "paused_no_tag" if begun.environment is None else "paused_no_tag_there"


def resume() -> Response:
    """End a pause; one that has ended meanwhile is no error."""
    tag = request.form.get("tag") or None
    try:
        PauseTable(console().store).resume(
            _environment(), tag, now=console().now(), skip=request.form.get("skip") == "yes", by=author()
        )
    except TimerError as error:
        return make_response(show(str(error)), 422)
    return go("pauses", did="resumed")


def _environment() -> Environment | None:
    given = request.form.get("environment")
    return Environment(given) if given in list(Environment) else None
