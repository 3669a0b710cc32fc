"""What functions print that are called over HTTP, in the process in which they run: limited, and passed on in batches.

Lives here: this process's end, which knows no store. Where the lines of all processes meet is line_relay.py; writing
them to the store is call_log.py.
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

#: How long lines are collected before they are passed on together, and how many go into one message.
BATCH_S, BATCH_LINES = 0.2, 20
#: How long a call waits for a line of another one that is being passed on.
AT_ONCE_S = 0.01
_CLOSE_S = 60.0


class Batch(NamedTuple):
    """Lines of calls, and how many more of each function were dropped."""

    lines: list[CapturedLine]
    dropped: dict[str, int]


#: Takes a batch; may wait.
Deliver = Callable[[Batch], object]
#: Takes a batch if it need not wait for that, and returns whether it has.
DeliverAtOnce = Callable[[Batch], bool]


def _never(_: Batch) -> bool:
    return False


@contextlib.contextmanager
def call_lines(deliver: Deliver, at_once: DeliverAtOnce = _never) -> Iterator[None]:
    """Within the block, lines of calls are captured, and passed on by their own threads where that need not wait."""
    collector = LineCollector(deliver, at_once)
    try:
        with capturing(collector):
            yield
    finally:
        collector.close()


class LineCollector:
    """Takes lines from any thread, and passes them on: at once, since the function may be about to end the process.

    What cannot be passed on at once, a thread of its own passes on, so that no call waits.
    """

    def __init__(self, deliver: Deliver, at_once: DeliverAtOnce = _never) -> None:
        self._deliver = deliver
        self._at_once = at_once
        self._limit = SharedLineLimit()
        # A function's __del__ may print whenever Python collects garbage, in this very code, too.
        self._lock = threading.RLock()
        self._new: list[CapturedLine] = []
        #: Held by the thread that passes lines on, so that they stay in order.
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
                if not self._at_once(Batch(taken[start : start + BATCH_LINES], {})):
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
        # Lines that came between the last round and the end.
        self._pass_on()

    def _pass_on(self) -> None:
        with self._passing_on:
            with self._lock:
                taken, self._new = self._new, []
                dropped = self._limit.take_dropped()
                self._is_behind = False
            try:
                for start in range(0, len(taken) or 1, BATCH_LINES):
                    batch = Batch(taken[start : start + BATCH_LINES], {} if start else dropped)
                    if batch.lines or batch.dropped:
                        self._deliver(batch)
            except Exception:  # nothing that is wrong with some lines may keep later ones out
                log.exception("lines that calls printed could not be passed on")


# Bound now: a function may leave another clock in the module `time`.
_monotonic, _sleep = time.monotonic, time.sleep


def as_message(batch: Batch) -> dict[str, Any]:
    """A batch as values that JSON knows."""
    return {"lines": [[stamp(line.at), *line[1:]] for line in batch.lines], "dropped": batch.dropped}


class Line(NamedTuple):
    """A line of such a message; `at` is in microseconds."""

    at: int
    level: str
    text: str
    function: str
    request_id: str


def checked(values: Sequence[Any]) -> Line:
    """A line of a message, which a function may have forged; ValueError or TypeError where it is none."""
    line = Line(*values)
    if type(line.at) is not int or not all(isinstance(value, str) for value in line[1:]):
        raise TypeError("not a line of ours")
    return line
