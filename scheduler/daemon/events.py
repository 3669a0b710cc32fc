"""Events of a daemon: listeners for runs that ended, and log messages about breakers and abandoned runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row

from ..core.breaker import Breaker, BreakerState
from ..core.run import Ending, Line, Task

log = logging.getLogger("scheduler.daemon")

#: Called on the daemon's thread with the runs that ended and the lines that were printed, once they are recorded.
Listener = Callable[[list[tuple[Task, Ending]], list[Line]], None]
#: How many abandoned runs are logged one by one.
MOST_LOGGED = 20


def combined(*listeners: Listener) -> Listener:
    """One listener that calls several others."""

    def listen(ended: list[tuple[Task, Ending]], lines: list[Line]) -> None:
        for listener in listeners:
            listener(ended, lines)

    return listen


def log_breaker(name: str, before: Breaker, after: Breaker) -> None:
    """Log that the breaker of a timer changed its state, and why."""
    if after.state is BreakerState.OPEN:
        log.warning(
            "breaker of %s: %s → open until %s after %d failures in a row (%s)",
            name,
            before.state,
            after.next_probe_at and after.next_probe_at.astimezone().isoformat(timespec="seconds"),  # as log lines are
            after.consecutive_failures,
            after.last_error,
            extra={"timer": name},
        )
    else:
        log.info("breaker of %s: %s → %s", name, before.state, after.state, extra={"timer": name})


def log_unreadable(name: str, environment: str, reason: str) -> None:
    """Log once for each reason that a timer does not fire because this program cannot read its trigger."""
    log.error("the timer %r in %s does not fire here: %s", name, environment, reason)


def log_abandoned(rows: Sequence[Row[Any]]) -> None:
    """Log how many runs were abandoned, and the first of them."""
    log.warning("abandoned %d runs of daemons that have ended", len(rows))
    for row in rows[:MOST_LOGGED]:
        about = {name: row._mapping[name] for name in ("request_id", "timer", "function", "environment")}
        log.warning("abandoned run %d of %s", row.id, row.timer, extra={**about, "run_id": row.id})
