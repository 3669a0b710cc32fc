"""All timers on one axis: their runs left of now, their coming fire times right of it, and how many fall together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import request

from ...core.timer import Timer
from ...core.timestamps import stamp
from ...errors import TimerError
from ...store.pages import first_id_since
from ...store.schema import runs
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
from ..rendering import render, t
from ..typed_times import past
from .timers import filter_of

#: How far the axis reaches back and ahead, by the word in the address.
SPANS = {"minutes": 1 / 6, "hour": 1, "quarter": 6, "half": 12, "days": 72, "week": 168, "month": 360}
_ROWS = 50
#: The most runs of a timer that are read, and the most fire times of one that are drawn each for itself.
_MOST_RUNS, _MOST_FIRES = 300, 150
#: The slots of the axis in which fire times are counted.
_SLOTS = 120
#: A step by which the axis can be moved: a number of a unit, `minutes`, `hours` or `days`, with the key of its words.
Step = tuple[int, str, str]
_HOUR: Step = (1, "hours", "unit.h")
_DAY: Step = (1, "days", "unit.d")
_WEEK: Step = (7, "days", "unit.d")
#: A small and a large step for each span.
STEPS: Mapping[str, tuple[Step, Step]] = {
    "minutes": ((10, "minutes", "unit.min"), _HOUR),
    "hour": (_HOUR, _DAY),
    "quarter": (_HOUR, _DAY),
    "half": (_HOUR, _DAY),
    "days": (_DAY, _WEEK),
    "week": (_DAY, _WEEK),
    "month": (_WEEK, (30, "days", "unit.d")),
}
#: How far from now the axis can be moved.
_FARTHEST = timedelta(days=3_660)
#: How long after its fire time a run may have been claimed, to be looked for.
_LATEST_CLAIM = timedelta(days=1)
_LONGEST = 100


def show() -> str:
    """The page."""
    word = request.args.get("span", "half")
    word = word if word in SPANS else "half"
    span = timedelta(hours=SPANS[word])
    wanted, now = filter_of(request.args), console().now()
    middle, fault = _middle(now)
    page = page_of_timers(console().store, wanted, after=key_of(request.args.get("after")), limit=_ROWS)
    keys = [TimerKey(entry.timer.environment.value, entry.timer.name) for entry in page.items]
    axis = drawing.timeline([], [], now=now, span=span, limit_s=1, middle=middle)
    end = queries.End() if middle is None or axis.end >= now else _end(axis.end)
    with console().digest.reading() as digest:
        latest = queries.latest(digest, keys, each=_MOST_RUNS, end=end)
        unread = unread_before(digest)
    load = [0.0] * _SLOTS
    rows = [_row(entry, latest[key], now, axis, load) for entry, key in zip(page.items, keys, strict=True)]
    return render(
        "timeline.html",
        rows=rows,
        wanted=wanted,
        is_filtered=wanted != TimerFilter(),
        word=word,
        spans=list(SPANS),
        nearer=_beside(word, -1),
        farther=_beside(word, 1),
        moves=_moves(middle or now, STEPS[word]),
        is_moved=middle is not None,
        fault=fault,
        axis=axis,
        shifts=clock_shifts([reader().zone_name, *(row["tz"] for row in rows if row["tz"])], axis.start, axis.end),
        load=drawing.load(load),
        has_fires=axis.end > now,
        most_runs=_MOST_RUNS if any(row["is_cut"] for row in rows) else None,
        busiest=round(max(load)),
        slot_s=2 * span.total_seconds() / _SLOTS,
        after=None if page.next is None else key_text(page.next),
        drawing=drawing,
        unread=unread,
    )


def _middle(now: datetime) -> tuple[datetime | None, str | None]:
    """The instant in the middle of the axis that the address gives, None for now; and what is wrong with its text."""
    try:
        middle = past(request.args.get("at", "")[:_LONGEST], "at", now=now, tz=reader().tz)
    except TimerError as error:
        return None, str(error)
    return (None if middle is None else min(max(middle, now - _FARTHEST), now + _FARTHEST)), None


def _end(until: datetime) -> queries.End:
    """The end of the runs before an instant. Those that were claimed a day after it are not looked for."""
    with console().store.reading() as connection:
        late = first_id_since(connection, runs.c.id, runs.c.claimed_at, until, out_of_order=-_LATEST_CLAIM)
    return queries.End(late, stamp(until))


def _moves(middle: datetime, steps: tuple[Step, Step]) -> dict[str, Sequence[tuple[str, str]]]:
    """The links that move the axis, earlier and later: the words of the step, and the text of the new middle."""

    def moved(step: Step, sign: int) -> tuple[str, str]:
        number, unit, key = step
        return t(key, n=number), (middle + sign * timedelta(**{unit: number})).isoformat(timespec="seconds")

    return {"earlier": [moved(step, -1) for step in reversed(steps)], "later": [moved(step, 1) for step in steps]}


def _beside(word: str, by: int) -> str | None:
    """The next narrower or wider span; None at the end."""
    words = list(SPANS)
    place = words.index(word) + by
    return words[place] if 0 <= place < len(words) else None


def _row(
    entry: StoredTimer, marks: Sequence[queries.Mark], now: datetime, axis: drawing.Timeline, load: list[float]
) -> dict[str, Any]:
    """One timer; adds its coming fire times to the load."""
    timer, span = entry.timer, (axis.end - axis.start) / 2
    first = max(now, axis.start)
    fires, many = _coming(timer, first, axis.end)
    for fire in fires:
        load[_slot(fire, axis)] += 1
    if many:
        slots = range(_slot(first, axis), _SLOTS)
        for slot in slots:
            load[slot] += many / len(slots)
    line = drawing.timeline(marks, fires, now=now, span=span, limit_s=timer.limit_s, middle=axis.start + span)
    shown = sum(1 for mark in marks if line.start <= mark.fire_time <= line.end)
    tz = timer.trigger.tz
    is_cut = len(marks) == _MOST_RUNS and min(mark.fire_time for mark in marks) > axis.start
    return {
        "timer": timer,
        "tz": tz,
        "line": line,
        "many": many,
        "fires": len(fires) + many,
        "runs": shown,
        "is_cut": is_cut,
    }


def _slot(fire: datetime, axis: drawing.Timeline) -> int:
    return min(int((fire - axis.start) / (axis.end - axis.start) * _SLOTS), _SLOTS - 1)


def _coming(timer: Timer, after: datetime, until: datetime) -> tuple[list[datetime], int]:
    """The fire times until an instant; or none and their number, if they are too many to draw each of them."""
    if not timer.enabled or after >= until:
        return [], 0
    fires = next_fires(timer.schedule, after, _MOST_FIRES + 1, until=until)
    return ([], timer.schedule.count(after, until)) if len(fires) > _MOST_FIRES else (fires, 0)
