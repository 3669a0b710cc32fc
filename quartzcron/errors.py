"""The error tree of quartzcron. Nothing here parses or computes.

    CronError(ValueError)
    ├── CronSyntaxError     an invalid expression: expression, problems; field, text, column and hint of the first one;
    │                       fix, a valid expression that was probably meant, or None
    ├── UnknownZoneError    a time zone name that is not in the database, or an object that is not a zone
    ├── PolicyError         a daylight-saving policy other than "vixie" and "quartz"
    └── DialectError        a text that is not of its dialect, or that has no exact equivalent in another one

`except ValueError` catches them all. An argument of a wrong type raises TypeError, as everywhere in Python.
"""

from __future__ import annotations

_SHOWN = 60
_MESSAGE = 160


def echoed(value: object) -> str:
    """The repr of a value for a message: on one line, without the middle of a long one.

    >>> echoed("Asia/Shangai"), len(echoed("x" * 100_000))
    ("'Asia/Shangai'", 60)
    """
    from reprlib import Repr

    short = Repr()
    short.maxstring = short.maxother = short.maxlong = _SHOWN
    return shortened(short.repr(value))


def shortened(message: str) -> str:
    """A message that fits on one line: without control characters, and without the middle of a long one."""
    if len(message) > _MESSAGE:
        message = f"{message[: _MESSAGE // 2]}…{message[-_MESSAGE // 2 :]}"
    return (
        message
        if message.isprintable()
        else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in message)
    )


def check_type(value: object, kind: type | tuple[type, ...], claim: str) -> None:
    """Raise TypeError if a value has another type; `claim` states what is expected, as in "a key must be a str"."""
    if not isinstance(value, kind):
        raise TypeError(f"{claim}, got {type(value).__name__}")


class CronError(ValueError):
    """Base of every error that quartzcron raises about a value that it was given."""


class Problem:
    """One error in one field.

    `column` counts from 1 in the whole expression; `text` is the wrong part, empty where something is missing.
    """

    __slots__ = ("column", "field", "hint", "message", "text")

    def __init__(self, *, field: str | None, text: str, column: int, message: str, hint: str | None = None) -> None:
        self.field, self.text, self.column = field, text, column
        self.message = shortened(message)
        self.hint = hint and shortened(hint)

    def __str__(self) -> str:
        where = f"{self.field}, column {self.column}" if self.field else f"column {self.column}"
        hint = f"; {self.hint}" if self.hint else ""
        return f"{where}: {self.message}{hint}"

    def __repr__(self) -> str:
        return f"<Problem {self}>"


class CronSyntaxError(CronError):
    """An invalid Quartz expression, with all problems that were found in it.

    `str(error)` is one line; `error.drawing` is the expression with a caret under each problem, and a traceback
    shows it too.

    >>> from quartzcron import CronExpression
    >>> CronExpression("0 75 8 * * ?")
    Traceback (most recent call last):
        ...
    quartzcron.errors.CronSyntaxError: minutes, column 3: 75 is out of range; minutes go from 0 to 59
      0 75 8 * * ?
        ^^
    """

    def __init__(self, expression: str, problems: tuple[Problem, ...], fix: str | None = None) -> None:
        super().__init__(expression, problems, fix)
        self.expression = expression
        self.problems = problems
        self.fix = fix
        first = problems[0]
        self.field, self.text, self.column, self.hint = first.field, first.text, first.column, first.hint
        self.add_note(self.drawing)

    def __str__(self) -> str:
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        fix = f"; did you mean {self.fix!r}?" if self.fix else ""
        return f"{self.problems[0]}{more}{fix}"

    @property
    def drawing(self) -> str:
        """The expression with carets under each problem, indented by two, shortened around the first problem.

        >>> from quartzcron import CronSyntaxError, CronExpression
        >>> try:
        ...     CronExpression("0 75 25 * * ?")
        ... except CronSyntaxError as error:
        ...     print(error.drawing)
          0 75 25 * * ?
            ^^ ^^
        """
        start = self.column - 1
        left = max(0, start - _SHOWN)
        shown = "".join(c if c.isprintable() else " " for c in self.expression[left : start + _SHOWN])
        carets = [" "] * (len(shown) + 1)
        for problem in self.problems:
            at = problem.column - 1 - left
            for place in range(max(at, 0), min(at + max(1, len(problem.text)), len(carets))):
                carets[place] = "^"
        return f"  {shown}\n  {''.join(carets).rstrip()}"


class UnknownZoneError(CronError, LookupError):
    """A time zone name that is not in the database, or an object that is not a zone; `zone` is the argument."""

    def __init__(self, zone: object, hint: str | None = None) -> None:
        super().__init__(zone, hint)
        self.zone, self.hint = zone, hint

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"unknown time zone {echoed(self.zone)}{hint}"


class PolicyError(CronError):
    """A daylight-saving policy that is neither "vixie" nor "quartz"; `policy` is the argument."""

    def __init__(self, policy: object) -> None:
        super().__init__(policy)
        self.policy = policy

    def __str__(self) -> str:
        return f"unknown daylight-saving policy {echoed(self.policy)}; use 'vixie' or 'quartz'"


class DialectError(CronError):
    """A text that is not valid in its dialect, or an expression that has no exact equivalent in another one.

    `dialect` is the name of that dialect, `part` the field concerned (None for the whole text), `reason` the message.

    >>> from quartzcron import CronExpression
    >>> CronExpression("0 0 8 LW * ?").to_crontab()
    Traceback (most recent call last):
        ...
    quartzcron.errors.DialectError: crontab, day of month: it has no L and no W
    """

    def __init__(self, dialect: str, part: str | None, reason: str) -> None:
        reason = shortened(reason)
        super().__init__(dialect, part, reason)
        self.dialect, self.part, self.reason = dialect, part, reason

    def __str__(self) -> str:
        return f"{self.dialect}, {self.part}: {self.reason}" if self.part else f"{self.dialect}: {self.reason}"
