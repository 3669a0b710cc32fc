"""AnyOf, the trigger that fires when any of several does, and the union of schedules. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from quartzcron.calendars import WorkingDays

from ..errors import TimerError, shown
from .fire_times import FireTimes
from .kind_registry import chosen_kind, trigger_kind, trigger_kinds, trigger_options
from .options import json_value
from .triggers import Trigger, TriggerOption
from .union_count import count_union

MAX_TRIGGERS = 100


@dataclass(frozen=True, slots=True)
class United:
    """Fires when any of several schedules does; once at an instant that they share."""

    parts: tuple[FireTimes, ...]

    def next_fire(self, after: datetime) -> datetime | None:
        return min((fire for part in self.parts if (fire := part.next_fire(after)) is not None), default=None)

    def prev_fire(self, before: datetime) -> datetime | None:
        return max((fire for part in self.parts if (fire := part.prev_fire(before)) is not None), default=None)

    def count(self, start: datetime, end: datetime) -> int:
        return count_union(self.parts, start, end)

    @property
    def anchor(self) -> datetime | None:
        return min((anchor for part in self.parts if (anchor := part.anchor) is not None), default=None)

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


def _read(value: Any) -> Any:
    triggers = json_value(value)
    if not isinstance(triggers, list) or not all(isinstance(trigger, dict) for trigger in triggers):
        raise ValueError(f"""expected a JSON array of triggers as in [{{"every": 60}}], got {shown(value)}""")
    return triggers


@dataclass(frozen=True, slots=True, init=False)
class AnyOf(Trigger):
    """Fires when any of up to 100 triggers does; an instant that several of them share is one fire time.

    >>> from datetime import UTC
    >>> from scheduler.timer import Cron, Every
    >>> both = AnyOf(Cron("0 0 8 * * ?", tz="UTC"), Every(7 * 3600))
    >>> both.count(datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 4, tzinfo=UTC))  # 56 h is 8:00 on the third day
    12
    """

    kind: ClassVar[str] = "any_of"
    options: ClassVar[tuple[TriggerOption, ...]] = (
        TriggerOption(
            name="any_of",
            read=_read,
            cell=lambda value: json.dumps(value, ensure_ascii=False),
            field="triggers",
            noun="several triggers",
            example='[{"every": 60}]',
        ),
    )

    triggers: tuple[Trigger, ...]

    def __init__(self, *triggers: Trigger) -> None:
        for trigger in triggers:
            if not isinstance(trigger, Trigger):
                raise TimerError(
                    f"AnyOf takes triggers such as Cron('0 0 8 ? * MON'), got {shown(trigger, 60)}", field="any_of"
                )
        flat = tuple(dict.fromkeys(_flat(triggers)))
        if not 1 <= len(flat) <= MAX_TRIGGERS:
            raise TimerError(f"AnyOf takes from 1 to {MAX_TRIGGERS} triggers, got {len(flat)}", field="any_of")
        object.__setattr__(self, "triggers", flat)

    def next_fire(self, after: datetime) -> datetime | None:
        return min((fire for part in self.triggers if (fire := part.next_fire(after)) is not None), default=None)

    def prev_fire(self, before: datetime) -> datetime | None:
        return max((fire for part in self.triggers if (fire := part.prev_fire(before)) is not None), default=None)

    def count(self, start: datetime, end: datetime) -> int:
        return count_union(self.triggers, start, end)

    @property
    def gap(self) -> timedelta | None:
        """The gap of a single trigger; None for several, because it is unknown."""
        return self.triggers[0].gap if len(self.triggers) == 1 else None

    @property
    def has_days(self) -> bool:
        return all(trigger.has_days for trigger in self.triggers)

    def on(self, working_days: WorkingDays, roll: str) -> FireTimes:
        return United(tuple(trigger.on(working_days, roll) for trigger in self.triggers))

    @property
    def tz(self) -> str | None:
        """The zone that all triggers with a zone share; else None."""
        zones = {trigger.tz for trigger in self.triggers} - {None}
        return zones.pop() if len(zones) == 1 else None

    @property
    def anchor(self) -> datetime | None:
        return United(self.triggers).anchor

    def anchored(self, now: datetime) -> Self:
        anchored = tuple(trigger.anchored(now) for trigger in self.triggers)
        return self if anchored == self.triggers else type(self)(*anchored)

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Self:
        return cls(*map(_of_options, values["any_of"]))

    def option_values(self) -> dict[str, Any]:
        each = [trigger.option_values() for trigger in self.triggers]
        return {"any_of": [{name: value for name, value in values.items() if value is not None} for values in each]}

    def as_json(self) -> dict[str, Any]:
        return {"triggers": [{"kind": trigger.stored()[0], **trigger.as_json()} for trigger in self.triggers]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(*map(_of_json, values["triggers"]))

    def __str__(self) -> str:
        return str(United(self.triggers))


def _flat(triggers: Sequence[Trigger]) -> Iterator[Trigger]:
    for trigger in triggers:
        if isinstance(trigger, AnyOf):
            yield from trigger.triggers
        else:
            yield trigger


def _of_options(values: Any) -> Trigger:
    """The trigger with these option values; a Trigger is returned unchanged."""
    if isinstance(values, Trigger):
        return values
    kinds = trigger_kinds()
    kind = chosen_kind(values, kinds)
    if kind is None:
        raise TimerError(f"{json.dumps(values, default=str)[:80]} is not a trigger", field="any_of")
    if unknown := values.keys() - {option.name for option in kind.options}:
        raise TimerError(
            f"there is no option {min(unknown)!r} in {json.dumps(values, default=str)[:80]}", field="any_of"
        )
    readers = {option.name: option.read for option in trigger_options([kind])}
    try:
        return kind.from_options({name: readers[name](value) for name, value in values.items()})
    except ValueError as error:
        raise TimerError(str(error), field="any_of") from None


def _of_json(values: Any) -> Trigger:
    options = dict(values)
    return trigger_kind(options.pop("kind")).from_json(options)
