"""The handlers of runs: list, read, cancel and repeat runs, and read the lines of one or of all."""

from __future__ import annotations

import time
from typing import Any

from flask import Response, current_app
from sqlalchemy import select

from ...claims.cancellations import request_cancel
from ...claims.requested_runs import request_again
from ...core.run import Outcome, Run
from ...formats.json import line_json
from ...formats.lines import line_of_run
from ...store.log_lines import LineFilter, LogLines
from ...store.rows import line_of
from ...store.runs import RunFilter, RunHistory
from ...store.schema import lines as lines_table
from ..current import console
from ..cursors import position_of, position_text
from ..links import root
from ..reader import reader
from .context import (
    Zones,
    answer,
    author,
    bad_cursor,
    default_zone,
    listed,
    number_of,
    past_instant_of,
    run_object,
    run_objects,
)
from .problems import ProblemError
from .request_keys import request_key
from .requests import AgainBody, LinesQuery, Reason, RunLinesQuery, RunPath, RunQuery, RunsQuery

#: How often a request that waits for the end of a run reads it.
_POLL_S = 0.2
WAITING = "scheduler.console.waiting"


def index(query: RunsQuery) -> Response:
    """A page of runs, the latest first."""
    wanted = RunFilter(
        timer=query.timer,
        environment=query.environment,
        function=query.function,
        kind=query.kind,
        outcomes=[Outcome(word) for word in query.outcome if word != "open"],
        is_open="open" in query.outcome,
        request_id=query.request_id,
        since=past_instant_of(query.since, "since"),
        until=past_instant_of(query.until, "until"),
    )
    page = RunHistory(console().store).page(wanted, before=number_of(query.cursor), limit=query.limit)
    following = None if page.next is None else str(page.next)
    return listed(run_objects(page.items), following, page.looked_back_to)


def show(path: RunPath, query: RunQuery) -> Response:
    """One run; with `wait`, as soon as it has ended, or as it is when that time is over."""
    found = run_of(path)
    if query.wait and found.outcome is None:
        found = _waited(found, query.wait)
    return answer(_object(found))


def _waited(run: Run, wait_s: float) -> Run:
    """The run after its end, if that comes in time; at once if several requests wait already."""
    places = current_app.extensions[WAITING]
    if not places.acquire(blocking=False):
        return run
    try:
        give_up_at = time.monotonic() + wait_s
        while run.outcome is None and (left_s := give_up_at - time.monotonic()) > 0:
            time.sleep(min(_POLL_S, left_s))
            run = RunHistory(console().store).run(run.id) or run
        return run
    finally:
        places.release()


def cancel(path: RunPath, body: Reason) -> Response:
    """Request the end of a run."""
    run_of(path)
    run = request_cancel(console().store, path.run_id, now=console().now(), by=author(body.why))
    return answer(_object(run), 202)


def again(path: RunPath, body: AgainBody) -> Response:
    """Run the timer of a run again, with the parameters of that run if it had its own."""
    run_of(path)
    by, key = author(body.note), request_key()
    return requested(request_again(console().store, path.run_id, now=console().now(), by=by, key=key))


def requested(run_id: int) -> Response:
    """The answer about a run that was requested."""
    run = RunHistory(console().store).run(run_id)
    if run is None:
        raise ProblemError("conflict", f"run {run_id} was deleted meanwhile")
    return answer(_object(run), 202, {"Location": f"{root()}runs/{run_id}"})


def run_of(path: RunPath) -> Run:
    """The run of an address."""
    found = RunHistory(console().store).run(path.run_id)
    if found is None:
        days = console().settings.keep_days
        raise ProblemError("unknown", f"no run {path.run_id}; runs are kept for {days} days", field="run_id")
    return found


def _object(run: Run) -> dict[str, Any]:
    return run_object(run, Zones(console().store, [run]).of(run))


# Lines


def lines_of_run(path: RunPath, query: RunLinesQuery) -> Response:
    """The last lines of a run, or those before a cursor; each page is in the order in which they were printed."""
    _check_lines()
    run, before = run_of(path), number_of(query.cursor)
    statement = select(lines_table).where(lines_table.c.run_id == run.id)
    if before is not None:
        statement = statement.where(lines_table.c.id < before)
    with console().store.reading() as connection:
        rows = connection.execute(statement.order_by(lines_table.c.id.desc()).limit(query.limit + 1)).all()
    shown = rows[: query.limit]
    tz = Zones(console().store, [run]).of(run)
    items = [line_json(line_of_run(line_of(row), run), tz) for row in reversed(shown)]
    return listed(items, str(shown[-1].id) if len(rows) > query.limit else None)


def lines(query: LinesQuery) -> Response:
    """A page of the lines of runs and of calls, the latest first."""
    _check_lines()
    before = position_of(query.cursor)
    if query.cursor is not None and before is None:
        raise bad_cursor()
    wanted = LineFilter(
        timer=query.timer,
        function=query.function,
        environment=query.environment,
        request_id=query.request_id,
        level=query.level,
        text=query.text,
        since=past_instant_of(query.since, "since"),
        until=past_instant_of(query.until, "until"),
    )
    page = LogLines(console().store).page(wanted, before=before, limit=query.limit)
    tz = default_zone()
    following = None if page.next is None else position_text(page.next)
    return listed([line_json(line, tz) for line in page.items], following, page.looked_back_to)


def _check_lines() -> None:
    if not reader().sees("lines"):
        raise ProblemError("forbidden", "the setting console_hide hides lines from viewers")
