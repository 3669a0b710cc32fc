"""The supervisor of `scheduler up`: handles signals, sockets and the banner, and keeps the processes running.

No code of the user runs here, nothing opens the store, and nothing waits without a bound. restarts.py starts a process
again that ends or hangs. When a source file changes under --reload, a whole new generation of processes replaces the
present one once it is ready.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..core.timer import Environment
from ..errors import listed
from .announcement import announce, warn
from .console import ConsolePlace
from .generation import Generation
from .launch import Launch
from .line_relay import LineRelay
from .options import UpOptions
from .orphans import reap_orphans
from .process import ChildProcess
from .reload import Sources
from .run_reports import make_reporter
from .served_sources import ServedSources, serving_record
from .service_manager import ServiceManager
from .sockets import Sockets
from .stop_signals import StopSignals
from .stopping import DRAIN_S, Stopping, has_gone, has_had_its_time, kill_named

log = logging.getLogger("scheduler.up")

#: The longest sleep while processes start or end, and otherwise; a message, the end of a process or a signal wakes it.
_LOOK_EVERY_S, _REST_S = 0.25, 1.0
_AFTER_FAULT_S = 0.5
#: How long storing the last lines of calls may take.
_LAST_LINES_S = 2.0
#: The processes that have the store.
_WITH_STORE = ("daemon", "service")
#: How often to log what a start is waiting for.
_LOG_WAITING_EVERY_S = 5.0


def supervise(options: UpOptions, sockets: Sockets, folders: Sequence[Path]) -> int:
    """Keep processes serving until a stop signal; returns the exit status. `folders` are watched for changes."""
    return Supervisor(options, sockets, folders).run()


class Supervisor:
    """Keeps one generation of processes serving."""

    def __init__(self, options: UpOptions, sockets: Sockets, folders: Sequence[Path]) -> None:
        self._options = options
        self._sockets = sockets
        # Before the first process is started, which must not have its variables.
        self._manager = ServiceManager()
        self._settings = options.project().settings
        self._sources = Sources(folders) if folders else None
        self._launch = Launch(options, sockets, self._settings)
        self._served = ServedSources(serving_record(options, sockets, reloads=bool(folders)), reloads=bool(folders))
        self._signals = StopSignals()
        self._console = ConsolePlace(sockets.console, self._launch.console) if sockets.console else None
        self._serving: Generation | None = None
        self._coming: Generation | None = None
        #: The version that is being loaded, for the log, and since when.
        self._coming_is, self._coming_since = "", 0.0
        self._logged_waiting_at = 0.0
        #: Processes that are ending, and when to kill each; None: the limits of its runs end it.
        self._retiring: dict[ChildProcess, float | None] = {}
        self._refusals: set[str] = set()
        #: The process that has the store, once all processes were ordered to end.
        self._last_daemon: ChildProcess | None = None
        self._last_lines_until = float("-inf")
        self._lines = LineRelay(make_reporter(self._settings, as_json=options.as_json))
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._waker, False)
        os.set_blocking(self._woken, False)
        self._looked_at = time.monotonic()

    def run(self) -> int:
        """Serve until a stop signal; the exit status."""
        with self._signals.passed_to(self._wake):
            self._begin("")
            while not self._signals.received:
                try:
                    status = self._turn()
                except Exception:
                    # A bug of this program must not stop the processes that serve.
                    log.exception("unexpected error in the supervisor; continuing in %g s", _AFTER_FAULT_S)
                    time.sleep(_AFTER_FAULT_S)
                    continue
                if status is not None:
                    return self._end(status)
            return self._end(None)

    def _turn(self) -> int | None:
        """Check everything once; returns the exit status if the first generation cannot serve."""
        now = self._look()
        self._end_retired(now)
        if self._coming is not None and (status := self._look_at_coming(self._coming, now)) is not None:
            return status
        if self._serving is not None:
            self._serving.tick(now, self._retire)
            self._report_replaced(self._serving)
            self._look_at_sources(now)
            if self._console is not None:
                self._console.look(now)
            self._served.look(now)
        return None

    # One turn

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._waker, b"x")

    def _look(self) -> float:
        """Sleep until there is something to do; read messages, and check the processes."""
        processes = self._processes()
        is_busy = self._coming or self._retiring or self._sources or self._serving is None or self._serving.is_changing
        in_reach = [process for process in processes if not process.is_cut]
        visitors = self._console.awaited(self._looked_at) if self._console and self._serving else []
        rest_s = min(_REST_S, self._manager.alive_every_s or _REST_S)
        _select([self._woken, *visitors, *in_reach], min(_LOOK_EVERY_S, rest_s) if is_busy else rest_s)
        now = time.monotonic()
        self._manager.alive(now)
        if self._serving is None:
            self._manager.takes_longer(now)
        elapsed_s, self._looked_at = now - self._looked_at, now
        for process in processes:
            self._take_messages(process)
            if process.exit_status() is None and (process.ready is not None or process.stop_orders):
                process.look(now, elapsed_s)
        reap_orphans({process.pid for process in processes})
        self._lines.report_dropped()
        self._lines.pass_on(self._daemon)
        return now

    def _processes(self) -> list[ChildProcess]:
        of_generations = [generation.processes for generation in (self._serving, self._coming) if generation]
        of_console = self._console.processes if self._console else []
        return [*(process for some in of_generations for process in some), *of_console, *self._retiring]

    def _take_messages(self, process: ChildProcess) -> None:
        for message in process.taken_messages():
            refusal = message.get("refusal")
            if refusal and refusal not in self._refusals:
                self._refusals.add(refusal)
                stage = "stage: " if process.role == "stage" else ""
                click.echo(f"Error: {stage}{refusal}", err=True)
            elif "lines" in message:
                self._take_lines(message, process)
            elif "stored" in message and process.role in _WITH_STORE:
                self._lines.stored(int(message["stored"]))
            elif "loaded" in message:
                self._send_preview(process)
            if message.get("answered"):
                self._send_to_daemon(answered=message["answered"])

    def _take_lines(self, message: dict[str, Any], process: ChildProcess) -> None:
        is_stage = process.role == "stage"
        environment = Environment.STAGE if is_stage else self._options.project().environment
        with contextlib.suppress(TypeError, ValueError, KeyError):  # a function has forged it
            self._lines.take(message, environment.value)

    def _send_preview(self, process: ChildProcess) -> None:
        """Send the declarations of a preview that has loaded after the others to the process with the store."""
        if process.role == "stage" and self._serving and process in self._serving.processes:
            self._send_to_daemon(preview=process.loaded)

    @property
    def _daemon(self) -> ChildProcess | None:
        """The process that has the store and is ready; None while there is none."""
        processes = self._serving.processes if self._serving else ()
        with_store = (process for process in processes if process.role in _WITH_STORE and process.ready is not None)
        return next(with_store, self._last_daemon)

    def _send_to_daemon(self, **message: Any) -> None:
        if (daemon := self._daemon) is not None:
            daemon.send(**message)

    # Generations

    def _begin(self, what: str) -> None:
        """Start a generation; `what` names the files that have changed."""
        self._coming_is, self._coming_since = what, time.monotonic()
        self._logged_waiting_at = self._coming_since
        self._refusals.clear()
        self._coming = self._launch.generation()

    def _look_at_coming(self, coming: Generation, now: float) -> int | None:
        """Advance a generation that is starting; returns the exit status if the first one cannot serve."""
        coming.tick(now, self._retire)
        if coming.is_ready:
            self._promote(coming, now)
        elif coming.is_late(now) or coming.failed or coming.start_error:
            status = self._failure(coming)
            self._abort(coming)
            return None if self._serving else status
        elif now - self._logged_waiting_at >= _LOG_WAITING_EVERY_S:
            self._logged_waiting_at = now
            log.info("not ready yet, after %.0f s: %s", now - self._coming_since, coming.waits_for)
        return None

    def _promote(self, coming: Generation, now: float) -> None:
        before, self._serving, self._coming = self._serving, coming, None
        if before is None:
            announce(self._options, self._sockets, coming.functions, coming.timers)
            self._manager.ready("serving functions and timers")
        else:
            for process in before.processes:
                self._retire(process)
            log.info("%s changed; reloaded in %.1f s", self._coming_is, now - self._coming_since)
        coming.let_fire()
        self._served.loaded(coming.functions.get("sources", {}))
        warn(coming.timers)

    def _failure(self, coming: Generation) -> int:
        """Log why a generation does not serve, after its processes' own messages; returns the exit status."""
        keeps = "the last good version keeps serving"
        failed = coming.failed
        for process in coming.processes:
            self._take_messages(process)
        if coming.start_error:
            log.error("no process can be started (%s)", coming.start_error)
        elif failed is None:
            log.error("%s is not ready in time: %s", self._coming_is or "the functions", coming.waits_for)
        elif self._serving:
            log.error("%s changed, but does not start; %s", self._coming_is, keeps)
        elif not failed.refusal:
            log.error("%s ended before it was ready, with status %s", failed.role, failed.exit_status())
        status = failed.exit_status() if failed and not failed.refusal else 2
        return status_of_failure(status)

    def _abort(self, coming: Generation) -> None:
        self._coming = None
        for process in coming.processes:
            process.kill()
            self._retiring[process] = None

    def _look_at_sources(self, now: float) -> None:
        names = self._sources.changed(now) if self._sources else []
        if names:
            if self._coming:
                self._abort(self._coming)
            self._begin(listed(names, 5))

    def _report_replaced(self, serving: Generation) -> None:
        names = [place.policy.name for place in serving.places for _ in range(place.take_replaced())]
        if names:
            self._send_to_daemon(replaced=names)

    # The end of processes

    def _retire(self, process: ChildProcess) -> None:
        """Order a replaced process to end; one that serves HTTP has limited time for that."""
        if process.ready is None:
            process.kill()
        process.order_to_stop("replaced")
        bounded = process.role in ("web", "stage")
        self._retiring[process] = time.monotonic() + DRAIN_S if bounded else None

    def _end_retired(self, now: float) -> None:
        """Forget retired processes that have ended, and kill those that hang or whose time is over."""
        for process, drain_until in list(self._retiring.items()):
            if has_gone(process, now):
                self._take_messages(process)
                del self._retiring[process]
            elif has_had_its_time(process, now, drain_until, self._launch.silence_s(process.role)):
                kill_named(process)

    def _end(self, status: int | None) -> int:
        """End all processes; returns the exit status, unless one is given."""
        self._manager.stopping()
        processes, self._last_daemon = self._processes(), self._daemon
        if self._console is not None:
            self._console.close()
        self._serving = self._coming = self._console = None
        self._retiring = dict.fromkeys(processes)
        # So that no client connects to a port on which no process answers; metrics are served to the end.
        for listener in filter(None, (self._sockets.live, self._sockets.stage)):
            listener.close()
        self._served.ended()
        stopping = Stopping(processes, self._signals.received, self._settings.stop_timeout_s, self._launch.silence_s)
        if status is not None:
            stopping.at_once()
        has_all_lines = False
        while not stopping.is_over:
            now = self._look()
            stopping.look(now)
            has_all_lines = has_all_lines or self._passes_on_last_lines(processes, now)
        for process in processes:
            self._take_messages(process)
        self._lines.end()
        return stopping.status if status is None else status

    def _passes_on_last_lines(self, processes: Sequence[ChildProcess], now: float) -> bool:
        """Pass on the last lines of processes that answer HTTP after their end; returns whether that is done."""
        others = [process for process in processes if process is not self._last_daemon]
        if not all(has_gone(process, now) for process in others):
            self._last_lines_until = now + _LAST_LINES_S
            return False
        for process in others:
            self._take_messages(process)
        self._lines.report_dropped(at_the_end=True)
        self._lines.pass_on(self._last_daemon)
        if not self._lines.is_passed_on and now < self._last_lines_until:
            return False
        self._send_to_daemon(last_lines=True)
        return True


def _select(sources: Sequence[Any], timeout_s: float) -> None:
    """Sleep until one of them has something to read, or for some time."""
    try:
        ready, _, _ = select.select(sources, [], [], timeout_s)
    except (OSError, ValueError):  # a channel was closed with its process
        time.sleep(0.01)
        return
    for source in ready:
        if isinstance(source, int):
            os.read(source, 1024)


def status_of_failure(ended_with: int | None) -> int:
    """The exit status of `scheduler up` if a process ended before it was ready; never 0."""
    # A process that ended with status 0 was stopped from outside: a service manager should start this one again.
    if not ended_with:
        return 2
    return ended_with if ended_with > 0 else 128 - ended_with
