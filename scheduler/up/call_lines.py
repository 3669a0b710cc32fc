"""Passes on the lines of functions that are called over HTTP, in batches, from the process in which they run.

Lives here: the end of the process without a store. line_relay.py combines the lines of all processes; call_log.py
writes them into the store.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..core.log_limits import SharedLineLimit
from ..core.timestamps import stamp
from ..engine.capture import CapturedLine, capturing

log = logging.getLogger("scheduler.up")

#: How long lines are collected for a batch, and the most lines in one message.
BATCH_S, BATCH_LINES = 0.2, 20
#: How long a call waits while another one passes on its lines.
AT_ONCE_S = 0.01
_CLOSE_S = 60.0


class LineBatch(NamedTuple):
    """Lines of calls, and the number of dropped ones by function."""

    lines: list[CapturedLine]
    dropped: dict[str, int]


#: Sends a batch; may block.
Deliver = Callable[[LineBatch], object]
#: Sends a batch if that does not block; returns whether it did.
DeliverAtOnce = Callable[[LineBatch], bool]


def _never(_: LineBatch) -> bool:
    return False


@contextlib.contextmanager
def call_lines(deliver: Deliver, at_once: DeliverAtOnce = _never) -> Iterator[None]:
    """Within the block, capture the lines of calls; their own threads pass them on if that does not block."""
    collector = LineCollector(deliver, at_once)
    try:
        with capturing(collector):
            yield
    finally:
        collector.close()


class LineCollector:
    """Passes on lines from any thread: at once, because the function may be about to end the process.

    A thread of its own passes on the lines that would block, so that no call waits.
    """

    def __init__(self, deliver: Deliver, at_once: DeliverAtOnce = _never) -> None:
        self._deliver = deliver
        self._at_once = at_once
        self._limit = SharedLineLimit()
        # A function's __del__ may print whenever Python collects garbage, even in this code.
        self._lock = threading.RLock()
        self._new: list[CapturedLine] = []
        #: Held by the thread that passes on lines, so that they stay in order.
        self._passing_on = threading.Lock()
        #: Whether lines wait for the thread, as far as callers know.
        self._is_behind = False
        self._has_work = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="call-lines", daemon=True)
        self._thread.start()

    def __call__(self, captured: CapturedLine) -> None:
        with self._lock:
            if is_allowed := self._limit.allows(_monotonic(), captured.function):
                self._new.append(captured)
        if self._is_behind or not is_allowed or not self._pass_on_at_once():
            self._is_behind = True
            self._has_work.set()

    def _pass_on_at_once(self) -> bool:
        if not self._passing_on.acquire(timeout=AT_ONCE_S):
            return False
        try:
            with self._lock:
                taken, self._new = self._new, []
            for start in range(0, len(taken), BATCH_LINES):
                if not self._at_once(LineBatch(taken[start : start + BATCH_LINES], {})):
                    with self._lock:
                        self._new[:0] = taken[start:]
                    return False
            return True
        finally:
            self._passing_on.release()

    def close(self) -> None:
        """Pass on all lines, and end the thread."""
        self._stopping = True
        self._has_work.set()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while not self._stopping:
            self._has_work.wait()
            self._has_work.clear()
            self._pass_on()
            if not self._stopping:
                _sleep(BATCH_S)
        # Lines that were added after the last round.
        self._pass_on()

    def _pass_on(self) -> None:
        with self._passing_on:
            with self._lock:
                taken, self._new = self._new, []
                dropped = self._limit.take_dropped()
                self._is_behind = False
            try:
                for start in range(0, len(taken) or 1, BATCH_LINES):
                    batch = LineBatch(taken[start : start + BATCH_LINES], {} if start else dropped)
                    if batch.lines or batch.dropped:
                        self._deliver(batch)
            except Exception:  # an error with some lines must not stop later ones
                log.exception("lines that calls printed could not be passed on")


# The names are bound now, because a function may replace the clock in the module `time`.
_monotonic, _sleep = time.monotonic, time.sleep


def as_message(batch: LineBatch) -> dict[str, Any]:
    """A batch as JSON values."""
    return {"lines": [[stamp(line.at), *line[1:]] for line in batch.lines], "dropped": batch.dropped}


class MessageLine(NamedTuple):
    """A line of a message; `at` is in microseconds."""

    at: int
    level: str
    text: str
    function: str
    request_id: str


def checked(values: Sequence[Any]) -> MessageLine:
    """Check a line of a message, which a function may have forged; ValueError or TypeError if it is invalid."""
    line = MessageLine(*values)
    if type(line.at) is not int or not all(isinstance(value, str) for value in line[1:]):
        raise TypeError("not a line of ours")
    return line
