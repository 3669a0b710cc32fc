"""Statistics: fires by outcome, durations and latenesses, failures by weekday and hour, and rankings of timers."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from flask import Response, request

from ...core.environments import Environment
from ...core.run import Outcome
from .. import drawing
from ..current import console
from ..digest import queries
from ..digest.file import FAILURES
from ..digest.queries import Hour
from ..digest.reading import unread_before
from ..reader import reader
from ..rendering import render

_HOUR = timedelta(hours=1)


class Span(NamedTuple):
    """A span that can be chosen: its word, its length, and the length of one bar."""

    word: str
    hours: int
    hours_each: int


SPANS = (Span("day", 24, 1), Span("week", 168, 6), Span("month", 720, 24))
_PERCENTILES = (50, 95, 99)


def show() -> Response | str:
    """The page; with format=csv, its sums by hour."""
    span = next((span for span in SPANS if span.word == request.args.get("span")), SPANS[0])
    environment = request.args.get("environment") if request.args.get("environment") in list(Environment) else None
    until = _full_hour(console().now())
    since = until - span.hours * _HOUR
    with console().digest.reading() as digest:
        hours = queries.hours(digest, since, until, environment=environment)
        if request.args.get("format") == "csv":
            return _as_csv(hours)
        before = queries.hours(digest, since - span.hours * _HOUR, since, environment=environment)
        spreads = {
            measure: queries.spread(digest, measure, since, until, environment=environment)
            for measure in ("took", "late")
        }
        rankings = queries.rankings(digest, since, until, environment=environment)
        unread = unread_before(digest)
    slots = list(_slots(hours, span.hours_each))
    sums, sums_before = queries.sums_of(hours), queries.sums_of(before)
    return render(
        "statistics.html",
        span=span,
        spans=SPANS,
        environment=environment,
        slots=slots,
        bars=drawing.sums([slot.fires for slot in slots]),
        sums=sums,
        sums_before=sums_before,
        outcomes=[outcome for outcome in Outcome if sums[outcome] or sums_before[outcome]],
        percentiles=_PERCENTILES,
        spreads=spreads,
        rankings=rankings._asdict(),
        heat=_heat(hours),
        drawing=drawing,
        unread=unread,
    )


def _full_hour(now: datetime) -> datetime:
    """The end of the hour in progress."""
    return now.replace(minute=0, second=0, microsecond=0) + _HOUR


def _slots(hours: Sequence[Hour], each: int) -> Iterator[Hour]:
    for start in range(0, len(hours), each):
        yield Hour(hours[start].start, queries.sums_of(hours[start : start + each]))


def _heat(hours: Sequence[Hour]) -> drawing.HeatMap:
    """The failures by weekday and hour of the reader's zone."""
    counts: Counter[tuple[int, int]] = Counter()
    for hour in hours:
        local = hour.start.astimezone(reader().tz)
        counts[local.weekday(), local.hour] += sum(hour.fires.get(outcome, 0) for outcome in FAILURES)
    return drawing.heat_map(counts)


def _as_csv(hours: Sequence[Hour]) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["hour", *Outcome])
    for hour in hours:
        values: list[Any] = [hour.fires.get(outcome, 0) for outcome in Outcome]
        writer.writerow([hour.start.astimezone(reader().tz).isoformat(), *values])
    answer = Response(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="statistics.csv"'
    return answer
