"""Builds the management API at the first request to it, because most visitors only read pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from .current import Console

if TYPE_CHECKING:
    from flask_openapi3.openapi import OpenAPI

#: Where the API is.
ADDRESS = "/api/1"


class LazyApi:
    """The API of a console, as a WSGI application."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = Lock()
        self._app: OpenAPI | None = None

    @property
    def app(self) -> OpenAPI:
        """The application."""
        with self._lock:
            if self._app is None:
                from .api.app import make_api

                self._app = make_api(self._console)
            return self._app

    @property
    def document(self) -> Mapping[str, Any]:
        """Its OpenAPI document."""
        return self.app.api_doc

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        return self.app(environ, start_response)
