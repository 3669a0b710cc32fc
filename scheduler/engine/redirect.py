"""A WSGI middleware that sends plain HTTP to HTTPS in production.

Lives here: that decision, made from X-Forwarded-Proto as LeanEngine's load balancer sets it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

from .environment import PRODUCTION, app_environment
from .routes import match

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: Endpoints that monitors and the platform call over plain HTTP.
EXEMPT = ("ping", "metadatas")

_HOST = re.compile(r"[A-Za-z0-9._\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


class HttpsRedirectMiddleware:
    """Redirect plain HTTP to HTTPS when LEANCLOUD_APP_ENV is `production`: 301 for GET and HEAD, else 308.

    Ping and `_ops/metadatas` are not redirected (engine protocol § 5).
    """

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._app = wsgi_app

    def body_limit(self, environ: WSGIEnvironment) -> int | None:
        """That of the wrapped app, None if it has no limit of its own; see `Engine.body_limit`."""
        limit = getattr(self._app, "body_limit", None)
        return None if limit is None else limit(environ)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Redirect a request, or pass it on."""
        location = _location(environ) if _is_plain(environ) and app_environment() == PRODUCTION else None
        if location is None:
            return self._app(environ, start_response)
        status = "301 Moved Permanently" if environ["REQUEST_METHOD"] in ("GET", "HEAD") else "308 Permanent Redirect"
        start_response(status, [("Location", location), ("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []


def _is_plain(environ: WSGIEnvironment) -> bool:
    if environ.get("HTTP_X_FORWARDED_PROTO", "").partition(",")[0].strip().lower() == "https":
        return False
    matched = match(environ.get("PATH_INFO", ""))
    return matched is None or matched.endpoint.name not in EXEMPT


def _location(environ: WSGIEnvironment) -> str | None:
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    if not _HOST.fullmatch(host):  # an invalid host must not reach a header
        return None
    path = quote(
        environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), safe="/;=,:@!$&'()*+~", encoding="latin-1"
    )
    query = environ.get("QUERY_STRING", "")
    return f"https://{host}{path or '/'}" + (f"?{quote(query, safe=_QUERY)}" if query else "")


_QUERY = "%/?:@!$&'()*+,;=~[]"
