"""The errors of fields whose values do not have the types of their model, in words, from those of pydantic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...core.trigger_kinds import listed

#: What is expected, by the type of the error of a value of another type.
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
}
#: Where a field takes several types, pydantic adds the one that was tried to the place of the error.
_TRIED = {"str", "int", "float", "bool", "list[str]"}

_Place = tuple[Any, ...]


def field_errors(faults: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The errors by field, as `problems` lists them; a field that takes several types has one error for all of them."""
    placed = [(_place(fault["loc"]), fault) for fault in faults]
    places = {place for place, _ in placed}
    done: set[_Place] = set()
    for place, fault in placed:
        if place in done or any(_is_within(other, place) for other in places):
            continue
        types = [each["type"] for where, each in placed if where == place]
        if all(kind in _EXPECTED for kind in types):
            done.add(place)
            message = f"expected {listed(list(dict.fromkeys(_EXPECTED[kind] for kind in types)), 'or')}"
        else:
            message = _message(fault["msg"])
        yield {"code": fault["type"], "field": ".".join(map(str, place)) or None, "message": message}


def _place(loc: Sequence[Any]) -> _Place:
    return (*loc[:1], *(part for part in loc[1:] if part not in _TRIED))


def _is_within(place: _Place, outer: _Place) -> bool:
    """Whether a place is inside another one: an item of a list, say, whose own error says more."""
    return len(place) > len(outer) and place[: len(outer)] == outer


def _message(text: str) -> str:
    if text == "Extra inputs are not permitted":
        return "there is no such field"
    return text[:1].lower() + text[1:]
