"""Arguments as users type them: numbers, years, times; and the errors for those that are invalid."""

from __future__ import annotations

import argparse
import re
import warnings
from datetime import datetime, timedelta, tzinfo
from typing import NoReturn

from ..errors import echoed, shortened
from ..fields import FIRST_YEAR, LAST_YEAR

_LONGEST_TIME = 200
# A time as the commands print it: after the offset, the zone's name adds nothing.
_OWN_FORM = re.compile(r"(.*\d\d:\d\d(?::\d\d)?[+-]\d\d:\d\d(?::\d\d)?) +[A-Za-z+-][\w+:-]*\Z", re.ASCII)


class UsageError(Exception):
    """An invalid argument; the message says why."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose messages fit on a line, with a hint for users who forget the quotes."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with status 2."""
        hint = "" if "unrecognized arguments: -" in message else "; put an expression in quotes, as one argument"
        super().error(shortened(message) + hint * ("unrecognized arguments" in message))


def with_joined_values(arguments: list[str]) -> list[str]:
    """The arguments with the values of two options joined to them, which argparse would refuse separately.

    `--tz -05:00` becomes `--tz=-05:00`, since a word with a minus is an option elsewhere. `--calendar cn` becomes
    `--calendar=cn`; without a value, or before an expression, which has blanks, `--calendar` becomes `--calendar=`.
    """
    joined: list[str] = []
    for place, argument in enumerate(arguments):
        last = joined[-1] if joined else ""
        if last == "--tz" and argument[:1] == "-" and argument[1:2].isdigit():
            joined[-1] = f"--tz={argument}"
        elif last == "--calendar=" and arguments[place - 1] == "--calendar" and _is_calendar(argument):
            joined[-1] = f"--calendar={argument}"
        else:
            joined.append("--calendar=" if argument == "--calendar" else argument)
    return joined


def _is_calendar(argument: str) -> bool:
    """Whether a word after --calendar is a name: a file, or a word that is neither an option nor an expression."""
    is_file = argument.lower().endswith((".ics", ".csv"))
    return is_file or (argument[:1] != "-" and len(argument.split()) == 1)


def count(text: str) -> int:
    """A number from 1 to 999,999."""
    if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{echoed(text)} is not a number from 1 to 999999")
    return int(text)


def year(text: str) -> int:
    """A year from 1970 to 2099."""
    if not (text.isascii() and text.isdigit() and FIRST_YEAR <= int(text[:5]) <= LAST_YEAR):
        raise argparse.ArgumentTypeError(f"{echoed(text)} is not a year from {FIRST_YEAR} to {LAST_YEAR}")
    return int(text)


def moment(text: str | None, zone: tzinfo) -> datetime:
    """A time in any form that dateutil reads, or a word such as `tomorrow`; now if it is None.

    Without an offset it is wall time in the zone. Raises UsageError.
    """
    now = datetime.now(zone)
    if text is None:
        return now
    from dateutil import parser

    words = {"now": now, "today": _midnight(now), "tomorrow": _midnight(now) + timedelta(days=1)}
    words["yesterday"] = _midnight(now) - timedelta(days=1)
    if text.strip().lower() in words:
        return words[text.strip().lower()]
    try:
        if len(text) > _LONGEST_TIME:  # the pattern takes minutes for a long text
            raise ValueError(text)
        text = _OWN_FORM.sub(r"\1", text.strip())
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # dateutil only warns of a zone abbreviation that it does not know
            time = parser.parse(text, default=_midnight(now).replace(tzinfo=None))
        return time.replace(tzinfo=zone) if time.tzinfo is None else time.astimezone(zone)
    except (ValueError, OverflowError, TypeError, Warning):
        raise UsageError(f'cannot read {echoed(text)} as a time; write it as "2026-03-08 01:30"') from None


def _midnight(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
