"""The log of `scheduler up` and `scheduler worker` on stderr: as text, or as one JSON object per line.

Lives here: formatting records, and the stream that converts all other text on stderr to records. Every JSON object has
`time` (ISO 8601 with its offset), `level`, `logger` and `message`, and if known `request_id`, `timer`, `run_id`,
`function`, `environment` …
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import threading
from datetime import datetime, tzinfo
from functools import partial
from typing import Any, TextIO

from ..core.log_limits import LineCutter
from ..core.zone_names import zone
from ..engine.capture import CALL, is_captured
from ..formats import display
from ..functions.context import current_call
from ..functions.log_records import LEVEL_VARIABLE, is_shown_otherwise, keep_own, level_of_text
from ..project.handed_on import hand_on
from ..project.settings import Settings


def log_to_stderr(settings: Settings) -> None:
    """Log the records of the service and of the user's code to stderr, with the level and format of the settings.

    If the format is JSON, all other text on stderr becomes records too.
    """
    tz, level = zone(settings.tz), settings.log_level
    handler: logging.StreamHandler[TextIO]
    if settings.log_format == "json":
        handler = JsonHandler(sys.stderr, tz)
        handler.setLevel(level.upper())
        sys.stderr = RecordStream(handler, sys.stderr.fileno())
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(TextFormatter(tz))
    # A record of a call is reported as a line of the call.
    handler.addFilter(lambda record: not is_captured(record))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    # The user's configuration of logging must not silence the service.
    keep_own(handler, level)
    # Workers do not have our settings; the records of functions there become lines of their run.
    hand_on(os.environ, {LEVEL_VARIABLE: level}, settings.origin("log_level"))
    for chatty in ("alembic", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def json_handler() -> JsonHandler | None:
    """The handler that writes the log as JSON; None if the log is text."""
    return next((handler for handler in logging.getLogger().handlers if isinstance(handler, JsonHandler)), None)


class TextFormatter(logging.Formatter):
    """Formats a record as text, with its instant in a time zone."""

    def __init__(self, tz: tzinfo) -> None:
        super().__init__("%(asctime)s  %(levelname)s  %(name)s: %(message)s")
        self._tz = tz

    def format(self, record: logging.LogRecord) -> str:
        """The record, escaped so that its text cannot control the terminal or imitate another record."""
        first, *others = super().format(record).split("\n")
        return "\n".join([display.plain(first), *(f"    {display.plain(line)}" for line in others)])

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002
        return display.instant(datetime.fromtimestamp(record.created, self._tz), self._tz)


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with its instant in a time zone."""

    def __init__(self, tz: tzinfo) -> None:
        super().__init__()
        self._tz = tz

    def format(self, record: logging.LogRecord) -> str:
        shown: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, self._tz).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_context(record),
        }
        if record.exc_info:
            shown["exception"] = record.exc_text or self.formatException(record.exc_info)
        if record.stack_info:
            shown["stack"] = self.formatStack(record.stack_info)
        # A function may print a lone surrogate, which UTF-8 cannot encode.
        text = json.dumps(shown, ensure_ascii=False, default=str).encode("utf-8", "replace").decode()
        return _CONTROLS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


#: Characters that JSON does not escape although they control a terminal: C1, separators of lines, directions.
_CONTROLS = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


#: The attributes of a record that name its run or call, in the order of output.
CONTEXT_FIELDS = (
    "request_id", "timer", "run_id", "function", "environment", "attempt",
    "fire_time", "outcome", "lateness_s", "duration_s", "error", "result",
)  # fmt: skip


def _context(record: logging.LogRecord) -> dict[str, Any]:
    """The run or call that a record belongs to: its own attributes, else the call in which it was logged."""
    context: dict[str, Any] = {}
    if (call := current_call.get()) is not None:
        context = {"request_id": call.request_id, "function": call.function}
        if call.timer is not None:
            context["timer"] = call.timer.name
    if hasattr(record, CALL):
        context["function"], context["request_id"] = getattr(record, CALL)
    context |= {name: value for name in CONTEXT_FIELDS if (value := getattr(record, name, None)) is not None}
    return {name: value for name in CONTEXT_FIELDS if (value := context.get(name)) is not None}


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes records to a stream, one JSON object per line; ignores a closed stream."""

    def __init__(self, stream: TextIO, tz: tzinfo) -> None:
        super().__init__(stream)
        self.setFormatter(JsonFormatter(tz))

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignore a closed terminal or pipe, because an error message would go to the same stream."""


class RecordStream(io.TextIOBase):
    """Replaces stderr: each line becomes a record of the logger `stderr`, an error unless its level is known."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, handler: logging.Handler, fileno: int) -> None:
        self._fileno = fileno
        self._handler = handler
        self._cutters: dict[str, LineCutter] = {}
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        if is_shown_otherwise():
            return len(text)
        level = level_of_text(text, "error")
        with self._lock:
            if (cutter := self._cutters.get(level)) is None:
                cutter = self._cutters[level] = LineCutter(partial(self._emit, level))
            cutter.feed(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fileno

    def _emit(self, level: str, text: str) -> None:
        if text.strip():
            attributes = {"name": "stderr", **level_attributes(level), "msg": text}
            self._handler.handle(logging.makeLogRecord(attributes))


def level_attributes(name: str) -> dict[str, Any]:
    """The level attributes of a record, from the level's name in lower case."""
    return {"levelno": logging.getLevelNamesMapping().get(name.upper(), logging.INFO), "levelname": name.upper()}
