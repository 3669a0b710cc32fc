"""The names that the editor offers while one types: functions, calendars and tags that the store has."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import select

from ..store.catalogue import read_functions
from ..store.database import Store
from ..store.schema import calendars, timers

#: The most names of a field, and the most timers whose names are read for that.
_MOST, _MOST_TIMERS = 500, 10_000


def offered_names(store: Store) -> Mapping[str, Sequence[str]]:
    """The names by field of the form, each in order."""
    newest = select(timers.c.function, timers.c.tags).order_by(timers.c.id.desc()).limit(_MOST_TIMERS).subquery()
    with store.reading() as connection:
        functions = set(connection.execute(select(newest.c.function).distinct()).scalars())
        tagged = connection.execute(select(newest.c.tags).where(newest.c.tags != "[]").distinct()).scalars()
        tags = {tag for text in tagged for tag in json.loads(text)}
        names = connection.execute(select(calendars.c.name).limit(_MOST)).scalars().all()
    functions |= {found.name for found in read_functions(store)}
    return {
        name: sorted(given)[:_MOST] for name, given in (("function", functions), ("calendar", names), ("tags", tags))
    }
