"""Messages of errors and findings in the language of the reader, and the codes of problems of expressions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from .findings_zh import CHECKS, CLAUSES
from .messages_zh import FIELDS, MESSAGES

#: Before the message of an expression's problem: its field, if it has one, and its column.
_PLACE = re.compile(rf"(?:({'|'.join(FIELDS)}), )?column (\d+): ")
#: Before the message about a line of a list: its line, and its column, if it is about one.
_LINE = re.compile(r"line (\d+)(?:, timer ('[^']{1,80}'))?(?:, ([^:]{1,80}))?: ")
#: After the first problem of an expression: how many more it has.
_MORE = re.compile(r" \(and (\d+) more\)$")
#: A value in a table of messages.
_VALUE = re.compile(r"(\{\+?\})")
#: Longer messages are not matched, which would take long.
_MAX_LENGTH = 400


class _Pattern(NamedTuple):
    code: str
    english: re.Pattern[str]
    chinese: str
    #: Of each value, whether it may be a message itself.
    nests: tuple[bool, ...]


def said(language: str, message: str) -> str:
    """A message in a language; in English if it has no other words.

    >>> said("zh", "minutes, column 3: 75 is out of range; minutes go from 0 to 59")
    '分，第 3 列：75 超出范围；分为 0 到 59'
    """
    if language != "zh":
        return message
    if more := _MORE.search(message):
        return f"{said(language, message[: more.start()])}（另有 {more[1]} 处）"
    if len(message) > _MAX_LENGTH:
        return _columns_named(message)
    place = _PLACE.match(message)
    if place is None:
        return _in_chinese(message) or message
    field = f"{FIELDS[place[1]]}，" if place[1] else ""
    return f"{field}第 {place[2]} 列：{_with_hint(message[place.end() :])}"


def said_of_line(language: str, message: str) -> str:
    """An error of a list of timers in a language, with its line and the column as the list names it.

    >>> said_of_line("zh", "line 3, limit: expected a number of seconds, got 'x'")
    "第 3 行，limit：应为秒数，实际为 'x'"
    >>> said_of_line("zh", "line 1, timer 'a', limit: expected a number of seconds, got 'x'")
    "第 1 行，任务 'a'，limit：应为秒数，实际为 'x'"
    """
    place = _LINE.match(message) if language == "zh" else None
    if place is None:
        return said(language, message)
    timer = f"，任务 {place[2]}" if place[2] else ""
    column = f"，{place[3]}" if place[3] else ""
    return f"第 {place[1]} 行{timer}{column}：{said(language, message[place.end() :])}"


def said_finding(language: str, finding: str) -> str:
    """A finding of the check-up in a language; clauses without other words stay in English.

    >>> said_finding("zh", "3 timers, 2 enabled; 1 overdue, the longest by 5 h")
    '3 个任务，2 个已启用；1 个逾期，最久的逾期 5 h'
    """
    if language != "zh":
        return finding
    shown, was_said = "", False
    for place, clause in enumerate(finding.split("; ")):
        chinese = _match(clause, _clauses()) if len(clause) <= _MAX_LENGTH else None
        between = "；" if chinese is not None or was_said else "; "
        shown += f"{between if place else ''}{clause if chinese is None else chinese}"
        was_said = chinese is not None
    return shown


def _columns_named(message: str) -> str:
    """The message about an unknown column, with those that exist; any other long message stays in English."""
    what, known, columns = message.partition("; columns are ")
    return f"{_in_chinese(what) or what}；可用的列：{columns}" if known and len(what) <= _MAX_LENGTH else message


def said_check(language: str, name: str) -> str:
    """The name of a check in a language."""
    return CHECKS.get(name, name) if language == "zh" else name


def code_of(message: str) -> str | None:
    """The code of the message of an expression's problem."""
    return next((pattern.code for pattern in _patterns() if pattern.english.fullmatch(message)), None)


def _with_hint(message: str) -> str:
    what, _, hint = message.partition("; ")
    return "；".join(_in_chinese(part) or part for part in (what, hint) if part)


def _in_chinese(message: str) -> str | None:
    return _match(message, _patterns())


def _match(message: str, patterns: Sequence[_Pattern]) -> str | None:
    """The message in Chinese by the first pattern that it matches; None if there is none."""
    for pattern in patterns:
        if match := pattern.english.fullmatch(message):
            values = [
                FIELDS.get(value) or (nests and _match(value, patterns)) or value
                for value, nests in zip(match.groups(), pattern.nests, strict=True)
            ]
            return pattern.chinese.format(*values)
    return None


@cache
def _patterns() -> Sequence[_Pattern]:
    """The table of messages: first the rows with the most text besides values, which match the fewest messages."""
    return [_pattern(*row, "{}") for row in sorted(MESSAGES, key=lambda row: _text_length(row[1]))]


@cache
def _clauses() -> Sequence[_Pattern]:
    """The table of a finding's clauses, in the same order."""
    return [_pattern("", *row, "{+}") for row in sorted(CLAUSES, key=lambda row: _text_length(row[0]))]


def _text_length(english: str) -> int:
    return -len(_VALUE.sub("", english))


def _pattern(code: str, english: str, chinese: str, nesting: str) -> _Pattern:
    """A row of a table as a pattern; values that are written as `nesting` may be messages themselves."""
    text = "".join("(.+?)" if part in ("{}", "{+}") else re.escape(part) for part in _VALUE.split(english))
    return _Pattern(
        code, re.compile(text, re.DOTALL), chinese, tuple(part == nesting for part in _VALUE.findall(english))
    )
