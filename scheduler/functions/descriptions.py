"""Describes functions for people who write timers: signature, first line of the documentation, file and line.

Values of the user are shown only where that runs no code of theirs: numbers, texts and the like.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from .registry import Registry, place_of

#: The most functions that are described, and the most characters of a text; a longer name is left out.
MOST, MAX_LENGTH = 2_000, 300
_SHOWN = (bool, int, float, str, types.NoneType)
_UNKNOWN = "(…)"


class FunctionDescription(NamedTuple):
    """A function by name; `place` is its file and line, as in `cloud.py:12`."""

    name: str
    signature: str = ""
    doc: str = ""
    place: str = ""


def described(registry: Registry) -> list[FunctionDescription]:
    """The functions of a registry by name, at most MOST.

    >>> functions = Registry()
    >>> @functions.define
    ... def send(to: str, copies: int = 1):
    ...     "Send the report."
    >>> [(function.name, function.signature, function.doc) for function in described(functions)]
    [('send', '(to: str, copies: int = 1)', 'Send the report.')]
    """
    names = [name for name in registry.names() if len(name) <= MAX_LENGTH][:MOST]
    return [_described(name, registry.get(name)) for name in names]


def from_report(values: Iterable[Sequence[Any]]) -> list[FunctionDescription]:
    """The descriptions from another process, in which code of the user runs; TypeError if they are none."""
    found = [FunctionDescription(*(_cut(str(value)) for value in row)) for row in list(values)[:MOST]]
    return list({function.name: function for function in found}.values())


def _described(name: str, function: Callable[..., Any]) -> FunctionDescription:
    return FunctionDescription(name, _cut(_signature(function)), _cut(_first_line(function)), _cut(place_of(function)))


def _signature(function: Callable[..., Any]) -> str:
    try:
        parameters = inspect.signature(function).parameters.values()
        return f"({', '.join(_marked(list(parameters)))})"
    except Exception:  # a signature of the user's own, or a builtin without one
        return _UNKNOWN


def _marked(parameters: Sequence[inspect.Parameter]) -> Iterable[str]:
    """The parameters, with the * before those that have to be named."""
    has_star = False
    for parameter in parameters:
        has_star = has_star or parameter.kind is parameter.VAR_POSITIONAL
        if parameter.kind is parameter.KEYWORD_ONLY and not has_star:
            has_star = True
            yield "*"
        yield _parameter(parameter)


def _parameter(parameter: inspect.Parameter) -> str:
    stars = "**" if parameter.kind is parameter.VAR_KEYWORD else "*" * (parameter.kind is parameter.VAR_POSITIONAL)
    text = f"{stars}{parameter.name}"
    has_type = parameter.annotation is not parameter.empty
    if has_type:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {_value(parameter.default)}" if has_type else f"={_value(parameter.default)}"
    return text


def _type(annotation: Any) -> str:
    if type(annotation) is str:
        return annotation
    return str(annotation.__name__) if type(annotation) is type else inspect.formatannotation(annotation)


def _value(default: Any) -> str:
    return repr(default) if type(default) in _SHOWN else "…"


def _first_line(function: Callable[..., Any]) -> str:
    try:
        doc = inspect.getdoc(function)
        return doc.strip().partition("\n")[0].strip() if type(doc) is str else ""
    except Exception:  # an attribute of the user's own
        return ""


def _cut(text: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text[: 2 * MAX_LENGTH])
    return shown if len(shown) <= MAX_LENGTH else f"{shown[: MAX_LENGTH - 1]}…"
