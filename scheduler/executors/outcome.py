"""How the end of a function becomes an outcome and a verdict, wherever it ran: one table for every executor.

The verdicts follow the engine protocol, section 6: a time-out, an unforeseen exception, a function that is gone and the
HTTP statuses below count as failures; an answer in time with an error for the caller does not.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable
from typing import Any, NamedTuple

from ..core.breaker import Verdict
from ..core.run import Outcome
from ..errors import ArgumentError, FunctionTimedOutError, LeanCloudError, LeanEngineError, SchedulerError

#: How much of a result or an error is kept in the history.
MAX_SHOWN = 1_000
#: HTTP statuses of a remote engine that count as failures, besides all from 500 on.
COUNTED_STATUSES = frozenset({401, 403, 404, 429})


class End(NamedTuple):
    """How a function ended: `error` says what went wrong, `result` is the beginning of what it returned."""

    outcome: Outcome
    verdict: Verdict
    error: str | None = None
    result: str | None = None


def of_call(call: Callable[[], Any]) -> End:
    """Call a function and say how that ended; raises nothing, whatever the function raises."""
    try:
        returned = call()
    except (LeanEngineError, LeanCloudError, ArgumentError) as error:
        return End(Outcome.FAILED, Verdict.NEUTRAL, described(error))
    except FunctionTimedOutError as error:
        return End(Outcome.TIMED_OUT, Verdict.FAILURE, described(error))
    except SchedulerError as error:
        return End(Outcome.FAILED, Verdict.FAILURE, str(error)[:MAX_SHOWN])
    except BaseException as error:
        # SystemExit too: a function that calls sys.exit() has failed, who called it has not.
        return End(Outcome.FAILED, Verdict.FAILURE, described(error))
    return End(Outcome.SUCCEEDED, Verdict.GOOD, None, None if returned is None else shown(returned))


def of_status(status: int, body: str) -> End:
    """What the answer of a remote engine means: its HTTP status and the beginning of its body."""
    if 200 <= status < 300:
        return End(Outcome.SUCCEEDED, Verdict.GOOD, None, body[:MAX_SHOWN])
    counts = status >= 500 or status in COUNTED_STATUSES
    verdict = Verdict.FAILURE if counts else Verdict.NEUTRAL
    return End(Outcome.FAILED, verdict, f"HTTP {status}: {body}"[:MAX_SHOWN])


def described(error: BaseException) -> str:
    """An exception in one line of bounded length."""
    try:
        code = f" [{error.code}]" if isinstance(error, LeanEngineError) else ""
        return _storable(f"{type(error).__name__}{code}: {error}")
    except Exception:
        return f"{type(error).__name__}, whose text raises"


def shown(result: object) -> str:
    """The beginning of a result as JSON, or as Python shows it; made without walking through all of a large one."""
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
    except Exception:  # no JSON, or a value whose own code raises
        return _as_python(result)


_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def _as_python(result: object) -> str:
    shower = reprlib.Repr()
    shower.maxstring = shower.maxother = shower.maxlong = MAX_SHOWN
    shower.maxlist = shower.maxtuple = shower.maxdict = shower.maxset = 20
    try:
        return _storable(shower.repr(result))
    except Exception as error:
        return f"<{type(result).__name__}, whose repr raises {type(error).__name__}>"


def _storable(text: str) -> str:
    """Cut, and without the lone surrogates that no database takes."""
    return text[:MAX_SHOWN].encode("utf-8", "replace").decode()
