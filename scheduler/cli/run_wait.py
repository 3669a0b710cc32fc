"""`timers run --wait`: waits until the run has ended, or explains why it has not."""

from __future__ import annotations

import time

from ..core.run import Run
from ..core.timer import Environment, Timer
from ..formats import display
from ..project.project import Project
from ..store.database import Store
from ..store.runs import RunHistory
from ..store.statistics import has_live_daemon

#: How often to read the run.
_POLL_S = 0.1
#: How long to wait for a run to begin, besides the run's own limit.
_BEGIN_TIMEOUT_S = 30.0


#: How often to look whether a daemon runs, and for how long one that restarts may be gone.
_LOOK_FOR_DAEMON_EVERY_S, _RESTART_S = 1.0, 5.0


def wait_for_end(store: Store, run_id: int, timer: Timer) -> Run | None:
    """The run after its end, or its state when the time is over or no daemon has run for a while."""
    history = RunHistory(store)
    began = looked_at = daemon_seen_at = time.monotonic()
    run = history.run(run_id)
    while (run is None or run.outcome is None) and (now := time.monotonic()) < began + timer.limit_s + _BEGIN_TIMEOUT_S:
        if now >= looked_at + _LOOK_FOR_DAEMON_EVERY_S:
            looked_at = now
            if has_live_daemon(store):
                daemon_seen_at = now
            elif now >= daemon_seen_at + _RESTART_S:
                break
        time.sleep(_POLL_S)
        run = history.run(run_id)
    return run


def why_not_ended(run: Run, timer: Timer, project: Project, *, daemon_runs: bool) -> str:
    """Why the run has not ended, as far as the store shows."""
    if not daemon_runs:
        start = display.command("up")
        return f"run {run.id} has not ended, and no daemon runs any more; the next one takes it up: {start}"
    waited = f"run {run.id} has not ended after {display.seconds(timer.limit_s + _BEGIN_TIMEOUT_S)}"
    if not run.is_claimed:
        return f"{waited}: no daemon has claimed it; other runs go first, or the daemon is busy"
    kind = project.settings.for_environment(Environment(run.environment)).kind
    if run.started_at is None and kind.shows_begins:
        return f"{waited}: no worker of the fleet has begun it; start one: {display.command('worker')}"
    return f"{waited}: no worker is free, or the function is still running; see {display.command('doctor')}"
