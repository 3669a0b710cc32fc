"""Triggers: they compute the fire times of a timer. Pure: an instant goes in, an instant comes out.

A kind of trigger is a class: its fire times, its stored form, and the options that define one. trigger_kinds.py has the
table of kinds.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, ClassVar, Self

from quartzcron import CronError, CronExpression
from quartzcron.calendars import WorkingDays

from ..default_rules import DEFAULT_TZ_HELP, assumed_tz
from ..errors import TimerError, shown
from .fire_times import Compiled, FireTimes
from .intervals import calendar_interval, read_interval, seconds_of
from .options import Option, trimmed, word
from .timestamps import EPOCH, instant, stamp
from .zone_names import named

MAX_INTERVAL_S = 366 * 86_400

_MICROSECOND = timedelta(microseconds=1)
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerOption(Option):
    """An option of a trigger.

    `field` is the attribute of the trigger that it sets, by default `name`. `noun` names the value in messages (an
    interval), `example` is a value as a user writes it. The command line takes one that `is_repeatable`
    several times.
    """

    field: str = ""
    noun: str = ""
    example: str = ""
    is_repeatable: bool = False

    def __post_init__(self) -> None:
        Option.__post_init__(self)
        object.__setattr__(self, "field", self.field or self.name)


class Trigger(ABC):
    """A kind of trigger, and the type of a timer's `trigger`.

    A subclass is a frozen dataclass. Its `kind` is the word for it in the store, its first option is the one that
    chooses it (`--cron`, `--at`), and the others may be shared with other kinds. The methods here for options and JSON
    suit kinds whose options each set one field to a JSON value; other kinds override them.
    """

    __slots__ = ()

    kind: ClassVar[str]
    options: ClassVar[tuple[TriggerOption, ...]]

    @abstractmethod
    def next_fire(self, after: datetime) -> datetime | None:
        """The first fire time strictly after an instant, or None."""

    @abstractmethod
    def prev_fire(self, before: datetime) -> datetime | None:
        """The last fire time strictly before an instant, or None."""

    @abstractmethod
    def count(self, start: datetime, end: datetime) -> int:
        """How many fire times lie in [start, end)."""

    @property
    def gap(self) -> timedelta | None:
        """The shortest time from one fire to the next; None if there are fewer than two, or it is unknown."""
        return None

    @property
    def has_days(self) -> bool:
        """Whether its fires are on days of a time zone, so that a calendar may move them: whether it has `on`."""
        return False

    def on(self, working_days: WorkingDays, roll: str) -> FireTimes:  # noqa: ARG002
        """Its fire times, those on days off left out or moved by a roll convention."""
        raise TimerError(f"{self} has no days that a calendar could move", field="calendar")

    @property
    def tz(self) -> str | None:
        """The time zone in which to show its fire times; None for that of the project."""
        return None

    @property
    def anchor(self) -> datetime | None:
        """The instant from which fire times are counted, None for a trigger that follows the calendar alone."""
        return None

    def anchored(self, now: datetime) -> Self:  # noqa: ARG002
        """The trigger with its anchor at `now`; itself if it has none."""
        return self

    @classmethod
    def is_chosen(cls, values: Mapping[str, Any]) -> bool:
        """Whether option values are of this kind: by default, whether its first option has a value."""
        return values.get(cls.options[0].name) is not None

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Self:
        """The trigger with these option values, by name of the option; the dataclass has the defaults."""
        return cls(**{option.field: values[option.name] for option in cls.options if option.name in values})

    def option_values(self) -> dict[str, Any]:
        """The values of its options, by name of the option."""
        return {option.name: getattr(self, option.field) for option in self.options}

    def as_json(self) -> dict[str, Any]:
        """The trigger as a JSON object."""
        return {option.field: getattr(self, option.field) for option in self.options}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The trigger that a JSON object describes."""
        return cls(**values)

    def stored(self) -> tuple[str, str]:
        """Its kind and its JSON as text, for the store."""
        return self.kind, _COMPACT.encode(self.as_json())


#: The options of a trigger with a time zone.
TZ = TriggerOption(
    name="tz",
    flag="--tz",
    read=trimmed,
    metavar="ZONE",
    help=f"Time zone of the trigger ({DEFAULT_TZ_HELP}).",
    synonyms=("timezone",),
    noun="time zone",
)
DST = TriggerOption(
    name="dst",
    flag="--dst",
    read=word,
    choices=("vixie", "quartz"),
    help="Rule for clock changes (default vixie).",
    noun="time zone",
)


@dataclass(frozen=True, slots=True)
class Cron(Trigger):
    """Fires at the times of a Quartz expression, in a time zone.

    `tz` defaults to the zone of this machine when the value is made: that of the variable TZ, else of /etc/localtime,
    else UTC. Under LeanCloud's rules, which its environment variables or SCHEDULER_RULES=leancloud select, it defaults
    to Asia/Shanghai.

    >>> from datetime import UTC
    >>> Cron("0 0 8 ? * MON", tz="Asia/Shanghai").next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-05T00:00:00+00:00'
    """

    kind: ClassVar[str] = "cron"
    options: ClassVar[tuple[TriggerOption, ...]] = (
        TriggerOption(
            name="cron",
            flag="--cron",
            read=trimmed,
            metavar="EXPR",
            help="Fire on a Quartz expression, as in '0 0 8 ? * MON'.",
            synonyms=("expression",),
            field="expression",
            noun="an expression",
            example="0 0 8 ? * MON",
            is_repeatable=True,
        ),
        TZ,
        DST,
    )

    expression: str
    tz: str = field(default_factory=assumed_tz)
    dst: str = "vixie"

    def __post_init__(self) -> None:
        if type(self.tz) is not str:
            object.__setattr__(self, "tz", named(self.tz))
        if not isinstance(self.expression, str):
            raise TypeError(f"a cron expression must be a str, got {type(self.expression).__name__}")
        try:
            parsed = _parsed(self.expression, self.tz, self.dst)
        except CronError as error:
            check_zone_and_policy(self.tz, self.dst)
            raise TimerError(str(error), field="expression") from error
        if parsed.never_fires:
            raise TimerError(f"the expression {self.expression!r} never fires", field="expression")

    @property
    def compiled(self) -> CronExpression:
        """The expression as a value of the calculator."""
        return _parsed(self.expression, self.tz, self.dst)

    @property
    def has_days(self) -> bool:
        return True

    def on(self, working_days: WorkingDays, roll: str) -> FireTimes:
        return Compiled(self.compiled.on(working_days, roll))

    def next_fire(self, after: datetime) -> datetime | None:
        return _parsed(self.expression, self.tz, self.dst).next_fire(after)

    def prev_fire(self, before: datetime) -> datetime | None:
        return _parsed(self.expression, self.tz, self.dst).prev_fire(before)

    def count(self, start: datetime, end: datetime) -> int:
        # The calculator counts fire times in (start, end].
        return _parsed(self.expression, self.tz, self.dst).count(start - _MICROSECOND, end - _MICROSECOND)

    @property
    def gap(self) -> timedelta | None:
        """The shortest time from one fire to the next by wall clock, None if there are fewer than two."""
        return _min_gap(self.expression, self.tz, self.dst)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        # Thousands of timers share a few zones.
        return cls(values["expression"], sys.intern(values["tz"]), sys.intern(values["dst"]))

    def __str__(self) -> str:
        return f"{self.expression} ({self.tz})"


#: The interval of Every, and of Calendrical where the calendar counts it.
EVERY = TriggerOption(
    name="every",
    column="seconds",
    key="every_s",
    flag="--every",
    read=read_interval,
    metavar="INTERVAL",
    help="Fire at an interval: seconds, or 90s, 5m, 2h, 1d; counted by the calendar: '2 weeks', '3 months'.",
    synonyms=("every_s", "interval"),
    field="seconds",
    noun="an interval",
    example="60",
    is_repeatable=True,
)


def is_calendrical(values: Mapping[str, Any]) -> bool:
    """Whether the interval of option values is counted by the calendar: one of days is with a time, or a first day."""
    interval = calendar_interval(values.get("every"))
    if interval is None or not interval.days or interval.weeks or interval.months or interval.years:
        return interval is not None
    return any(values.get(name) not in (None, "", ()) for name in ("at", "on", "start"))


@dataclass(frozen=True, slots=True)
class Every(Trigger):
    """Fires every `seconds` seconds, counted from `anchor` (which is not a fire time itself); 1 s to 366 days.

    >>> from datetime import UTC
    >>> Every(90, anchor=datetime(2026, 1, 1, tzinfo=UTC)).next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-01T00:01:30+00:00'
    """

    kind: ClassVar[str] = "every"
    options: ClassVar[tuple[TriggerOption, ...]] = (EVERY,)

    seconds: int
    anchor: datetime = EPOCH

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int):
            raise TimerError(f"an interval must be a whole number of seconds, got {shown(self.seconds)}", field="every")
        if not 1 <= self.seconds <= MAX_INTERVAL_S:
            raise TimerError(
                f"an interval must be from 1 to {MAX_INTERVAL_S} s (366 days), got {shown(self.seconds)}", field="every"
            )

    def next_fire(self, after: datetime) -> datetime | None:
        return self._at(self._rank(after) + 1)

    def prev_fire(self, before: datetime) -> datetime | None:
        rank = self._rank(before - _MICROSECOND)
        return self._at(rank) if rank >= 1 else None

    def count(self, start: datetime, end: datetime) -> int:
        return max(0, self._rank(end - _MICROSECOND) - self._rank(start - _MICROSECOND))

    @property
    def gap(self) -> timedelta:
        """The time from one fire to the next."""
        return timedelta(seconds=self.seconds)

    @classmethod
    def is_chosen(cls, values: Mapping[str, Any]) -> bool:
        return values.get(EVERY.name) is not None and not is_calendrical(values)

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Self:
        try:
            seconds = seconds_of(values[EVERY.name])
        except ValueError as error:
            raise TimerError(f"an interval must be a whole number of seconds: {error}", field="every") from None
        return cls(seconds)

    def anchored(self, now: datetime) -> Self:
        return replace(self, anchor=now.replace(microsecond=0))

    def as_json(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "anchor_at": stamp(self.anchor)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(values["seconds"], anchor=instant(values["anchor_at"]))

    def _rank(self, instant: datetime) -> int:
        """The number of fire times up to and including an instant."""
        return max(0, (instant - self.anchor) // timedelta(seconds=self.seconds))

    def _at(self, rank: int) -> datetime | None:
        try:
            return self.anchor + timedelta(seconds=self.seconds * rank)
        except OverflowError:
            return None

    def __str__(self) -> str:
        # Not in days, which are those of a calendar.
        for unit_s, unit in ((3_600, "h"), (60, "min")):
            if self.seconds % unit_s == 0:
                return f"every {self.seconds // unit_s} {unit}"
        return f"every {self.seconds} s"


def check_zone_and_policy(tz: str, dst: str) -> None:
    """Refuse a zone or a policy that fails with a valid expression too."""
    for name, options in (("tz", {"tz": tz}), ("dst", {"dst": dst})):
        try:
            CronExpression("0 0 0 * * ?", **options)
        except CronError as error:
            raise TimerError(str(error), field=name) from error


@lru_cache(maxsize=4096)
def _parsed(expression: str, tz: str, dst: str) -> CronExpression:
    return CronExpression(expression, tz=tz, dst=dst)


@lru_cache(maxsize=4096)
def _min_gap(expression: str, tz: str, dst: str) -> timedelta | None:
    return _parsed(expression, tz, dst).min_gap
