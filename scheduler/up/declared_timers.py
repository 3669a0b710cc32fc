"""Applies the timers that functions declare to the store when `scheduler up` starts, and logs the changes.

The process that has loaded the functions reports their declarations (web.py); the one that has the store applies them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..core.timer import Environment
from ..errors import SchedulerError
from ..formats import display
from ..formats.error_text import explained
from ..functions.declarations import from_data, idle_options
from ..project.project import Project
from ..store.database import Store
from ..store.declaration_sync import Change, DeclarationEffect, Synchronised, synchronise_valid
from .served_functions import record_functions

#: Declarations as JSON values.
Reported = Mapping[str, Any]


def apply(store: Store, declared: Reported, project: Project, environment: Environment) -> Synchronised:
    """Add, change and disable timers of the store as the functions declare them; skip invalid declarations."""
    now, quota = datetime.now(UTC), project.settings.max_timers
    return synchronise_valid(store, from_data(declared), environment, now=now, quota=quota)


def apply_all(store: Store, functions: Mapping[str, Any], project: Project) -> Callable[[], None]:
    """Apply the reported declarations, and those of a preview; returns a function that logs the changes.

    Invalid declarations of a preview are logged, and are not an error.
    """
    done = apply(store, functions["declared"], project, project.environment)
    record_functions(store, functions, project)
    log_preview = apply_preview(store, functions.get("preview_declared"), project, functions.get("preview_target"))

    def log_all() -> None:
        log = logging.getLogger("scheduler.up")
        for sentence in idle_options(from_data(functions["declared"])):
            log.warning("%s: %s", functions["target"], sentence)
        log_synchronised(done, functions["target"], log)
        log_preview()

    return log_all


def apply_preview(store: Store, declared: Reported | None, project: Project, target: str | None) -> Callable[[], None]:
    """The same for a preview only, None for one that has not loaded."""
    log = logging.getLogger("scheduler.stage")
    if declared is None:
        return lambda: None
    try:
        done = apply(store, declared, project, Environment.STAGE)
    except SchedulerError as error:
        text = explained(error)
        return lambda: log.error("the timers that %s declares are not in the store: %s", target, text)
    return lambda: log_synchronised(done, str(target), log)


def log_synchronised(done: Synchronised, target: str, log: logging.Logger) -> None:
    """Log the changes by the declarations of a target, and the invalid ones."""
    for fault in done.faults:
        log.error("%s: %s; everything else is served", target, fault)
    for change in done.changes:
        level = logging.WARNING if change.effect in _SURPRISING else logging.INFO
        log.log(level, "%s: %s%s", target, change, _next_step(change))


_SURPRISING = {DeclarationEffect.ALREADY_THERE, DeclarationEffect.DISABLED, DeclarationEffect.ZONE_KEPT}


def _next_step(change: Change) -> str:
    if change.effect is not DeclarationEffect.ADDED or change.timer.enabled:
        return ""
    return f"; enable it with:  {display.command('timers', 'enable', change.timer.name)}"
