"""Outlets: stdout and stderr of a program that goes on whether or not anybody reads what it prints.

A terminal that was stopped with Ctrl-S, a pager that waits, a log collector that hangs: once the pipe is full, whoever
prints stands still. Here it never does. What cannot be written at once waits, up to a megabyte; what comes on top of
that is dropped by the line, and counted. A terminal or a pipe that was closed is no error either.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import select
import stat
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, TextIO

log = logging.getLogger("scheduler.up")

#: How many bytes wait at most to be read.
MOST_WAITING = 1_000_000
#: How long the end of the program waits for somebody to read the last of them.
FAREWELL_S = 1.0
#: What a pipe that is ready to be written takes without waiting.
_PIECE = select.PIPE_BUF
#: What was printed is gone, but a full disk may have room again; whoever closed the other end does not come back.
_PASSING = frozenset((errno.ENOSPC, errno.EDQUOT))


class NonblockingOutput(io.RawIOBase):
    """Takes bytes for an open file, from any thread, and never waits."""

    def __init__(self, fileno: int, name: str) -> None:
        self._fileno = fileno
        self.name = name
        self._at_once = _never_waiting(fileno)
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._bytes_waiting = 0
        self._dropped = 0
        self._is_closed = False
        self._is_drained = threading.Event()
        self._is_drained.set()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fileno

    def isatty(self) -> bool:
        return os.isatty(self._fileno)

    def write(self, data: Any) -> int:
        """Take a piece of output, of whole lines as a rule."""
        piece = bytes(data)
        with self._lock:
            rest = piece if self._waiting else self._written(self._at_once, piece)
            if rest:
                self._let_wait(rest)
            dropped = 0 if self._waiting else self._taken_dropped()
        self._tell(dropped)
        return len(piece)

    def finish(self) -> None:
        """Let what waits be read, for a moment."""
        is_drained = self._is_drained.wait(FAREWELL_S)
        with self._lock:
            self._is_closed = True
            if is_drained and self._at_once is not None:
                os.close(self._at_once)

    def _written(self, fileno: int | None, piece: bytes) -> bytes:
        """What is left of a piece after what can be written of it."""
        if fileno is None:
            return piece
        while piece and not self._is_closed:
            try:
                piece = piece[os.write(fileno, piece) :]
            except BlockingIOError:
                return piece
            except OSError as error:
                self._is_closed = error.errno not in _PASSING
                break
        return b""

    def _let_wait(self, rest: bytes) -> None:
        if self._is_closed:
            return
        if self._bytes_waiting + len(rest) > MOST_WAITING:
            self._dropped += rest.count(b"\n")
            return
        self._waiting.append(rest)
        self._bytes_waiting += len(rest)
        if self._is_drained.is_set():
            self._is_drained.clear()
            threading.Thread(target=self._drain, name=f"outlet-{self.name}", daemon=True).start()

    def _drain(self) -> None:
        """Write what waits as it is read, until nothing waits."""
        fileno = self._fileno if self._at_once is None else self._at_once
        ready = select.poll()
        ready.register(fileno, select.POLLOUT)
        while True:
            with self._lock:
                if self._is_closed or not self._waiting:
                    dropped = self._drained()
                    break
                piece = self._waiting[0][:_PIECE]
            ready.poll()
            left = len(self._written(fileno, piece))
            with self._lock:
                self._take_off(len(piece) - left)
        self._tell(dropped)

    def _drained(self) -> int:
        self._waiting.clear()
        self._bytes_waiting = 0
        self._is_drained.set()
        return self._taken_dropped()

    def _take_off(self, count: int) -> None:
        rest = self._waiting.popleft()[count:]
        self._bytes_waiting -= count
        if rest:
            self._waiting.appendleft(rest)

    def _taken_dropped(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return 0 if self._is_closed else dropped

    def _tell(self, dropped: int) -> None:
        if dropped:
            log.warning("%d lines were not shown on %s, which nobody read", dropped, self.name)


def _never_waiting(fileno: int) -> int | None:
    """A descriptor of the same file to which a write never waits; None where there is none.

    A pipe or a terminal is opened once more: O_NONBLOCK on the descriptor itself would be on that of every other
    program that has it, a shell say.
    """
    mode = os.fstat(fileno).st_mode
    if stat.S_ISREG(mode):
        return os.dup(fileno)
    if stat.S_ISFIFO(mode) or os.isatty(fileno):
        with contextlib.suppress(OSError):
            return os.open(f"/proc/self/fd/{fileno}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return None


@contextlib.contextmanager
def never_waiting() -> Iterator[None]:
    """Within the block, nobody who prints to stdout or stderr waits for a reader."""
    streams = sys.stdout, sys.stderr
    outlets: list[NonblockingOutput] = []
    try:
        for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
            setattr(sys, name, _through_outlet(stream, name, outlets))
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = streams
        for outlet in outlets:
            outlet.finish()


def _through_outlet(stream: TextIO, name: str, outlets: list[NonblockingOutput]) -> TextIO:
    try:
        stream.flush()
        outlet = NonblockingOutput(stream.fileno(), name)
    except (OSError, ValueError):  # no file, as within a test
        return stream
    outlets.append(outlet)
    return io.TextIOWrapper(
        io.BufferedWriter(outlet), encoding=stream.encoding, errors="backslashreplace", line_buffering=True
    )
