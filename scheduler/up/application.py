"""What of a user's module answers requests, and within which bounds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ..engine.http_server import Capacity
from ..errors import TargetError
from ..formats import display
from ..functions.loading import Target
from ..functions.registry import Registry
from ..project.project import Project
from ..store.database import Store
from ..store.declarations import Change, Effect, declared_timers, synchronise


def application(loaded: Target) -> Any:
    """What answers requests: the module's `application`, as WSGI servers look for it, else the engine."""
    named = getattr(loaded.module, "application", None)
    found = named if callable(named) else loaded.application
    if not callable(found):
        raise TargetError(f"{loaded.name} has functions but no engine to serve them; it needs: engine = Engine()")
    return found


def capacity(loaded: Target) -> Capacity:
    """As much as the engine takes, and some more threads for ping and the site."""
    return Capacity.of(loaded.application)


def take_over(store: Store, registry: Registry, project: Project) -> list[Change]:
    """Bring the store in line with what functions declare; TimerError names the function that declares it wrongly."""
    declared = declared_timers(registry, project.environment, project.settings.tz)
    return synchronise(store, declared, project.environment, now=datetime.now(UTC), quota=project.settings.max_timers)


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
