"""At, the trigger that fires at given instants, each once. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any, ClassVar, Self

from quartzcron.calendars import WorkingDays

from ..default_rules import assumed_tz
from ..errors import TimerError, shown
from .fire_times import NEVER, FireTimes
from .timestamps import at_wall_time, check_instant, in_utc, instant, stamp
from .triggers import TZ, Trigger, TriggerOption, is_calendrical
from .zone_names import named, zone

MAX_INSTANTS = 1_000


def read_instants(value: Any) -> Any:
    """The instants of a list, or of a comma-separated text."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return value
    raise ValueError(f"expected instants as in 2026-12-24T18:00:00+08:00, got {shown(value, 60)}")


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else ", ".join(value)


#: The instants of At, and the time of day of an interval by the calendar.
AT = TriggerOption(
    name="at",
    flag="--at",
    read=read_instants,
    cell=_cell,
    metavar="TIME",
    help="Fire once, at '2026-12-24 18:00', 'in 20 minutes' or 'next monday 9:00'; may be repeated. "
    "Beside --every '2 weeks' the time of day.",
    field="instants",
    noun="an instant",
    example="2026-12-24 18:00",
    is_repeatable=True,
)


@dataclass(frozen=True, slots=True, init=False)
class At(Trigger):
    """Fires once at each of up to 1,000 instants: datetimes, or texts in ISO 8601.

    An instant without an offset is a wall time of the zone `tz`, by default that of this machine (see Cron).

    >>> from datetime import UTC
    >>> eve = At("2026-12-24 18:00", tz="Asia/Shanghai")
    >>> eve.next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-12-24T10:00:00+00:00'
    >>> eve.next_fire(datetime(2026, 12, 24, 10, tzinfo=UTC)) is None
    True
    """

    kind: ClassVar[str] = "at"
    options: ClassVar[tuple[TriggerOption, ...]] = (AT, TZ)

    instants: tuple[datetime, ...]
    tz: str

    def __init__(self, *instants: datetime | str, tz: str | tzinfo | None = None) -> None:
        name = assumed_tz() if tz is None else named(tz)
        if not 1 <= len(instants) <= MAX_INSTANTS:
            raise TimerError(
                f"a trigger has from 1 to {MAX_INSTANTS:,} instants, got {len(instants):,}", field="instants"
            )
        found = {_in_utc(given, zone(name)) for given in instants}
        object.__setattr__(self, "instants", tuple(sorted(found)))
        object.__setattr__(self, "tz", name)

    @classmethod
    def of_any_number(cls, instants: Iterable[datetime], tz: str) -> At:
        """The same for any number of instants in UTC, which have been checked."""
        made: At = object.__new__(cls)
        object.__setattr__(made, "instants", tuple(sorted(instants)))
        object.__setattr__(made, "tz", tz)
        return made

    def next_fire(self, after: datetime) -> datetime | None:
        place = bisect_right(self.instants, after)
        return self.instants[place] if place < len(self.instants) else None

    def prev_fire(self, before: datetime) -> datetime | None:
        place = bisect_left(self.instants, before)
        return self.instants[place - 1] if place else None

    def count(self, start: datetime, end: datetime) -> int:
        return max(0, bisect_left(self.instants, end) - bisect_left(self.instants, start))

    @property
    def has_days(self) -> bool:
        return True

    def on(self, working_days: WorkingDays, roll: str) -> FireTimes:
        tz = zone(self.tz)
        walls = [fire.astimezone(tz).replace(tzinfo=None) for fire in self.instants]
        days = [working_days.rolled(wall.date(), roll) for wall in walls]
        moved = {
            fire if day == wall.date() else at_wall_time(datetime.combine(day, wall.time()), tz).astimezone(UTC)
            for fire, wall, day in zip(self.instants, walls, days, strict=True)
            if day is not None
        }
        return At.of_any_number(moved, self.tz) if moved else NEVER

    @property
    def gap(self) -> timedelta | None:
        return min((later - earlier for earlier, later in pairwise(self.instants)), default=None)

    @classmethod
    def is_chosen(cls, values: Mapping[str, Any]) -> bool:
        return values.get(AT.name) is not None and not is_calendrical(values)

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Self:
        given = values["at"]
        alone = isinstance(given, str | datetime) or not isinstance(given, Iterable)
        return cls(*([given] if alone else given), tz=values.get("tz") or None)

    def option_values(self) -> dict[str, Any]:
        tz = zone(self.tz)
        return {"at": [fire.astimezone(tz).isoformat() for fire in self.instants], "tz": self.tz}

    def as_json(self) -> dict[str, Any]:
        return {"instants": [stamp(fire) for fire in self.instants], "tz": self.tz}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(*map(instant, values["instants"]), tz=values["tz"])

    def __str__(self) -> str:
        tz = zone(self.tz)
        first, *others = [fire.astimezone(tz).isoformat(sep=" ", timespec="auto") for fire in self.instants]
        if not others:
            return f"at {first}"
        return f"at {first} and {others[0]}" if len(others) == 1 else f"{len(others) + 1:,} times from {first} on"


def _in_utc(given: Any, tz: tzinfo) -> datetime:
    found = in_utc("at", check_instant("at", given), tz)
    if found is None:
        raise TimerError(
            f"at: expected an instant as in 2026-12-24T18:00:00+08:00, got {shown(given, 60)}", field="instants"
        )
    return found
