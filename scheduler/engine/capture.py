"""Captures the lines that functions print and log while they answer requests, by the context of the call.

Lives here: the streams that replace stdout and stderr, the log handler, and the output of one call. Never here: storing
lines, which the sink does. Without a sink nothing is captured and no stream is replaced.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO, NamedTuple, TextIO, cast

from ..core.log_limits import MAX_LINE_LENGTH, LineCutter
from ..functions import log_records
from ..functions.context import Call
from ..functions.followed_threads import FollowedThreads

#: The attribute of a log record that holds (function, request id), set on what the engine itself logs about a call.
CALL = "scheduler_call"


class CapturedLine(NamedTuple):
    """One line that a call printed or logged; `level` is a name of the logging module in lower case."""

    at: datetime
    level: str
    text: str
    function: str
    request_id: str


Sink = Callable[[CapturedLine], None]
#: Called with the text of a line.
Line = Callable[[str], None]


class CallOutput:
    """The output of one call: stdout as `info`, stderr as `error`, log records with their own level."""

    __slots__ = ("_call", "_cutters", "_lock", "_sink")

    def __init__(self, call: Call, sink: Sink) -> None:
        self._call = call
        self._sink = sink
        self._cutters = {level: LineCutter(partial(self.line, level)) for level in ("info", "error")}
        # A function's __del__ may print whenever Python collects garbage, even in this code.
        self._lock = threading.RLock()

    def write(self, level: str, text: str) -> None:
        """Write the next piece of a stream; the function's own threads may write at the same time."""
        with self._lock:
            self._cutters[level].feed(text)

    def lines(self, level: str, text: str) -> None:
        """Pass on a text of complete lines."""
        for line in text.splitlines():
            if line.strip():
                self.line(level, line)

    def line(self, level: str, text: str) -> None:
        """Pass one line to the sink."""
        self._sink(captured_line(level, text, self._call.function, self._call.request_id))

    def finish(self) -> None:
        """Pass on the last line of each stream that has no line end."""
        with self._lock:
            for cutter in self._cutters.values():
                cutter.finish()


_output: ContextVar[CallOutput | None] = ContextVar("scheduler.call_output", default=None)
_sinks: list[Sink] = []
#: The attribute with the call's output, of a thread that a call has started, or whose pool works for it.
_OF_THREAD = "_scheduler_output"


def current_output() -> CallOutput | None:
    """The output of the call that the calling code belongs to, even in threads that a call has started."""
    output = _output.get()
    return output if output is not None else getattr(threading.current_thread(), _OF_THREAD, None)


#: Sets the call of threads that calls start, once there is a sink.
_threads = FollowedThreads(_OF_THREAD, current_output)


def captured_line(level: str, text: str, function: str, request_id: str) -> CapturedLine:
    """A line of at most MAX_LINE_LENGTH characters that can be encoded as UTF-8."""
    text = text[:MAX_LINE_LENGTH].encode("utf-8", "replace").decode()
    return CapturedLine(datetime.now(UTC), level, text, function, request_id)


def run(call: Call, work: Callable[[], Any]) -> Any:
    """The result of `work`, whose output goes to the sink, if there is one."""
    if not _sinks:
        return work()
    output = CallOutput(call, _sinks[-1])
    token = _output.set(output)
    if _settled and not _in_progress:
        # An earlier call may have left other streams.
        sys.stdout, sys.stderr = _settled[-1]
    _in_progress.append(output)
    try:
        return work()
    finally:
        for read in _raw_readers:
            read()
        _flush_wrappers()
        _in_progress.remove(output)
        output.finish()
        _output.reset(token)


def settle_streams() -> None:
    """Remember the streams after the functions were loaded, which may have wrapped ours; each call begins with them."""
    _settled[:] = [(sys.stdout, sys.stderr)]


def _flush_wrappers() -> None:
    """Flush the wrappers that the user's code has put around our streams."""
    for stream in (sys.stdout, sys.stderr):
        if type(stream) is not _CallStream:
            with contextlib.suppress(Exception):
                stream.flush()


#: The sys.stdout and sys.stderr with which a call begins.
_settled: list[tuple[Any, Any]] = []
#: The outputs of the calls in progress.
_in_progress: list[CallOutput] = []
#: Called before a call ends: each reads the output to the descriptors of stdout and stderr.
_raw_readers: list[Callable[[], None]] = []


@contextlib.contextmanager
def reading_raw(read: Callable[[], None]) -> Iterator[None]:
    """Within the block, `read` is called at the end of each call; it passes what it reads to `raw_line`."""
    _raw_readers.append(read)
    try:
        yield
    finally:
        _raw_readers.remove(read)


def raw_line(level: str, text: str) -> bool:
    """Take a line that was written past sys.stdout; returns whether any call was in progress.

    The line belongs to the call in progress; with several calls, its origin is unknown.
    """
    calls = list(_in_progress)
    if len(calls) == 1:
        calls[0].line(level, text)
    elif calls and _sinks:
        _sinks[-1](captured_line(level, text, "-", "-"))
    return bool(calls)


@contextlib.contextmanager
def capturing(sink: Sink) -> Iterator[None]:
    """Call `sink` with every line of every call, from any thread; other output goes to the original streams."""
    _forked.clear()
    stdout, stderr = sys.stdout, sys.stderr
    records = _CallRecords()
    sys.stdout, sys.stderr = _stream(stdout, "info"), _stream(stderr, "error")
    log_records.follow(records)
    _threads.follow()
    _sinks.append(sink)
    try:
        yield
    finally:
        _settled.clear()
        _sinks.remove(sink)
        log_records.unfollow(records)
        sys.stdout, sys.stderr = stdout, stderr


def is_captured(record: logging.LogRecord) -> bool:
    """Whether a sink gets a log record, so that other handlers can skip it."""
    return bool(_sinks) and (current_output() is not None or hasattr(record, CALL))


class _CallRecords:
    """Follows the log records of calls."""

    def __init__(self) -> None:
        self._formatter = logging.Formatter()

    def wants(self, record: logging.LogRecord) -> bool:
        return is_captured(record)

    def emit(self, record: logging.LogRecord) -> None:
        # Without a lock, because an argument whose __str__ hangs would stop every other thread that logs.
        if _forked:
            _write_all(2, self._formatter.format(record) + "\n")
            return
        level, output = log_records.level_name(record), current_output()
        for text in log_records.lines_of(record, self._formatter):
            if output is not None:
                output.line(level, text)
            elif _sinks:
                _sinks[-1](captured_line(level, text, *getattr(record, CALL)))


class _CallStream(io.TextIOBase):
    """Replaces a standard stream: text of a call goes to the call's output, other text to the original stream.

    All calls share it, so none can close it or set another encoding.
    """

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, original: TextIO, level: str) -> None:
        self._original = original
        self._level = level
        self.buffer = _CallBytes(self)

    def write(self, text: str) -> int:
        output = current_output()
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if _forked:
            # The threads that take lines are the parent's; what is written to the descriptors reaches them.
            _write_all(1 if self._level == "info" else 2, text)
            return len(text)
        if log_records.is_shown_otherwise():
            return len(text)
        level = log_records.level_of_text(text, self._level)
        if output is None:
            return self._original.write(text)
        if level == self._level:
            output.write(level, text)
        else:
            output.lines(level, text)
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes from `buffer`."""
        self.write(data.decode("utf-8", "replace"))

    def reconfigure(self, **_: Any) -> None:
        """Do nothing: all calls share the stream."""

    def detach(self) -> BinaryIO:
        return cast(BinaryIO, self.buffer)

    def close(self) -> None:
        """Stay open."""

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._original.flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        # A subprocess that is given this stream writes where it is read.
        return (1 if self._level == "info" else 2) if _raw_readers else self._original.fileno()

    def isatty(self) -> bool:
        return self._original.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class _CallBytes(io.RawIOBase):
    """The `buffer` of such a stream."""

    def __init__(self, stream: _CallStream) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        written = bytes(data)
        self._stream.write_bytes(written)
        return len(written)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        """Stay open: a wrapper of the user's code closes this when it is collected."""


def _write_all(descriptor: int, text: str) -> None:
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(descriptor, data) :]


#: Not empty in a process that a function has forked.
_forked: list[bool] = []
os.register_at_fork(after_in_child=lambda: _forked.append(True))


def _stream(original: TextIO, level: str) -> TextIO:
    return cast(TextIO, _CallStream(original, level))
