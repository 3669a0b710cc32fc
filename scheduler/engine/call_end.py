"""The end of a call as plain data: the JSON of its result, or a failure, which is logged.

Results and exceptions are the user's objects: their __str__, __iter__ or __int__ may hang, raise or exit. So only the
thread in which the function ran touches them, within the function's limit; the server's thread gets bytes. Never here:
the table of failures (failures.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from ..errors import UnfinishedResultError
from ..functions.context import Call
from ..functions.error_records import error_record
from . import capture, failures
from .failures import Failure, RefusedError
from .threads import Work

logger = logging.getLogger(__package__)

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
    message, arguments = "%r failed [request %s]", (name, request_id)
    logger.handle(error_record(logger, message, arguments, error, extra))
