"""bind: checks the arguments of a call against the function's signature, and coerces annotated ones.

Lives here: which arguments are missing, superfluous or of the wrong type, and the five types that are coerced. Never
here: calling. Whatever JSON or a command line contains, a function gets only arguments that it accepts.
"""

from __future__ import annotations

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import ArgumentError


def bind(function: Callable[..., Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments for a function, coerced if annotated with `str, int, float, bool, datetime`.

    ArgumentError names the argument that is missing, superfluous or of the wrong type. An instant needs an offset.

    >>> def order(item: str, count: int = 1): ...
    >>> bind(order, {"item": "tea", "count": "2"})
    {'item': 'tea', 'count': 2}
    """
    accepted = _accepted(function)
    if accepted.by_position:
        name = accepted.by_position[0]
        reason = "is taken by position, and parameters are given by name; remove the / from the function's signature"
        raise ArgumentError(f"argument {name!r} {reason}", argument=name)
    if not params and not accepted.required:
        return {}
    given = params.keys()
    if missing := accepted.required - given:
        raise _argument_error("missing", missing, function)
    if not accepted.open and (superfluous := given - accepted.known):
        raise _argument_error("superfluous", superfluous, function)
    arguments = dict(params)
    for name, (kind, optional) in accepted.coerced.items():
        if name in arguments and not (optional and arguments[name] is None):
            arguments[name] = _coerce(name, arguments[name], kind)
    return arguments


@dataclass(frozen=True, slots=True)
class _Accepted:
    """The parameters of a function: `coerced` by name as (type, None is allowed), `open` with a `**parameter`.

    Those that the function needs `by_position` cannot be given, since parameters have names.
    """

    known: frozenset[str]
    required: frozenset[str]
    open: bool
    coerced: Mapping[str, tuple[type, bool]]
    by_position: tuple[str, ...] = ()


@functools.lru_cache(maxsize=4096)
def _accepted(function: Callable[..., Any]) -> _Accepted:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a builtin without a signature checks its arguments itself
        return _Accepted(frozenset(), frozenset(), True, {})
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    hints = _hints(function)
    kinds = {p.name: _kind(hints.get(p.name, p.annotation)) for p in named}
    return _Accepted(
        known=frozenset(p.name for p in named),
        required=frozenset(p.name for p in named if p.default is p.empty),
        open=any(p.kind is p.VAR_KEYWORD for p in parameters),
        coerced={name: kind for name, kind in kinds.items() if kind is not None},
        by_position=tuple(p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.default is p.empty)
        if isinstance(function, types.FunctionType)  # a builtin such as len checks its arguments itself
        else (),
    )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # a name imported for type checking only cannot be resolved
        return {}


def _kind(annotation: Any) -> tuple[type, bool] | None:
    if isinstance(annotation, str):
        annotation = _KINDS_BY_NAME.get(annotation)
    options = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    kinds = [option for option in options if option is not type(None)]
    if len(kinds) == 1 and kinds[0] in _COERCIONS:
        return kinds[0], len(kinds) < len(options)
    return None


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _coerce(name: str, value: Any, kind: type) -> Any:
    coerced = _COERCIONS[kind](value)
    if coerced is None:
        shown = type(value).__name__ if isinstance(value, dict | list) else repr(value)[:80]
        raise ArgumentError(f"argument {name!r} must be {_DESCRIPTIONS[kind]}, not {shown}", argument=name)
    return coerced


def _to_str(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _to_int(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _to_float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _to_bool(value: Any) -> bool | None:
    if isinstance(value, str):
        value = value.lower()
    return _TRUTH.get(value) if isinstance(value, str | int) else None


def _to_datetime(value: Any) -> datetime | None:
    if isinstance(value, dict) and value.get("__type") == "Date":
        value = value.get("iso")
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime) and value.tzinfo is not None else None


_TRUTH: dict[Any, bool] = {"true": True, "false": False, "1": True, "0": False, 1: True, 0: False}

#: The function that coerces a value to each type; it returns None for a value whose meaning would change.
_COERCIONS: dict[Any, Callable[[Any], Any]] = {
    str: _to_str,
    int: _to_int,
    float: _to_float,
    bool: _to_bool,
    datetime: _to_datetime,
}

_DESCRIPTIONS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    datetime: "an instant with its offset, as in 2026-01-05T08:00:00+08:00",
}

#: For annotations that could not be resolved and remain texts.
_KINDS_BY_NAME: dict[str, Any] = {kind.__name__: kind for kind in _COERCIONS} | {"datetime.datetime": datetime}


def _argument_error(fault: str, names: Iterable[str], function: Callable[..., Any]) -> ArgumentError:
    faulty = sorted(names)
    takes = ", ".join(sorted(_accepted(function).known)) or "no arguments"
    plural = "s" if len(faulty) > 1 else ""
    listed = ", ".join(repr(name[:80]) for name in faulty[:8])
    return ArgumentError(f"{fault} argument{plural} {listed}; the function takes {takes}", argument=faulty[0])
