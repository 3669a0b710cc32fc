"""Selects the WSGI application of a user's module, and its number of threads."""

from __future__ import annotations

from typing import Any

from ..engine.http_server import Capacity
from ..engine.request import FORM_LIMIT_BYTES
from ..engine.wsgi_apps import checked_app
from ..errors import TargetError
from ..functions.loading import Target


def application(loaded: Target) -> Any:
    """The module's `application`, the name that WSGI servers look for, else the engine."""
    named = getattr(loaded.module, "application", None)
    app = checked_app(named) if callable(named) else loaded.application
    if callable(app) and not hasattr(app, "body_limit") and hasattr(loaded.application, "body_limit"):
        return Wrapped(app, loaded.application)
    if not callable(app):
        raise TargetError(f"{loaded.name} has functions but no engine to serve them; it needs: engine = Engine()")
    return app


class Wrapped:
    """A user's own WSGI app around the engine, with a limit for the bodies of strangers.

    The limit is never 0, because the app may add credentials to a request, whose body the engine then needs.
    """

    def __init__(self, app: Any, engine: Any) -> None:
        self._app = app
        self._engine = engine

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._app(environ, start_response)

    def body_limit(self, environ: Any) -> int:
        """The engine's limit, and at least that of a form with credentials; see `Engine.body_limit`."""
        return max(int(self._engine.body_limit(environ)), FORM_LIMIT_BYTES)


def capacity(loaded: Target) -> Capacity:
    """The capacity of the engine, plus some threads for ping and the site."""
    return Capacity.of(loaded.application)
