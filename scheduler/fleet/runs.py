"""FleetRuns: the rows of runs in a fleet: what a worker writes into them, and what a daemon reads there.

The row decides, not the message. A worker begins a run by writing its name into the row, which only one can do, once,
while the run is open; and only the worker named there can end it, while it has no outcome. So a message that comes
twice or too late does nothing. An ending moves the breaker in the same transaction, so it needs no particular daemon.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from ..claims.abandoned_runs import abandon
from ..claims.open_runs import WITH_TIMER
from ..claims.results import RESULT, enter_retries_and_move_breakers, result_values
from ..core.breaker import Verdict
from ..core.run import Ending, Line, Outcome
from ..core.timestamps import instant, instant_or_none, stamp
from ..store.database import Store
from ..store.rows import line_columns, line_of, task_of
from ..store.schema import lines, runs

WORKER_LOST = "abandoned: the worker was lost before the run ended; how far it came is unknown"


class RunProgress(NamedTuple):
    """How far a run is: not begun (`worker` None), begun by `worker`, or ended."""

    run_id: int
    worker: str | None
    ending: Ending | None


class FleetRuns:
    """The runs of one store; every method is one transaction. `worker` is the name of a child process, `node/pid`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # A worker's side

    def begin(self, run_id: int, request_id: str, worker: str, now: datetime) -> bool:
        """Begin a run; False if it has begun or ended. With the same arguments again, the answer is the same."""
        # The request id is random: it keeps apart the runs of two stores on the same broker.
        mine = runs.c.worker.is_(None) | ((runs.c.worker == worker) & (runs.c.started_at == stamp(now)))
        begun = (
            update(runs)
            .where(runs.c.id == run_id, runs.c.request_id == request_id, runs.c.outcome.is_(None), mine)
            .values(worker=worker, started_at=stamp(now))
        )
        with self._store.writing() as connection:
            return connection.execute(begun).rowcount == 1

    def add_lines(self, printed: Sequence[Line]) -> None:
        """Write what runs print while they go on."""
        with self._store.writing() as connection:
            connection.execute(insert(lines), [line_columns(line) for line in printed])

    def end(
        self, run_id: int, worker: str, ending: Ending, printed: Sequence[Line] = (), *, channel: str | None = None
    ) -> bool:
        """End the run that `worker` runs, and notify `channel`; False if the run has ended otherwise."""
        with self._store.writing() as connection:
            # Timers are locked before runs, as in every transaction. If the run has ended, retry and breaker are
            # rolled back.
            row = connection.execute(WITH_TIMER.where(runs.c.id == run_id)).one_or_none()
            if row is not None:
                enter_retries_and_move_breakers(connection, [(task_of(row, past_due=False), ending)])
            if not _write_ending(connection, run_id, worker, ending):
                connection.rollback()
                return False
            if printed:
                connection.execute(insert(lines), [line_columns(line) for line in printed])
            if channel is not None:
                connection.execute(select(func.pg_notify(channel, str(run_id))))
        return True

    def run_of(self, worker: str, run_ids: Collection[int]) -> int | None:
        """The open run among these that a worker has begun."""
        theirs = select(runs.c.id).where(runs.c.id.in_(run_ids), runs.c.worker == worker, runs.c.outcome.is_(None))
        with self._store.reading() as connection:
            return connection.execute(theirs.order_by(runs.c.started_at.desc()).limit(1)).scalar()

    def announce_unbegun(self, run_ids: Collection[int], channel: str) -> None:
        """Notify the daemon on `channel` that these runs may have to be published again."""
        with self._store.writing() as connection:
            connection.execute(select(func.pg_notify(channel, ",".join(map(str, run_ids)))))

    # A daemon's side

    def progress(self, run_ids: Collection[int]) -> list[RunProgress]:
        """How far these runs are; those that have not begun are left out."""
        moved = or_(runs.c.worker.is_not(None), runs.c.outcome.is_not(None))
        query = select(runs).where(runs.c.id.in_(run_ids), moved)
        with self._store.reading() as connection:
            return [RunProgress(row.id, row.worker, _ending(row)) for row in connection.execute(query)]

    def lines(self, run_ids: Collection[int]) -> list[Line]:
        """What these runs have printed."""
        query = select(lines).where(lines.c.run_id.in_(run_ids)).order_by(lines.c.id)
        with self._store.reading() as connection:
            return [line_of(row) for row in connection.execute(query)]

    def abandon(self, run_id: int, worker: str, now: datetime) -> None:
        """End an open run whose worker is lost; enter it again where its timer delivers at least once."""
        with self._store.writing() as connection:
            which = (runs.c.id == run_id) & (runs.c.worker == worker) & runs.c.outcome.is_(None)
            abandon(connection, which, now, WORKER_LOST)

    def give_up(self, run_id: int, ending: Ending) -> None:
        """End a run that no worker has begun."""
        with self._store.writing() as connection:
            _write_ending(connection, run_id, None, ending)


def _ending(row: Row[Any]) -> Ending | None:
    if row.outcome is None:
        return None
    outcome = Outcome(row.outcome)
    return Ending(
        outcome=outcome,
        # The worker has moved the breaker; this verdict is for listeners only.
        verdict=Verdict.GOOD if outcome is Outcome.SUCCEEDED else Verdict.FAILURE,
        started_at=instant_or_none(row.started_at),
        ended_at=instant(row.ended_at),
        error=row.error,
        result=row.result,
        lines_dropped=row.lines_dropped,
        message=row.message,
    )


def _write_ending(connection: Connection, run_id: int, worker: str | None, ending: Ending) -> bool:
    columns = dict(zip(RESULT, result_values(ending), strict=True))
    # `begin` has written it.
    del columns["started_at"]
    open_run = (runs.c.id == run_id) & runs.c.worker.is_not_distinct_from(worker) & runs.c.outcome.is_(None)
    return connection.execute(update(runs).where(open_run).values(columns)).rowcount == 1
