"""Failures: the HTTP status, code and text for each exception (engine protocol § 4).

Lives here: the table from exceptions to failures, the fixed failures, and the encoding of results as JSON. Never here:
HTTP headers, logging.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from ..errors import EngineBusyError, FunctionTimedOutError, class_name, is_named

#: The most characters of an error's text that are sent.
MAX_TEXT = 65_536


class Failure(NamedTuple):
    """The answer to a failed call: HTTP status, code and text of the body; an `unforeseen` one is logged as error."""

    status: int
    code: int
    error: str
    unforeseen: bool = False


class RefusedError(Exception):
    """A request gets a failure as its answer: one of the engine, or of a function, which is logged already."""

    def __init__(self, failure: Failure, *, is_logged: bool = False) -> None:
        super().__init__(failure.error)
        self.failure = failure
        self.is_logged = is_logged


UNAUTHORIZED = Failure(401, 401, "Unauthorized.")
NOT_FOUND = Failure(404, 404, "Not found.")
METHOD_NOT_ALLOWED = Failure(405, 405, "Method not allowed.")
MALFORMED = Failure(400, 107, "Malformed json object. A json dictionary is expected.")
TOO_LARGE = Failure(413, 413, "The body is larger than the limit.")
TIMED_OUT = Failure(503, 124, "The request timed out on the server.")
BUSY = Failure(503, 1, "No worker is free; try again.")
HIDDEN = Failure(500, 141, "The cloud function failed.", unforeseen=True)


def not_deployed(prod: int) -> Failure:
    """The failure of a call for an environment that this engine does not serve."""
    return Failure(400, 1, f"The cloud code isn't deployed for prod {prod}.")


def not_json(error: BaseException) -> Failure:
    """The failure of a call whose result cannot be encoded as JSON, NaN and Infinity included."""
    return Failure(500, 1, f"The result is not JSON: {_text(error)}", unforeseen=True)


def failure_of(error: BaseException, *, expose_errors: bool = True) -> Failure:
    """The failure for an exception; with `expose_errors=False`, the text of an unforeseen one is left out.

    It contains plain values only, because the code of the exception's class may raise, exit, or return 50 MB.
    """
    try:
        for applies, failure in _TABLE:
            if applies(error):
                return failure(error)
    except BaseException:  # an attribute of the exception may be a property that raises or exits
        return Failure(500, 1, _UNPRINTABLE, unforeseen=True) if expose_errors else HIDDEN
    return Failure(500, 1, unforeseen_text(error), unforeseen=True) if expose_errors else HIDDEN


def encode(value: Any) -> bytes:
    """A value as UTF-8 JSON; RefusedError if it cannot be encoded."""
    try:
        text = _encode(value)
    except Exception as error:  # a dict that another thread changes, or a subclass, may raise anything
        raise RefusedError(not_json(error)) from error
    try:
        return text.encode()
    except UnicodeEncodeError:  # a lone surrogate can only be sent escaped
        return json.dumps(value, allow_nan=False).encode()


def _of_engine_error(error: Any) -> Failure:
    status = _whole(error.status, 400)
    return Failure(status if 400 <= status < 600 else 400, _code(error.code), _text(error.message))


def _of_cloud_error(error: Any) -> Failure:
    return Failure(400, _code(error.code), _text(error.error))


def _is_named(name: str, *attributes: str) -> Callable[[BaseException], bool]:
    return lambda error: is_named(error, name, *attributes)


def _is(cls: type[BaseException]) -> Callable[[BaseException], bool]:
    return lambda error: isinstance(error, cls)


#: The first row whose test matches makes the failure; an exception without a row is answered with 500.
_TABLE: tuple[tuple[Callable[[BaseException], bool], Callable[[Any], Failure]], ...] = (
    (_is(RefusedError), lambda error: error.failure),
    # By their names, because the exceptions of LeanCloud's SDK are refusals too.
    (_is_named("LeanEngineError", "code", "message", "status"), _of_engine_error),
    (_is_named("LeanCloudError", "code", "error"), _of_cloud_error),
    (_is(FunctionTimedOutError), lambda _: TIMED_OUT),
    (_is(EngineBusyError), lambda _: BUSY),
)


def _code(code: Any) -> int:
    return _whole(code, 1)


def _whole(value: Any, otherwise: int) -> int:
    """A user's number as a plain int, because a subclass would have methods of the user's."""
    try:
        return int.__add__(int(value), 0)
    except (TypeError, ValueError, OverflowError):
        return otherwise


def unforeseen_text(error: BaseException) -> str:
    """The text of an exception that is no refusal, or its name; raises nothing, whatever its own code raises."""
    if not isinstance(error, Exception):
        return f"the function ended by {class_name(error)}: {_text(error)}".removesuffix(": ")
    return _text(error) or class_name(error)  # as of `assert total > 0`


def _text(value: object) -> str:
    try:
        text = str(value)
        # Methods of str itself, because a subclass may override them.
        cut = str.__getitem__(text, slice(0, MAX_TEXT))
        return cut if str.__len__(text) <= MAX_TEXT else f"{cut}…"
    except BaseException:  # the caller must get an answer even if __str__ raises or exits
        return f"unprintable {class_name(value)}"


_UNPRINTABLE = "unprintable exception"


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

STATUS_LINES: dict[int, str] = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
