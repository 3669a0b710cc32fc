"""A timer as plain values, by column: for a row of the store, or for another process; and back."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .attributes import ATTRIBUTES, as_kept
from .calendars import calendar_digest
from .timer import Timer
from .trigger_kinds import read_trigger

if TYPE_CHECKING:
    from quartzcron.calendars import WorkingDays


def timer_columns(timer: Timer) -> dict[str, Any]:
    """The columns that hold a timer: for each attribute, for its trigger, and for its calendar's content."""
    columns = dict(zip(_NAMES, _VALUES(timer), strict=True))
    for name, to_store in _STORED:
        columns[name] = to_store(columns[name])
    columns["trigger_kind"], columns["trigger"] = timer.trigger.stored()
    known = None if timer.calendar is None else timer.working_days
    columns["calendar_digest"] = None if known is None else calendar_digest(known)
    return columns


def timer_from(columns: Any, working_days: WorkingDays | None = None) -> Timer:
    """A timer, from an object with its columns as attributes, and the content of its calendar."""
    values = dict(zip(_NAMES, _VALUES(columns), strict=True))
    for name, from_store in _CONVERTED:
        values[name] = from_store(values[name])
    trigger = read_trigger(columns.trigger_kind, columns.trigger)
    return Timer(trigger=trigger, working_days=working_days, **values)


_NAMES = tuple(attribute.name for attribute in ATTRIBUTES)
_VALUES = attrgetter(*_NAMES)
#: The attributes that columns hold in another form: to it, and from it.
_STORED = tuple((row.name, row.to_store) for row in ATTRIBUTES if row.to_store is not as_kept)
_CONVERTED = tuple((row.name, row.from_store) for row in ATTRIBUTES if row.from_store is not as_kept)
