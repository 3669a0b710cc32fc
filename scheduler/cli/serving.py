"""What of a user's module answers requests, and with how many threads."""

from __future__ import annotations

from typing import Any

from ..engine.serving import SPARE_THREADS
from ..errors import TargetError
from ..target import Target


def application(loaded: Target) -> Any:
    """What answers requests: the module's `application`, as WSGI servers look for it, else the engine."""
    named = getattr(loaded.module, "application", None)
    found = named if callable(named) else loaded.application
    if not callable(found):
        raise TargetError(f"{loaded.name} has functions but no engine to serve them; it needs: engine = Engine()")
    return found


def threads(loaded: Target) -> int:
    """As many as the engine lets functions run, and some more for ping and the site."""
    return int(getattr(loaded.application, "max_concurrency", 64)) + SPARE_THREADS
