"""The log of `scheduler up` and `scheduler worker` on stderr: as text, or as JSON with one object a line.

Lives here: how a record becomes a line, and the stream that makes records of everything else that is printed to stderr.
Never here: which records there are. Every JSON object has `time` (ISO 8601 with its offset), `level`, `logger` and
`message`, and where they are known `request_id`, `timer`, `run_id`, `function`, `environment` …
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
from typing import Any, TextIO

from ..core.log_limits import LineCutter
from ..core.zones import zone
from ..engine.capture import CALL, is_captured
from ..formats import display
from ..functions.context import current_call
from ..functions.log_records import LEVEL_VARIABLE, keep_own
from ..project.settings import Settings


def log_to_stderr(settings: Settings) -> None:
    """Send what the service and the user's code log to stderr, at the level and in the format of the settings.

    Where the format is JSON, everything else that is printed to stderr becomes a record too.
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
    # What a call logs is reported as a line of the call.
    handler.addFilter(lambda record: not is_captured(record))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    # What the user's code configures is not to silence the service.
    keep_own(handler, level)
    # Workers have none of our settings; what functions log there is a line of their run.
    os.environ[LEVEL_VARIABLE] = level
    for chatty in ("alembic", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def json_handler() -> JsonHandler | None:
    """The handler that writes the log as JSON; None where the log is text."""
    return next((handler for handler in logging.getLogger().handlers if isinstance(handler, JsonHandler)), None)


class TextFormatter(logging.Formatter):
    """A record as text; its instant is shown in a time zone."""

    def __init__(self, tz: tzinfo) -> None:
        super().__init__("%(asctime)s  %(levelname)s  %(name)s: %(message)s")
        self._tz = tz

    def format(self, record: logging.LogRecord) -> str:
        """The record, in which nobody can control the terminal, or begin a line that looks like another record."""
        first, *others = super().format(record).split("\n")
        return "\n".join([display.plain(first), *(f"    {display.plain(line)}" for line in others)])

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002
        return display.instant(datetime.fromtimestamp(record.created, self._tz), self._tz)


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; its instant is shown in a time zone."""

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
        # A function may print half of a surrogate pair, which UTF-8 cannot encode.
        text = json.dumps(shown, ensure_ascii=False, default=str).encode("utf-8", "replace").decode()
        return _CONTROLS.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


#: What JSON leaves as it is, although it controls a terminal: C1, separators of lines, directions.
_CONTROLS = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


#: The attributes of a record that say which run or call it belongs to, in the order in which they are shown.
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
    """Writes records to a stream, one JSON object a line; a closed stream is ignored."""

    def __init__(self, stream: TextIO, tz: tzinfo) -> None:
        super().__init__(stream)
        self.setFormatter(JsonFormatter(tz))

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignore a closed terminal or pipe: an error message would go to that same stream."""


class RecordStream(io.TextIOBase):
    """Replaces stderr: each line that is printed becomes an error record of the logger `stderr`."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, handler: logging.Handler, fileno: int) -> None:
        self._fileno = fileno
        self._handler = handler
        self._cutter = LineCutter(self._emit)
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        with self._lock:
            self._cutter.feed(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fileno

    def _emit(self, text: str) -> None:
        if text.strip():
            attributes = {"name": "stderr", **level_attributes("error"), "msg": text}
            self._handler.handle(logging.makeLogRecord(attributes))


def level_attributes(name: str) -> dict[str, Any]:
    """The attributes of a record that hold its level, given by its name in lower case."""
    return {"levelno": logging.getLevelNamesMapping().get(name.upper(), logging.INFO), "levelname": name.upper()}
