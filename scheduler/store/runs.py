"""RunHistory: the runs of a store, and the lines that they printed. Reads only; retention.py deletes.

The runs of a renamed timer are under the names that it had then; its present name finds all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from ..core.run import Kind, Line, Outcome, Run
from ..core.timer import Environment
from ..core.timer_checks import check_count
from ..core.timestamps import require_instant, stamp
from .change_pages import former_names
from .database import Store
from .pages import Page, end_of_page, first_id_since, looked_at
from .rows import line_of, run_of
from .schema import lines, runs, timers
from .statements import Among
from .stored_timer import StoredTimer


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Selects runs; an attribute that is None excludes no run.

    `outcomes` selects runs with one of these, `is_open` also runs without an outcome. A run is in [`since`, `until`) if
    one of its fire times is.
    """

    timer: str | None = None
    environment: str | None = None
    function: str | None = None
    kind: Kind | None = None
    outcomes: Sequence[Outcome] = ()
    is_open: bool = False
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class RunHistory:
    """The runs of one store, and their lines."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def runs(
        self,
        *,
        timer: str | None = None,
        environment: Environment | None = None,
        outcomes: Sequence[Outcome] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """The latest runs, newest first; of one timer, one environment, certain outcomes, or a time span only."""
        check_count("limit", limit)
        for what, given in (("since", since), ("until", until)):
            if given is not None:
                require_instant(what, given)
        wanted = RunFilter(timer, environment, outcomes=outcomes, since=since, until=until)
        with self._store.reading() as connection:
            query = select(runs).where(runs.c.id >= _first(connection, wanted), *_conditions(connection, wanted))
            return [run_of(row) for row in connection.execute(query.order_by(runs.c.id.desc()).limit(limit))]

    def page(self, wanted: RunFilter | None = None, *, before: int | None = None, limit: int = 50) -> Page[Run, int]:
        """The latest runs, or those before the id `before`, the `next` of a page."""
        wanted = wanted or RunFilter()
        with self._store.reading() as connection:
            conditions = _conditions(connection, wanted)
            first = _first(connection, wanted)
            portion = looked_at(connection, runs.c.id, before, first, has_conditions=bool(conditions))
            query = select(runs).where(portion.condition(runs.c.id), *conditions)
            rows = connection.execute(query.order_by(runs.c.id.desc()).limit(limit + 1)).all()
            return end_of_page(connection, rows, limit, portion, runs.c.id, runs.c.claimed_at, run_of)

    def run(self, run_id: int) -> Run | None:
        """One run; None if there is no such id."""
        with self._store.reading() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
        return None if row is None else run_of(row)

    def led_to(self, run_id: int) -> list[Run]:
        """The runs to which a run led, because their timers follow its own, oldest first."""
        query = select(runs).where(runs.c.cause_id == run_id).order_by(runs.c.id)
        with self._store.reading() as connection:
            return [run_of(row) for row in connection.execute(query)]

    def lines(self, run_id: int) -> list[Line]:
        """The lines of one run, oldest first."""
        query = select(lines).where(lines.c.run_id == run_id).order_by(lines.c.id)
        with self._store.reading() as connection:
            return [line_of(row) for row in connection.execute(query)]

    def tail(self, *, after: int = 0, timer: str | None = None, limit: int = 1_000) -> list[tuple[int, str, Line]]:
        """Lines with an id above `after`, oldest first: (id, timer, line). With `after` 0, the last `limit` lines."""
        query = select(lines, runs.c.timer).join(runs, runs.c.id == lines.c.run_id).limit(limit)
        query = query.where(lines.c.id > after).order_by(lines.c.id) if after else query.order_by(lines.c.id.desc())
        if timer is not None:
            query = query.where(runs.c.timer == timer)
        with self._store.reading() as connection:
            printed = [(row.id, row.timer, line_of(row)) for row in connection.execute(query)]
        return printed if after else printed[::-1]


class LatestRuns:
    """The latest run of each timer, among the latest MAX_LOOKED_AT runs: no index finds the runs of one timer."""

    def __init__(self, store: Store) -> None:
        with store.reading() as connection:
            portion = looked_at(connection, runs.c.id, None, has_conditions=True)
            newest = select(func.max(runs.c.id)).where(portion.condition(runs.c.id))
            ids = connection.execute(newest.group_by(runs.c.environment, runs.c.timer)).scalars().all()
            found = [run_of(row) for row in _AMONG.rows(connection, ids)]
        #: Whether there are older runs, which were not read.
        self.is_partial = portion.ends_at is not None
        self._by_name = {(run.environment, run.timer): run for run in found}
        self._by_id = {run.timer_id: run for run in found if run.timer_id is not None}

    def of(self, entry: StoredTimer) -> Run | None:
        """The latest run of a timer, under its name or a former one; None if none is among the latest runs."""
        run = self._by_name.get((entry.timer.environment.value, entry.timer.name))
        former = self._by_id.get(entry.id)
        # SQLite gives the id of a removed timer to a new one.
        return run or (former if former is not None and former.claimed_at >= entry.created_at else None)


_AMONG = Among(select(runs), runs.c.id)


def _first(connection: Connection, wanted: RunFilter) -> int:
    """An id below which no run is wanted."""
    # A fire time is claimed a little ahead, or later.
    return 0 if wanted.since is None else first_id_since(connection, runs.c.id, runs.c.claimed_at, wanted.since)


def _conditions(connection: Connection, wanted: RunFilter) -> list[ColumnElement[bool]]:
    columns = runs.c
    equal: dict[Any, Any] = {
        columns.environment: wanted.environment,
        columns.function: wanted.function,
        columns.kind: wanted.kind,
        columns.request_id: wanted.request_id,
    }
    conditions = [column == str(value) for column, value in equal.items() if value is not None]
    if wanted.timer is not None:
        conditions.append(of_timer(connection, wanted.timer, wanted.environment))
    if wanted.outcomes or wanted.is_open:
        open_ones = [columns.outcome.is_(None)] if wanted.is_open else []
        conditions.append(or_(columns.outcome.in_(wanted.outcomes), *open_ones))
    if wanted.since is not None:
        conditions.append(columns.last_fire_at >= stamp(wanted.since))
    if wanted.until is not None:
        conditions.append(columns.fire_at < stamp(wanted.until))
    return conditions


def of_timer(connection: Connection, name: str, environment: str | None) -> ColumnElement[bool]:
    """The condition that a run is of a timer: under its name, or under one that it had before, until it was renamed."""
    environments = Environment if environment is None else [environment]
    former = [
        and_(runs.c.timer == earlier, runs.c.environment == str(where), _until(name, str(where), until))
        for where in environments
        for earlier, _, until in former_names(connection, name, str(where))
    ]
    return or_(runs.c.timer == name, *former)


def _until(name: str, environment: str, renamed_at: datetime) -> ColumnElement[bool]:
    """The condition that a run was claimed before its timer was renamed, by the clock, or has the timer's id."""
    its_id = select(timers.c.id).where(timers.c.name == name, timers.c.environment == environment).scalar_subquery()
    return or_(runs.c.claimed_at <= stamp(renamed_at), runs.c.timer_id == its_id)
