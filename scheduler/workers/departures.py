"""Departures: workers that are replaced, or not needed any more, end by themselves, so their `atexit` handlers run.

Lives here: how long they may take. Never here: which worker leaves (recycling.py, pool_size.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableSequence

from . import niceness
from .worker import WorkerProcess

#: How long a worker may take to end; Sentry's SDK sends its last events for 2 s at most.
ENDS_S = 5.0
#: How many workers may be ending, each with its memory, before the first one is killed.
MOST = 4


class Departures:
    """The workers of one pool that are ending; the executor shares `serving`, the others.

    `collect_from` reads what a worker has sent. `now` is in monotonic seconds throughout.
    """

    def __init__(self, serving: MutableSequence[WorkerProcess], collect_from: Callable[[WorkerProcess], None]) -> None:
        self._serving = serving
        self._collect_from = collect_from
        #: When each is killed, in the order in which they began to end.
        self._kill_at: dict[WorkerProcess, float] = {}

    def __iter__(self) -> Iterator[WorkerProcess]:
        return iter(self._kill_at)

    def begin(self, worker: WorkerProcess, now: float) -> None:
        """Have an idle worker end, which gets no more tasks."""
        self._serving.remove(worker)
        worker.ask_to_end()
        # What it still does must not delay the runs of others.
        niceness.lower(worker.pid)
        self._kill_at[worker] = now + ENDS_S

    def look(self, now: float) -> None:
        """Read what the workers print, and kill what is left of one that has ended or takes too long."""
        for worker, kill_at in list(self._kill_at.items()):
            has_ended = worker.exit_reason() is not None
            self._collect_from(worker)
            if has_ended or now >= kill_at or len(self._kill_at) > MOST:
                self._kill(worker)
                # A kill takes milliseconds, so the tasks that became due meanwhile go before the next kill.
                return

    def next_checks(self, now: float) -> list[float]:
        """Seconds until each worker is killed."""
        return [max(0.0, kill_at - now) for kill_at in self._kill_at.values()]

    def stop(self) -> None:
        """Kill all of them now."""
        for worker in list(self._kill_at):
            self._kill(worker)

    def _kill(self, worker: WorkerProcess) -> None:
        # Its child processes may still run, even if it has ended.
        worker.kill()
        worker.close()
        del self._kill_at[worker]
