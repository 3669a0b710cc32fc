"""Detects and refuses results whose code has not run: generators, coroutines in a list, `map(send, users)`.

Never here: awaiting results (calling.py).
"""

from __future__ import annotations

import contextlib
import inspect
import types
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from ..errors import UnfinishedResultError

#: Types of results that need no check.
FINISHED: Final = frozenset((type(None), bool, int, float, str, bytes))
#: The most values of a list or an object that are checked.
_MOST_VALUES = 1_000
_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (types.GeneratorType, "a generator"),
    (types.AsyncGeneratorType, "an async generator"),
    (types.CoroutineType, "a coroutine"),
    (map, "a map"),
    (filter, "a filter"),
)
_FIX = "return a value; a function that yields can be called by another one, which returns a list of what it yields"


def is_awaitable(result: Any) -> bool:
    """Whether a result can be awaited, judged by its type."""
    return isinstance(result, types.CoroutineType) or hasattr(type(result), "__await__") or inspect.isawaitable(result)


def check_finished(result: Any) -> None:
    """UnfinishedResultError if a result, or a value in it, has code that has not run; closes its coroutines."""
    if kind := _unfinished(result):
        _close([result])
        raise UnfinishedResultError(f"the function returned {kind}, whose code has not run; {_FIX}")
    values = _values(result)
    if found := [value for value in values if type(value) not in FINISHED and _unfinished(value)]:
        kind = _unfinished(found[0])
        _close(values)
        text = f"the function returned a {type(result).__name__} with {kind} in it, whose code has not run; "
        raise UnfinishedResultError(f"{text}await it, or {_FIX}")


def _unfinished(value: Any) -> str:
    for unfinished, kind in _KINDS:
        if isinstance(value, unfinished):
            return kind
    return "an awaitable" if hasattr(type(value), "__await__") else ""


def _values(result: Any) -> list[Any]:
    """The first values of a plain list or dict; a subclass may run the user's code."""
    values: Iterable[Any] = ()
    if type(result) in (list, tuple, set, frozenset):
        values = result
    elif type(result) is dict:
        values = result.values()
    with contextlib.suppress(RuntimeError):  # another thread changes it
        return list(islice(values, _MOST_VALUES))
    return []


def _close(values: Iterable[Any]) -> None:
    """Close coroutines and generators, so that Python does not warn about them."""
    for value in values:
        if isinstance(value, types.CoroutineType | types.GeneratorType):
            with contextlib.suppress(Exception):
                value.close()
