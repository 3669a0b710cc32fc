"""What of a user's module answers requests, and within which bounds."""

from __future__ import annotations

from typing import Any

from ..engine.http_server import Capacity
from ..errors import TargetError
from ..functions.loading import Target


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
