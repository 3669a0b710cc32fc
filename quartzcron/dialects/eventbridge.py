"""Amazon EventBridge: `cron(minutes hours day-of-month month day-of-week year)`, or the six fields alone.

The fields have their meaning in Quartz, with days of the week from Sunday = 1 and one day field `?`; there are no
seconds. Forms that its user guide does not list (`LW`, `L-3`, lists with an `L` or a `W`) are not written.
"""

from __future__ import annotations

from ..errors import CronSyntaxError, DialectError
from ..fields import FIRST_YEAR, YEARS
from ..grammar.canonical import canonical_text
from ..search.compiled import CompiledExpression, make
from ..search.expression_value import VIXIE
from ..wall.days import day_rule
from ..wall.pattern import WallPattern
from .slots import Slot, simplest_of, times_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo

NAME = "EventBridge"

_MINUTES = Slot("minutes", 0, 59)
_HOURS = Slot("hours", 0, 23)
_YEARS = Slot("year", FIRST_YEAR, FIRST_YEAR + YEARS.size - 1)
_SURE = 28


def read(text: str) -> tuple[str, tzinfo | None]:
    """The Quartz expression that fires when EventBridge's does, without a zone; raises DialectError if there is none.

    >>> read("cron(0 8 ? * MON-FRI *)")
    ('0 0 8 ? * MON-FRI', None)
    >>> read("rate(5 minutes)")
    Traceback (most recent call last):
        ...
    quartzcron.errors.DialectError: EventBridge: a rate counts from the creation of its rule, not by the clock
    """
    bare = text.strip()
    kind, bracket, rest = bare.partition("(")
    if bracket:
        if kind.lower() == "rate":
            raise DialectError(NAME, None, "a rate counts from the creation of its rule, not by the clock")
        if kind.lower() != "cron" or not rest.endswith(")"):
            raise DialectError(NAME, None, f"{bare!r} is not cron(…)")
        bare = rest[:-1]
    words = bare.split(None, 6)
    if len(words) != 6:
        raise DialectError(NAME, None, f"expected 6 fields, got {len(bare.split())}")
    try:
        expression = make(CompiledExpression, " ".join(["0", *words]), None, VIXIE)
    except CronSyntaxError as error:
        problem = error.problems[0]
        hint = f"; {problem.hint}" if problem.hint else ""
        raise DialectError(NAME, problem.field, f"{problem.message}{hint}") from None
    return expression.canonical, None


def write(expression: CompiledExpression) -> str:
    """EventBridge's expression that fires at the same wall times; raises DialectError if there is none.

    >>> from quartzcron import CronExpression
    >>> write(CronExpression("0 0 8 ? * MON-FRI"))
    'cron(0 8 ? * MON-FRI *)'
    """
    days, years = simplest_of(expression, NAME)
    for from_end, n, nearest_weekday in days[2]:
        if len(days[2]) > 1 or days[1]:
            raise DialectError(NAME, "day of month", "its lists have no L and no W")
        if from_end and (n or nearest_weekday):
            raise DialectError(NAME, "day of month", "of the forms with L it has only L")
        if n > _SURE:
            raise DialectError(NAME, "day of month", f"its guide does not define {n}W in a month without that day")
    minutes, hours = times_of(expression, NAME, (_MINUTES, _HOURS))
    pattern = WallPattern(day_rule(days, YEARS.full), expression._pattern.times)
    day_texts = canonical_text(pattern, interval=True).split()[3:6]
    year = "*" if years == YEARS.full else _YEARS.write(years << FIRST_YEAR)
    return f"cron({' '.join([minutes, hours, *day_texts, year])})"
