"""Signing in with a link or a token, and signing out."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from flask import Response, current_app, make_response, request
from werkzeug.exceptions import HTTPException, TooManyRequests

from .. import sessions
from ..current import author, console
from ..links import go, link
from ..reader import reader
from ..rendering import render

_MAX_SECRET_LENGTH = 200


def show() -> Response | str:
    """The form; a link has its token in the address, and is redirected to an address without it."""
    secret = request.args.get("token")
    if secret:
        return _enter(secret)
    if reader().token is not None:
        return go("home")
    return render("sign_in.html", failed=False, next=request.args.get("next", ""))


def enter() -> Response:
    """Sign in with the token of the form."""
    return _enter(request.form.get("token", ""))


def _enter(secret: str) -> Response:
    address = request.remote_addr or ""
    token = None
    if secret.strip() and len(secret) <= _MAX_SECRET_LENGTH:
        token = console().tokens.redeem(secret.strip(), now=console().now())
    # 256 bits cannot be guessed, so failures never lock out who has a valid secret.
    if token is None:
        if wait_s := console().limits.wait_s(address):
            raise TooManyRequests(retry_after=wait_s)
        console().limits.failed(address)
        return make_response(render("sign_in.html", failed=True, next=_next()), 401)
    answer = _redirect(_next())
    sessions.begin(answer, request, token, console().cookie)
    return answer


def leave() -> Response:
    """Sign out; a session that began with a link ends for good."""
    token = reader().token
    if token is not None and token.kind == "session":
        console().tokens.remove_id(token.id, now=console().now(), by=author())
    answer = go("sign_in")
    sessions.end(answer, console().cookie)
    return answer


def _next() -> str:
    return request.values.get("next", "")


def _redirect(page: str) -> Response:
    """Redirect to the requested page, or to the first page if that is not one of this site."""
    try:
        target = urlsplit(page)
        adapter = current_app.url_map.bind("")
        endpoint, values = adapter.match(target.path, "GET")
        query = {name: found[0] for name, found in parse_qs(target.query).items()}
    except (ValueError, HTTPException):
        return go("home")
    if target.scheme or target.netloc or endpoint == "sign_in":
        return go("home")
    answer = Response(status=303)
    answer.headers["Location"] = link(endpoint, query=query, **values)
    return answer
