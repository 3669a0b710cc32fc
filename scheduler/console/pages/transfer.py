"""Export and import of timers, in the lists of `scheduler timers export` and `import`."""

from __future__ import annotations

import json
from collections.abc import Iterator

from flask import Response, make_response, request

from ...core.environments import Environment
from ...core.trigger_kinds import UnreadableTrigger
from ...errors import TimerError
from ...formats import timer_lists
from ...store.chains import with_known_followers
from ...store.stored_timer import StoredTimer
from ...store.timer_pages import TimerFilter, page_of_timers
from ...store.timers_at_once import check_number
from ..current import author, console
from ..links import go
from ..rendering import render
from ..unknown_functions import unknown_functions
from .timers import filter_of

#: The most timers of one list.
MOST = 10_000
_PAGE = 500


def export() -> Response:
    """The timers that match the filter, as CSV or JSON."""
    timers = [
        entry.timer for entry in _all(filter_of(request.args)) if not isinstance(entry.timer.trigger, UnreadableTrigger)
    ]
    timers = with_known_followers(console().store, timers)
    if request.args.get("format") == "json":
        text, kind = (
            json.dumps([timer_lists.as_object(timer) for timer in timers], ensure_ascii=False, indent=2),
            "json",
        )
    else:
        text, kind = timer_lists.as_csv(timers), "csv"
    mimetype = "application/json" if kind == "json" else "text/csv"
    answer = Response(text, mimetype=mimetype, content_type=f"{mimetype}; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="timers.{kind}"'
    return answer


def _all(wanted: TimerFilter) -> Iterator[StoredTimer]:
    after, found = None, 0
    while found < MOST:
        page = page_of_timers(console().store, wanted, after=after, limit=_PAGE)
        found += len(page.items)
        yield from page.items
        if page.next is None:
            return
        after = page.next


def show(**values: object) -> str:
    """The form of an import."""
    return render("import.html", **({"text": "", "faults": [], "timers": None, "unknown": []} | values))


def save() -> Response:
    """Show what a list would add, or add it: all of its timers or none."""
    uploaded = request.files.get("file")
    text = request.form.get("list", "")
    if uploaded is not None and uploaded.filename:
        text = uploaded.read().decode("utf-8-sig", "replace")
    settings = console().settings
    try:
        timers = timer_lists.read(
            text, environment=Environment.PRODUCTION, tz=settings.tz, limit_s=settings.limit_s
        ).timers
        check_number(len(timers))
        if not timers:
            raise TimerError("the list has no timer")
        if request.form.get("do") == "save":
            console().timers.add(
                timers, now=console().now(), quota=settings.max_timers, by=author(request.form.get("why", ""))
            )
            return go("timers", did="imported")
    except TimerError as error:
        return make_response(show(text=text, faults=str(error).splitlines()), 422)
    return make_response(show(text=text, timers=timers, unknown=unknown_functions(console().store, timers)))
