"""The gates that every request passes: Host, origin, sign-in and role; and the headers of every answer.

A request that reaches a page has passed all of them. A gate answers a refused request itself, without any content of
the page.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, g, request
from werkzeug.exceptions import Forbidden, HTTPException, NotFound

from . import sessions
from .current import console
from .links import link
from .proxies import USER
from .reader import LANGUAGE, Reader, reader, reader_of
from .roles import NEEDS, Role
from .tokens import Token

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_YEAR_S = 365 * 86_400
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer, with which browsers send the origin `null` with a form, so that `_is_own` could not check it.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


class ForeignHostError(HTTPException):
    """A Host that is neither an address nor one of the names in the setting console_hosts."""

    code = 403


class ForeignFormError(HTTPException):
    """A form from another site."""

    code = 403


def install(app: Flask) -> None:
    """Install the gates before every endpoint of an application."""
    app.before_request(_identify)
    app.before_request(_check_host)
    app.before_request(_check_origin)
    app.before_request(_check_role)
    app.after_request(_with_headers)


def _identify() -> None:
    """Identify the reader; with a foreign Host it is anonymous, without reading the store."""
    g.reader = reader_of(request, console().settings, None)


def _check_host() -> None:
    if not is_own_host(request.host, console().settings.console_hosts):
        raise ForeignHostError


def _check_origin() -> None:
    if request.method not in _SAFE_METHODS and not _is_own():
        raise ForeignFormError


def _check_role() -> Response | None:
    cookie = request.cookies.get(console().cookie)
    token = sessions.token_of(cookie, console().tokens, now=console().now()) if request.endpoint != "static" else None
    g.reader = reader_of(request, console().settings, token or _token_of_proxy())
    # Even the answer to an unknown address needs a role.
    needed = NEEDS.get(request.endpoint or "", Role.VIEWER)
    if reader().role < needed:
        if reader().token is None:
            return _to_sign_in()
        raise Forbidden
    if request.endpoint is not None and request.endpoint not in NEEDS:
        raise NotFound
    return None


def _token_of_proxy() -> Token | None:
    """A token for the user that a trusted proxy has named, valid for this request."""
    user = request.environ.get(USER)
    if user is None:
        return None
    role = Role.OPERATOR if user.lower() in console().settings.console_operators else Role.VIEWER
    return Token(id=0, kind="proxy", name=user, role=role, digest="", created_at=console().now(), expires_at=None)


def _to_sign_in() -> Response:
    page = request.full_path.removesuffix("?") if request.method == "GET" and request.path != "/" else None
    answer = Response(status=303)
    answer.headers["Location"] = link("sign_in", next=page)
    return answer


def is_own_host(host: str, names: tuple[str, ...]) -> bool:
    """Whether a Host header is an address, `localhost`, or one of these names.

    An attacker's name may resolve to this machine (DNS rebinding), and browsers would treat both sites as one.

    >>> is_own_host("127.0.0.1:3001", ()), is_own_host("[::1]:3001", ()), is_own_host("evil.example", ())
    (True, True, False)
    """
    name = host.lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    if name == "localhost" or name in names:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_own() -> bool:
    """Whether a form comes from this site, by Sec-Fetch-Site, or because its origin is the Host."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    # Browsers omit Sec-Fetch-Site on plain HTTP to a name.
    try:
        origin = urlsplit(request.headers.get("Origin", ""))
    except ValueError:
        return False
    return origin.scheme in ("http", "https") and origin.netloc.lower() == request.host.lower()


def _with_headers(answer: Response) -> Response:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    if request.endpoint == "static" and answer.status_code == 200 and "v" in request.args:
        answer.headers["Cache-Control"] = f"public, max-age={_YEAR_S}, immutable"
    else:
        answer.headers["Cache-Control"] = "no-store"
    _keep_language(answer)
    return answer


def _keep_language(answer: Response) -> None:
    """Store a language that the address names in a cookie, for the next pages."""
    found: Reader | None = g.get("reader")
    if found and request.args.get("lang") == found.language:
        answer.set_cookie(LANGUAGE, found.language, max_age=_YEAR_S, path="/", samesite="Lax")
