"""The functions: those of the catalogue, and those that timers call, with the number of timers that call each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select

from ...store.catalogue import CataloguedFunction, read_functions
from ...store.schema import timers
from ..current import console
from ..rendering import render

#: The most functions that timers call which are read, and the most functions on the page.
_MOST, _MOST_SHOWN = 2_000, 1_000


class ListedFunction(NamedTuple):
    """A function of an environment, the number of timers that call it, and how many of these are enabled.

    Its environment is None if it is the same in both, and its description if no process has loaded it.
    """

    name: str
    environment: str | None
    timers: int
    enabled: int
    description: CataloguedFunction | None


def show() -> str:
    """The page."""
    functions = listed_functions()[:_MOST_SHOWN]
    known = {function.environment for function in functions if function.description}
    return render("functions.html", functions=_once_each(functions), known=known)


def _once_each(functions: Sequence[ListedFunction]) -> list[ListedFunction]:
    """The functions, with one row for a function that is the same in both environments."""
    rows: list[ListedFunction] = []
    for function in functions:
        if rows and _is_same(rows[-1], function):
            row = rows.pop()
            sums = row.timers + function.timers, row.enabled + function.enabled
            rows.append(ListedFunction(row.name, None, *sums, row.description))
        else:
            rows.append(function)
    return rows


def _is_same(one: ListedFunction, other: ListedFunction) -> bool:
    if one.description is None or other.description is None:
        return False
    return one.description._replace(environment="") == other.description._replace(environment="")


def listed_functions() -> Sequence[ListedFunction]:
    """The functions of the catalogue and of timers, by name and environment."""
    catalogue = {(found.name, found.environment): found for found in read_functions(console().store)}
    called = _called()
    return [
        ListedFunction(name, environment, *called.get((name, environment), (0, 0)), catalogue.get((name, environment)))
        for name, environment in sorted(catalogue.keys() | called.keys())
    ]


def _called() -> dict[tuple[str, str], tuple[int, int]]:
    """The number of timers that call a function of an environment, and how many of these are enabled."""
    query = (
        select(timers.c.function, timers.c.environment, func.count(), func.count().filter(timers.c.enabled))
        .group_by(timers.c.function, timers.c.environment)
        .order_by(timers.c.function, timers.c.environment)
        .limit(_MOST)
    )
    with console().store.reading() as connection:
        return {(name, environment): (n, enabled) for name, environment, n, enabled in connection.execute(query)}
