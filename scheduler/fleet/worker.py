"""A worker of a Celery fleet: a main process that takes messages, and children in which the functions run.

A child begins a run in its row, calls the function, and writes there how that ended. Where it is killed, at the hard
limit or otherwise, the main process writes what it knows. Started by `scheduler worker`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from billiard.einfo import ExceptionWithTraceback  # type: ignore[import-untyped, import-not-found, unused-ignore]
from billiard.exceptions import WorkerLostError  # type: ignore[import-untyped, import-not-found, unused-ignore]
from billiard.util import get_logger  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery import Celery  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.exceptions import Ignore  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.signals import setup_logging, worker_process_init  # type: ignore[import-untyped, import-not-found, unused-ignore]
from celery.worker.request import Request  # type: ignore[import-untyped, import-not-found, unused-ignore]

from ..core.breaker import Verdict
from ..core.log_limits import dropped_text
from ..core.run import Ending, Outcome
from ..errors import StoreUnavailableError
from ..functions.registry import Registry
from ..store.database import Store
from ..workers import process_tree, protocol
from ..workers.program import Handler, Voice, run_order
from .executor import CHUNK_S, TASK
from .notes import Note, Notes, Told, ending_of, lines_of, notes_of
from .runs import FleetRuns

log = logging.getLogger("scheduler.worker")

#: How often a store is asked again that did not answer.
RETRY_S = 0.5
#: How long a child asks a store whether it may begin; nobody waits for it longer.
BEGIN_S = 10.0
#: How long the main process, when it is to end, tries to write what is not in the store yet.
LEAVE_S = 10.0
#: Celery's own lines for each message, which the history tells better, for each child that is killed, and for each
#: acknowledgement that is lost with a connection: the message comes again and does nothing.
_TALKATIVE = {
    "celery.worker.strategy": logging.WARNING,
    "celery.app.trace": logging.WARNING,
    "celery.worker.request": logging.CRITICAL + 1,
    "multiprocessing": logging.WARNING,
}


def serve(app: Celery, store_url: str, registry: Registry, queues: Sequence[str], words: Sequence[str]) -> None:
    """Take messages from the queues until a signal says stop; `words` are options of Celery's own worker command."""
    for name, level in _TALKATIVE.items():
        logging.getLogger(name).setLevel(level)
    # Where somebody listens to that, Celery leaves the log as it is.
    setup_logging.connect(_log_as_others_do, weak=False)
    with tempfile.TemporaryDirectory(prefix="scheduler-") as folder:
        clerk = Clerk(store_url, Path(folder))
        child = Child(store_url, registry, Path(folder))

        def run(task: Any, orders: list[list[Any]], channel: str) -> None:
            child.run(task.request.hostname, [protocol.Order(*order) for order in orders], channel)

        app.task(run, name=TASK, bind=True, Request=_request_told_to(clerk))
        worker_process_init.connect(child.start, weak=False)
        try:
            app.worker_main(["--quiet", "worker", "--pool", "prefork", "-Q", ",".join(queues), *_QUIET, *words])
        finally:
            clerk.close()


def _log_as_others_do(**_: Any) -> None:
    """Have the pool's own logger, which tells of children that are gone, write where everything is written."""
    logger = get_logger()
    logger.handlers.clear()
    logger.propagate = True


_QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")


# In the children


class UnwrittenError(Ignore):  # type: ignore[misc]
    """A run has ended and the store does not answer: its main process writes it down. `args` is one plain tuple."""


class Child:
    """One process that runs functions, made by forking; in the main process it only waits to be forked."""

    def __init__(self, store_url: str, registry: Registry, folder: Path) -> None:
        self._store_url = store_url
        self._registry = registry
        self._folder = folder
        self._fleet: FleetRuns | None = None
        #: Ends with the main process, and with it its children.
        self._lifeline, self._held = os.pipe()

    def start(self, **_: Any) -> None:
        """What a child does first."""
        # A group of its own, so that what a function starts can be killed with it.
        os.setpgid(0, 0)
        os.close(self._held)
        process_tree.die_with_parent(_reopened(self._lifeline))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with contextlib.suppress(StoreUnavailableError):
            self._opened()
        self._notes = Notes(self._folder / str(os.getpid()), self._opened)
        self._voice = Voice(self._notes.take)
        sys.stdout, sys.stderr = self._voice.out, self._voice.err
        logging.getLogger().handlers = [Handler(self._voice)]

    def run(self, node: str, orders: Sequence[protocol.Order], channel: str) -> None:
        """Run what a message asks for; what does not find its turn within the time for a chunk goes elsewhere."""
        worker = f"{node}/{os.getpid()}"
        stop_at = time.monotonic() + CHUNK_S
        for index, order in enumerate(orders):
            if index and time.monotonic() >= stop_at:
                with contextlib.suppress(StoreUnavailableError):
                    self._opened().call_for([order.run_id for order in orders[index:]], channel)
                return
            self._run(order, worker, channel)

    def _run(self, order: protocol.Order, worker: str, channel: str) -> None:
        if not self._begin(order, worker):
            return
        _, ended_at, outcome, verdict, error, result, dropped = run_order(self._registry, self._voice, order)
        told = (order.run_id, worker, channel, ended_at, outcome, verdict, error, result, dropped)
        if dropped:
            self._notes.add((order.run_id, ended_at, "warning", dropped_text(dropped)))
        printed = self._notes.unkept()
        # The store may take its time; a child that is killed meanwhile was not over its limit.
        self._notes.add_ending(told)
        try:
            self._opened().end(order.run_id, worker, ending_of(told), lines_of(printed), channel=channel)
        except StoreUnavailableError:
            raise UnwrittenError((told, printed)) from None
        finally:
            self._notes.clear()

    def _begin(self, order: protocol.Order, worker: str) -> bool:
        started_at = datetime.now(UTC)
        give_up_at = time.monotonic() + BEGIN_S
        while True:
            try:
                return self._opened().begin(order.run_id, order.request_id, worker, started_at)
            except StoreUnavailableError:
                if time.monotonic() >= give_up_at:
                    return False
                time.sleep(RETRY_S)

    def _opened(self) -> FleetRuns:
        """The runs of the store, which may be away when a child is made."""
        if self._fleet is None:
            self._fleet = FleetRuns(Store(self._store_url))
        return self._fleet


def _reopened(descriptor: int) -> int:
    """The same pipe, but not shared with the other children, who each have an owner for it."""
    if sys.platform != "linux":
        return descriptor
    return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)


# In the main process


class Clerk:
    """Writes down, on a thread of its own and as soon as the store answers, what children could not write."""

    def __init__(self, store_url: str, folder: Path) -> None:
        self._store_url = store_url
        self._folder = folder
        self._fleet: FleetRuns | None = None
        #: What the store said when it did not answer; empty while it does.
        self._complaint = ""
        self._jobs: queue.SimpleQueue[Callable[[FleetRuns], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_down, name="clerk", daemon=True)
        self._thread.start()

    def child_died(self, request: Request, outcome: Outcome, error: str) -> None:
        """A child is no more: the run that it was at has ended so, and what it had not begun needs another one."""
        pid, worker = request.worker_pid, f"{request.hostname}/{request.worker_pid}"
        run_ids, channel = _run_ids(request), request.args[1]
        ending = Ending(outcome=outcome, verdict=Verdict.FAILURE, ended_at=datetime.now(UTC), error=error)
        # Everything that it started goes with it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

        def write(fleet: FleetRuns) -> None:
            run_id = fleet.lost(run_ids, worker)
            if run_id is not None:
                notes, told = notes_of(self._folder / str(pid), run_id)
                if told is None:
                    log.warning("run %s: %s", run_id, error)
                fleet.end(run_id, worker, ending if told is None else ending_of(told), lines_of(notes))
            fleet.call_for(run_ids, channel)

        self._jobs.put(write)

    def take(self, request: Request, told: Told, printed: Sequence[Note]) -> None:
        """Take the ending that a child could not write; what it had not begun needs another one."""
        run_id, worker, channel = told[:3]
        others = [other for other in _run_ids(request) if other != run_id]

        def write(fleet: FleetRuns) -> None:
            fleet.end(run_id, worker, ending_of(told), lines_of(printed), channel=channel)
            if others:
                fleet.call_for(others, channel)

        self._jobs.put(write)

    def close(self) -> None:
        """Write what is left, as far as that can be done in some seconds."""
        self._jobs.put(None)
        self._thread.join(LEAVE_S)

    def _write_down(self) -> None:
        while (job := self._jobs.get()) is not None:
            while not self._is_done(job):
                time.sleep(RETRY_S)

    def _is_done(self, job: Callable[[FleetRuns], None]) -> bool:
        try:
            self._fleet = self._fleet or FleetRuns(Store(self._store_url))
            job(self._fleet)
        except StoreUnavailableError as error:
            if not self._complaint:
                self._complaint = str(error)
                log.error("%s; trying again every %g s", error, RETRY_S)
            return False
        except Exception:
            log.exception("an ending is not written; its daemon will abandon the run")
        if self._complaint:
            log.info("the store answers again")
            self._complaint = ""
        return True


def _run_ids(request: Request) -> list[int]:
    """The runs that a message asks for."""
    return [protocol.Order(*order).run_id for order in request.args[0]]


def _death_of(request: Request) -> str | None:
    """How the child of a request ended that nobody has killed, None while it lives."""
    try:
        end = os.waitid(os.P_PID, request.worker_pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        # Celery has noticed it, and waits a little for words of it that may be on their way.
        _, status = getattr(request._apply_result(), "_worker_lost", None) or (0, None)
        return _ended_with(status)
    if end is None:
        return None
    return _ended_with(end.si_status if end.si_code == os.CLD_EXITED else -end.si_status)


def _told_death(said: str) -> str:
    """The same, from what Celery says of it."""
    found = re.search(r"(signal|exitcode) (\d+)", said)
    return _ended_with(found and int(found[2]) * (-1 if found[1] == "signal" else 1))


def _ended_with(status: int | None) -> str:
    """In the words of every executor; a signal is below zero."""
    if status is None:
        return "the worker process is gone"
    if status < 0:
        return f"the worker process was killed by {signal.Signals(-status).name}"
    return f"the worker process ended with exit status {status}"


def _request_told_to(clerk: Clerk) -> type[Request]:
    """The class of Celery's requests that tells a clerk of what children cannot write."""

    class FleetRequest(Request):  # type: ignore[misc]
        def on_timeout(self, soft: bool, timeout: float) -> None:
            super().on_timeout(soft, timeout)
            if death := _death_of(self):
                # Celery may see that seconds later than the limit.
                clerk.child_died(self, Outcome.FAILED, death)
                return
            limit_s = protocol.Order(*self.args[0][0]).limit_s
            clerk.child_died(self, Outcome.TIMED_OUT, f"over its limit of {limit_s:g} s")

        def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
            error = exc_info.exception
            if isinstance(error, ExceptionWithTraceback):
                error = error.exc
            if isinstance(error, UnwrittenError):
                clerk.take(self, *error.args[0])
            elif isinstance(error, WorkerLostError | SystemExit):
                clerk.child_died(self, Outcome.FAILED, _told_death(str(error)))
            super().on_failure(exc_info, send_failed_event, return_ok)

    return FleetRequest
