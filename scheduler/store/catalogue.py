"""The catalogue: the functions of each environment, described by the process that has loaded them last.

The console runs no code of the user, so it knows functions from here. What a daemon calls does not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, insert, select

from ..core.timer import Environment
from ..functions.descriptions import MOST, FunctionDescription
from .database import Store
from .rows import storable
from .schema import functions


class CataloguedFunction(NamedTuple):
    """A function of an environment, with its description."""

    environment: str
    name: str
    signature: str
    doc: str
    place: str


def replace_functions(store: Store, environment: Environment, described: Sequence[FunctionDescription]) -> bool:
    """Replace the functions of an environment, and return whether they differ; nothing is written if they do not.

    >>> with Store("sqlite://") as store:
    ...     send = [FunctionDescription("send", "(to)")]
    ...     replace_functions(store, Environment.STAGE, send), replace_functions(store, Environment.STAGE, send)
    (True, False)
    """
    wanted = [FunctionDescription(*map(storable, function)) for function in described]
    if sorted(wanted) == _functions_of(store, environment):
        return False
    rows = [{"environment": environment.value, **function._asdict()} for function in wanted]
    with store.writing() as connection:
        store.acquire_mutex(connection)
        connection.execute(delete(functions).where(functions.c.environment == environment.value))
        if rows:
            connection.execute(insert(functions), rows)
    return True


def _functions_of(store: Store, environment: Environment) -> list[FunctionDescription]:
    return sorted(
        FunctionDescription(*found[1:]) for found in read_functions(store) if found.environment == environment
    )


def known_names(store: Store) -> dict[str, list[str]]:
    """The names of the functions by environment, without environments of which the catalogue may lack some."""
    with store.reading() as connection:
        names: dict[str, list[str]] = {}
        for environment, name in connection.execute(select(functions.c.environment, functions.c.name)):
            names.setdefault(environment, []).append(name)
    return {environment: found for environment, found in names.items() if len(found) < MOST}


def read_function(store: Store, environment: str, name: str) -> CataloguedFunction | None:
    """One function; None if it is not among those that were loaded last."""
    query = select(functions).where(functions.c.environment == environment, functions.c.name == storable(name))
    with store.reading() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else CataloguedFunction(row.environment, row.name, row.signature, row.doc, row.place)


def read_functions(store: Store) -> list[CataloguedFunction]:
    """All functions, by name and environment."""
    query = select(functions).order_by(functions.c.name, functions.c.environment)
    with store.reading() as connection:
        return [
            CataloguedFunction(row.environment, row.name, row.signature, row.doc, row.place)
            for row in connection.execute(query)
        ]
