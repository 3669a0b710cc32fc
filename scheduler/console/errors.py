"""The error pages: they say what happened and what to do, without internals of the console."""

from __future__ import annotations

import logging

from flask import Flask, Response, make_response
from werkzeug.exceptions import HTTPException, TooManyRequests

from ..errors import StoreError, UnknownCalendarError, UnknownTimerError
from .gates import ForeignFormError, ForeignHostError
from .rendering import render

log = logging.getLogger("scheduler.console")

_RETRY_AFTER_S = 5
_KNOWN = {400, 403, 404, 405, 413, 429}


def install(app: Flask) -> None:
    """Answer the errors of an application with these pages."""
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(UnknownTimerError, _of_unknown)
    app.register_error_handler(UnknownCalendarError, _of_unknown)
    app.register_error_handler(StoreError, _of_store)
    app.register_error_handler(Exception, _of_fault)


def _of_http(error: HTTPException) -> Response:
    status = error.code or 500
    key = str(status) if status in _KNOWN else "400" if status < 500 else "500"
    if isinstance(error, ForeignHostError):
        key = "host"
    elif isinstance(error, ForeignFormError):
        key = "form"
    answer = _page(key, status)
    if isinstance(error, TooManyRequests) and error.retry_after is not None:
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def _of_unknown(error: UnknownTimerError | UnknownCalendarError) -> Response:
    return _page("404", 404, detail=str(error))


def _of_store(error: StoreError) -> Response:
    log.warning("the store does not answer: %s", error)
    answer = _page("503", 503)
    answer.headers["Retry-After"] = str(_RETRY_AFTER_S)
    return answer


def _of_fault(error: Exception) -> Response:
    log.exception("unexpected error in the console", exc_info=error)
    return _page("500", 500)


def _page(key: str, status: int, *, detail: str = "") -> Response:
    return make_response(render("error.html", key=key, status=status, detail=detail), status)
