"""Captures what functions over HTTP write past sys.stdout: output of subprocesses, C code, `os.write`.

The descriptors 1 and 2 of a process that answers HTTP are pipes, which a thread of the process reads. Its own messages
go to the terminal by other descriptors. If the process dies, its supervisor reads the rest (raw_pipes.py).
"""

from __future__ import annotations

import codecs
import contextlib
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from ..core.log_limits import LineCutter
from ..engine import capture

log = logging.getLogger("scheduler.up")

_READ_SIZE, _READS_A_TURN = 65_536, 16
_AFTER_FAULT_S = 1.0
_LEVELS = ("info", "error")


@contextlib.contextmanager
def raw_output_as_lines(descriptors: Sequence[int] | None, *, to_stderr: bool) -> Iterator[None]:
    """Within the block, output to the two descriptors becomes lines of calls; outside of calls, it is printed.

    `to_stderr`: stdout is for JSON.
    """
    if descriptors is None:
        yield
        return
    raw = RawOutputReader(descriptors, to_stderr=to_stderr)
    threading.Thread(target=raw.run, name="raw-output", daemon=True).start()
    with capture.reading_raw(raw.read):
        yield
    raw.read()


class RawOutputReader:
    """Reads the two pipes of this process."""

    def __init__(self, descriptors: Sequence[int], *, to_stderr: bool) -> None:
        self._lock = threading.Lock()
        self._pipes = {
            descriptor: (codecs.getincrementaldecoder("utf-8")("replace"), LineCutter(self._emit(level, to_stderr)))
            for descriptor, level in zip(descriptors, _LEVELS, strict=True)
        }
        for descriptor in descriptors:
            os.set_blocking(descriptor, False)

    def _emit(self, level: str, to_stderr: bool) -> capture.Line:
        # The current streams, because a function may replace them.
        stream = sys.stdout if level == "info" and not to_stderr else sys.stderr

        def emit(text: str) -> None:
            if not capture.raw_line(level, text):
                stream.write(f"{text}\n")

        return emit

    def read(self) -> None:
        """Read the output so far, with the unfinished last line."""
        with self._lock:
            for descriptor, (_, cutter) in list(self._pipes.items()):
                self._read(descriptor)
                cutter.finish()

    def _read(self, descriptor: int) -> None:
        decoder, cutter = self._pipes[descriptor]
        try:
            for _ in range(_READS_A_TURN):
                data = os.read(descriptor, _READ_SIZE)
                if not data:  # every writer has closed the pipe, which stays readable from then on
                    break
                cutter.feed(decoder.decode(data))
            else:
                return
        except BlockingIOError:
            return
        except OSError:  # a function has closed the descriptor
            pass
        del self._pipes[descriptor]

    def run(self) -> None:
        """Read until the process ends; no error may end this, because writers would block on a full pipe."""
        while self._pipes:
            try:
                poller = select.poll()
                for descriptor in list(self._pipes):
                    poller.register(descriptor, select.POLLIN)
                for descriptor, _ in poller.poll():
                    with self._lock:
                        if descriptor in self._pipes:
                            self._read(descriptor)
            except Exception:
                log.exception("what subprocesses print could not be read; continuing in %g s", _AFTER_FAULT_S)
                time.sleep(_AFTER_FAULT_S)
