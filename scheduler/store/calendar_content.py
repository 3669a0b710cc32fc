"""The calendars that timers use, each read from the store once.

The row of a timer has the digest of its calendar, so a process reads a calendar again only when it has changed.
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
    """The calendar of a name, None if the store has none; a `digest` that is known here saves the query."""
    if digest in _KNOWN:
        return _KNOWN[digest]
    row = connection.execute(_CONTENT, {"name": name}).one_or_none()
    if row is None:
        return None
    return remember(row.digest, calendar_of(row.content))


def remember(digest: str, content: WorkingDays) -> WorkingDays:
    """Keep a calendar by its digest; returns the one that is known."""
    if len(_KNOWN) >= _MOST:
        _KNOWN.clear()
    return _KNOWN.setdefault(digest, content)
