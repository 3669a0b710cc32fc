"""Parses instants, time spans and parameters of the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import click

from ..core.human_times import read_human, read_past
from ..core.options import json_fault
from ..core.timestamps import at_wall_time, iso_text
from ..core.zone_names import zone
from ..errors import TimerError

#: The years of cron expressions.
FIRST_YEAR, LAST_YEAR = 1970, 2099
_FIRST, _END = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)


class TimeSpan(NamedTuple):
    """The instants from `start` on and before `end`."""

    start: datetime
    end: datetime


def parse_instant(text: str, tz: str) -> datetime:
    """An instant in ISO 8601, or as people write it: `in 2 hours`, `monday 9:00`, which is the next one.

    Without an offset, it is a wall time of the zone. TimerError outside 1970 to 2099.
    """
    instant = _iso(text, tz)
    return read_human(text, now=datetime.now(UTC), tz=zone(tz)) if instant is None else instant


def parse_past(text: str, tz: str) -> datetime:
    """The same for a time that is probably past: `2 hours ago`, `yesterday`, `monday 9:00`, which is the last one."""
    instant = _iso(text, tz)
    return read_past(text, now=datetime.now(UTC), tz=zone(tz)) if instant is None else instant


def _iso(text: str, tz: str) -> datetime | None:
    """An instant in ISO 8601; None for other text."""
    try:
        instant = datetime.fromisoformat(iso_text(text))
    except ValueError:
        return None
    if not FIRST_YEAR <= instant.year <= LAST_YEAR + 1:
        raise TimerError(f"{text} is out of range: the years {FIRST_YEAR} to {LAST_YEAR}")
    if instant.tzinfo is not None:
        return instant
    return at_wall_time(instant, zone(tz))


def past_or_none(text: str | None, tz: str) -> datetime | None:
    """The same for an option that may be missing."""
    return None if text is None else parse_past(text, tz)


def parse_time_span(start: str | None, end: str | None, tz: str, *, length: timedelta = timedelta(days=1)) -> TimeSpan:
    """The time span of two options, in UTC; by default, it begins now and has the given length.

    TimerError if it is empty.
    """
    begin = datetime.now(UTC) if start is None else parse_instant(start, tz)
    finish = begin + length if end is None else parse_instant(end, tz)
    if not begin < finish:
        raise TimerError(
            f"the time span from {begin.isoformat()} to {finish.isoformat()} is empty: --from must be before --to"
        )
    return TimeSpan(max(begin.astimezone(UTC), _FIRST), min(finish.astimezone(UTC), _END))


_SHOWN = 80
PARAMETERS_HELP = "Parameters: key=text, or key:=JSON as in n:=3 or days:=[1,2]."


def parse_params(pairs: Iterable[str], text: str | None = None) -> dict[str, Any]:
    """The parameters of pairs and of a JSON object; a pair takes precedence. click.BadParameter for an invalid one.

    A parameter that pairs, or a JSON object, give twice is invalid.
    """
    params = _object(text) if text is not None else {}
    return params | _once([_pair(pair) for pair in pairs])


def _pair(pair: str) -> tuple[str, Any]:
    key, equals, value = pair.partition("=")
    if not equals or not key.rstrip(":"):
        raise click.BadParameter(f"{_short(pair)!r} is not a parameter; write key=text or key:=JSON")
    return (key[:-1], _json(pair, value)) if key.endswith(":") else (key, value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for key, value in pairs:
        if key in params:
            raise click.BadParameter(f"the parameter {_short(key)!r} is given twice")
        params[key] = value
    return params


def _json(pair: str, value: str) -> Any:
    try:
        return json.loads(value, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        reason = f"{_short(pair)!r}: {_short(value)!r} is not JSON ({json_fault(error)}); write a text as key=text"
        raise click.BadParameter(reason) from None


def _object(text: str) -> dict[str, Any]:
    try:
        params = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"--params {_short(text)!r} is not JSON ({json_fault(error)})") from None
    if not isinstance(params, dict):
        raise click.BadParameter(f"--params must be a JSON object as in '{{\"n\": 3}}', got {_short(text)!r}")
    return params


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
