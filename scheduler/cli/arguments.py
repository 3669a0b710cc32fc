"""Instants and spans of time, as they are given in options."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import click

from ..errors import TimerError
from ..formats import display

#: The years that the calculator knows.
FIRST_YEAR, LAST_YEAR = 1970, 2099
_FIRST, _END = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)


class TimeSpan(NamedTuple):
    """The instants from `start` on and before `end`."""

    start: datetime
    end: datetime


def moment(text: str, tz: str) -> datetime:
    """An instant as ISO 8601, of the years that the calculator knows; without an offset, a wall time of the zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise TimerError(f"{text!r} is no instant; write one as in 2026-01-05T08:00:00+08:00") from None
    if not FIRST_YEAR <= found.year <= LAST_YEAR + 1:
        raise TimerError(f"{text} is out of range: the years {FIRST_YEAR} to {LAST_YEAR}")
    # localize is pytz's alone, and so is the zone: the database must be the one that quartzcron uses.
    return found if found.tzinfo is not None else display.zone(tz).localize(found)  # type: ignore[attr-defined]


def span(start: str | None, end: str | None, tz: str, *, length: timedelta = timedelta(days=1)) -> TimeSpan:
    """The span that two options give, in UTC; it begins now and has a `length`, unless they say otherwise.

    TimerError where it is empty.
    """
    begin = datetime.now(UTC) if start is None else moment(start, tz)
    finish = begin + length if end is None else moment(end, tz)
    if not begin < finish:
        raise TimerError(
            f"the span from {begin.isoformat()} to {finish.isoformat()} is empty: --from comes before --to"
        )
    return TimeSpan(max(begin.astimezone(UTC), _FIRST), min(finish.astimezone(UTC), _END))


EXPLANATION = "Parameters: key=text, or key:=JSON as in n:=3 or days:=[1,2]."


def parse_params(pairs: Iterable[str], text: str | None = None) -> dict[str, Any]:
    """The parameters that pairs and a JSON object name together; a pair wins. click.BadParameter says what is wrong."""
    params = _object(text) if text is not None else {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.rstrip(":"):
            raise click.BadParameter(f"{pair!r} is no parameter; write key=text or key:=JSON")
        if key.endswith(":"):
            params[key[:-1]] = _json(pair, value)
        else:
            params[key] = value
    return params


def _json(pair: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{pair!r}: {value!r} is no JSON ({error}); a text is written key=text") from None


def _object(text: str) -> dict[str, Any]:
    try:
        params = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"--params {text!r} is no JSON ({error})") from None
    if not isinstance(params, dict):
        raise click.BadParameter(f"--params is a JSON object as in '{{\"n\": 3}}', not {text!r}")
    return params
