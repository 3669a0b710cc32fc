"""Log lines as JSON: one object a line, for programs that gather logs.

Lives here: how a record becomes an object, and the stream that makes records of whatever else is printed to stderr.
Never here: which records there are. Every object has `time` (ISO 8601 with its offset), `level`, `logger` and
`message`; what a line is about follows where it is known: `request_id`, `timer`, `run_id`, `function`, `environment` …
"""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from datetime import datetime, tzinfo
from typing import Any, TextIO

from ..core.log_limits import LineCutter
from ..engine.capture import CALL, is_captured
from ..formats import display
from ..functions.context import current_call
from ..project.settings import Settings

#: What a record may say of its run beyond the message, in the order in which it is shown.
ABOUT = (
    "request_id", "timer", "run_id", "function", "environment", "attempt",
    "fire_time", "outcome", "lateness_s", "duration_s", "error", "result",
)  # fmt: skip


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; instants are shown in a time zone."""

    def __init__(self, tz: tzinfo) -> None:
        super().__init__()
        self._tz = tz

    def format(self, record: logging.LogRecord) -> str:
        shown: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, self._tz).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_about(record),
        }
        if record.exc_info:
            shown["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            shown["stack"] = self.formatStack(record.stack_info)
        # Half of a surrogate pair, which a function may well print, is no UTF-8.
        return json.dumps(shown, ensure_ascii=False, default=str).encode("utf-8", "replace").decode()


def _about(record: logging.LogRecord) -> dict[str, Any]:
    """What a record is about: as it says itself, or else the call in whose context it was made."""
    about: dict[str, Any] = {}
    if (call := current_call.get()) is not None:
        about = {"request_id": call.request_id, "function": call.function}
        if call.timer is not None:
            about["timer"] = call.timer.name
    if hasattr(record, CALL):
        about["function"], about["request_id"] = getattr(record, CALL)
    given = {name: value for name in ABOUT if (value := getattr(record, name, None)) is not None}
    return {name: value for name in ABOUT if (value := {**about, **given}.get(name)) is not None}


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes records to a stream as long as somebody reads it."""

    def __init__(self, stream: TextIO, tz: tzinfo) -> None:
        super().__init__(stream)
        self.setFormatter(JsonFormatter(tz))

    def handleError(self, record: logging.LogRecord) -> None:
        """A terminal or a pipe that is closed must stop nothing; and to complain of it there would never end."""


class LogStream(io.TextIOBase):
    """Takes the place of stderr, so that what is printed there is a record of the logger `stderr` too."""

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
            self._handler.handle(logging.makeLogRecord({"name": "stderr", **level_of("error"), "msg": text}))


def level_of(name: str) -> dict[str, Any]:
    """A level by its name in lower case, as attributes of a record."""
    return {"levelno": logging.getLevelNamesMapping().get(name.upper(), logging.INFO), "levelname": name.upper()}


def json_handler() -> JsonHandler | None:
    """What writes the log as JSON, None where it is not written so."""
    return next((handler for handler in logging.getLogger().handlers if isinstance(handler, JsonHandler)), None)


class _Formatter(logging.Formatter):
    def __init__(self, tz: tzinfo) -> None:
        super().__init__("%(asctime)s  %(levelname)s  %(name)s: %(message)s")
        self._tz = tz

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002
        return display.instant(datetime.fromtimestamp(record.created, self._tz), self._tz)


def log_to_stderr(settings: Settings) -> None:
    """Send what the service and the user's code log to stderr, as the settings have it.

    Where logs are JSON, so is all else that is printed there.
    """
    tz, level = display.zone(settings.tz), settings.log_level
    handler: logging.StreamHandler[TextIO]
    if settings.log_format == "json":
        handler = JsonHandler(sys.stderr, tz)
        handler.setLevel(level.upper())
        sys.stderr = LogStream(handler, sys.stderr.fileno())
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Formatter(tz))
    # What a call logs is shown as a line of the call.
    handler.addFilter(lambda record: not is_captured(record))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for chatty in ("alembic", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
