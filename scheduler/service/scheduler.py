"""Scheduler, the timer service inside your program: a store, a daemon in a thread, and your functions."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from .. import own_programs
from ..alerts.courier_process import CourierProcess
from ..claims.cancellations import request_cancel
from ..claims.requested_runs import Backfill, backfill, request_again, request_run
from ..clock import Clock, SystemClock
from ..core.alerts import AlertRule, AlertRules
from ..core.run import Outcome, Run
from ..core.timer import Environment
from ..core.timer_checks import check_params
from ..daemon.events import Listener, combined
from ..daemon.loop import Daemon
from ..errors import ConfigError, StoreError
from ..executors import Executor
from ..executors.thread import ThreadExecutor
from ..functions.binding import bind
from ..functions.descriptions import described
from ..functions.loading import registry_of
from ..functions.registry import Registry
from ..store.calendars import CalendarTable
from ..store.catalogue import replace_functions
from ..store.change_pages import ChangeHistory
from ..store.database import Store
from ..store.pause_table import PauseTable
from ..store.pauses import Pause
from ..store.retention import KEEP
from ..store.runs import RunHistory
from ..store.timers import TimerTable
from ..workers.executor import ProcessExecutor
from .start_warnings import warn_of_host_server, warn_of_loading
from .timers import ManagedTimers, author_of

if TYPE_CHECKING:
    from ..metrics import Metrics

#: How often `wait` reads the run: another daemon may run it, so this process gets no notification of its end.
_POLL_S = 0.02


class Scheduler(ManagedTimers):
    """Timers that fire inside your program, from `start` (or `with`) until `stop`.

    `store` is a Store, a path or an address. `functions` is an Engine or a Registry, whose functions run in threads of
    this program, or a text such as `cloud.py`, whose functions run in worker processes and are killed at their limit;
    `executors` gives an Executor for each environment instead. An environment may hold `quota` timers, 0 = no limit;
    without it, only LeanCloud's rules set a limit (default_rules.py). Runs are kept for `keep`, and of each timer at
    most the latest `keep_runs`, 0 = all. `listener(ended, lines)` is called with the runs and lines that were recorded,
    and `metrics` counts them for Prometheus. `alerts` are the rules by which alerts are sent; `ping_private` lets the
    `ping_url` of a timer lead to a private address. `history` reads the runs, the latest ones first:
    `scheduler.history.runs(timer="greeting")`. `changes` reads who changed what.

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
        store: Store | str | os.PathLike[str],
        functions: Registry | Any = None,
        *,
        executors: Mapping[Environment, Executor] | None = None,
        clock: Clock | None = None,
        quota: int | None = None,
        keep: timedelta = KEEP,
        keep_runs: int = 0,
        listener: Listener | None = None,
        metrics: Metrics | None = None,
        alerts: Sequence[AlertRule] = (),
        ping_private: bool = False,
    ) -> None:
        if (functions is None) == (executors is None):
            raise ConfigError(
                "a Scheduler takes either functions or executors: functions are an Engine, a Registry or 'cloud.py'"
            )
        if isinstance(functions, str) or alerts:
            own_programs.interpreter()
        self._owns_store = not isinstance(store, Store)
        self._clock = clock or SystemClock()
        self._registry = None if functions is None or isinstance(functions, str) else registry_of(functions)
        # The store first: an executor holds sockets, which would stay open if the store cannot be opened.
        self.store = store if isinstance(store, Store) else Store(store)
        if alerts:
            self._watch_for(alerts)
        self._executors = executors or dict.fromkeys(Environment, _executor(functions, self._clock))
        self._ping_private = ping_private
        self._courier: CourierProcess | None = None
        self.history = RunHistory(self.store)
        self.changes = ChangeHistory(self.store)
        self.calendars = CalendarTable(self.store)
        self._timetable = TimerTable(self.store)
        self._pauses = PauseTable(self.store)
        self._quota = quota
        self._keep, self._keep_runs = keep, keep_runs
        self._listener = listener
        self._metrics = metrics
        self._daemon: Daemon | None = None
        self._thread: threading.Thread | None = None
        #: Taken by the first `stop`, for good: a second order would make the daemon end its runs at once.
        self._stop_order = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start to fire timers; RuntimeError for a second start, even after `stop`."""
        if self._daemon is not None:
            raise RuntimeError("a Scheduler starts once; make another one")
        warn_of_host_server()
        warn_of_loading()
        for executor in set(self._executors.values()):
            if isinstance(executor, ProcessExecutor):
                executor.start()
        self._record_functions()
        self._courier = CourierProcess(self.store, self.store.alerts.rules, ping_private=self._ping_private)
        self._courier.__enter__()
        self._daemon = Daemon(
            self.store,
            self._executors,
            clock=self._clock,
            keep=self._keep,
            keep_runs=self._keep_runs,
            listener=self._listeners(),
            courier=self._courier,
        )
        if self._metrics is not None:
            self._metrics.watch(self._daemon, self.store)
        self._thread = threading.Thread(target=self._daemon.run, name="scheduler", daemon=True)
        self._thread.start()

    def _record_functions(self) -> None:
        """Replace the functions in the catalogue of the store, for the console; timers fire without it."""
        if self._registry is not None:
            with contextlib.suppress(StoreError):
                for environment in self._executors:
                    replace_functions(self.store, environment, described(self._registry))

    def stop(self, *, timeout_s: float | None = None) -> None:
        """Start no more runs, wait for the current ones, and release all resources.

        After `timeout_s` seconds, it stops waiting and records the current runs as abandoned. A second call waits too.
        """
        if self._daemon is None:
            for executor in set(self._executors.values()):
                executor.stop()
        elif (thread := self._thread) is not None:
            if self._stop_order.acquire(blocking=False):
                self._daemon.stop()
            thread.join(timeout_s)
            if thread.is_alive():
                self._daemon.stop()
                thread.join()
            self._thread = None
        if self._courier is not None:
            self._courier.close()
        if self._owns_store:
            self.store.close()

    def _watch_for(self, alerts: Sequence[AlertRule]) -> None:
        if not self.store.has_server and not self.store.files:
            if self._owns_store:
                self.store.close()
            raise ConfigError("alerts are delivered by a process of their own, which cannot open a store in memory")
        self.store.alerts = AlertRules(alerts)

    def _listeners(self) -> Listener | None:
        given = [listener for listener in (self._listener, self._metrics) if listener is not None]
        return combined(*given) if given else None

    def pause(
        self,
        environment: Environment | None = None,
        tag: str | None = None,
        *,
        until: datetime | None = None,
        why: str = "",
        by: str | None = None,
    ) -> Pause:
        """Pause the timers of an environment, with a tag, or all, until `until` or `resume`: no daemon claims them.

        Runs in progress continue, and requested runs begin. Afterwards, the misfire policies decide about missed fire
        times.
        """
        return self._pauses.pause(environment, tag, now=self._clock.now(), until=until, by=author_of(by, why))

    def resume(
        self,
        environment: Environment | None = None,
        tag: str | None = None,
        *,
        skip: bool = False,
        why: str = "",
        by: str | None = None,
    ) -> Sequence[Pause]:
        """End a pause of the same environment and tag, or all of them; returns those that have ended.

        With `skip`, missed fire times are recorded as misfired. TimerError if nothing is paused.
        """
        return self._pauses.resume(environment, tag, now=self._clock.now(), skip=skip, by=author_of(by, why))

    def pauses(self) -> list[Pause]:
        """The pauses in force, and those of single timers, which are disabled until they end."""
        return self._pauses.list()

    def run(
        self,
        name: str,
        environment: Environment = Environment.PRODUCTION,
        *,
        params: Mapping[str, Any] | None = None,
    ) -> int:
        """Run a timer now, off schedule; returns the id of the run, for `wait` and `history`.

        `params` replace all parameters of the timer, for this run only. If `functions` is an Engine or a Registry,
        ArgumentError for parameters that the function does not accept.
        """
        if params is not None:
            check_params(params)
        if params is not None and self._registry is not None:
            bind(self._registry.get(self._timetable.get(name, environment).timer.function), params)
        return request_run(self.store, name, environment, now=self._clock.now(), params=params)

    def again(self, run_id: int) -> int:
        """Run the timer of a run again, now, with that run's own parameters if it had any; returns the id.

        RunError for an unknown run, and for one whose timer was removed.
        """
        return request_again(self.store, run_id, now=self._clock.now())

    def runs(
        self,
        timer: str | None = None,
        environment: Environment | None = None,
        *,
        outcomes: Sequence[Outcome] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
    ) -> list[Run]:
        """The latest runs, newest first; of one timer, one environment, certain outcomes, or a time span only.

        `since` and `until` are aware; a run is in [`since`, `until`) if one of its fire times is.
        """
        return self.history.runs(
            timer=timer, environment=environment, outcomes=outcomes, since=since, until=until, limit=limit
        )

    def cancel(self, run_id: int) -> Run:
        """Request the end of a run; returns the run: a waiting one has ended, one in progress ends soon.

        A worker process is killed as at the limit; a call of a remote engine is cancelled. A thread cannot be stopped:
        the run ends, and its function is still running. RunError for an unknown run, and for one that has ended.
        """
        return request_cancel(self.store, run_id, now=self._clock.now())

    def wait(self, run_id: int, *, timeout_s: float = 60.0) -> Run:
        """Wait until a run has ended, and return it; TimeoutError after `timeout_s`, StoreError for an unknown id."""
        give_up_at = time.monotonic() + timeout_s
        while True:
            run = self.history.run(run_id)
            if run is None:
                raise StoreError(f"no run {run_id} in the store; `run` returns the id of one")
            if run.outcome is not None:
                return run
            if time.monotonic() >= give_up_at:
                idle = "; this Scheduler has not been started" if self._daemon is None else ""
                raise TimeoutError(f"run {run_id} of {run.timer} has not ended after {timeout_s:g} s{idle}")
            time.sleep(_POLL_S)

    def backfill(
        self, name: str, start: datetime, end: datetime, environment: Environment = Environment.PRODUCTION
    ) -> Backfill:
        """Run a timer for each fire time in [start, end) without a run, one after the other (claims.requested_runs)."""
        return backfill(self.store, name, environment, (start, end), now=self._clock.now())


def _executor(functions: Any, clock: Clock) -> Executor:
    if isinstance(functions, str):
        return ProcessExecutor(functions, clock=clock)
    return ThreadExecutor(registry_of(functions), clock=clock)
