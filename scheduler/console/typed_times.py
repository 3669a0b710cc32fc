"""Times that people type into forms and requests: in ISO 8601, or as in `tomorrow 8:00`, `+2h`, `2 hours ago`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from ..core.attributes import ATTRIBUTES, read_bound
from ..core.human_times import read_human, read_past
from ..core.timestamps import at_wall_time, check_instant, read_instant
from ..errors import TimerError

#: The attributes that bound the window of a timer.
BOUNDS = tuple(attribute.name for attribute in ATTRIBUTES if attribute.read is read_bound)


def coming(text: str | None, field: str, *, now: datetime, tz: tzinfo) -> datetime | None:
    """The instant in UTC of a text, a wall time of the zone unless it has an offset; TimerError if it is not one.

    A time of day alone and a day of the week mean the next one. None for a blank text.
    """
    return _read(text, field, read_human, now, tz)


def past(text: str | None, field: str, *, now: datetime, tz: tzinfo) -> datetime | None:
    """The same for a time that is probably past: a time of day alone and a day of the week mean the last one."""
    return _read(text, field, read_past, now, tz)


def _read(text: str | None, field: str, read: Callable[..., datetime], now: datetime, tz: tzinfo) -> datetime | None:
    if text is None or not text.strip():
        return None
    if _is_iso(text):
        found = check_instant(field, text)
        assert found is not None
        return (found if found.tzinfo is not None else at_wall_time(found, tz)).astimezone(UTC)
    try:
        return read(text, now=now, tz=tz)
    except TimerError as error:
        raise TimerError(f"{field}: {error}", field=field) from None


def _is_iso(text: str) -> bool:
    try:
        return read_instant(text) is not None
    except ValueError:
        return False


def with_bounds(given: Mapping[str, Any], *, now: datetime, tz: tzinfo) -> dict[str, Any]:
    """The same values, with bounds of a window such as `in 2 days` as instants; those in ISO 8601 are left to Timer."""
    bounds = {name: given[name] for name in BOUNDS if isinstance(given.get(name), str)}
    read = {name: coming(text, name, now=now, tz=tz) for name, text in bounds.items() if not _is_iso(text)}
    return {**given, **read}
