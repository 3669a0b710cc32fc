"""The table of trigger kinds, and reading a trigger of the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from quartzcron.calendars import WorkingDays

from ..errors import TimerError
from .any_of import AnyOf
from .at import At
from .calendrical import Calendrical
from .fire_times import FireTimes
from .kind_registry import (
    TRIGGERS,
    choices,
    chosen_kind,
    listed,
    plugin_faults,
    plugins,
    trigger_columns,
    trigger_kind,
    trigger_kinds,
    trigger_options,
)
from .rrule import RRule
from .triggers import Cron, Every, Trigger, TriggerOption

__all__ = [
    "TRIGGERS",
    "UnreadableTrigger",
    "choices",
    "chosen_kind",
    "listed",
    "plugin_faults",
    "plugins",
    "read_trigger",
    "trigger_columns",
    "trigger_kind",
    "trigger_kinds",
    "trigger_options",
]

#: The built-in kinds, in the order of the help.
BUILT_IN: tuple[type[Trigger], ...] = (Cron, Every, Calendrical, At, RRule, AnyOf)
TRIGGERS.update({cls.kind: cls for cls in BUILT_IN})


def read_trigger(kind: str, text: str) -> Trigger:
    """A trigger from its kind and JSON in the store; an UnreadableTrigger if that fails."""
    try:
        return trigger_kind(kind).from_json(json.loads(text))
    except TimerError as error:
        return UnreadableTrigger(kind, text, str(error))
    except Exception as error:  # a class of another package may raise anything
        return UnreadableTrigger(kind, text, f"the trigger {text} cannot be read as {kind!r}: {error!r}")


@dataclass(frozen=True, slots=True)
class UnreadableTrigger(Trigger):
    """A trigger of the store that this process cannot read: shown and kept unchanged, never fires here.

    Its package is not installed here, or has another version; a daemon that can read it fires its timer.
    """

    kind: ClassVar[str] = ""
    options: ClassVar[tuple[TriggerOption, ...]] = ()

    stored_kind: str
    text: str
    reason: str

    def next_fire(self, after: datetime) -> None:  # noqa: ARG002
        return None

    def prev_fire(self, before: datetime) -> None:  # noqa: ARG002
        return None

    def count(self, start: datetime, end: datetime) -> int:  # noqa: ARG002
        return 0

    @property
    def has_days(self) -> bool:
        return True

    def on(self, working_days: WorkingDays, roll: str) -> FireTimes:  # noqa: ARG002
        return self

    def as_json(self) -> dict[str, Any]:
        try:
            values = json.loads(self.text)
        except ValueError:
            return {}
        return values if isinstance(values, dict) else {}

    def stored(self) -> tuple[str, str]:
        return self.stored_kind, self.text

    def __str__(self) -> str:
        return f"unreadable: {self.reason}"
