"""Converts the end of a function to an outcome and a verdict, for every executor.

The verdicts follow the engine protocol, section 6: a time-out, an unexpected exception, a missing function and the HTTP
statuses below count as failures; an error for the caller, raised or answered within the limit, does not.
"""

from __future__ import annotations

import json
import logging
import reprlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple

from ..core.breaker import Verdict
from ..core.run import Ending, Outcome
from ..errors import (
    NOT_QUEUED,
    ArgumentError,
    FunctionTimedOutError,
    SchedulerError,
    class_name,
    is_named,
    is_refusal,
)
from ..functions.error_records import log_run_error

_logger = logging.getLogger("scheduler.functions")

#: The most characters of a result or an error that the history keeps.
MAX_SHOWN = 1_000
#: HTTP statuses of a remote engine below 500 that count as failures.
COUNTED_STATUSES = frozenset({401, 403, 404, 429})


class CallOutcome(NamedTuple):
    """The end of a call, without its instants: `error` in one line, `result` the beginning of the returned value."""

    outcome: Outcome
    verdict: Verdict
    error: str | None = None
    result: str | None = None

    def ending(self, started_at: datetime, ended_at: datetime) -> Ending:
        """The Ending of the call's run."""
        return Ending(self.outcome, self.verdict, ended_at, started_at, self.error, self.result)


#: The end of most calls; one shared object, because many timers fire at a time.
RETURNED_NONE = CallOutcome(Outcome.SUCCEEDED, Verdict.GOOD)


def over_limit(limit_s: float) -> CallOutcome:
    """The end of a run that reached its limit."""
    return CallOutcome(Outcome.TIMED_OUT, Verdict.FAILURE, f"over its limit of {limit_s:g} s")


#: The end of a run whose event loop was closed before its function had ended.
LOOP_CLOSED = CallOutcome(Outcome.FAILED, Verdict.NEUTRAL, "the event loop of the program is closed")

#: The end of a run that was cancelled on request; it does not affect the breaker.
CANCELLED = CallOutcome(Outcome.CANCELLED, Verdict.LOST)


def cancelled_unbegun(now: datetime) -> Ending:
    """The Ending of a task that was cancelled before it began."""
    return Ending(CANCELLED.outcome, CANCELLED.verdict, ended_at=now)


def not_queued(now: datetime) -> Ending:
    """The Ending of a task that an executor refuses because too many wait in it."""
    return Ending(Outcome.FAILED, Verdict.NEUTRAL, ended_at=now, message=NOT_QUEUED)


def of_call(call: Callable[[], Any]) -> CallOutcome:
    """Call a function and return its end; raises nothing, whatever the function raises."""
    try:
        returned = call()
    except BaseException as error:
        # SystemExit too: sys.exit() in a function ends the run, not the process that calls it.
        return of_error(error)
    return of_result(returned)


async def of_awaited(awaited: Awaitable[Any]) -> CallOutcome:
    """Await a function's call and return its end; raises nothing, whatever the function raises."""
    try:
        returned = await awaited
    except BaseException as error:
        return of_error(error)
    return of_result(returned)


def of_error(error: BaseException) -> CallOutcome:
    """The end of a call that raised an exception, which is logged unless it is a refusal or the time limit."""
    if isinstance(error, ArgumentError):
        return CallOutcome(Outcome.FAILED, Verdict.NEUTRAL, error_text(error))
    if isinstance(error, FunctionTimedOutError):
        return CallOutcome(Outcome.TIMED_OUT, Verdict.FAILURE, error_text(error))
    if isinstance(error, SchedulerError):
        return CallOutcome(Outcome.FAILED, Verdict.FAILURE, str(error)[:MAX_SHOWN])
    if is_refusal(error):
        return CallOutcome(Outcome.FAILED, Verdict.NEUTRAL, error_text(error))
    # The event loop's task is cancelled at the limit or on request, which is no error of the function.
    if not is_named(error, "CancelledError"):
        log_run_error(error)
    return CallOutcome(Outcome.FAILED, Verdict.FAILURE, error_text(error))


def of_result(returned: object) -> CallOutcome:
    """The end of a call that returned a value."""
    if returned is None:
        return RETURNED_NONE
    return CallOutcome(Outcome.SUCCEEDED, Verdict.GOOD, None, result_text(returned))


def of_status(status: int, body: str) -> CallOutcome:
    """The end of a call according to a remote engine's answer: its HTTP status and the beginning of its body."""
    if 200 <= status < 300:
        return CallOutcome(Outcome.SUCCEEDED, Verdict.GOOD, None, body[:MAX_SHOWN])
    counts = status >= 500 or status in COUNTED_STATUSES
    verdict = Verdict.FAILURE if counts else Verdict.NEUTRAL
    return CallOutcome(Outcome.FAILED, verdict, f"HTTP {status}: {body}"[:MAX_SHOWN])


def error_text(error: BaseException) -> str:
    """An exception in one line of bounded length; its name alone if it has no text, as that of `assert`."""
    name = class_name(error)
    try:
        if is_named(error, "LeanEngineError", "code", "message"):
            # By its attributes, because the exception of LeanCloud's SDK has no text.
            refusal: Any = error
            return _storable(f"{name} [{refusal.code}]: {refusal.message}")
        return _storable(f"{name}: {error}".removesuffix(": "))
    except BaseException:  # the exception's own code may raise anything
        return _storable(f"{name[: MAX_SHOWN // 2]} (str() of the exception failed)")


def result_text(result: object) -> str:
    """The beginning of a result as JSON, else as its repr; a large result is not converted as a whole."""
    if isinstance(result, str):
        result = result[:MAX_SHOWN]
    try:
        pieces, length = [], 0
        for piece in _JSON.iterencode(result):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_SHOWN:
                break
        return _storable("".join(pieces))
    except BaseException as error:  # not JSON, or the object's own code raises
        _warn_once(error_text(error))
        return repr_text(result)


#: The reasons of which this process has warned, at most so many.
_warned: set[str] = set()
_MOST_WARNED = 100


def _warn_once(why: str) -> None:
    """Log, as a line of the run, that a result is not kept as JSON; once for each reason, because timers fire often."""
    if why not in _warned and len(_warned) < _MOST_WARNED:
        _warned.add(why)
        _logger.warning("the result cannot be written as JSON (%s); the history keeps its repr()", why)


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def repr_text(result: object) -> str:
    """The beginning of the repr of a result; raises nothing, whatever the code of the result raises."""
    limited = reprlib.Repr()
    limited.maxstring = limited.maxother = limited.maxlong = MAX_SHOWN
    limited.maxlist = limited.maxtuple = limited.maxdict = limited.maxset = 20
    try:
        return _storable(limited.repr(result))
    except BaseException as error:
        return _storable(f"<{class_name(result)}, whose repr raises {class_name(error)}>")


def _storable(text: str) -> str:
    """The text cut to MAX_SHOWN characters, without lone surrogates, which databases refuse."""
    return text[:MAX_SHOWN].encode("utf-8", "replace").decode()
