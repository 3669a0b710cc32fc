"""FireTimes: a source of fire times; the simplest ones are those of an expression, and none at all. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from quartzcron import CronExpression

_MICROSECOND = timedelta(microseconds=1)


class FireTimes(Protocol):
    """A source of fire times: a trigger, perhaps shifted or limited to a window."""

    def next_fire(self, after: datetime) -> datetime | None:
        """The first fire time strictly after an instant, or None."""
        ...

    def prev_fire(self, before: datetime) -> datetime | None:
        """The last fire time strictly before an instant, or None."""
        ...

    def count(self, start: datetime, end: datetime) -> int:
        """How many fire times lie in [start, end)."""
        ...

    @property
    def anchor(self) -> datetime | None:
        """The instant from which fire times are counted, None for a schedule that follows the calendar alone."""
        ...


@dataclass(frozen=True, slots=True)
class Compiled:
    """The fire times of an expression of the calculator."""

    compiled: CronExpression

    def next_fire(self, after: datetime) -> datetime | None:
        return self.compiled.next_fire(after)

    def prev_fire(self, before: datetime) -> datetime | None:
        return self.compiled.prev_fire(before)

    def count(self, start: datetime, end: datetime) -> int:
        # The calculator counts what lies in (start, end].
        return self.compiled.count(start - _MICROSECOND, end - _MICROSECOND)

    @property
    def anchor(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Never:
    """Never fire."""

    def next_fire(self, after: datetime) -> None:  # noqa: ARG002
        return None

    def prev_fire(self, before: datetime) -> None:  # noqa: ARG002
        return None

    def count(self, start: datetime, end: datetime) -> int:  # noqa: ARG002
        return 0

    @property
    def anchor(self) -> None:
        return None


NEVER = Never()
