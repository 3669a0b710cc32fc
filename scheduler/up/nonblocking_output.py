"""A stdout and a stderr to which a write never blocks, whether or not the other end is read.

A terminal stopped with Ctrl-S, a waiting pager or a hanging log collector blocks every writer once the pipe is full.
Here, output that would block waits in a buffer of a megabyte; lines that do not fit are dropped and counted. A closed
terminal or pipe is ignored.
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

#: The size of the buffer in bytes.
MAX_BUFFERED_BYTES = 1_000_000
#: How long the end of the program waits for the buffer to be read.
FLUSH_TIMEOUT_S = 1.0


@contextlib.contextmanager
def nonblocking_stdio() -> Iterator[None]:
    """Within the block, writing to stdout or stderr never blocks."""
    streams = sys.stdout, sys.stderr
    outputs: list[NonblockingOutput] = []
    try:
        for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
            setattr(sys, name, _nonblocking(stream, name, outputs))
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        sys.stdout, sys.stderr = streams
        for output in outputs:
            output.finish()


def _nonblocking(stream: TextIO, name: str, outputs: list[NonblockingOutput]) -> TextIO:
    try:
        stream.flush()
        output = NonblockingOutput(stream.fileno(), name)
    except (OSError, ValueError):  # a stream without a file, as within a test
        return stream
    outputs.append(output)
    return io.TextIOWrapper(
        io.BufferedWriter(output), encoding=stream.encoding, errors="backslashreplace", line_buffering=True
    )


#: A pipe that is ready for writing accepts this many bytes without blocking.
_PIECE_BYTES = select.PIPE_BUF
#: After these errors a later write may succeed; after any other one the output counts as closed.
_TEMPORARY = frozenset((errno.ENOSPC, errno.EDQUOT))


class NonblockingOutput(io.RawIOBase):
    """Writes bytes to an open file, from any thread, and never blocks."""

    def __init__(self, fileno: int, name: str) -> None:
        self._fileno = fileno
        self.name = name
        #: None if each write may block, so that only a thread can write.
        self._nonblocking_fileno = _reopen_nonblocking(fileno)
        #: A duplicate, because another file may replace the given descriptor.
        self._own_fileno = os.dup(fileno) if self._nonblocking_fileno is None else self._nonblocking_fileno
        self._lock = threading.Lock()
        self._buffer: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._dropped_lines = 0
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
        """Write a piece of output, usually whole lines."""
        piece = bytes(data)
        with self._lock:
            rest = piece if self._buffer else self._write_now(self._nonblocking_fileno, piece)
            if rest:
                self._append(rest)
            dropped = 0 if self._buffer else self._take_dropped()
        self._warn(dropped)
        return len(piece)

    def finish(self) -> None:
        """Wait up to FLUSH_TIMEOUT_S for the buffer to be read, and close."""
        is_drained = self._is_drained.wait(FLUSH_TIMEOUT_S)
        with self._lock:
            self._is_closed = True
            if is_drained:
                os.close(self._own_fileno)

    def _write_now(self, fileno: int | None, piece: bytes) -> bytes:
        """Write as much of a piece as possible; returns the rest."""
        if fileno is None:
            return piece
        while piece and not self._is_closed:
            try:
                piece = piece[os.write(fileno, piece) :]
            except BlockingIOError:
                return piece
            except OSError as error:
                self._is_closed = error.errno not in _TEMPORARY
                break
        return b""

    def _append(self, rest: bytes) -> None:
        if self._is_closed:
            return
        if self._buffered_bytes + len(rest) > MAX_BUFFERED_BYTES:
            self._dropped_lines += rest.count(b"\n")
            return
        self._buffer.append(rest)
        self._buffered_bytes += len(rest)
        if self._is_drained.is_set():
            self._is_drained.clear()
            threading.Thread(target=self._drain, name=f"output-{self.name}", daemon=True).start()

    def _drain(self) -> None:
        """Write the buffer as fast as it is read, until it is empty."""
        fileno = self._own_fileno
        ready = select.poll()
        ready.register(fileno, select.POLLOUT)
        while True:
            with self._lock:
                if self._is_closed or not self._buffer:
                    dropped = self._drained()
                    break
                piece = self._buffer[0][:_PIECE_BYTES]
            ready.poll()
            rest = len(self._write_now(fileno, piece))
            with self._lock:
                self._remove(len(piece) - rest)
        self._warn(dropped)

    def _drained(self) -> int:
        self._buffer.clear()
        self._buffered_bytes = 0
        self._is_drained.set()
        return self._take_dropped()

    def _remove(self, count: int) -> None:
        rest = self._buffer.popleft()[count:]
        self._buffered_bytes -= count
        if rest:
            self._buffer.appendleft(rest)

    def _take_dropped(self) -> int:
        dropped, self._dropped_lines = self._dropped_lines, 0
        return 0 if self._is_closed else dropped

    def _warn(self, dropped: int) -> None:
        if dropped:
            log.warning("%d lines were not shown on %s, which was not read", dropped, self.name)


def _reopen_nonblocking(fileno: int) -> int | None:
    """Another descriptor of the same file, to which a write never blocks; None if that is not possible.

    A pipe or a terminal is opened once more, because O_NONBLOCK on the given descriptor would also apply to every other
    program that shares it, a shell for instance.
    """
    mode = os.fstat(fileno).st_mode
    if stat.S_ISREG(mode):
        return os.dup(fileno)
    if stat.S_ISFIFO(mode) or os.isatty(fileno):
        with contextlib.suppress(OSError):
            return os.open(f"/proc/self/fd/{fileno}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return None
