"""The parts that every handler needs: the author, instants of a request, pages, and timers and runs as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any
from urllib.parse import urlencode

from flask import Response, request
from sqlalchemy import select

from ...core.attributes import ATTRIBUTES
from ...core.run import Run
from ...core.trigger_kinds import UnreadableTrigger
from ...core.zone_names import zone
from ...formats.display import iso, zone_of
from ...formats.json import run_json, timer_json
from ...store.change_recording import Author, Way
from ...store.database import Store
from ...store.rows import timer_of
from ...store.schema import timers
from ...store.statements import Among
from ...store.stored_timer import StoredTimer
from .. import typed_times
from ..current import console
from ..reader import reader
from .problems import ProblemError, encoded

#: The keys of the attributes whose values may be hidden from viewers: parameters, and the address of pings.
_SECRET = [row.key for row in ATTRIBUTES if row.is_secret and row.key is not None]
#: A space that was a plus sign in an address: `2026-01-05T08:00:00 08:00`, ` 2h`.
_LOST_PLUS = re.compile(r"^ (?=\d)|(?<=T\d\d:\d\d:\d\d) (?=\d\d:?\d\d$)|(?<=T\d\d:\d\d) (?=\d\d:?\d\d$)")


def author(why: str = "") -> Author:
    """The author of this request's change; TimerError for a reason that is too long."""
    token = reader().token
    assert token is not None, "the gate lets only requests with a token pass"
    return Author(token.name, Way.API, why.replace("\r\n", "\n").strip())


def default_zone() -> tzinfo:
    """The zone of the settings."""
    return zone(console().settings.tz)


def instant_of(text: str | None, field: str) -> datetime | None:
    """An instant of a request, see typed_times.py; one without an offset is a wall time in the zone of the settings."""
    return _instant(text, field, typed_times.coming)


def past_instant_of(text: str | None, field: str) -> datetime | None:
    """The same for one that is probably past."""
    return _instant(text, field, typed_times.past)


def _instant(text: str | None, field: str, read: Callable[..., datetime | None]) -> datetime | None:
    if text is None:
        return None
    found = read(_LOST_PLUS.sub("+", text), field, now=console().now(), tz=default_zone())
    if found is None:
        raise ProblemError("invalid", f"{field}: expected an instant as in 2026-01-05T08:00:00+08:00", field=field)
    return found


# Answers


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON."""
    made = Response(encoded(value) + "\n", status, mimetype="application/json")
    made.headers.update(headers or {})
    return made


def listed(items: Sequence[Any], following: str | None, looked_back_to: datetime | None = None) -> Response:
    """A page of a list, with the link to the next one."""
    headers = {}
    if following is not None:
        query = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor"]
        headers["Link"] = f'<?{urlencode([*query, ("cursor", following)])}>; rel="next"'
    tz = default_zone()
    return answer({"items": items, "next": following, "looked_back_to": iso(looked_back_to, tz)}, headers=headers)


def number_of(cursor: str | None) -> int | None:
    """The number of a cursor."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise bad_cursor()
    return int(cursor)


def bad_cursor() -> ProblemError:
    """The problem of a cursor that no page has given."""
    return ProblemError("malformed", "cursor: not the `next` of a page of this list", field="cursor")


# Timers and runs


def timer_object(entry: StoredTimer) -> dict[str, Any]:
    """A timer as JSON; its secret values are hidden from viewers if the setting console_hide hides parameters."""
    shown = timer_json(entry, console().settings.tz)
    return shown if reader().sees("params") else shown | dict.fromkeys(_SECRET)


def etag(entry: StoredTimer) -> dict[str, str]:
    """The ETag of a timer: its revision."""
    return {"ETag": f'"{entry.revision}"'}


def run_object(run: Run, tz: tzinfo) -> dict[str, Any]:
    """A run as JSON; parameters and results are hidden from viewers where the setting says so."""
    shown = run_json(run, tz)
    for what, key in (("params", "own_params"), ("results", "result")):
        if not reader().sees(what):
            shown[key] = None
    return shown


class Zones:
    """The zones in which to show the runs of a page: those of their timers."""

    def __init__(self, store: Store, runs: Sequence[Run]) -> None:
        self._default = console().settings.tz
        self._of: dict[tuple[str, str], tzinfo] = {}
        with store.reading() as connection:
            for row in _NAMED.rows(connection, sorted({run.timer for run in runs})):
                timer = timer_of(row, connection)
                if not isinstance(timer.trigger, UnreadableTrigger):
                    self._of[row.environment, row.name] = zone_of(timer, self._default)

    def of(self, run: Run) -> tzinfo:
        """The zone of one run."""
        return self._of.get((run.environment, run.timer)) or zone(self._default)


_NAMED = Among(select(timers), timers.c.name)


def run_objects(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Runs as JSON."""
    zones = Zones(console().store, runs)
    return [run_object(run, zones.of(run)) for run in runs]
