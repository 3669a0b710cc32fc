"""The HTTP responses of the engine: JSON with a length, open to other origins.

Lives here: `Response`, its headers, and the CORS preflight. Never here: the values of answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .failures import STATUS_LINES, Failure, encode

Headers = list[tuple[str, str]]

_OLD_NAMES = (
    "Application-Id",
    "Application-Key",
    "Application-Production",
    "Client-Version",
    "Session-Token",
    "Request-sign",
    "Super-Key",
)
ALLOWED_HEADERS = ", ".join(
    [
        "Content-Type",
        *(f"X-LC-{name}" for name in ("Id", "Key", "Sign", "Session", "Prod", "UA", "Hook-Key")),
        *(f"X-{vendor}-{name}" for vendor in ("AVOSCloud", "Uluru") for name in _OLD_NAMES),
        "X-Requested-With",
    ]
)
ALLOWED_METHODS = "PUT, GET, POST, DELETE, OPTIONS"
PREFLIGHT_MAX_AGE_S = 86_400

_ORIGIN = re.compile(r"[\x21-\x7e]{1,2048}")


class Response(NamedTuple):
    """Status line, headers and body, ready for start_response."""

    status: str
    headers: Headers
    body: bytes


def success(body: bytes, environ: Mapping[str, Any], request_id: str) -> Response:
    """A 200 with a body of JSON."""
    return _json("200 OK", body, environ, request_id)


def failure(refused: Failure, environ: Mapping[str, Any], request_id: str) -> Response:
    """A failure as JSON: `code`, `error`, and the request id to search the log for."""
    status = STATUS_LINES.get(refused.status) or f"{refused.status} Refused"
    body = {"code": refused.code, "error": refused.error, "requestId": request_id}
    response = _json(status, encode(body), environ, request_id)
    if refused.status == 405:
        response.headers.append(("Allow", ALLOWED_METHODS))
    return response


def preflight(environ: Mapping[str, Any]) -> Response:
    """The answer to OPTIONS: the allowed origins, methods and headers; it needs no credentials."""
    allowed = [
        ("Access-Control-Allow-Methods", ALLOWED_METHODS),
        ("Access-Control-Allow-Headers", ALLOWED_HEADERS),
        ("Access-Control-Max-Age", str(PREFLIGHT_MAX_AGE_S)),
    ]
    return Response("204 No Content", _origin(environ) + allowed, b"")


def _json(status: str, body: bytes, environ: Mapping[str, Any], request_id: str) -> Response:
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("X-Request-Id", request_id),
    ]
    return Response(status, headers + _origin(environ), body)


def _origin(environ: Mapping[str, Any]) -> Headers:
    origin = environ.get("HTTP_ORIGIN")
    if origin and _ORIGIN.fullmatch(origin):
        return [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
    return [("Access-Control-Allow-Origin", "*")]
