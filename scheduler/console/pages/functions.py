"""The functions that timers call, and how many timers call each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import func, select

from ...store.schema import timers
from ..current import console
from ..rendering import render

#: The most functions that are listed.
_MOST = 1_000


class Called(NamedTuple):
    """A function, the number of timers that call it, and how many of these are enabled, in one environment."""

    function: str
    environment: str
    timers: int
    enabled: int


def show() -> str:
    """The page."""
    return render("functions.html", functions=list(_read()))


def _read() -> Iterable[Called]:
    enabled = func.count().filter(timers.c.enabled)
    query = (
        select(timers.c.function, timers.c.environment, func.count(), enabled)
        .group_by(timers.c.function, timers.c.environment)
        .order_by(timers.c.function, timers.c.environment)
        .limit(_MOST)
    )
    with console().store.reading() as connection:
        return [Called._make(row) for row in connection.execute(query)]
