"""HttpsRedirectMiddleware: redirects plain HTTP to HTTPS in production.

Lives here: that decision, made from X-Forwarded-Proto as LeanEngine's load balancer sets it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

from .environment import PRODUCTION, app_environment
from .failures import Failure
from .host import is_host
from .request import request_id
from .response import failure
from .routes import match

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: Endpoints that monitors and the platform call over plain HTTP.
EXEMPT = ("ping", "metadatas")


class HttpsRedirectMiddleware:
    """Redirect plain HTTP to HTTPS when LEANCLOUD_APP_ENV is `production`: 301 for GET and HEAD, else 308.

    Ping and `_ops/metadatas` are not redirected (engine protocol § 5). A request without one valid Host is refused.
    """

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._app = wsgi_app

    def body_limit(self, environ: WSGIEnvironment) -> int | None:
        """The limit of the wrapped app, None if it has none; see `Engine.body_limit`."""
        limit = getattr(self._app, "body_limit", None)
        return None if limit is None else limit(environ)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Redirect a request, or pass it on."""
        if not (_is_plain(environ) and app_environment() == PRODUCTION):
            return self._app(environ, start_response)
        host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
        if not is_host(host):  # an invalid Host must not reach a header, and plain HTTP is not served
            refused = failure(_INVALID_HOST, environ, request_id(None))
            start_response(refused.status, refused.headers)
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [refused.body]
        location = _location(host, environ)
        status = "301 Moved Permanently" if environ["REQUEST_METHOD"] in ("GET", "HEAD") else "308 Permanent Redirect"
        start_response(status, [("Location", location), ("Content-Type", "text/plain"), ("Content-Length", "0")])
        return []


def _is_plain(environ: WSGIEnvironment) -> bool:
    if environ.get("HTTP_X_FORWARDED_PROTO", "").partition(",")[0].strip().lower() == "https":
        return False
    matched = match(environ.get("PATH_INFO", ""))
    return matched is None or matched.endpoint.name not in EXEMPT


def _location(host: str, environ: WSGIEnvironment) -> str:
    path = quote(
        environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), safe="/;=,:@!$&'()*+~", encoding="latin-1"
    )
    query = environ.get("QUERY_STRING", "")
    return f"https://{host}{path or '/'}" + (f"?{quote(query, safe=_QUERY)}" if query else "")


_QUERY = "%/?:@!$&'()*+,;=~[]"
_INVALID_HOST = Failure(400, 400, "The Host of the request is invalid.")
