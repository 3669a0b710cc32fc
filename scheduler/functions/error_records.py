"""Log records of exceptions that functions raise, for the handlers that users install, such as those of error trackers.

Lives here: the record, and the logger of errors of runs. Never here: the lines of a run (workers/run_output.py), and
which failures of calls over HTTP are logged (engine/call_end.py).
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Mapping
from typing import Any, Final

from .context import Call, current_call
from .tracebacks import from_users_frame

#: The logger of exceptions that end a run of a timer.
OF_RUNS: Final = "scheduler.functions.errors"
#: The most characters of a traceback in the log, because a chain of 20,000 exceptions has megabytes.
MAX_TRACEBACK = 65_536

_logger = logging.getLogger(OF_RUNS)
# Without any handler, logging would write the record to the stderr of a program that has configured none.
_logger.addHandler(logging.NullHandler())


def error_record(
    logger: logging.Logger, message: str, arguments: tuple[object, ...], error: BaseException, extra: Mapping[str, Any]
) -> logging.LogRecord:
    """A record at ERROR with an exception; its traceback begins at the first frame of the user's code."""
    text = _traceback_text(error)
    exc_info: Any = (type(error), error, error.__traceback__)
    record = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, message, arguments, exc_info)
    # Not by makeRecord, which refuses an attribute that the user's factory of records has set.
    record.__dict__.update(extra)
    # Formatters use this text. They are called under the lock of their handler, where a __str__ that hangs would keep
    # every thread from logging.
    record.exc_text = text
    return record


def log_run_error(error: BaseException) -> None:
    """Log the exception that ends the run in progress; raises nothing, whatever handlers and the exception raise.

    A configuration that disables the loggers it does not name, as dictConfig does by default, does not silence it.
    """
    call = current_call.get()
    if call is None or logging.root.manager.disable >= logging.ERROR or _logger.getEffectiveLevel() > logging.ERROR:
        return
    with contextlib.suppress(BaseException):
        record = error_record(_logger, "%r failed [request %s]", (call.function, call.request_id), error, _extra(call))
        if _logger.filter(record):
            _logger.callHandlers(record)


def _extra(call: Call) -> dict[str, Any]:
    extra: dict[str, Any] = {"function": call.function, "request_id": call.request_id}
    if (timer := call.timer) is not None:
        extra |= {"timer": timer.name, "attempt": timer.attempt, "fire_time": timer.scheduled_at.isoformat()}
    return extra


def _traceback_text(error: BaseException) -> str:
    pieces, length = [], 0
    try:
        for piece in traceback.TracebackException.from_exception(from_users_frame(error), compact=True).format():
            pieces.append(piece)
            length += len(piece)
            if length > MAX_TRACEBACK:
                break
    except BaseException as failed:  # the exception's own code, which runs here for its text
        pieces.append(f"(no traceback: {type(failed).__name__})")
    return "".join(pieces)[:MAX_TRACEBACK].rstrip("\n")
