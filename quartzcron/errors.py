"""The error tree of quartzcron. Nothing here parses or computes.

    CronError(ValueError)
    ├── CronSyntaxError     a text that is no Quartz expression: expression, problems, and of the first problem
    │                       field, text, column, hint; fix, a whole expression that does parse, where one is likely
    ├── UnknownZoneError    a time zone name that is not in the database, or an object that is no zone
    └── PolicyError         a daylight-saving policy other than "vixie" and "quartz"

A caller who catches ValueError catches them all. Arguments of a wrong type are a TypeError, as anywhere in Python.
"""

from __future__ import annotations

_SHOWN = 60
_MESSAGE = 160


def echoed(value: object) -> str:
    """What a message shows of a value that it was given: its repr, on one line, the middle of a long one left out.

    >>> echoed("Asia/Shangai"), len(echoed("x" * 100_000))
    ("'Asia/Shangai'", 60)
    """
    from reprlib import Repr

    short = Repr()
    short.maxstring = short.maxother = short.maxlong = _SHOWN
    return shortened(short.repr(value))


def shortened(message: str) -> str:
    """A message that fits on one line of a terminal, whatever it quotes: no control characters, the middle left out."""
    if len(message) > _MESSAGE:
        message = f"{message[: _MESSAGE // 2]}…{message[-_MESSAGE // 2 :]}"
    return (
        message
        if message.isprintable()
        else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in message)
    )


def check_type(value: object, kind: type | tuple[type, ...], claim: str) -> None:
    """Raise the TypeError for a value of another type; the claim says what is expected, as in "a key is a str"."""
    if not isinstance(value, kind):
        raise TypeError(f"{claim}, not {type(value).__name__}")


class CronError(ValueError):
    """Base of every error that quartzcron raises about a value that it was given."""


class Problem:
    """One thing wrong with one field.

    `column` counts from 1 in the whole expression; `text` is the offending part, empty where something is missing.
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
    """A text that is no Quartz expression, with everything that is wrong with it.

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
        """The expression with carets under what is wrong, indented by two, shortened around the first problem.

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
    """A time zone name that is not in the database, or an object that is no zone; `zone` is what was given."""

    def __init__(self, zone: object, hint: str | None = None) -> None:
        super().__init__(zone, hint)
        self.zone, self.hint = zone, hint

    def __str__(self) -> str:
        hint = f"; {self.hint}" if self.hint else ""
        return f"unknown time zone {echoed(self.zone)}{hint}"


class PolicyError(CronError):
    """A daylight-saving policy that is neither "vixie" nor "quartz"; `policy` is what was given."""

    def __init__(self, policy: object) -> None:
        super().__init__(policy)
        self.policy = policy

    def __str__(self) -> str:
        return f"unknown daylight-saving policy {echoed(self.policy)}; it is 'vixie' or 'quartz'"


class DialectError(CronError):
    """A text that a dialect does not have, or a meaning that the other side cannot say.

    `dialect` is whose text it is or would be, `part` the field in question (None for the whole), `reason` the rest.

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
