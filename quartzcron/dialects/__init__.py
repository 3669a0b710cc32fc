"""Other dialects of cron ↔ Quartz: crontab, Spring, EventBridge, systemd's OnCalendar, RRULE, in one table.

Each conversion is exact, wall time by wall time, or refused with a DialectError that names the part which the other
dialect cannot express. Both directions use the sets of days and times, and never rewrite text: Spring's
`0 0 8 1-7 * MON` becomes `0 0 8 ? * MON#1`, and `0 0 8 L 12 ?` the crontab line `0 8 31 12 *`. Properties that a
dialect leaves to its host, such as the time zone of a crontab or the behaviour at clock changes, are not converted.

A new dialect is a file with `read` and `write`, and a row in DIALECTS. Another package adds one by an entry point:

    [project.entry-points."quartzcron.dialects"]
    acme = "acme.schedules:DIALECT"

where DIALECT is a Dialect. It is loaded when its name is first used.
"""

from __future__ import annotations

from ..errors import CronError, DialectError, check_type, echoed
from ..search.compiled import CompiledExpression
from . import crontab, eventbridge, oncalendar, spring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo
    from importlib.metadata import EntryPoints

    # From a text to a Quartz expression and the time zone that the text names, None if it names none.
    Read = Callable[[str], tuple[str, tzinfo | None]]
    # From an expression to a text.
    Write = Callable[[CompiledExpression], str]

__all__ = ["DIALECTS", "Dialect", "DialectError", "names", "read", "write"]

_GROUP = "quartzcron.dialects"


class Dialect:
    """A dialect: the name that messages use, and the functions that read and write it; both raise DialectError.

    `read` takes a text and returns a Quartz expression, and the time zone that the text names or None; `write` takes a
    CronExpression and returns a text. A dialect that is only read or only written has None for the other one.
    """

    __slots__ = ("name", "read", "write")

    def __init__(self, name: str, read: Read | None = None, write: Write | None = None) -> None:
        self.name, self.read, self.write = name, read, write


def _write_rrule(expression: CompiledExpression) -> str:
    from .rrule import write  # which imports dateutil

    return write(expression)


#: The dialects of this package by the names that users give, in the order in which `quartzcron convert` prints them.
DIALECTS = {
    "quartz": Dialect("Quartz", lambda text: (text, None), lambda expression: expression.canonical),
    "crontab": Dialect(crontab.NAME, crontab.read, crontab.write),
    "spring": Dialect(spring.NAME, spring.read, spring.write),
    "eventbridge": Dialect(eventbridge.NAME, eventbridge.read, eventbridge.write),
    "oncalendar": Dialect(oncalendar.NAME, oncalendar.read, oncalendar.write),
    "rrule": Dialect("RRULE", write=_write_rrule),
}

_from_outside: dict[str, Dialect] = {}


def read(name: str, text: str) -> tuple[str, tzinfo | None]:
    """The Quartz expression of a text in a dialect, and the time zone that the text names, if it names one.

    Raises DialectError if no Quartz expression is exact, CronError for an unknown dialect.

    >>> read("crontab", "*/15 9-17 * * 1-5")
    ('0 0/15 9-17 ? * MON-FRI', None)
    """
    check_type(text, str, "a schedule must be a str")
    dialect = _dialect(name)
    if dialect.read is None:
        raise DialectError(dialect.name, None, "this dialect can be written, but not read")
    return dialect.read(text)


def write(name: str, expression: CompiledExpression) -> str:
    """An expression in a dialect; raises DialectError if no text is exact, CronError for an unknown dialect.

    >>> from quartzcron import CronExpression
    >>> write("oncalendar", CronExpression("0 0/20 9-17 ? * MON-FRI"))
    'Mon..Fri *-*-* 09..17:00/20:00'
    """
    check_type(expression, CompiledExpression, "the expression must be a CronExpression")
    dialect = _dialect(name)
    if dialect.write is None:
        raise DialectError(dialect.name, None, "this dialect can be read, but not written")
    return dialect.write(expression)


def names() -> list[str]:
    """The names of all dialects, those of installed packages last."""
    return list(dict.fromkeys([*DIALECTS, *sorted(_entry_points().names)]))


def _dialect(name: str) -> Dialect:
    check_type(name, str, "the name of a dialect must be a str")
    dialect = DIALECTS.get(name) or _from_outside.get(name)
    if dialect is None:
        dialect = _from_outside[name] = _load(name)
    return dialect


def _load(name: str) -> Dialect:
    """The dialect of an entry point. Raises DialectError if it cannot be loaded, whatever the reason."""
    points = _entry_points()
    if name not in points.names:
        raise CronError(f"unknown dialect {echoed(name)}; use one of {', '.join(names())}")
    point = points[name]
    try:
        dialect = point.load()
    except Exception as error:
        raise DialectError(name, None, f"{point.value} cannot be loaded: {error}") from error
    if not isinstance(dialect, Dialect):
        raise DialectError(name, None, f"{point.value} is not a quartzcron.dialects.Dialect")
    return dialect


def _entry_points() -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group=_GROUP)
