"""What functions print and log while they answer requests, captured line by line by the context of the call.

Lives here: the streams that replace stdout and stderr, the log handler, and the output of one call. Never here: where
lines are written, which is up to the sink. Without a sink nothing is captured and no stream is replaced.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TextIO, cast

from ..core.log_limits import MAX_LINE_LENGTH, LineCutter
from ..functions.context import Call

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


class CallOutput:
    """The output of one call: stdout as `info`, stderr as `error`, log records with their own level."""

    __slots__ = ("_call", "_cutters", "_lock", "_sink")

    def __init__(self, call: Call, sink: Sink) -> None:
        self._call = call
        self._sink = sink
        self._cutters = {level: LineCutter(partial(self.line, level)) for level in ("info", "error")}
        self._lock = threading.Lock()

    def write(self, level: str, text: str) -> None:
        """Take the next piece of a stream; the function's own threads may write at the same time."""
        with self._lock:
            self._cutters[level].feed(text)

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


def captured_line(level: str, text: str, function: str, request_id: str) -> CapturedLine:
    """A line of at most MAX_LINE_LENGTH characters that can be encoded as UTF-8."""
    text = text[:MAX_LINE_LENGTH].encode("utf-8", "replace").decode()
    return CapturedLine(datetime.now(UTC), level, text, function, request_id)


def run(call: Call, work: Callable[[], Any]) -> Any:
    """The result of `work`; what it prints meanwhile goes to the sink, if there is one."""
    if not _sinks:
        return work()
    output = CallOutput(call, _sinks[-1])
    token = _output.set(output)
    try:
        return work()
    finally:
        output.finish()
        _output.reset(token)


@contextlib.contextmanager
def capturing(sink: Sink) -> Iterator[None]:
    """Call `sink` with every line of every call, from any thread; output outside of calls is left alone."""
    stdout, stderr = sys.stdout, sys.stderr
    handler = _CallLogHandler()
    root = logging.getLogger()
    sys.stdout, sys.stderr = _stream(stdout, "info"), _stream(stderr, "error")
    root.addHandler(handler)
    _sinks.append(sink)
    try:
        yield
    finally:
        _sinks.remove(sink)
        root.removeHandler(handler)
        sys.stdout, sys.stderr = stdout, stderr


def is_captured(record: logging.LogRecord) -> bool:
    """Whether a sink gets a log record, so that other handlers may leave it out."""
    return bool(_sinks) and (_output.get() is not None or hasattr(record, CALL))


class _CallLogHandler(logging.Handler):
    def handle(self, record: logging.LogRecord) -> bool:
        # Without the handler's lock: an argument whose __str__ hangs would keep every other thread from logging.
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        if not is_captured(record):
            return
        level, output = record.levelname.lower(), _output.get()
        try:
            lines = self.format(record).splitlines()
        except Exception:
            self.handleError(record)
            return
        for text in lines:
            if output is not None:
                output.line(level, text)
            elif _sinks:
                _sinks[-1](captured_line(level, text, *getattr(record, CALL)))


class _CallStream:
    """Replaces a standard stream; what a call prints goes to the call's output, all else to the original stream."""

    def __init__(self, original: TextIO, level: str) -> None:
        self._original = original
        self._level = level

    def write(self, text: str) -> int:
        output = _output.get()
        if output is None:
            return self._original.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        output.write(self._level, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def _stream(original: TextIO, level: str) -> TextIO:
    return cast(TextIO, _CallStream(original, level))
