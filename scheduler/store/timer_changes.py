"""The recorded contents of a change of a timer: the differing attributes; all of them for a new or removed timer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection

from ..core.attributes import ATTRIBUTES, as_kept
from ..core.breaker import CLOSED, Breaker, BreakerState
from ..core.timer import Timer
from ..errors import TimerChangedError
from .change_pages import last_change
from .change_recording import Action, Author, NewChange
from .stored_timer import StoredTimer


class Edit(NamedTuple):
    """The instant and the author of an edit, and the revision that the timer must still have, None for any."""

    now: datetime | None
    by: Author | None
    expected: int | None

    @property
    def at(self) -> datetime:
        """The instant of the edit: the given one, or else now by the clock of this machine."""
        return self.now or datetime.now(UTC)

    def check(self, connection: Connection, stored: StoredTimer) -> None:
        """Raise TimerChangedError for a timer with another revision."""
        if self.expected is None or self.expected == stored.revision:
            return
        timer = stored.timer
        last = last_change(connection, timer.name, timer.environment)
        raise TimerChangedError(timer.name, timer.environment, None if last is None else (last.author, last.at))


def added(timer: Timer) -> NewChange:
    """The change that adds a timer."""
    return NewChange(Action.ADDED, timer.name, timer.environment, after=timer_object(timer))


def removed(timer: Timer) -> NewChange:
    """The change that removes a timer."""
    return NewChange(Action.REMOVED, timer.name, timer.environment, before=timer_object(timer))


def edited(before: StoredTimer, after: StoredTimer) -> list[NewChange]:
    """The change of an edit; empty if nothing differs."""
    return difference(timer_object(before.timer, before.breaker), timer_object(after.timer, after.breaker))


def timer_object(timer: Timer, breaker: Breaker = CLOSED) -> dict[str, Any]:
    """A timer as a JSON object, by attribute, with its kind of trigger; and its breaker, if that is not closed."""
    kind = getattr(timer.trigger, "stored_kind", timer.trigger.kind)
    attributes = dict(zip(_NAMES, _VALUES(timer), strict=True))
    for name, to_json in _CONVERTED:
        attributes[name] = to_json(attributes[name])
    state = {"state": breaker.state, "consecutive_failures": breaker.consecutive_failures}
    is_closed = breaker.state is BreakerState.CLOSED and not breaker.consecutive_failures
    return {
        **attributes,
        "trigger": {"kind": kind, **timer.trigger.as_json()},
        "breaker": None if is_closed else state,
    }


_NAMES = tuple(row.name for row in ATTRIBUTES)
_VALUES = attrgetter(*_NAMES)
#: The attributes that have another form in JSON.
_CONVERTED = tuple((row.name, row.to_json) for row in ATTRIBUTES if row.to_json is not as_kept)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[NewChange]:
    """The change from one `timer_object` to another; empty if they are equal."""
    differing = [name for name, value in after.items() if before[name] != value]
    if not differing:
        return []
    name, former = after["name"], before["name"]
    return [
        NewChange(
            _action(set(differing), after),
            name,
            after["environment"],
            {name: before[name] for name in differing},
            {name: after[name] for name in differing},
            former if former != name else None,
        )
    ]


def _action(differing: set[str], after: Mapping[str, Any]) -> Action:
    if "name" in differing:
        return Action.RENAMED
    if differing == {"breaker"}:
        return Action.RESET
    if differing - {"breaker", "trigger"} == {"enabled"}:
        # Enabling a timer sets a new anchor for its interval.
        return Action.ENABLED if after["enabled"] else Action.DISABLED
    return Action.CHANGED
