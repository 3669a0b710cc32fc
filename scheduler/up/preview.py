"""The preview of `scheduler up --stage`, as the serving process sees it: another process that serves environment stage.

Lives here: starting that process, restarting it when it ends by itself, and stopping it together with the daemon. What
it runs is `preview_program.py`; the stage's timers are fired by the daemon of `up`.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.timer import Environment
from ..project.preview_sources import PreviewSource
from ..project.project import Project
from .handover import ServerProcess
from .http_server import BackgroundService

log = logging.getLogger("scheduler.stage")

READY_TIMEOUT_S = 60.0
#: The time before a preview that ended is restarted; doubled each time.
RESTART_AFTER_S, MAX_RESTART_AFTER_S = 2.0, 60.0


@contextmanager
def preview(source: PreviewSource, listener: socket.socket, project: Project, *, as_json: bool) -> Iterator[Preview]:
    """A preview that serves within the block."""
    settings = project.settings
    environ = {
        "LEANCLOUD_APP_ENV": Environment.STAGE.value,
        "LEANCLOUD_APP_PORT": str(listener.getsockname()[1]),
        "SCHEDULER_STORE": settings.store_url,
        "SCHEDULER_DURABILITY": settings.durability,
        "SCHEDULER_STORE_TIMEOUT_S": str(settings.store_timeout_s),
        "SCHEDULER_TZ": settings.tz,
        "SCHEDULER_MAX_TIMERS": str(settings.max_timers),
        "SCHEDULER_KEEP_DAYS": str(settings.keep_days),
        "SCHEDULER_LOG_LEVEL": settings.log_level,
        "SCHEDULER_LOG_FORMAT": settings.log_format,
    }
    running = Preview(source, listener, environ, as_json=as_json)
    try:
        yield running
    finally:
        running.stop()
        running.join()


class Preview:
    """The process that serves the stage. Whatever happens to it, the live version keeps serving."""

    def __init__(
        self, source: PreviewSource, listener: socket.socket, environ: dict[str, str], *, as_json: bool
    ) -> None:
        self._source = source
        self._listener = listener
        self._environ = environ
        self._as_json = as_json
        self._stopping = threading.Event()
        self._process = self._start()
        facts = self._process.wait_ready(READY_TIMEOUT_S)
        #: The functions that it defines; None where it did not start.
        self.functions: list[str] | None = facts["functions"] if facts else None
        self._thread = threading.Thread(target=self._restart_when_ended, name="stage", daemon=True)
        self._thread.start()

    def _start(self) -> ServerProcess:
        arguments = ["-m", "scheduler.up.preview_program", self._source.target]
        return ServerProcess(
            arguments, self._listener, as_json=self._as_json, cwd=self._source.folder, environ=self._environ
        )

    def _restart_when_ended(self) -> None:
        wait_s = RESTART_AFTER_S
        while True:
            status = self._process.wait()
            self._process.close()
            if self._stopping.is_set():
                return
            log.error("the preview ended with status %d; restarting it in %.0f s", status, wait_s)
            if self._stopping.wait(wait_s):
                return
            self._process = self._start()
            if self._stopping.is_set():  # stop() may have stopped the process before this one
                self._process.stop()
            is_ready = self._process.wait_ready(READY_TIMEOUT_S) is not None
            wait_s = RESTART_AFTER_S if is_ready else min(2 * wait_s, MAX_RESTART_AFTER_S)

    def stop(self) -> None:
        """Stop it when its requests are answered; called again, stop it at once."""
        self._stopping.set()
        with contextlib.suppress(ProcessLookupError):
            self._process.stop()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join(READY_TIMEOUT_S)


class DaemonAndPreview:
    """A background service of two: they run beside the server and end together."""

    def __init__(self, daemon: BackgroundService, running: Preview) -> None:
        self._daemon = daemon
        self._preview = running

    @property
    def running(self) -> int:
        return self._daemon.running

    def run(self) -> None:
        try:
            self._daemon.run()
        finally:
            if not self._preview.is_stopping:
                self._preview.stop()
            self._preview.join()

    def stop(self) -> None:
        with contextlib.suppress(OSError):  # the daemon has ended and closed its wake-up socket
            self._daemon.stop()
        self._preview.stop()
