"""The history of runs, and one run with its lines."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from flask import Response, abort, request

from ...claims.cancellations import request_cancel
from ...core.environments import Environment
from ...core.run import Kind, Outcome
from ...errors import RunError, UnknownTimerError
from ...formats.json import result_value
from ...store.runs import RunFilter, RunHistory
from ...store.stored_timer import StoredTimer
from ..current import author, console
from ..links import go
from ..page_queries import MAX_LINES_OF_RUN, lines_of_run
from ..reader import reader
from ..rendering import render
from .position import position

_TEXTS = ("timer", "environment", "function", "request_id")
#: The word for runs without an outcome.
OPEN = "open"


def show_list() -> str:
    """A page of runs, newest first."""
    wanted = _filter()
    before = request.args.get("before", type=position)
    return render(
        "runs.html",
        wanted=wanted,
        is_filtered=wanted != RunFilter(),
        page=RunHistory(console().store).page(wanted, before=before),
        outcome=request.args.get("outcome", ""),
        is_first=before is None,
        outcomes=[OPEN, *Outcome],
        kinds=list(Kind),
    )


def _filter() -> RunFilter:
    texts: Any = {name: request.args.get(name, "")[:200] or None for name in _TEXTS}
    outcome, kind = request.args.get("outcome"), request.args.get("kind")
    return RunFilter(
        **texts,
        kind=Kind(kind) if kind in list(Kind) else None,
        outcomes=[Outcome(outcome)] if outcome in list(Outcome) else [],
        is_open=outcome == OPEN,
    )


def show(run_id: int) -> str:
    """One run."""
    run = RunHistory(console().store).run(run_id) if run_id < 2**63 else None
    if run is None:
        abort(404)
    lines, has_earlier = lines_of_run(console().store, run_id) if reader().sees("lines") else ([], False)
    return render(
        "run.html",
        run=run,
        led_to=RunHistory(console().store).led_to(run_id),
        entry=_timer_of(run.timer, run.environment),
        result=_shown(run.result) if reader().sees("results") else None,
        lines=lines,
        has_earlier=has_earlier,
        most_lines=MAX_LINES_OF_RUN,
    )


def cancel(run_id: int) -> Response:
    """Request the end of a run; one that has ended meanwhile is left unchanged."""
    if run_id >= 2**63:
        abort(404)
    with contextlib.suppress(RunError):
        request_cancel(console().store, run_id, now=console().now(), by=author())
    return go("run", run_id=run_id, did="cancelled")


def _shown(result: str | None) -> str | None:
    """A result, with indented JSON."""
    value = result_value(result)
    if result is None or isinstance(value, str | int | float | bool | None):
        return result
    return json.dumps(value, ensure_ascii=False, indent=2)


def _timer_of(name: str, environment: str) -> StoredTimer | None:
    try:
        return console().timers.get(name, Environment(environment))
    except (UnknownTimerError, ValueError):
        return None
