"""A child process of a fleet's worker, in which functions run, one at a time.

It begins a run in its row, calls the function, and writes the ending into the row. If it is killed, or the store is
unavailable, its main process writes the ending (dead_children.py).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from celery.exceptions import Ignore  # type: ignore[import-untyped, import-not-found, unused-ignore]

from ..core.alerts import AlertRule
from ..core.log_limits import dropped_text
from ..core.run import Task
from ..errors import StoreUnavailableError, StoreVersionError
from ..functions import log_records
from ..functions.registry import Registry
from ..store.database import Store
from ..workers import process_tree, protocol
from ..workers.process_state import ProcessState
from ..workers.program import run_order
from ..workers.protocol import Order, PackedEnding, PackedLine
from ..workers.run_output import RunOutput, RunRecords
from ..workers.worker_clock import wall_us
from .message import CHUNK_S, Message, RunKey
from .notes import Notes, UnwrittenEnding
from .recycling import NO_LIMITS, ChildLimits
from .runs import FleetRuns
from .stopping import is_stopping

#: How often to try again when the store did not answer.
RETRY_S = 0.5
#: For how long a child tries to begin a run in a store that does not answer.
BEGIN_S = 10.0


class UnwrittenError(Ignore):  # type: ignore[misc]
    """A run has ended and the store does not answer: raised to the main process, which reads the notes of that run."""


class FunctionProcess:
    """Runs functions in a child process; the main process creates it before it forks, and does not use it."""

    def __init__(
        self,
        store_url: str,
        registry: Registry,
        folder: Path,
        environments: Sequence[str],
        alerts: Sequence[AlertRule] = (),
        limits: ChildLimits = NO_LIMITS,
    ) -> None:
        self._limits = limits
        self._ran = 0
        self._store_url = store_url
        # The targets are not for a process in which functions run.
        self._alerts = [rule.without_target() for rule in alerts]
        self._registry = registry
        self._folder = folder
        self._environments = environments
        self._fleet: FleetRuns | None = None
        #: The main process holds the other end; the children die when it closes.
        self._lifeline, self._held = os.pipe()

    def start(self, **_: Any) -> None:
        """Set up the child, right after the fork."""
        # A group of its own, so that what a function starts can be killed with it.
        os.setpgid(0, 0)
        os.close(self._held)
        process_tree.die_with_parent(_reopened(self._lifeline))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with contextlib.suppress(StoreUnavailableError, StoreVersionError):
            self._opened()
        self._notes = Notes(self._folder / str(os.getpid()), self._opened)
        self._output = RunOutput(self._notes.print, wall_us)
        # Others, such as files and error trackers, stay.
        root = logging.getLogger()
        root.handlers = [handler for handler in root.handlers if not _writes_to_standard_streams(handler)]
        sys.stdout, sys.stderr = self._output.stdout, self._output.stderr
        self._state = ProcessState()
        log_records.follow(RunRecords(self._output))

    def run(self, node: str, message: Message) -> None:
        """Run the runs of a message; hand back those not begun within CHUNK_S, before a signal, or when worn out."""
        worker = f"{node}/{os.getpid()}"
        stop_at = time.monotonic() + CHUNK_S
        for index, key in enumerate(message.runs):
            if is_stopping(self._folder) or (index and (self.is_worn_out() or time.monotonic() >= stop_at)):
                self._hand_back(message.run_ids[index:], message.channel)
                return
            task = self._begin(key, message.limit_s, worker)
            if task is None:
                # Another worker has begun it, or the limit of its timer differs from that of the message by now.
                self._hand_back([key.run_id], message.channel)
                continue
            self._run(protocol.order_of(task), worker, message.channel)

    def is_worn_out(self) -> bool:
        """Whether the child is to be replaced now."""
        return self._limits.are_reached(self._ran)

    def _hand_back(self, run_ids: Sequence[int], channel: str) -> None:
        with contextlib.suppress(StoreUnavailableError, StoreVersionError):
            self._opened().announce_unbegun(run_ids, channel)

    def _run(self, order: Order, worker: str, channel: str) -> None:
        self._ran += 1
        ending = PackedEnding(*run_order(self._registry, self._output, order))
        self._state.restore()
        self._state.restore_rest()
        ended = UnwrittenEnding(order.run_id, worker, channel, ending)
        if ending.lines_dropped:
            text = dropped_text(ending.lines_dropped)
            self._notes.add_line(PackedLine(order.run_id, ending.ended_at, "warning", text))
        lines = self._notes.unwritten_lines()
        # Noted first: if the child is killed while it waits for the store, the run was not over its limit.
        self._notes.add_ending(ended)
        try:
            printed = [line.unpacked() for line in lines]
            self._opened().end(order.run_id, worker, ending.unpacked(), printed, channel=channel)
        except StoreUnavailableError:
            with contextlib.suppress(OSError):
                self._notes.leave(order.run_id)
            raise UnwrittenError(order.run_id) from None
        finally:
            self._notes.clear()

    def _begin(self, key: RunKey, limit_s: float, worker: str) -> Task | None:
        started_at = datetime.now(UTC)
        give_up_at = time.monotonic() + BEGIN_S
        while True:
            try:
                return self._opened().begin(*key, worker, started_at, limit_s=limit_s, environments=self._environments)
            except (StoreUnavailableError, StoreVersionError):
                # If a newer version has migrated the store, the worker ends in a moment (presence.py). A run that was
                # handed back before would come again at once.
                if time.monotonic() >= give_up_at or is_stopping(self._folder):
                    return None
                time.sleep(RETRY_S)

    def _opened(self) -> FleetRuns:
        """The runs of the store, which may be unavailable when a child starts."""
        if self._fleet is None:
            self._fleet = FleetRuns(Store(self._store_url, alerts=self._alerts))
        return self._fleet


def _writes_to_standard_streams(handler: logging.Handler) -> bool:
    """Whether a handler writes past the streams that make lines of runs."""
    stream = getattr(handler, "stream", None)
    return stream is not None and stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)


def _reopened(descriptor: int) -> int:
    """The same pipe with a file description of its own, because O_ASYNC and its owner belong to the description."""
    if sys.platform != "linux":
        return descriptor
    return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
