"""What functions print and log while they answer requests: caught line by line, by the context of the call.

Lives here: the streams that take the place of stdout and stderr, the log handler, and the voice of one call. Never
here: where lines go, that is the sink's business. Without a sink nothing is caught, and nothing is changed.
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
from ..functions.context import Call, current_call

#: The attribute of a log record that names function and request id, for what the engine itself logs of a call.
CALL = "scheduler_call"


class Said(NamedTuple):
    """One line that a call printed or logged; `level` is a name of the logging module in lower case."""

    at: datetime
    level: str
    text: str
    function: str
    request_id: str


Sink = Callable[[Said], None]


class Voice:
    """What one call prints: stdout as `info`, stderr as `error`, log records with their own level."""

    __slots__ = ("_call", "_cutters", "_lock", "_sink")

    def __init__(self, call: Call, sink: Sink) -> None:
        self._call = call
        self._sink = sink
        self._cutters = {level: LineCutter(partial(self.say, level)) for level in ("info", "error")}
        self._lock = threading.Lock()

    def write(self, level: str, text: str) -> None:
        """Take the next piece of a stream; a function's own threads may print at the same time."""
        with self._lock:
            self._cutters[level].feed(text)

    def say(self, level: str, text: str) -> None:
        """Hand one line to the sink."""
        self._sink(said(level, text, self._call.function, self._call.request_id))

    def finish(self) -> None:
        """Hand on what stands without a line end."""
        with self._lock:
            for cutter in self._cutters.values():
                cutter.finish()


_voice: ContextVar[Voice | None] = ContextVar("scheduler.voice", default=None)
_sinks: list[Sink] = []


def said(level: str, text: str, function: str, request_id: str) -> Said:
    """A line as it may be kept: not too long, and sound UTF-8."""
    text = text[:MAX_LINE_LENGTH].encode("utf-8", "replace").decode()
    return Said(datetime.now(UTC), level, text, function, request_id)


def run(call: Call, work: Callable[[], Any]) -> Any:
    """The result of `work`; what it prints on the way goes to the sink, where there is one."""
    if not _sinks:
        return work()
    voice = Voice(call, _sinks[-1])
    token = _voice.set(voice)
    try:
        return work()
    finally:
        voice.finish()
        _voice.reset(token)


@contextlib.contextmanager
def catching(sink: Sink) -> Iterator[None]:
    """Have `sink` told of every line of every call, from whatever thread; what is no call's goes its usual way."""
    stdout, stderr = sys.stdout, sys.stderr
    handler = _Handler()
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


def is_caught(record: logging.LogRecord) -> bool:
    """Whether a sink hears of a log record, so that other handlers may leave it out."""
    return bool(_sinks) and (_voice.get() is not None or hasattr(record, CALL))


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if not is_caught(record):
            return
        level, voice = record.levelname.lower(), _voice.get()
        for text in self.format(record).splitlines():
            if voice is not None:
                voice.say(level, text)
            elif _sinks:
                _sinks[-1](said(level, text, *getattr(record, CALL)))


class _Stream:
    """Stands for a stream of the process; what a call prints goes to its voice instead."""

    def __init__(self, original: TextIO, level: str) -> None:
        self._original = original
        self._level = level

    def write(self, text: str) -> int:
        voice = _voice.get()
        if voice is None:
            return self._original.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        voice.write(self._level, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def _stream(original: TextIO, level: str) -> TextIO:
    return cast(TextIO, _Stream(original, level))


class RequestIdFilter(logging.Filter):
    """Give every record the request id of the call in progress, `-` outside one.

    `handler.addFilter(RequestIdFilter())`, then `%(request_id)s` in the handler's format: one id from the fire of a
    timer, or from a client's X-Request-Id, to each line that the function logs (engine protocol § 3).
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        call = current_call.get()
        record.request_id = call.request_id if call else "-"
        return True
