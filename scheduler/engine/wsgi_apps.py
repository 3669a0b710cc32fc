"""Checks the site that an engine serves beside its functions: it must be a WSGI app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ConfigError

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def checked_app(app: WSGIApplication) -> WSGIApplication:
    """Refuse an app that is not WSGI, with advice; otherwise it would fail at each request."""
    if not callable(app):
        raise ConfigError(f"a site must be a WSGI app, which is callable; got {app!r:.200}")
    if _is_asgi(app):
        raise ConfigError(
            f"{_name(app)} is an ASGI app, and an engine wraps WSGI apps (Flask, Django's get_wsgi_application(), "
            "bottle …); serve the ASGI app by its own server beside an Engine() without an app, or wrap it as "
            "a2wsgi.ASGIMiddleware(app), from the package a2wsgi"
        )
    return app


def _is_asgi(app: Any) -> bool:
    """Whether an app is ASGI: a coroutine function, or one with the parameters scope, receive and send."""
    import inspect  # slow to import, and needed only where there is a site

    call = app if inspect.isroutine(app) else getattr(app, "__call__", app)  # noqa: B004  the method is looked at
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(call):
        return True
    try:
        parameters = list(inspect.signature(call).parameters)
    except (TypeError, ValueError):  # a callable without a signature, such as one written in C
        return False
    return parameters[:3] == ["scope", "receive", "send"]


def _name(app: Any) -> str:
    if hasattr(app, "__qualname__"):  # a function
        return str(app.__qualname__)
    return f"{type(app).__module__}.{type(app).__qualname__}"
