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
_CLOSE_S = 60.0


class Batch(NamedTuple):
    """Lines of calls, and how many more of each function were dropped."""

    lines: list[CapturedLine]
    dropped: dict[str, int]


#: Takes a batch, in the thread that collects them.
Deliver = Callable[[Batch], object]


@contextlib.contextmanager
def call_lines(deliver: Deliver) -> Iterator[None]:
    """Within the block, lines of calls are captured, and passed on by a thread."""
    collector = LineCollector(deliver)
    try:
        with capturing(collector):
            yield
    finally:
        collector.close()


class LineCollector:
    """Takes lines from any thread and passes them on from one of its own, so that no call waits for anything."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._limit = SharedLineLimit()
        self._lock = threading.Lock()
        self._new: list[CapturedLine] = []
        self._has_work = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="call-lines", daemon=True)
        self._thread.start()

    def __call__(self, captured: CapturedLine) -> None:
        with self._lock:
            if self._limit.allows(_monotonic(), captured.function):
                self._new.append(captured)
        self._has_work.set()

    def close(self) -> None:
        """Pass on all lines, and end the thread."""
        self._stopping = True
        self._has_work.set()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        while not self._stopping:
            self._has_work.wait()
            self._has_work.clear()
            # The first line at once: its function may be about to end the process.
            self._pass_on()
            if not self._stopping:
                _sleep(BATCH_S)
        # Lines that came between the last round and the end.
        self._pass_on()

    def _pass_on(self) -> None:
        with self._lock:
            taken, self._new = self._new, []
            dropped = self._limit.take_dropped()
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
