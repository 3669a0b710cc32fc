"""Messages of errors in the language of the reader, and the codes of problems of expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from .messages_zh import FIELDS, MESSAGES

#: Before the message of an expression's problem: its field, if it has one, and its column.
_PLACE = re.compile(rf"(?:({'|'.join(FIELDS)}), )?column (\d+): ")
#: Longer messages are not matched, which would take long.
_MAX_LENGTH = 400


class _Pattern(NamedTuple):
    code: str
    english: re.Pattern[str]
    chinese: str


def said(language: str, message: str) -> str:
    """A message in a language; in English if it has no other words.

    >>> said("zh", "minutes, column 3: 75 is out of range; minutes go from 0 to 59")
    '分，第 3 列：75 超出范围；分为 0 到 59'
    """
    if language != "zh" or len(message) > _MAX_LENGTH:
        return message
    place = _PLACE.match(message)
    if place is None:
        return _in_chinese(message) or message
    field = f"{FIELDS[place[1]]}，" if place[1] else ""
    return f"{field}第 {place[2]} 列：{_with_hint(message[place.end() :])}"


def code_of(message: str) -> str | None:
    """The code of the message of an expression's problem."""
    found = _found(message)
    return None if found is None else found[0].code


def _with_hint(message: str) -> str:
    what, _, hint = message.partition("; ")
    return "；".join(_in_chinese(part) or part for part in (what, hint) if part)


def _in_chinese(message: str) -> str | None:
    found = _found(message)
    if found is None:
        return None
    pattern, values = found
    return pattern.chinese.format(*(FIELDS.get(value) or _in_chinese(value) or value for value in values))


def _found(message: str) -> tuple[_Pattern, tuple[str, ...]] | None:
    for pattern in _patterns():
        if match := pattern.english.fullmatch(message):
            return pattern, match.groups()
    return None


@cache
def _patterns() -> tuple[_Pattern, ...]:
    """The table as patterns: first the rows with the most text besides values, which say most."""
    rows = sorted(MESSAGES, key=lambda row: -len(row[1].replace("{}", "")))
    return tuple(
        _Pattern(code, re.compile("".join(_parts(english)), re.DOTALL), chinese) for code, english, chinese in rows
    )


def _parts(english: str) -> Iterator[str]:
    first, *others = english.split("{}")
    yield re.escape(first)
    for part in others:
        yield f"(.+?){re.escape(part)}"
