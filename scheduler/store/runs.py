"""The history of a store: its runs and the lines that they printed. Reads only; retention.py deletes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from ..core.run import Line, Outcome, Run
from ..core.timer import Environment
from .database import Store
from .rows import line_of, run_of
from .schema import lines, runs


class RunHistory:
    """The runs of one store, and what they printed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def runs(
        self,
        *,
        timer: str | None = None,
        environment: Environment | None = None,
        outcomes: Sequence[Outcome] = (),
        limit: int = 100,
    ) -> list[Run]:
        """The latest runs, newest first; of one timer, one environment, or certain outcomes only."""
        query = select(runs).order_by(runs.c.id.desc()).limit(limit)
        if timer is not None:
            query = query.where(runs.c.timer == timer)
        if environment is not None:
            query = query.where(runs.c.environment == environment)
        if outcomes:
            query = query.where(runs.c.outcome.in_(outcomes))
        with self._store.reading() as connection:
            return [run_of(row) for row in connection.execute(query)]

    def run(self, run_id: int) -> Run | None:
        """One run; None if there is no such id."""
        with self._store.reading() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
        return None if row is None else run_of(row)

    def lines(self, run_id: int) -> list[Line]:
        """What one run printed, oldest first."""
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
