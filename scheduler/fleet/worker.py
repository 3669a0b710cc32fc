"""The main process of a fleet's worker: it takes messages, and ends the runs of children that died.

Started by `scheduler worker`. The functions run in its child processes (child.py).
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from billiard import active_children  # type: ignore[import-untyped, import-not-found, unused-ignore]
from billiard.einfo import ExceptionWithTraceback  # type: ignore[import-untyped, import-not-found, unused-ignore]
from billiard.exceptions import WorkerLostError  # type: ignore[import-untyped, import-not-found, unused-ignore]
from billiard.util import get_logger  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery import Celery  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.platforms import SecurityWarning  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.signals import setup_logging, worker_process_init  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.worker.request import Request  # type: ignore[import-untyped, import-not-found, unused-ignore]

from ..core.alerts import AlertRule
from ..core.run import Outcome
from ..executors import outcome
from ..functions.registry import Registry
from ..workers import process_tree
from ..workers.zombies import LOOK_EVERY_US, Reaper
from .cancellations import FleetCancellations
from .celery_pool import UntakenError, replace_children_when
from .child import FunctionProcess, UnwrittenError
from .dead_children import EndingWriter
from .message import TASK, Message, dropped, parsed
from .presence import WorkerPresence
from .recycling import NO_LIMITS, ChildLimits
from .stopping import WorkerStopping

# What is overridden here, and what that relies on (tests/scheduler/fleet/test_overrides.py checks it):
#   celery.worker.request.Request.on_timeout(soft, timeout)   called when Celery has killed a child at the hard limit
#   celery.worker.request.Request.on_failure(exc_info, send_failed_event, return_ok)   called if a child raised or died
#   of a request: worker_pid, hostname, args; _apply_result() is the pool's job, its _worker_lost (when, exit status)
#   the text of billiard's WorkerLostError: "… signal 9 (SIGKILL) …", "… exitcode 7 …"
#   the attribute `Request` of a task is the class of its requests
#   Celery leaves logging alone while the signal `setup_logging` has a receiver

#: Levels of Celery's loggers that write a line for each message, which the history shows better, for each child that is
#: killed, and for each acknowledgement lost with a connection: such a message comes again and does nothing.
_LOG_LEVELS = {
    "celery.worker.strategy": logging.WARNING,
    # Shows the transport's class; celery_consumer.py logs the address.
    "celery.worker.consumer.connection": logging.WARNING,
    "celery.app.trace": logging.WARNING,
    "celery.worker.request": logging.CRITICAL + 1,
    "multiprocessing": logging.WARNING,
}
_OPTIONS = ("--without-gossip", "--without-mingle", "--without-heartbeat")


def serve(
    app: Celery,
    store_url: str,
    registry: Registry,
    queues: Mapping[str, str],
    options: Sequence[str],
    *,
    stop_timeout_s: float,
    alerts: Sequence[AlertRule] = (),
    limits: ChildLimits = NO_LIMITS,
) -> int:
    """Take messages from `queues`, by environment, until a signal; `options` are those of Celery's worker command.

    Functions in progress then have `stop_timeout_s`, or their limit if it is shorter. Returns the exit status: 1 if no
    signal came, but a newer version has migrated the store.
    """
    _quieten_celery()
    with tempfile.TemporaryDirectory(prefix="scheduler-") as folder:
        writer = EndingWriter(store_url, Path(folder), alerts)
        WorkerStopping(writer, Path(folder), stop_timeout_s)
        presence = WorkerPresence(store_url, list(queues))
        FleetCancellations(store_url, Path(folder))
        if os.getpid() == 1:
            threading.Thread(target=_reap_orphans, name="orphans", daemon=True).start()
        environments = list(queues)
        child = FunctionProcess(store_url, registry, Path(folder), environments, alerts, limits.for_this_process())
        replace_children_when(child.is_worn_out)

        def run(task: Any, *arguments: Any) -> None:
            child.run(task.request.hostname, parsed(arguments, task.request.timelimit))

        app.task(run, name=TASK, bind=True, Request=_request_class(writer))
        worker_process_init.connect(child.start, weak=False)
        try:
            app.worker_main(
                ["--quiet", "worker", "--pool", "prefork", "-Q", ",".join(queues.values()), *_OPTIONS, *options]
            )
        finally:
            dropped.close()
            writer.close()
        return int(presence.has_ended_worker)


def _quieten_celery() -> None:
    """Leave the log to this program, and what it shows of Celery to `_LOG_LEVELS`."""
    for name, level in _LOG_LEVELS.items():
        logging.getLogger(name).setLevel(level)
    # The warning recommends an option of Celery's own command, which this program lacks.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    setup_logging.connect(_set_up_logging, weak=False)


def _reap_orphans() -> None:
    """Wait for processes that process 1 of a container inherits, so that they do not stay as zombies."""
    reaper = Reaper(lambda: {child.pid for child in active_children()})
    while True:
        time.sleep(LOOK_EVERY_US / 1_000_000)
        reaper.look()


def _set_up_logging(**_: Any) -> None:
    """Make the logger of billiard's pool write to the same place as all others."""
    logger = get_logger()
    logger.handlers.clear()
    logger.propagate = True


def _request_class(writer: EndingWriter) -> type[Request]:
    """The class of the fleet's requests, which has `writer` end the runs of children that died."""

    class FleetRequest(Request):  # type: ignore[misc]
        def on_timeout(self, soft: bool, timeout: float) -> None:
            super().on_timeout(soft, timeout)
            if error := _exit_text(self):
                # The child had died by itself; Celery may detect that seconds after the limit.
                self._end_run(Outcome.FAILED, error)
                return
            end = outcome.over_limit(self._content().limit_s)
            self._end_run(end.outcome, str(end.error))

        def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
            error = exc_info.exception
            if isinstance(error, ExceptionWithTraceback):
                error = error.exc
            if isinstance(error, UntakenError):
                message = self._content()
                writer.hand_back(message.run_ids, message.channel)
            elif isinstance(error, UnwrittenError):
                message = self._content()
                writer.ended_unwritten(self.worker_pid, error.args[0], message.run_ids, message.channel)
            elif isinstance(error, WorkerLostError | SystemExit):
                self._end_run(Outcome.FAILED, _exit_text_from(str(error)))
            super().on_failure(exc_info, send_failed_event, return_ok)

        def _end_run(self, how: Outcome, error: str) -> None:
            worker = f"{self.hostname}/{self.worker_pid}"
            message = self._content()
            writer.child_died(self.worker_pid, worker, message.run_ids, message.channel, how, error)

        def _content(self) -> Message:
            """The contents of the message, which was checked when it was received."""
            return parsed(self.args, self.time_limits)

    return FleetRequest


def _exit_text(request: Request) -> str | None:
    """How the child of a request died by itself, None while it lives."""
    try:
        end = os.waitid(os.P_PID, request.worker_pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        # Celery has reaped it, and waits a little for a result that it may have sent.
        _, status = getattr(request._apply_result(), "_worker_lost", None) or (0, None)
        return _text_of(status)
    if end is None:
        return None
    return _text_of(end.si_status if end.si_code == os.CLD_EXITED else -end.si_status)


def _exit_text_from(message: str) -> str:
    """The same, from the message of billiard's error."""
    match = re.search(r"(signal|exitcode) (\d+)", message)
    return _text_of(match and int(match[2]) * (-1 if match[1] == "signal" else 1))


def _text_of(status: int | None) -> str:
    return "the worker process has ended" if status is None else process_tree.exit_text(status)
