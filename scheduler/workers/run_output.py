"""What a run prints and logs, line by line: the streams that replace stdout and stderr where functions run.

Lives here: cutting into lines, the limit of lines, levels. Never here: where a line is sent to. Used by the programs of
worker processes and of a fleet's child processes, each of which runs one function at a time.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..core.log_limits import MAX_LINE_LENGTH, LineCutter, LineLimit
from ..functions import log_records
from ..functions.error_records import OF_RUNS
from .run_threads import RunThreads
from .worker_clock import monotonic_us

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: How many bytes to decode at a time.
_PIECE = 65_536
#: For how many ended runs, whose threads still print, unfinished lines are kept.
_MOST_LEFT_OVER = 100


class RunOutput:
    """Sends each line of a run at once, so that a run that is killed keeps its lines; serves one run after another.

    `send(run_id, at, level, text)` takes a line; `at` is in microseconds of the clock `now_us`, and `run_id` is 0
    between runs.
    """

    def __init__(self, send: Callable[[int, int, str, str], object], now_us: Callable[[], int]) -> None:
        self._send = send
        self.now_us = now_us
        self._run_id = 0
        self._limit = LineLimit()
        self.threads = RunThreads(lambda: self._run_id)
        #: Limits the lines of threads that outlive their runs; not reset for each run.
        self._left_over_limit = LineLimit()
        #: Whether anything was written since the last run.
        self.has_text = False
        self.stdout = RunStream(self, "info")
        self.stderr = RunStream(self, "error")

    def begin(self, run_id: int) -> None:
        self._run_id = run_id
        if self._limit.used:
            self._limit = LineLimit()

    def end(self) -> int:
        """Send unfinished lines; returns how many lines of the run were dropped."""
        if not (self.has_text or sys.stdout is not self.stdout or sys.stderr is not self.stderr):
            self._run_id = 0
            return self._limit.dropped
        self.has_text = False
        for stream in (sys.stdout, sys.stderr):
            # The user's code may have wrapped our streams in buffering ones.
            with contextlib.suppress(Exception):
                stream.flush()
        self.stdout.finish()
        self.stderr.finish()
        self._run_id = 0
        return self._limit.dropped

    def add_error(self, text: str) -> None:
        """Send a message of this program as an error, even if the function has replaced sys.stderr."""
        self.stderr.finish()
        for line in text.splitlines():
            self.add_line("error", line[:MAX_LINE_LENGTH])

    def add_line(self, level: str, text: str) -> None:
        """Send a line, unless the run has printed too many."""
        run_id = self.threads.run_of_thread()
        limit = self._limit if run_id == self._run_id else self._left_over_limit
        if limit.allows(monotonic_us() / 1_000_000):
            self._send(run_id, self.now_us(), level, text.encode("utf-8", "replace").decode())


class RunBytes(io.RawIOBase):
    """The `buffer` of a RunStream: bytes become lines, decoded as UTF-8 with replacement."""

    def __init__(self, output: RunOutput, level: str) -> None:
        self._output = output
        self._cutter = LineCutter(lambda text: output.add_line(level, text))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        #: For other threads than the main one, by run: one that outlives its run must not touch the next run's line.
        self._of_threads: dict[int, LineCutter] = {}
        self._level = level

    def write(self, data: ReadableBuffer) -> int:
        self._output.has_text = True
        if not self._output.threads.is_main():
            return self._write_in_thread(bytes(memoryview(data)))
        with memoryview(data).cast("B") as view:
            # In pieces, so that a line of a gigabyte is never copied as a whole.
            for start in range(0, len(view), _PIECE):
                self._cutter.feed(self._decoder.decode(view[start : start + _PIECE]))
            return len(view)

    def _write_in_thread(self, data: bytes) -> int:
        run_id = self._output.threads.run_of_thread()
        if (cutter := self._of_threads.get(run_id)) is None:
            if len(self._of_threads) >= _MOST_LEFT_OVER:
                self._of_threads.clear()
            cutter = self._of_threads[run_id] = LineCutter(lambda text: self._output.add_line(self._level, text))
        cutter.feed(data.decode("utf-8", "replace"))
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        # A subprocess that gets this stream writes to the worker's pipe.
        return 1 if self._level == "info" else 2

    def close(self) -> None:
        """Stay open: a wrapper in the user's code calls this when it is collected, and the next run prints too."""

    def finish(self) -> None:
        """Send unfinished lines of the run in progress."""
        if cutter := self._of_threads.pop(self._output.threads.run_of_thread(), None):
            cutter.finish()
        self._cutter.feed(self._decoder.decode(b"", final=True))
        self._cutter.finish()


class RunStream(io.TextIOWrapper):
    """Replaces sys.stdout or sys.stderr; can be reconfigured, and its `buffer` wrapped, as those can."""

    def __init__(self, output: RunOutput, level: str) -> None:
        self._output, self._level = output, level
        self._bytes = RunBytes(output, level)
        super().__init__(self._bytes, encoding="utf-8", errors="replace", write_through=True)  # type: ignore[arg-type]

    def write(self, text: str) -> int:
        """Write a text; text from a log handler gets the level of its record.

        The traceback that ended the run is a line already (program.py), and is dropped.
        """
        if log_records.is_of(OF_RUNS):
            return len(text)
        level = log_records.level_of_text(text, self._level)
        if level == self._level:
            return super().write(text)
        self._output.has_text = True
        for line in text.splitlines():
            if line.strip():
                self._output.add_line(level, line)
        return len(text)

    def reconfigure(self, **_: Any) -> None:
        """Do nothing: the next run uses the same stream."""

    def detach(self) -> BinaryIO:
        return cast(BinaryIO, self.buffer)

    def close(self) -> None:
        """Stay open."""

    def finish(self) -> None:
        """Send an unfinished line."""
        self.flush()
        self._bytes.finish()


class RunRecords:
    """A log handler that makes each record a line of the run, unless another handler has written it already."""

    def __init__(self, output: RunOutput) -> None:
        self._output = output
        self._formatter = logging.Formatter()

    def wants(self, _: logging.LogRecord) -> bool:
        return True

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == OF_RUNS:
            return
        for text in log_records.lines_of(record, self._formatter):
            self._output.add_line(log_records.level_name(record), text)
