"""Timers that are declared beside their functions, with @engine.timer: added to the store where it lacks them.

What the store has already stays as it is, so that an operator's edit outlives a restart. As every timer, a declared
one is created disabled, unless it says `enabled=True`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..errors import TimerError
from ..functions import Registry, TimerDeclaration
from ..store import Store
from ..timer import Cron, Every, Timer
from ..timetable import Timetable
from .place import Place


def declared_timers(registry: Registry, place: Place) -> list[Timer]:
    """The timers that functions declare; TimerError names the function whose declaration is wrong."""
    return [_timer(declaration, place) for declaration in registry.timers]


def add_missing(store: Store, declared: list[Timer], *, quota: int) -> list[Timer]:
    """Add the declared timers that the store lacks; returns them."""
    timetable = Timetable(store)
    kept = {(entry.timer.environment, entry.timer.name) for entry in timetable.list()}
    missing = [timer for timer in declared if (timer.environment, timer.name) not in kept]
    if missing:
        timetable.add(missing, now=datetime.now(UTC), quota=quota)
    return missing


def _timer(declaration: TimerDeclaration, place: Place) -> Timer:
    options: dict[str, Any] = {"name": declaration.function, "environment": place.environment, **declaration.options}
    try:
        trigger = _trigger(declaration.schedule, options, place.config.tz)
        return Timer(function=declaration.function, trigger=trigger, **_attributes(options))
    except (TypeError, TimerError) as error:
        raise TimerError(f"@engine.timer of {declaration.function!r}: {error}") from error


def _trigger(schedule: str | None, options: dict[str, Any], default_tz: str) -> Cron | Every:
    every, tz, dst = options.pop("every", None), options.pop("tz", default_tz), options.pop("dst", "vixie")
    if (schedule is None) == (every is None):
        raise TimerError('give an expression or an interval, as in "0 0 8 ? * MON" or every=60')
    return Cron(schedule, tz, dst) if schedule is not None else Every(every)


def _attributes(options: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := options.keys() - _KNOWN:
        raise TimerError(
            f"there is no option {min(unknown)!r}; options are every, tz, dst, {', '.join(sorted(_KNOWN))}"
        )
    return dict(options)


_KNOWN = frozenset(Timer.__dataclass_fields__) - {"function", "trigger"}
