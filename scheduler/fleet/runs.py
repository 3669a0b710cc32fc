"""FleetRuns: workers begin and end the runs of a fleet in their rows; daemons read the progress there.

The row is authoritative, with function and parameters; the message only names the run. A worker begins a run by writing
its name into the row, which succeeds for one worker only, once, while the run is open; and only that worker can end the
run, while it has no outcome. So a message that comes twice or too late has no effect. The transaction of an ending also
moves the breaker, so it needs no particular daemon.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from ..claims.abandoned_runs import abandon, end_run, lose_probes
from ..claims.alert_causes import alert_of_ending
from ..claims.chains import EndedRun, enter_followers
from ..claims.open_runs import WITH_TIMER
from ..claims.results import RESULT, enter_retries_and_move_breakers, result_values
from ..core.breaker import Verdict
from ..core.misfire import GRACE
from ..core.run import MESSAGES, Ending, Line, Outcome, Task
from ..core.timestamps import instant, instant_or_none, stamp
from ..store.database import Store
from ..store.rows import line_columns, line_of, task_of
from ..store.schema import HEAD, lines, runs, timers
from ..store.upgrade import VERSION, check_unmigrated

#: The channel on PostgreSQL on which all workers are notified that runs are to be cancelled.
CANCELLATIONS = "scheduler_cancellations"
#: Limits that differ by less count as equal.
_SAME_S = 0.01
WORKER_LOST = "abandoned: the worker was lost before the run ended; how far it came is unknown"
TIMER_REMOVED = "abandoned: its timer was removed before a worker began it"
WORKER_STOPPED = "abandoned: the worker was stopped at once before the run ended"


class RunProgress(NamedTuple):
    """The progress of a run: not begun (`worker` None), begun by `worker`, or ended."""

    run_id: int
    worker: str | None
    ending: Ending | None


class FleetRuns:
    """The runs of one store; every method is one transaction. `worker` is the name of a child process, `node/pid`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # A worker's side

    def begin(
        self,
        run_id: int,
        request_id: str,
        worker: str,
        now: datetime,
        *,
        limit_s: float | None = None,
        environments: Collection[str] | None = None,
    ) -> Task | None:
        """Begin a run; None if it has begun or ended, or is not a run with this limit in one of these environments.

        With the same arguments again, the answer is the same. StoreMigratedError if a newer version has migrated the
        store.
        """
        # The request id is random: it distinguishes the runs of two stores on the same broker.
        mine = runs.c.worker.is_(None) | ((runs.c.worker == worker) & (runs.c.started_at == stamp(now)))
        timer = select(timers.c.id).where(timers.c.id == runs.c.timer_id)
        if limit_s is not None:
            timer = timer.where(timers.c.limit_s.between(limit_s - _SAME_S, limit_s + _SAME_S))
        which = [runs.c.id == run_id, runs.c.request_id == request_id, runs.c.outcome.is_(None), mine, timer.exists()]
        which += [runs.c.cancel_requested_at.is_(None), VERSION == HEAD]
        if environments is not None:
            which.append(runs.c.environment.in_(environments))
        with self._store.writing() as connection:
            begun = connection.execute(update(runs).where(*which).values(worker=worker, started_at=stamp(now)))
            if begun.rowcount != 1:
                check_unmigrated(str(self._store), connection.execute(select(VERSION)).scalar())
                return None
            row = connection.execute(WITH_TIMER.where(runs.c.id == run_id)).one_or_none()
            if row is None:
                # The timer was removed between the two statements.
                connection.rollback()
                return None
        return task_of(row, past_due=row.claimed_at - row.fire_at > GRACE // timedelta(microseconds=1))

    def limits(self, run_ids: Collection[int]) -> dict[int, float]:
        """The limits of these runs in seconds, as their timers have them now; without those whose timers are gone."""
        found = select(runs.c.id, timers.c.limit_s).join(timers, timers.c.id == runs.c.timer_id)
        with self._store.reading() as connection:
            return {row.id: row.limit_s for row in connection.execute(found.where(runs.c.id.in_(run_ids)))}

    def add_lines(self, printed: Sequence[Line]) -> None:
        """Write lines of runs in progress."""
        with self._store.writing() as connection:
            connection.execute(insert(lines), [line_columns(line) for line in printed])

    def end(
        self, run_id: int, worker: str, ending: Ending, printed: Sequence[Line] = (), *, channel: str | None = None
    ) -> bool:
        """End the run that `worker` runs, and notify `channel`; False if the run has ended already."""
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

    def run_of(self, worker: str, run_ids: Collection[int] | None = None) -> int | None:
        """The open run that a worker has begun, among these unless `run_ids` is None."""
        theirs = select(runs.c.id).where(runs.c.worker == worker, runs.c.outcome.is_(None))
        if run_ids is not None:
            theirs = theirs.where(runs.c.id.in_(run_ids))
        with self._store.reading() as connection:
            return connection.execute(theirs.order_by(runs.c.started_at.desc()).limit(1)).scalar()

    def to_cancel(self, workers: Collection[str]) -> list[tuple[int, str]]:
        """The open runs of these workers that are to be cancelled, each with its worker."""
        query = select(runs.c.id, runs.c.worker).where(
            runs.c.cancel_requested_at.is_not(None), runs.c.outcome.is_(None), runs.c.worker.in_(workers)
        )
        with self._store.reading() as connection:
            return [(row.id, row.worker) for row in connection.execute(query)]

    def cancel(self, run_id: int, worker: str, now: datetime, printed: Sequence[Line] = ()) -> bool:
        """End as cancelled the run that `worker` runs, whose process is stopped meanwhile.

        False if it has ended or is being ended, or if the worker runs another one by now.
        """
        with self._store.writing() as connection:
            timer_id = connection.execute(select(runs.c.timer_id).where(runs.c.id == run_id)).scalar()
            # Never wait for a lock, because the stopped process may hold it.
            locked = select(timers).where(timers.c.id == timer_id).with_for_update(key_share=True, skip_locked=True)
            its_timer = connection.execute(locked).all()
            exists = select(timers.c.id).where(timers.c.id == timer_id)
            if not its_timer and connection.execute(exists).scalar() is not None:
                return False
            # The latest that it has begun, whichever that is.
            begun = select(runs).where(runs.c.worker == worker, runs.c.outcome.is_(None))
            begun = begun.order_by(runs.c.started_at.desc()).limit(1)
            latest = connection.execute(begun.with_for_update(skip_locked=True)).one_or_none()
            if latest is None or latest.id != run_id or latest.cancel_requested_at is None:
                return False
            end_run(connection, run_id, Outcome.CANCELLED, now, MESSAGES[Outcome.CANCELLED])
            enter_followers(connection, [EndedRun(run_id, Outcome.CANCELLED, now)])
            lose_probes(connection, its_timer, now)
            if printed:
                connection.execute(insert(lines), [line_columns(line) for line in printed])
        return True

    def announce_unbegun(self, run_ids: Collection[int], channel: str) -> None:
        """Notify the daemon on `channel` that these runs may have to be published again."""
        with self._store.writing() as connection:
            connection.execute(select(func.pg_notify(channel, ",".join(map(str, run_ids)))))

    # A daemon's side

    def progress(self, run_ids: Collection[int]) -> list[RunProgress]:
        """The progress of these runs; those that have not begun are left out."""
        moved = or_(runs.c.worker.is_not(None), runs.c.outcome.is_not(None))
        query = select(runs).where(runs.c.id.in_(run_ids), moved)
        with self._store.reading() as connection:
            return [RunProgress(row.id, row.worker, _ending(row)) for row in connection.execute(query)]

    def lines(self, run_ids: Collection[int]) -> list[Line]:
        """The lines that these runs have printed."""
        query = select(lines).where(lines.c.run_id.in_(run_ids)).order_by(lines.c.id)
        with self._store.reading() as connection:
            return [line_of(row) for row in connection.execute(query)]

    def announce_cancellations(self) -> None:
        """Notify the workers that runs are to be cancelled; each checks whether it has one of them."""
        with self._store.writing() as connection:
            connection.exec_driver_sql(f"NOTIFY {CANCELLATIONS}")

    def abandon(self, run_id: int, worker: str, now: datetime, error: str = WORKER_LOST) -> None:
        """End an open run whose worker is gone; enter it again if its timer has at_least_once delivery."""
        with self._store.writing() as connection:
            which = (runs.c.id == run_id) & (runs.c.worker == worker) & runs.c.outcome.is_(None)
            abandon(connection, which, now, error)

    def give_up(self, run_id: int, ending: Ending) -> None:
        """End a run that no worker has begun; if it was a breaker's probe, the next fire time becomes the probe."""
        timer_id = select(runs.c.timer_id).where(runs.c.id == run_id).scalar_subquery()
        with self._store.writing() as connection:
            its_timer = select(timers).where(timers.c.id == timer_id).with_for_update(key_share=True)
            timer_rows = connection.execute(its_timer).all()
            named = connection.execute(
                select(runs.c.timer, runs.c.environment).where(runs.c.id == run_id)
            ).one_or_none()
            if _write_ending(connection, run_id, None, ending):
                enter_followers(connection, [EndedRun(run_id, ending.outcome, ending.ended_at)])
                lose_probes(connection, timer_rows, ending.ended_at)
                if named is not None:
                    alert_of_ending(connection, run_id, named.timer, named.environment, ending)


def _ending(row: Row[Any]) -> Ending | None:
    if row.outcome is None:
        return None
    outcome = Outcome(row.outcome)
    return Ending(
        outcome=outcome,
        # The worker has moved the breaker already; this verdict is for listeners only.
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
    # `begin` has written this column.
    del columns["started_at"]
    open_run = (runs.c.id == run_id) & runs.c.worker.is_not_distinct_from(worker) & runs.c.outcome.is_(None)
    return connection.execute(update(runs).where(open_run).values(columns)).rowcount == 1
