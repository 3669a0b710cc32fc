"""A listener: told, on the daemon's thread, of everything that was just recorded: runs that ended, lines printed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row

from ..core.breaker import Breaker, BreakerState
from ..core.run import Ending, Line, Task

Listener = Callable[[list[tuple[Task, Ending]], list[Line]], None]


def telling(*listeners: Listener) -> Listener:
    """A listener that tells several."""

    def tell(ended: list[tuple[Task, Ending]], lines: list[Line]) -> None:
        for listener in listeners:
            listener(ended, lines)

    return tell


log = logging.getLogger("scheduler.daemon")


#: So many abandoned runs are told of one by one.
MOST_TOLD = 20


def breaker_moved(name: str, before: Breaker, after: Breaker) -> None:
    """Say that the breaker of a timer changed its state, and why."""
    if after.state is BreakerState.OPEN:
        log.warning(
            "breaker of %s: %s → open until %s after %d failures in a row (%s)",
            name,
            before.state,
            after.next_probe_at and after.next_probe_at.isoformat(timespec="seconds"),
            after.consecutive_failures,
            after.last_error,
            extra={"timer": name},
        )
    else:
        log.info("breaker of %s: %s → %s", name, before.state, after.state, extra={"timer": name})


def runs_abandoned(rows: Sequence[Row[Any]]) -> None:
    """Say how many runs were abandoned, and which the first of them are."""
    log.warning("abandoned %d runs of daemons that are gone", len(rows))
    for row in rows[:MOST_TOLD]:
        about = {name: row._mapping[name] for name in ("request_id", "timer", "function", "environment")}
        log.warning("abandoned run %d of %s", row.id, row.timer, extra={**about, "run_id": row.id})
