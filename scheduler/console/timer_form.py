"""Converts a form to a timer, and a timer to a form, by the tables of attributes and triggers.

Errors are shown beside their fields, and the typed values are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from quartzcron import CronSyntaxError

from ..core.attributes import ATTRIBUTES, Attribute
from ..core.from_now import resolved
from ..core.options import Option
from ..core.timer import Timer
from ..core.timer_checks import check_new_names
from ..core.trigger_kinds import UnreadableTrigger, trigger_kinds, trigger_options
from ..core.triggers import Trigger
from ..core.zone_names import zone
from ..errors import TimerError
from .typed_times import BOUNDS, with_bounds

#: The first attributes of the form; the others stand under "more".
FIRST = ("name", "environment", "function", "params", "description", "tags")
MAX_FIELD_LENGTH = 200_000
KIND = "trigger"
_WITH_FLAG = tuple(attribute for attribute in ATTRIBUTES if attribute.flag or attribute.name in FIRST)


def more() -> list[Attribute]:
    """The attributes that stand under "more", each with a default."""
    return [attribute for attribute in _WITH_FLAG if attribute.name not in FIRST]


@dataclass(slots=True)
class TimerForm:
    """The typed values and the errors, by name of the field."""

    values: dict[str, str]
    errors: dict[str, list[str]] = field(default_factory=dict)
    #: A trigger that this process cannot read, which is kept unchanged.
    kept_trigger: Trigger | None = None
    #: What times such as "in 20 minutes" are relative to, and the zone of a trigger that names none.
    now: datetime | None = None
    default_tz: str = "UTC"

    def value(self, name: str) -> str:
        """The value of a field."""
        return self.values.get(name, "")

    @property
    def kind(self) -> type[Trigger]:
        """The selected kind of trigger; the first one if none is selected."""
        kinds = {kind.kind: kind for kind in trigger_kinds()}
        return kinds.get(self.value(KIND)) or next(iter(kinds.values()))

    def problems(self) -> Sequence[tuple[str, str]]:
        """All errors: the field and the message."""
        return [(name, message) for name, messages in self.errors.items() for message in messages]

    def add_error(self, name: str | None, message: str) -> None:
        """Add an error to a field, or to that of the trigger if there is no such field."""
        known = {attribute.name for attribute in _WITH_FLAG} | {KIND, *(option.name for option in self.kind.options)}
        place = _field_of(self.kind, name)
        self.errors.setdefault(place if place in known else KIND, []).append(message)

    def _add_errors(self, error: TimerError) -> None:
        """Add an error of a trigger; that of an expression with each of its problems."""
        cause = error.__cause__
        for message in map(str, cause.problems if isinstance(cause, CronSyntaxError) else [error]):
            self.add_error(error.field, message)

    def trigger(self) -> Trigger | None:
        """The trigger of the form; None if it is invalid."""
        if self.kept_trigger is not None:
            return self.kept_trigger
        values = self._read(self.kind.options)
        if any(option.name in self.errors for option in self.kind.options):
            return None
        if self.kind.options[0].name not in values:
            self.add_error(self.kind.options[0].name, "form.needed")
            return None
        try:
            return self.kind.from_options(self._resolved(values))
        except TimerError as error:
            self._add_errors(error)
        except Exception as error:  # a class of another package may raise anything
            self.add_error(KIND, str(error))
        return None

    def _resolved(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.now is None:
            return values
        return resolved(self.kind, values, now=self.now, tz=zone(values.get("tz") or self.default_tz))

    def timer(self, **further: Any) -> Timer | None:
        """The timer of the form; None, and errors, if it is invalid. `further` are attributes without a field."""
        trigger = self.trigger()
        values = {**self._read(_WITH_FLAG), **further}
        for needed in ("name", "function"):
            if needed not in values and needed not in self.errors:
                self.add_error(needed, "form.needed")
        self._check_each(values)
        if trigger is None or self.errors:
            return None
        try:
            timer = Timer(trigger=trigger, **values)
            check_new_names(timer.name, timer.function)
        except TimerError as error:
            self.add_error(error.field, str(error))
            return None
        return timer

    def _check_each(self, values: Mapping[str, Any]) -> None:
        """Check each value by itself, so that all errors are shown at once; Timer stops at the first one."""
        for attribute in ATTRIBUTES:
            if attribute.name in values:
                try:
                    attribute.check(values[attribute.name])
                except TimerError as error:
                    self.add_error(attribute.name, str(error))

    def _read(self, options: Sequence[Option]) -> dict[str, Any]:
        """The values of fields by name; a field that is blank has its default."""
        values = {}
        for option in options:
            typed = self.value(option.name)
            if not typed.strip():
                continue
            try:
                values[option.name] = self._bound(option.name, typed) if option.name in BOUNDS else option.read(typed)
            except ValueError as error:
                # It stands beside the field.
                self.add_error(option.name, str(error).removeprefix(f"{option.name}: "))
        return values

    def _bound(self, name: str, typed: str) -> Any:
        """A bound of the window: an instant in ISO 8601, or as in `in 2 days`."""
        if self.now is None:
            return typed
        tz = zone(self.value("tz") or self.default_tz) if self._has_known_zone() else UTC
        return with_bounds({name: typed}, now=self.now, tz=tz)[name]

    def _has_known_zone(self) -> bool:
        try:
            zone(self.value("tz") or self.default_tz)
        except TimerError:
            return False  # an error of that field
        return True


def _field_of(kind: type[Trigger], name: str | None) -> str:
    """The field of the form that an error of a timer is about."""
    for option in kind.options:
        if name in (option.field, option.name):
            return option.name
    return name or KIND


def form_of_request(given: Mapping[str, str], *, now: datetime, default_tz: str) -> TimerForm:
    """The form of the request."""
    names = {KIND, *(attribute.name for attribute in _WITH_FLAG)}
    names |= {option.name for option in trigger_options(trigger_kinds())}
    return TimerForm(
        {name: given[name][:MAX_FIELD_LENGTH] for name in names if name in given}, now=now, default_tz=default_tz
    )


def form_of_timer(timer: Timer) -> TimerForm:
    """The form with the values of a timer."""
    values = {attribute.name: _cell(attribute, timer) for attribute in _WITH_FLAG}
    if isinstance(timer.trigger, UnreadableTrigger):
        return TimerForm(values, kept_trigger=timer.trigger)
    values[KIND] = timer.trigger.kind
    given = timer.trigger.option_values()
    for option in timer.trigger.options:
        if given.get(option.name) is not None:
            values[option.name] = option.cell(given[option.name])
    return TimerForm(values)


def _cell(attribute: Attribute, timer: Timer) -> str:
    value = getattr(timer, attribute.name)
    if attribute.name == "params":
        return json.dumps(dict(value), ensure_ascii=False, indent=2) if value else ""
    return f"{value:g}" if isinstance(value, float) else attribute.cell(value)


def changes(kept: Timer, new: Timer) -> dict[str, Any]:
    """The attributes in which the form's timer differs from the stored one, by name."""
    found = {
        attribute.name: getattr(new, attribute.name)
        for attribute in _WITH_FLAG
        if attribute.to_store(getattr(new, attribute.name)) != attribute.to_store(getattr(kept, attribute.name))
    }
    # The anchor of an interval has no field.
    if type(new.trigger) is not type(kept.trigger) or new.trigger.option_values() != kept.trigger.option_values():
        found["trigger"] = new.trigger
    return found
