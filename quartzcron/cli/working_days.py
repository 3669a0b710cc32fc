"""The option --calendar of the command line: working days of a country, of an exchange or of a file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from ..errors import echoed
from ..expression import CronExpression
from ..search.working_days import WorkingDays
from .arguments import UsageError


def calendar_of(argument: str) -> WorkingDays:
    """The calendar of a country (cn), of a part of one (de-by), of an exchange (XNYS), or of a file (.ics, .csv).

    Raises UsageError or CronError.
    """
    path = Path(argument)
    try:
        if path.suffix.lower() in (".ics", ".csv"):
            from ..contrib.calendar_files import from_csv, from_ics

            return from_ics(path) if path.suffix.lower() == ".ics" else from_csv(path)
        if path.name != argument or not argument.replace("-", "").isalnum():
            raise UsageError(f"{echoed(argument)} is neither a country, such as cn or de-by, nor an .ics or .csv file")
        from ..contrib.holidays import working_days

        country, _, subdivision = argument.upper().partition("-")
        return working_days(country, subdivision or None)
    except ModuleNotFoundError as error:
        extra = "holidays" if error.name == "holidays" else "calendars"
        raise UsageError(f"--calendar needs the package {error.name}: pip install 'quartzcron[{extra}]'") from None
    except OSError as error:
        raise UsageError(f"cannot read {echoed(argument)}: {error.strerror or error}") from None


def caution(expression: CronExpression, times: list[datetime]) -> str | None:
    """The note about times after the last day whose holidays the calendar knows; None if there are none."""
    known = expression.known_until
    if known is None or not any(time.date() > known for time in times):
        return None
    return f"the calendar is known until {known}; later days are those of its working week, without holidays"
