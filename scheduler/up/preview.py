"""The preview of `scheduler up --stage`: an engine for environment stage in a process of its own.

Run as `python -m scheduler.up.preview TARGET` by the process of `up`, in the folder of the stage's sources, so that no
module is shared with production. It serves HTTP; the stage's timers are fired by the daemon of `up`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

from ..core.timer import Environment
from ..errors import SchedulerError
from ..formats.error_text import explained
from ..project.preview_sources import PreviewSource
from ..project.project import Project, current_project, printing_to_stderr
from .application import application, capacity, say, take_over
from .call_log import writing_down
from .handover import Child, Handover, taken
from .http_server import Beside, UpServer
from .log_setup import json_handler, log_to_stderr
from .nonblocking_output import never_waiting
from .run_reports import teller_of

log = logging.getLogger("scheduler.stage")

READY_WITHIN_S = 60.0
#: How long to wait before a preview that ended is started again; doubled each time.
RETRY_S, MAX_RETRY_S = 2.0, 60.0


class Preview:
    """The process that serves the stage; started again when it ends by itself. A preview never stops what is live."""

    def __init__(
        self, source: PreviewSource, listener: socket.socket, environ: dict[str, str], *, as_json: bool
    ) -> None:
        self._source = source
        self._listener = listener
        self._environ = environ
        self._as_json = as_json
        self._stopping = threading.Event()
        self._child = self._started()
        facts = self._child.facts(READY_WITHIN_S)
        #: What it defines, None where it does not start.
        self.functions: list[str] | None = facts["functions"] if facts else None
        self._thread = threading.Thread(target=self._watch, name="stage", daemon=True)
        self._thread.start()

    def _started(self) -> Child:
        words = ["-m", "scheduler.up.preview", self._source.target]
        return Child(words, self._listener, as_json=self._as_json, cwd=self._source.folder, environ=self._environ)

    def _watch(self) -> None:
        retry_s = RETRY_S
        while True:
            status = self._child.wait()
            self._child.close()
            if self._stopping.is_set():
                return
            log.error("the preview ended with status %d; starting it again in %.0f s", status, retry_s)
            if self._stopping.wait(retry_s):
                return
            self._child = self._started()
            if self._stopping.is_set():  # stop() has spoken to the one before
                self._child.stop()
            retry_s = RETRY_S if self._child.facts(READY_WITHIN_S) is not None else min(2 * retry_s, MAX_RETRY_S)

    def stop(self) -> None:
        """End it when its requests are answered; called again, end it at once."""
        self._stopping.set()
        with contextlib.suppress(ProcessLookupError):
            self._child.stop()

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join(READY_WITHIN_S)


class Both:
    """The daemon and the preview, which run beside the server and end together."""

    def __init__(self, daemon: Beside, running: Preview) -> None:
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
        with contextlib.suppress(OSError):  # the daemon has ended, and its bell with it
            self._daemon.stop()
        self._preview.stop()


@contextmanager
def preview(source: PreviewSource, listener: socket.socket, project: Project, *, as_json: bool) -> Iterator[Preview]:
    """A preview that ends with the block."""
    environ = {
        "LEANCLOUD_APP_ENV": Environment.STAGE.value,
        "LEANCLOUD_APP_PORT": str(listener.getsockname()[1]),
        "SCHEDULER_STORE": project.settings.store_url,
        "SCHEDULER_TZ": project.settings.tz,
        "SCHEDULER_MAX_TIMERS": str(project.settings.max_timers),
        "SCHEDULER_KEEP_DAYS": str(project.settings.keep_days),
        "SCHEDULER_LOG_LEVEL": project.settings.log_level,
        "SCHEDULER_LOG_FORMAT": project.settings.log_format,
    }
    running = Preview(source, listener, environ, as_json=as_json)
    try:
        yield running
    finally:
        running.stop()
        running.join()


# In the process of the preview


class _Nothing:
    """Stands where the daemon would: the timers are fired elsewhere."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    @property
    def running(self) -> int:
        return 0

    def run(self) -> None:
        self._stopped.wait()

    def stop(self) -> None:
        self._stopped.set()


@never_waiting()
def serve(target: str, given: Handover) -> int:
    """Serve the stage's functions until a signal says stop."""
    project = current_project()
    log_to_stderr(project.settings)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(fileno=given.listener))
        store = stack.enter_context(project.open_store())
        stack.enter_context(writing_down(store, project, teller_of(project, as_json=given.as_json)))
        with printing_to_stderr() if given.as_json or json_handler() else nullcontext():
            loaded = project.load_to_serve(target)
        say(take_over(store, loaded.registry, project), target, log)
        server = UpServer(listener, application(loaded), capacity=capacity(loaded), supervised=True)
        stack.enter_context(server.signals_caught())
        given.say_ready({"functions": loaded.registry.names()})
        return server.serve_beside(_Nothing())


def main() -> Any:
    """The program of the preview's process."""
    given = taken()
    if given is None:
        sys.exit("started by scheduler up --stage only")
    try:
        sys.exit(serve(sys.argv[1], given))
    except SchedulerError as error:
        print(f"Error: stage: {explained(error)}", file=sys.stderr)
        os._exit(2)


if __name__ == "__main__":
    main()
