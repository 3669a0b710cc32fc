"""All timers on one axis: their runs left of now, their coming fire times right of it, and how many fall together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import request

from ...core.timer import Timer
from ...store.stored_timer import StoredTimer
from ...store.timer_pages import TimerFilter, TimerKey, page_of_timers
from .. import drawing
from ..clock_shifts import clock_shifts
from ..current import console
from ..cursors import key_of, key_text
from ..digest import queries
from ..digest.reading import unread_before
from ..preview import next_fires
from ..reader import reader
from ..rendering import render
from .timers import filter_of

#: How far the axis reaches back and ahead, by the word in the address.
SPANS = {"minutes": 1 / 6, "hour": 1, "quarter": 6, "half": 12, "days": 72, "week": 168, "month": 360}
_ROWS = 50
#: The most runs of a timer that are read, and the most fire times of one that are drawn each for itself.
_MOST_RUNS, _MOST_FIRES = 300, 150
_SLOTS = 60


def show() -> str:
    """The page."""
    word = request.args.get("span", "half")
    span = timedelta(hours=SPANS.get(word, SPANS["half"]))
    wanted, now = filter_of(request.args), console().now()
    page = page_of_timers(console().store, wanted, after=key_of(request.args.get("after")), limit=_ROWS)
    keys = [TimerKey(entry.timer.environment.value, entry.timer.name) for entry in page.items]
    with console().digest.reading() as digest:
        latest = queries.latest(digest, keys, each=_MOST_RUNS)
        unread = unread_before(digest)
    load = [0.0] * _SLOTS
    word = word if word in SPANS else "half"
    axis = drawing.timeline([], [], now=now, span=span, limit_s=1)
    rows = [_row(entry, latest[key], now, span, load) for entry, key in zip(page.items, keys, strict=True)]
    return render(
        "timeline.html",
        rows=rows,
        wanted=wanted,
        is_filtered=wanted != TimerFilter(),
        word=word,
        spans=list(SPANS),
        nearer=_beside(word, -1),
        farther=_beside(word, 1),
        axis=axis,
        shifts=clock_shifts([reader().zone_name, *(row["tz"] for row in rows if row["tz"])], axis.start, axis.end),
        load=drawing.load(load),
        busiest=round(max(load)),
        slot_s=span.total_seconds() / _SLOTS,
        after=None if page.next is None else key_text(page.next),
        drawing=drawing,
        unread=unread,
    )


def _beside(word: str, by: int) -> str | None:
    """The next narrower or wider span; None at the end."""
    words = list(SPANS)
    place = words.index(word) + by
    return words[place] if 0 <= place < len(words) else None


def _row(
    entry: StoredTimer, marks: Sequence[queries.Mark], now: datetime, span: timedelta, load: list[float]
) -> dict[str, Any]:
    """One timer; adds its coming fire times to the load."""
    timer = entry.timer
    fires, many = _coming(timer, now, now + span)
    for fire in fires:
        load[min(int((fire - now) / span * _SLOTS), _SLOTS - 1)] += 1
    if many:
        load[:] = [number + many / _SLOTS for number in load]
    line = drawing.timeline(marks, fires, now=now, span=span, limit_s=timer.limit_s)
    runs = sum(1 for mark in marks if mark.fire_time >= line.start)
    tz = timer.trigger.tz
    return {"timer": timer, "tz": tz, "line": line, "many": many, "fires": len(fires) + many, "runs": runs}


def _coming(timer: Timer, now: datetime, until: datetime) -> tuple[list[datetime], int]:
    """The fire times until an instant; or none and their number, if they are too many to draw each of them."""
    if not timer.enabled:
        return [], 0
    fires = next_fires(timer.schedule, now, _MOST_FIRES + 1, until=until)
    return ([], timer.schedule.count(now, until)) if len(fires) > _MOST_FIRES else (fires, 0)
