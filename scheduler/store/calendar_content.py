"""The calendars that timers of the store go by, read once for each content.

A row of a timer has the digest of its calendar, which changes with the calendar: a process that knows the digest knows
the calendar.
"""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from quartzcron.calendars import WorkingDays

from ..core.calendars import calendar_of
from .schema import calendars

_KNOWN: dict[str, WorkingDays] = {}
_MOST = 256
_CONTENT = select(calendars.c.digest, calendars.c.content).where(calendars.c.name == bindparam("name"))


def content_of(connection: Connection, name: str, digest: str | None = None) -> WorkingDays | None:
    """The calendar of a name, None where the store has none; `digest` saves the query where it is known."""
    if digest in _KNOWN:
        return _KNOWN[digest]
    row = connection.execute(_CONTENT, {"name": name}).one_or_none()
    if row is None:
        return None
    if len(_KNOWN) >= _MOST:
        _KNOWN.clear()
    return _KNOWN.setdefault(row.digest, calendar_of(row.content))
