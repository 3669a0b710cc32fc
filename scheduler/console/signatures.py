"""The parameters of a function by the text of its signature, for the form that calls it; runs no code of the user."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Parameter(NamedTuple):
    """A parameter by name: the text of its type, empty without one, and that of its default, None if it has to be."""

    name: str
    type: str
    default: str | None


class Signature(NamedTuple):
    """The named parameters of a function, and whether it takes others."""

    parameters: Sequence[Parameter]
    takes_others: bool


def parse_signature(text: str) -> Signature:
    """The parameters of a signature; one that cannot be read takes any.

    >>> parse_signature("(to: str, *, copies: int = 1)").parameters[1]
    Parameter(name='copies', type='int', default='1')
    >>> parse_signature("(…)")
    Signature(parameters=[], takes_others=True)
    """
    try:
        (function,) = ast.parse(f"def f{text.replace('…', '...')}: ...").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Signature([], takes_others=True)
    if not isinstance(function, ast.FunctionDef):
        return Signature([], takes_others=True)
    given = function.args
    if given.posonlyargs or given.vararg:
        return Signature([], takes_others=True)
    defaults = [*[None] * (len(given.args) - len(given.defaults)), *given.defaults, *given.kw_defaults]
    parameters = [
        Parameter(argument.arg, _text(argument.annotation), None if default is None else _text(default))
        for argument, default in zip([*given.args, *given.kwonlyargs], defaults, strict=True)
    ]
    return Signature(parameters, takes_others=given.kwarg is not None or not parameters)


def _text(node: ast.expr | None) -> str:
    return "" if node is None else ast.unparse(node).replace("...", "…")


def typed_params(signature: Signature, typed: Mapping[str, str]) -> dict[str, Any]:
    """The values of the fields that are not blank: texts for parameters of type str, else JSON where it is some.

    >>> typed_params(parse_signature("(to: str, copies: int = 1, note=None)"), {"to": "7", "copies": "7", "note": ""})
    {'to': '7', 'copies': 7}
    """
    values = {parameter: typed.get(parameter.name, "") for parameter in signature.parameters}
    return {parameter.name: _value(parameter, text) for parameter, text in values.items() if text.strip()}


def _value(parameter: Parameter, text: str) -> Any:
    if parameter.type == "str":
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
