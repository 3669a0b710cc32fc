"""Undoes a recorded change of a timer: finds the values to set, and sets them, which is recorded as a change too.

The page that removes a timer undoes its addition, and the page of pauses undoes a pause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from ..core.attributes import ATTRIBUTES
from ..core.environments import Environment
from ..core.timer import Timer
from ..core.timer_checks import check_new_names
from ..errors import TimerError
from ..formats.changes import recorded_trigger
from ..store.change_pages import ChangeRecord
from ..store.change_recording import Action, Author, Subject
from ..store.stored_timer import StoredTimer
from ..store.timer_changes import timer_object
from ..store.timers import TimerTable

#: The actions that are undone here.
_UNDONE = frozenset({Action.CHANGED, Action.RENAMED, Action.ENABLED, Action.DISABLED, Action.REMOVED})
#: Enabling a timer also closes its breaker and sets the anchor of its interval, which stay.
_ENABLING = frozenset({Action.ENABLED, Action.DISABLED})
_TYPES = {attribute.name: attribute.sql for attribute in ATTRIBUTES}


class UndoneAttribute(NamedTuple):
    """An attribute with its values, as JSON: `now`, `before` the change, and `left` by the change."""

    name: str
    now: Any
    before: Any
    left: Any


@dataclass(frozen=True, slots=True)
class Undoing:
    """A change and its reverse: the attributes to set, or the timer to add again."""

    record: ChangeRecord
    stored: StoredTimer | None
    attributes: Sequence[UndoneAttribute]

    @property
    def is_changed_since(self) -> bool:
        """Whether an attribute was changed again afterwards."""
        return any(attribute.now != attribute.left for attribute in self.attributes)

    @property
    def has_effect(self) -> bool:
        """Whether the reverse would change anything."""
        return self.record.action is Action.REMOVED or bool(self.attributes)


def can_undo(record: ChangeRecord) -> bool:
    """Whether `undoing` knows the reverse of a change."""
    return record.subject is Subject.TIMER and record.action in _UNDONE and bool(record.before)


def undoing(record: ChangeRecord, timers: TimerTable) -> Undoing:
    """The reverse of a change; UnknownTimerError if its timer has gone."""
    environment = _environment(record)
    if record.action is Action.REMOVED:
        return Undoing(record, None, [])
    stored = timers.get(record.name, environment)
    now, before, left = timer_object(stored.timer), record.before or {}, record.after or {}
    names = ["enabled"] if record.action in _ENABLING else [name for name in before if name != "breaker"]
    attributes = [
        UndoneAttribute(name, now.get(name), before[name], left.get(name))
        for name in names
        if name in before and now.get(name) != before[name]
    ]
    return Undoing(record, stored, attributes)


def undo(
    undone: Undoing, timers: TimerTable, *, now: datetime, quota: int, by: Author, expected: int | None
) -> tuple[Environment, str]:
    """Make the reverse; returns the environment and the name of the timer. TimerError if it is refused.

    TimerChangedError for a timer that no longer has the revision `expected`.
    """
    environment = _environment(undone.record)
    if undone.stored is None:
        timer = _removed_timer(undone.record.before or {})
        timers.add([timer], now=now, quota=quota, by=by)
        return environment, timer.name
    name = undone.stored.timer.name
    changes = {attribute.name: _value(attribute.name, attribute.before) for attribute in undone.attributes}
    if changes.keys() == {"enabled"}:
        change = timers.enable if changes["enabled"] else timers.disable
        change(name, environment, now=now, by=by, expected=expected)
    elif changes.keys() == {"name"}:
        timers.rename(name, changes["name"], environment, now=now, by=by, expected=expected)
    elif changes:
        timers.edit(name, environment, changes, now=now, by=by, expected=expected)
    return environment, changes.get("name", name)


def _environment(record: ChangeRecord) -> Environment:
    assert record.environment is not None, "changes of timers have one"
    return Environment(record.environment)


def _removed_timer(values: Mapping[str, Any]) -> Timer:
    """The timer of a record; TimerError if one of another version cannot be read."""
    known = {name: _value(name, value) for name, value in values.items() if name in _TYPES or name == "trigger"}
    try:
        timer = Timer(**known)
    except TypeError:
        raise TimerError("the record of this timer is of another version") from None
    check_new_names(timer.name, timer.function)
    return timer


def _value(name: str, recorded: Any) -> Any:
    """The value of an attribute from its recorded form."""
    if name == "trigger":
        return recorded_trigger(recorded)
    return datetime.fromisoformat(recorded) if recorded and _TYPES.get(name) is datetime else recorded
