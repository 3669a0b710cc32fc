"""Which WSGI application of a user's module is served, and with how many threads."""

from __future__ import annotations

from typing import Any

from ..engine.http_server import Capacity
from ..engine.wsgi_apps import checked_app
from ..errors import TargetError
from ..functions.loading import Target


def application(loaded: Target) -> Any:
    """The module's `application`, the name that WSGI servers look for, else the engine."""
    named = getattr(loaded.module, "application", None)
    app = checked_app(named) if callable(named) else loaded.application
    if not callable(app):
        raise TargetError(f"{loaded.name} has functions but no engine to serve them; it needs: engine = Engine()")
    return app


def capacity(loaded: Target) -> Capacity:
    """The capacity of the engine, and some more threads for ping and the site."""
    return Capacity.of(loaded.application)
