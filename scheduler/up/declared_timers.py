"""Timers that functions declare: added to the store when `scheduler up` starts, and what changed is logged."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from ..formats import display
from ..functions.registry import Registry
from ..project.project import Project
from ..store.database import Store
from ..store.declarations import Change, Effect, Synchronised, synchronise_valid
from ..store.declared import read_declarations


def synchronise_declared(store: Store, registry: Registry, project: Project) -> Synchronised:
    """Add, change and disable timers of the store as the functions declare them; a wrong declaration is left out."""
    settings, environment = project.settings, project.environment
    declared = read_declarations(registry, environment, settings.default_zone)
    return synchronise_valid(store, declared, environment, now=datetime.now(UTC), quota=settings.max_timers)


def log_synchronised(done: Synchronised, target: str, log: logging.Logger) -> None:
    """Log what the declarations of a target have changed, and which of them are wrong."""
    for fault in done.faults:
        log.error("%s: %s; everything else is served", target, fault)
    for change in done.changes:
        level = logging.WARNING if change.effect in _SURPRISING else logging.INFO
        log.log(level, "%s: %s%s", target, change, _next_step(change))


_SURPRISING = {Effect.ADOPTED, Effect.DISABLED, Effect.ZONE_KEPT}


def _next_step(change: Change) -> str:
    if change.effect is not Effect.ADDED or change.timer.enabled:
        return ""
    return f"; enable it with:  {display.command('timers', 'enable', change.timer.name)}"
