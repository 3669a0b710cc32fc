"""ChangeHistory: the recorded changes of a store, latest first; finds those of a timer under its former names too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select

from ..core.timestamps import instant, stamp
from .change_recording import Action, Subject, Way
from .database import Store
from .pages import Page, end_of_page, first_id_since, looked_at
from .schema import changes

#: The most former names of a timer that a search follows.
MAX_NAMES = 100


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A recorded change; `former_name` is the former name of a renamed timer."""

    id: int
    at: datetime
    author: str
    way: Way
    why: str
    subject: Subject
    action: Action
    name: str
    environment: str | None
    former_name: str | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """Selects changes; an attribute that is None excludes none. `author` is a part of the author's name.

    With `environment`, `name` also finds changes of the timer under its former names.
    """

    name: str | None = None
    environment: str | None = None
    author: str | None = None
    way: Way | None = None
    subject: Subject | None = None
    since: datetime | None = None
    until: datetime | None = None


class ChangeHistory:
    """The changes of one store, latest first."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(
        self, wanted: ChangeFilter | None = None, *, before: int | None = None, limit: int = 50
    ) -> Page[ChangeRecord, int]:
        """The latest changes, or those before the id `before`, which is the `next` of a page."""
        wanted = wanted or ChangeFilter()
        with self._store.reading() as connection:
            first = 0 if wanted.since is None else first_id_since(connection, changes.c.id, changes.c.at, wanted.since)
            conditions = _conditions(connection, wanted)
            portion = looked_at(connection, changes.c.id, before, first, has_conditions=bool(conditions))
            query = select(changes).where(portion.condition(changes.c.id), *conditions)
            rows = connection.execute(query.order_by(changes.c.id.desc()).limit(limit + 1)).all()
            return end_of_page(connection, rows, limit, portion, changes.c.id, changes.c.at, _record_of)

    def get(self, change_id: int) -> ChangeRecord | None:
        """One change; None if there is none, or no longer."""
        with self._store.reading() as connection:
            row = connection.execute(select(changes).where(changes.c.id == change_id)).first()
        return None if row is None else _record_of(row)


def former_names(connection: Connection, name: str, environment: str) -> list[tuple[str, int, datetime]]:
    """The former names of a timer, latest first, each with the id and the instant of the change that ended it."""
    found: list[tuple[str, int, datetime]] = []
    renamed = select(changes.c.former_name, changes.c.id, changes.c.at).where(
        changes.c.environment == environment, changes.c.former_name.is_not(None), changes.c.subject == Subject.TIMER
    )
    latest = renamed.order_by(changes.c.id.desc()).limit(1)
    row = connection.execute(latest.where(changes.c.name == name)).first()
    while row is not None and len(found) < MAX_NAMES:
        found.append((row.former_name, row.id, instant(row.at)))
        row = connection.execute(latest.where(changes.c.name == row.former_name, changes.c.id < row.id)).first()
    return found


def last_change(connection: Connection, name: str, environment: str) -> ChangeRecord | None:
    """The latest change of a timer."""
    query = select(changes).where(changes.c.name == name, changes.c.environment == environment)
    row = connection.execute(query.order_by(changes.c.id.desc()).limit(1)).first()
    return None if row is None else _record_of(row)


def _conditions(connection: Connection, wanted: ChangeFilter) -> list[ColumnElement[bool]]:
    columns = changes.c
    equal: dict[Any, Any] = {
        columns.environment: wanted.environment,
        columns.way: wanted.way,
        columns.subject: wanted.subject,
    }
    conditions = [column == str(value) for column, value in equal.items() if value is not None]
    if wanted.name is not None:
        conditions.append(_of_name(connection, wanted.name, wanted.environment))
    if wanted.author is not None:
        conditions.append(columns.author.icontains(wanted.author, autoescape=True))
    if wanted.since is not None:
        conditions.append(columns.at >= stamp(wanted.since))
    if wanted.until is not None:
        conditions.append(columns.at < stamp(wanted.until))
    return conditions


def _of_name(connection: Connection, name: str, environment: str | None) -> ColumnElement[bool]:
    """The condition for changes of a timer: under its name, of renaming it, and under its former names."""
    former = [] if environment is None else former_names(connection, name, environment)
    return or_(
        changes.c.name == name,
        changes.c.former_name == name,
        *(and_(changes.c.name == earlier, changes.c.id < until) for earlier, until, _ in former),
    )


def _record_of(row: Row[Any]) -> ChangeRecord:
    return ChangeRecord(
        id=row.id,
        at=instant(row.at),
        author=row.author,
        way=Way(row.way),
        why=row.why,
        subject=Subject(row.subject),
        action=Action(row.action),
        name=row.name,
        environment=row.environment,
        former_name=row.former_name,
        before=_values(row.before),
        after=_values(row.after),
    )


def _values(text: str | None) -> Mapping[str, Any] | None:
    values: Mapping[str, Any] | None = None if text is None else json.loads(text)
    return values
