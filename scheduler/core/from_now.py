"""Values of a trigger's options that depend on the present: relative times, and where an interval begins. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any

from .at import At
from .calendrical import Calendrical, first_on, read_time
from .human_times import read_human
from .intervals import calendar_interval
from .triggers import Trigger


def resolved(kind: type[Trigger], values: Mapping[str, Any], *, now: datetime, tz: tzinfo) -> Mapping[str, Any]:
    """The same values, with times relative to `now` resolved, and with the beginning of an interval by the calendar."""
    if kind is At and values.get("at"):
        return {**values, "at": [read_human(text, now=now, tz=tz) for text in values["at"]]}
    if kind is Calendrical and values.get("every"):
        return from_now(dict(values), now.astimezone(tz))
    return values


def from_now(values: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The values of an interval by the calendar, with the first day and the time of day added if not given.

    Without a time of day, the interval begins at `now`, to the second. With one, the first fire is the next such time.
    """
    filled = {**values, "at": read_time(values["at"]) if values.get("at") else now.time().replace(microsecond=0)}
    if values.get("start"):
        return filled
    interval, day = calendar_interval(values["every"]), now.date()
    assert interval is not None
    if values.get("at") and filled["at"] <= now.time():
        day += timedelta(days=1)
    first = first_on(values["on"], day, interval) if values.get("on") else day
    return {**filled, "start": first.isoformat(), "on": None}
