"""Scheduler, the timer service inside a program of yours: a store, a daemon on a thread, and your functions."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from .claims.requests import Backfill, backfill, request_run
from .clock import Clock, SystemClock
from .core.run import Run
from .core.timer import DEFAULT_QUOTA, Environment, Timer
from .daemon.events import Listener, telling
from .daemon.loop import Daemon
from .errors import ConfigError, StoreError
from .executors import Executor
from .executors.thread import ThreadExecutor
from .functions.binding import bind
from .functions.loading import registry_of
from .functions.registry import Registry
from .store.database import Store
from .store.declarations import Change, declared_timers, synchronise
from .store.retention import KEEP
from .store.runs import RunHistory
from .store.timers import StoredTimer, TimerTable
from .workers.executor import ProcessExecutor

if TYPE_CHECKING:
    from .metrics import Metrics

#: How often `wait` looks: another daemon may have the run, so nobody here is told of its end.
_LOOK_EVERY_S = 0.02


class Scheduler:
    """Timers that fire inside your program, from `start` (or `with`) until `stop`.

    `store` is a Store, a path or an address. `functions` is an Engine or a Registry, whose functions run in threads of
    this program, or a text such as `cloud.py`, whose functions run in worker processes and are killed at their limit;
    `executors` gives an Executor for each environment instead. `quota` is how many timers an environment may hold,
    0 = no limit. Runs are kept for the time of `keep`, and of each timer the latest `keep_runs`, 0 = all.
    `listener(ended, lines)` is told of what was recorded, and `metrics` counts it for Prometheus.

    >>> from scheduler.functions import Registry
    >>> from scheduler.timer import Every, Timer
    >>> functions = Registry()
    >>> @functions.define
    ... def hello(name="world"):
    ...     print("hello,", name)
    >>> with Scheduler("sqlite://", functions) as scheduler:
    ...     _ = scheduler.add(Timer(name="greeting", function="hello", trigger=Every(60), enabled=True))
    ...     [entry.timer.name for entry in scheduler.timers()]
    ['greeting']
    """

    def __init__(
        self,
        store: Store | str,
        functions: Registry | Any = None,
        *,
        executors: Mapping[Environment, Executor] | None = None,
        clock: Clock | None = None,
        quota: int = DEFAULT_QUOTA,
        keep: timedelta = KEEP,
        keep_runs: int = 0,
        listener: Listener | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        if (functions is None) == (executors is None):
            raise ConfigError("a Scheduler takes either functions or executors")
        self._owns_store = not isinstance(store, Store)
        self._clock = clock or SystemClock()
        self._registry = None if functions is None or isinstance(functions, str) else registry_of(functions)
        self._executors = executors or dict.fromkeys(Environment, _executor(functions, self._clock))
        self.store = store if isinstance(store, Store) else Store(store)
        self.history = RunHistory(self.store)
        self._timetable = TimerTable(self.store)
        self._quota = quota
        self._keep, self._keep_runs = keep, keep_runs
        self._listener = listener
        self._metrics = metrics
        self._daemon: Daemon | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Scheduler:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to fire; a second start, or one after `stop`, is a RuntimeError."""
        if self._daemon is not None:
            raise RuntimeError("a Scheduler starts once; make another one")
        for executor in set(self._executors.values()):
            if isinstance(executor, ProcessExecutor):
                executor.start()
        self._daemon = Daemon(
            self.store,
            self._executors,
            clock=self._clock,
            keep=self._keep,
            keep_runs=self._keep_runs,
            listener=self._listeners(),
        )
        if self._metrics is not None:
            self._metrics.watch(self._daemon, self.store)
        self._thread = threading.Thread(target=self._daemon.run, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self, *, timeout_s: float | None = None) -> None:
        """Begin no more runs, wait until those going on have ended, and release everything.

        After `timeout_s` seconds what still runs is cut, and recorded as abandoned.
        """
        if self._daemon is None:
            for executor in set(self._executors.values()):
                executor.stop()
        elif self._thread is not None:
            self._daemon.stop()
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                self._daemon.stop()
                self._thread.join()
            self._thread = None
        if self._owns_store:
            self.store.close()

    def _listeners(self) -> Listener | None:
        told = [listener for listener in (self._listener, self._metrics) if listener is not None]
        return telling(*told) if told else None

    def add(self, *timers: Timer) -> list[StoredTimer]:
        """Keep new timers, all or none; those that are `enabled` fire from now on.

        Where the functions are at hand, UnknownFunctionError for one that is not among them, and ArgumentError for
        parameters that it does not take.
        """
        if self._registry is not None:
            for timer in timers:
                bind(self._registry.get(timer.function), timer.params)
        return self._timetable.add(timers, now=self._clock.now(), quota=self._quota)

    def synchronise(self, environment: Environment = Environment.PRODUCTION) -> list[Change]:
        """Bring the store in line with the timers that your functions declare with `@engine.timer`; what that changed.

        What is declared for the first time is added, what is declared otherwise than before is changed, and what is no
        longer declared is disabled; see declarations.py. ConfigError where the functions are not at hand here.
        """
        if self._registry is None:
            raise ConfigError("declared timers are read from an Engine or a Registry; give the Scheduler that")
        declared = declared_timers(self._registry, environment)
        return synchronise(self.store, declared, environment, now=self._clock.now(), quota=self._quota)

    def timers(self, environment: Environment | None = None) -> list[StoredTimer]:
        """The timers that the store has."""
        return self._timetable.list(environment)

    def enable(self, name: str, environment: Environment = Environment.PRODUCTION) -> StoredTimer:
        """Set a timer going from now on."""
        return self._timetable.enable(name, environment, now=self._clock.now())

    def disable(self, name: str, environment: Environment = Environment.PRODUCTION) -> StoredTimer:
        """Stop a timer from firing."""
        return self._timetable.disable(name, environment)

    def remove(self, name: str, environment: Environment = Environment.PRODUCTION) -> None:
        """Forget a timer; its history stays."""
        self._timetable.remove(name, environment)

    def run(self, name: str, environment: Environment = Environment.PRODUCTION) -> int:
        """Have a timer run at once, off schedule; returns the id of the run, for `wait` and `history`."""
        return request_run(self.store, name, environment, now=self._clock.now())

    def wait(self, run_id: int, *, timeout_s: float = 60.0) -> Run:
        """A run when it has ended; TimeoutError when it has not after `timeout_s`, StoreError when there is none."""
        give_up_at = time.monotonic() + timeout_s
        while True:
            run = self.history.run(run_id)
            if run is None:
                raise StoreError(f"there is no run {run_id}; `run` returns the id of one")
            if run.outcome is not None:
                return run
            if time.monotonic() >= give_up_at:
                raise TimeoutError(f"run {run_id} of {run.timer} has not ended after {timeout_s:g} s")
            time.sleep(_LOOK_EVERY_S)

    def backfill(
        self, name: str, start: datetime, end: datetime, environment: Environment = Environment.PRODUCTION
    ) -> Backfill:
        """Have a timer run for each fire time in [start, end) that has no run, one after the other; see backfill.py."""
        return backfill(self.store, name, environment, (start, end), now=self._clock.now())


def _executor(functions: Any, clock: Clock) -> Executor:
    if isinstance(functions, str):
        return ProcessExecutor(functions, clock=clock)
    return ThreadExecutor(registry_of(functions), clock=clock)
