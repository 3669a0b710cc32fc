"""The end of a call as plain data: the JSON of its result, or a failure, which is logged.

Results and exceptions are the user's objects: their __str__, __iter__ or __int__ may hang, raise or exit. So only the
thread in which the function ran touches them, within the function's limit; the server's thread gets bytes. Never here:
the table of failures (failures.py).
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from typing import Any

from ..errors import UnfinishedResultError
from ..functions.context import Call
from ..functions.tracebacks import from_users_frame
from . import capture, failures
from .failures import Failure, RefusedError
from .threads import Work

logger = logging.getLogger(__package__)

#: The most characters of a traceback in the log, because a chain of 20,000 exceptions has megabytes.
MAX_TRACEBACK = 65_536

#: Returns the failure of an exception, and logs it.
Fail = Callable[[BaseException], Failure]


def json_of(work: Work, fail: Fail) -> bytes:
    """The result of `work` as JSON; RefusedError, without objects of the user's, if it raises or is not JSON."""
    try:
        return failures.encode(work())
    except BaseException as error:
        failed = fail(error)
    raise RefusedError(failed, is_logged=True)


def fail(call: Call, error: BaseException, *, expose_errors: bool) -> Failure:
    """The failure of a call; logs it unless the call is over its limit and so has been answered already."""
    failed = failures.failure_of(error, expose_errors=expose_errors)
    if call.deadline is None or time.monotonic() < call.deadline:
        log(call.function, call.request_id, failed, error)
    return failed


def log(name: str, request_id: str, failed: Failure, error: BaseException | None = None) -> None:
    """Log a failure that is not the function's answer; `error` adds its traceback."""
    extra = {capture.CALL: (name, request_id)}
    if failed.unforeseen and error is not None and not isinstance(error, RefusedError | UnfinishedResultError):
        _log_traceback(name, request_id, error, extra)
    elif failed.unforeseen:  # the function has returned, so a traceback would not help
        logger.error("%r failed: %s [request %s]", name, failed.error, request_id, extra=extra)
    elif failed.status == 503:
        logger.warning("%r was not answered: %s [request %s]", name, failed.error, request_id, extra=extra)


def _log_traceback(name: str, request_id: str, error: BaseException, extra: dict[str, Any]) -> None:
    if not logger.isEnabledFor(logging.ERROR):
        return
    text = _traceback_text(error)
    exc_info: Any = (type(error), error, error.__traceback__)
    message, arguments = "%r failed [request %s]", (name, request_id)
    record = logger.makeRecord(logger.name, logging.ERROR, __file__, 0, message, arguments, exc_info, extra=extra)
    # Formatters use this text. They are called under the lock of their handler, where a __str__ that hangs would keep
    # every thread from logging.
    record.exc_text = text
    logger.handle(record)


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
