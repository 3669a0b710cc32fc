"""Records changes: who changed what, when, through which interface, and why, in the transaction of the change.

Every change of a timer has a row; timer_changes.py makes its contents. change_pages.py reads the rows, retention.py
deletes them like runs.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert

from ..core.timestamps import stamp
from ..errors import TimerError
from .alert_recording import close_alerts
from .rows import storable
from .schema import changes
from .statements import Bulk

MAX_WHY_LENGTH = 500
MAX_AUTHOR_LENGTH = 200

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Way(StrEnum):
    """The interface through which a change is made."""

    COMMAND_LINE = "command_line"
    LIBRARY = "library"
    DECLARATION = "declaration"
    CONSOLE = "console"
    API = "api"
    DAEMON = "daemon"


class Subject(StrEnum):
    """The kind of the changed object."""

    TIMER = "timer"
    CALENDAR = "calendar"
    PAUSE = "pause"
    SETTING = "setting"
    TOKEN = "token"
    FUNCTION = "function"


class Action(StrEnum):
    """The kind of a change."""

    ADDED = "added"
    CHANGED = "changed"
    ENABLED = "enabled"
    DISABLED = "disabled"
    RESET = "reset"
    RENAMED = "renamed"
    REMOVED = "removed"
    # Of its runs; these change nothing of the timer.
    REQUESTED = "requested"
    CANCELLED = "cancelled"
    BACKFILLED = "backfilled"
    # Of a function, from the console.
    CALLED = "called"


# Authors


@dataclass(frozen=True, slots=True)
class Author:
    """The author of a change, the interface, and the reason; TimerError for text that is too long or has controls.

    >>> Author("ann@example", Way.CONSOLE, "the mail server is down").way
    <Way.CONSOLE: 'console'>
    """

    name: str
    way: Way
    why: str = ""

    def __post_init__(self) -> None:
        _check("the author of a change", self.name, MAX_AUTHOR_LENGTH, "author")
        _check("the reason of a change", self.why, MAX_WHY_LENGTH, "why")

    @classmethod
    def of_process(cls, way: Way = Way.LIBRARY, why: str = "") -> Author:
        """The user and the host of this process."""
        name = f"{_user()}@{socket.gethostname()}"
        return cls("".join(c if c.isprintable() else "?" for c in name)[:MAX_AUTHOR_LENGTH], way, why)


def _user() -> str:
    """The name of the user of this process; its number if it has none, as in a container."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _check(what: str, text: object, most: int, field: str) -> None:
    if not isinstance(text, str):
        raise TimerError(f"{what} must be text, got {text!r:.80}", field=field)
    if len(text) > most:
        raise TimerError(f"{what} has {len(text):,} characters; at most {most} are allowed", field=field)
    if not all(line.isprintable() for line in text.split("\n")):
        raise TimerError(f"{what} has a control character: {text!r:.80}", field=field)


# Writing

_ENDING_INCIDENTS = (Action.ENABLED, Action.RESET, Action.RENAMED, Action.REMOVED)


class NewChange(NamedTuple):
    """A change to record: its kind, its object, and the values before and after, None if there are none."""

    action: Action
    name: str
    environment: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    former_name: str | None = None
    subject: Subject = Subject.TIMER


_WRITTEN = (
    *("at", "author", "way", "why", "subject", "action", "name", "environment", "former_name", "before", "after"),
)
_RECORD = Bulk(insert(changes), _WRITTEN)


class ChangeRow(NamedTuple):
    """The row of a change, and the timer whose incidents it ends, by environment and name."""

    columns: tuple[Any, ...]
    ended: tuple[str, str] | None


def record_changes(connection: Connection, made: Iterable[NewChange], by: Author | None, *, now: datetime) -> None:
    """Write the rows of changes, in their transaction; None means the user of this program."""
    write_changes(connection, change_rows(made, by, now=now))


def change_rows(made: Iterable[NewChange], by: Author | None, *, now: datetime) -> list[ChangeRow]:
    """The rows of changes, for `write_changes`."""
    by = by or Author.of_process()
    who = (stamp(now), storable(by.name), by.way.value, storable(by.why))
    return [ChangeRow((*who, *_columns(change)), _ended(change)) for change in made]


def write_changes(connection: Connection, rows: Sequence[ChangeRow]) -> None:
    """Write the rows of changes."""
    _RECORD.execute(connection, [row.columns for row in rows])
    # The next failure of a timer that a person has changed is a new incident.
    close_alerts(connection, [row.ended for row in rows if row.ended is not None])


def _ended(change: NewChange) -> tuple[str, str] | None:
    if change.subject is not Subject.TIMER or change.action not in _ENDING_INCIDENTS:
        return None
    return change.environment or "", change.former_name or change.name


def _columns(change: NewChange) -> tuple[Any, ...]:
    names = (storable(change.name), change.environment and str(change.environment), change.former_name)
    return change.subject.value, change.action.value, *names, _text(change.before), _text(change.after)


def _text(values: Mapping[str, Any] | None) -> str | None:
    return None if values is None else storable(_COMPACT.encode(values))
