"""The program of the preview's process: `python -m scheduler.up.preview_program TARGET`, started by `scheduler up`.

It runs in the folder of the stage's sources, so that it shares no module with production, and serves HTTP only: the
stage's timers are fired by the daemon of `up`.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from contextlib import ExitStack, nullcontext

from ..errors import SchedulerError
from ..formats.error_text import explained
from ..project.project import current_project, printing_to_stderr
from .application import application, capacity
from .call_log import call_log
from .declared_timers import log_changes, synchronise_declared
from .handover import Handover, received_handover
from .http_server import Site, UpServer
from .log_setup import json_handler, log_to_stderr
from .nonblocking_output import nonblocking_stdio
from .run_reports import make_reporter

log = logging.getLogger("scheduler.stage")


def main() -> None:
    """Run the program and end it."""
    handover = received_handover()
    if handover is None:
        sys.exit("only scheduler up --stage starts this program")
    try:
        sys.exit(serve(sys.argv[1], handover))
    except SchedulerError as error:
        print(f"Error: stage: {explained(error)}", file=sys.stderr)
        os._exit(2)


@nonblocking_stdio()
def serve(target: str, handover: Handover) -> int:
    """Serve the stage's functions until a stop signal; returns the exit status."""
    project = current_project()
    log_to_stderr(project.settings)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(fileno=handover.listener))
        store = stack.enter_context(project.open_store())
        reporter = make_reporter(project.settings, as_json=handover.as_json)
        stack.enter_context(call_log(store, project, reporter))
        with printing_to_stderr() if handover.as_json or json_handler() else nullcontext():
            loaded = project.load_to_serve(target)
        log_changes(synchronise_declared(store, loaded.registry, project), target, log)
        server = UpServer(Site(listener, application(loaded)), capacity=capacity(loaded), supervised=True)
        stack.enter_context(server.signals_recorded())
        handover.report_ready({"functions": loaded.registry.names()})
        return server.serve(_NoDaemon())


class _NoDaemon:
    """A background service that does nothing: the daemon of `up` fires the timers."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    @property
    def running(self) -> int:
        return 0

    def run(self) -> None:
        self._stopped.wait()

    def stop(self) -> None:
        self._stopped.set()


if __name__ == "__main__":
    main()
