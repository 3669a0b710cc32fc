"""Timers that are declared beside their functions: taken over at the start of `up`, and what changed is said."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from ..formats import display
from ..functions.registry import Registry
from ..project.project import Place
from ..store.database import Store
from ..store.declarations import Change, Effect, declared_timers, synchronise


def take_over(store: Store, registry: Registry, place: Place) -> list[Change]:
    """Bring the store in line with what functions declare; TimerError names the function that declares it wrongly."""
    declared = declared_timers(registry, place.environment, place.config.tz)
    return synchronise(store, declared, place.environment, now=datetime.now(UTC), quota=place.config.max_timers)


def say(changes: Sequence[Change], target: str, log: logging.Logger) -> None:
    """Say what the declarations of a target have changed."""
    for change in changes:
        level = logging.WARNING if change.effect in _SURPRISING else logging.INFO
        log.log(level, "%s: %s%s", target, change, _next_step(change))


_SURPRISING = {Effect.ADOPTED, Effect.DISABLED}


def _next_step(change: Change) -> str:
    if change.effect is not Effect.ADDED or change.timer.enabled:
        return ""
    return f"; enable it with:  {display.command('timers', 'enable', change.timer.name)}"
