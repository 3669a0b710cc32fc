"""Timers that functions declare: added to the store when `scheduler up` starts, and what changed is logged."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from ..formats import display
from ..functions.registry import Registry
from ..project.project import Project
from ..store.database import Store
from ..store.declarations import Change, Effect, declared_timers, synchronise


def synchronise_declared(store: Store, registry: Registry, project: Project) -> list[Change]:
    """Add, change and disable timers of the store as the functions declare them.

    TimerError names the function whose declaration is invalid.
    """
    declared = declared_timers(registry, project.environment, project.settings.tz)
    return synchronise(store, declared, project.environment, now=datetime.now(UTC), quota=project.settings.max_timers)


def log_changes(changes: Sequence[Change], target: str, log: logging.Logger) -> None:
    """Log what the declarations of a target have changed."""
    for change in changes:
        level = logging.WARNING if change.effect in _SURPRISING else logging.INFO
        log.log(level, "%s: %s%s", target, change, _next_step(change))


_SURPRISING = {Effect.ADOPTED, Effect.DISABLED}


def _next_step(change: Change) -> str:
    if change.effect is not Effect.ADDED or change.timer.enabled:
        return ""
    return f"; enable it with:  {display.command('timers', 'enable', change.timer.name)}"
