"""Chains in the store: a run that has ended leads to a run of each timer that follows its timer.

Such a run is entered in the transaction that records the end, so a crash neither loses nor doubles one. It waits until
no run of its timer is in progress, whatever the timer's overlap policy says; with `allow` it begins at once. It runs
even if its timer is disabled, and obeys that timer's own breaker, retries and pauses. A run that is tried again leads
to nothing yet, and neither does one that has never begun.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, insert, select, text

from ..core.chains import LEADING, ThenOn
from ..core.overlap import MAX_QUEUED, NewRun
from ..core.run import Kind, Outcome
from ..core.timestamps import stamp
from ..store.database import store_of
from ..store.rows import NEW_RUN, new_run
from ..store.schema import CHAINED, lines, runs, timers
from ..store.statements import Among, Bulk
from .open_runs import WAITS_FOR_TURN

log = logging.getLogger("scheduler.claims")


class EndedRun(NamedTuple):
    """A run that has ended, and is not tried again."""

    run_id: int
    outcome: Outcome
    ended_at: datetime


#: Through the row of the run, whose timer_id is that of its timer even if another one has its former name.
_LEADERS = Among(
    select(runs.c.id, runs.c.environment, timers.c.then, timers.c.then_on)
    .join(timers, timers.c.id == runs.c.timer_id)
    .where(text(CHAINED)),
    runs.c.id,
)
_FOLLOWERS = Among(select(*(timers.c[name] for name in ("id", "name", "function", "environment"))), timers.c.name)
#: The runs that led to others already.
_HAVE_LED = Among(select(runs.c.cause_id).distinct(), runs.c.cause_id)
_WAITING = Among(select(runs.c.timer_id, func.count()).where(WAITS_FOR_TURN).group_by(runs.c.timer_id), runs.c.timer_id)
_ENTER = Bulk(insert(runs), (*NEW_RUN, "cause_id"))


def enter_followers(connection: Connection, ended: Sequence[EndedRun]) -> None:
    """Enter the runs to which these lead; they wait, and a daemon begins them."""
    leaders = {row.id: row for row in _LEADERS.rows(connection, [run.run_id for run in ended])}
    leading = [run for run in ended if (row := leaders.get(run.run_id)) and run.outcome in LEADING[ThenOn(row.then_on)]]
    have_led = {row[0] for row in _HAVE_LED.rows(connection, [run.run_id for run in leading])}
    wanted = [
        (run, leaders[run.run_id].environment, name)
        for run in leading
        if run.run_id not in have_led
        for name in json.loads(leaders[run.run_id].then)
    ]
    if not wanted:
        return
    found = {(row.environment, row.name): row for row in _FOLLOWERS.rows(connection, sorted({w[2] for w in wanted}))}
    waiting = dict(map(tuple, _WAITING.rows(connection, [row.id for row in found.values()])))
    rows = []
    for run, environment, name in wanted:
        follower = found.get((environment, name))
        if follower is None:
            _report_removed(connection, run, name)
            continue
        waiting[follower.id] = waiting.get(follower.id, 0) + 1
        rows.append([*_row(follower, run, is_full=waiting[follower.id] > MAX_QUEUED), run.run_id])
    run_ids = store_of(connection).new_run_ids(connection, len(rows)) if rows else ()
    _ENTER.execute(connection, [(run_id, *row[1:]) for run_id, row in zip(run_ids, rows, strict=True)])


_KIND = NEW_RUN.index("kind")


def _row(follower: Row[Any], cause: EndedRun, *, is_full: bool) -> list[Any]:
    """The row of a run to which another one leads; it is skipped where too many wait already."""
    at = cause.ended_at
    new = NewRun(at, at, outcome=Outcome.SKIPPED_OVERLAP if is_full else None, waits=not is_full)
    row = new_run((follower.id, follower.name, follower.function, follower.environment), new, stamp(at))
    row[_KIND] = Kind.CHAINED.value
    return row


def _report_removed(connection: Connection, run: EndedRun, name: str) -> None:
    """Report in the lines of a run that a timer that followed is gone."""
    said = f"the timer {name!r}, which follows, was removed: it does not run"
    log.warning("run %d: %s", run.run_id, said)
    line = {"run_id": run.run_id, "at": stamp(run.ended_at), "level": "warning", "text": said}
    connection.execute(insert(lines).values(line))
