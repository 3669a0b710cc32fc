"""The gate of the API: Host, credentials and role of a request; its body; and the headers of every answer."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any, NoReturn

from flask import Flask, Request, Response, g, request

from ...core.options import json_fault
from ...engine.credentials import Keys, Level, level, of_headers
from ...project.keys import known_keys
from ...project.project import Project
from ...project.settings import Settings
from ..body_limits import MAX_IMPORT_BYTES
from ..current import console
from ..gates import HEADERS, is_own_host
from ..reader import reader_of
from ..roles import Role
from ..tokens import MAX_SECRET_LENGTH, Token
from .problems import ProblemError
from .routes import BY_ENDPOINT

#: How old a signature of LeanCloud's clients may be.
_SIGNATURE_LASTS_S = 600.0
_BEARER = "bearer "


class ApiRequest(Request):
    """A request whose body is one JSON object; an empty body is an empty object."""

    def get_json(self, *_: Any, **__: Any) -> Any:
        """The object of the body; ProblemError for anything else."""
        data = self.get_data()
        if not data.strip():
            return {}
        if not self.is_json:
            raise ProblemError("media_type", f"the body is {self.mimetype or 'of no type'}; send application/json")
        try:
            value = json.loads(data, parse_constant=_refuse_constant)
        except RecursionError:
            raise ProblemError("malformed", "the body is nested too deeply") from None
        except ValueError as error:
            raise ProblemError("malformed", f"the body is not JSON: {json_fault(error)}") from None
        if not isinstance(value, dict):
            raise ProblemError("invalid", 'the body must be a JSON object, as in {"why": "…"}')
        return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def install(app: Flask) -> None:
    """Install the gate before every endpoint of an application."""
    app.before_request(_begin)
    app.before_request(_check_host)
    app.before_request(_check_role)
    app.before_request(_check_text)
    app.before_request(_allow_list)
    app.after_request(_with_headers)


def _begin() -> None:
    g.request_id = secrets.token_hex(8)
    g.reader = reader_of(request, console().settings, None)


def _check_host() -> None:
    if not is_own_host(request.host, console().settings.console_hosts):
        raise ProblemError(
            "foreign_host", f"{request.host!r:.100} is not a name of this console; add it to the setting console_hosts"
        )


def _check_role() -> None:
    token = _token()
    g.reader = reader_of(request, console().settings, token)
    route = BY_ENDPOINT.get(request.endpoint or "")
    needed = Role.VIEWER if route is None else route.role
    if token.role < needed:
        raise ProblemError("forbidden", f"this needs the role operator, and {token.name!r} is a viewer")


def _token() -> Token:
    """The token of the request; ProblemError if it has none, or an invalid one."""
    given = request.headers.get("Authorization", "")
    address = request.remote_addr or ""
    has_master = not of_headers(request.environ).are_absent
    if not given and not has_master:
        raise _unauthenticated("no credentials: send Authorization: Bearer TOKEN")
    now = console().now()
    # 256 bits cannot be guessed, so failures of others never lock out who has a token.
    secret = given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else ""
    if secret and len(secret) <= MAX_SECRET_LENGTH and (token := console().tokens.of_secret(secret, now=now)):
        return token
    if wait_s := console().limits.wait_s(address):
        raise ProblemError("too_many", f"too many failed attempts from {address}", headers={"Retry-After": str(wait_s)})
    if has_master and (master := _master()) is not None:
        return master
    console().limits.failed(address)
    raise _unauthenticated("these credentials are not valid: the token has expired or was removed, or never was one")


def _unauthenticated(detail: str) -> ProblemError:
    return ProblemError("unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="scheduler"'})


def _master() -> Token | None:
    """The token of a request with the master key, or with a signature by it."""
    keys = _keys(console().settings)
    presented = of_headers(request.environ)
    if level(presented, keys, now_ms=time.time() * 1000, max_age_s=_SIGNATURE_LASTS_S) is not Level.MASTER:
        return None
    return Token(0, "master", "master key", Role.OPERATOR, "", console().now(), None)


def _keys(settings: Settings) -> Keys:
    found = known_keys(Project(settings).keys_file)
    return Keys(app_id=found.get("APP_ID") or "", master_key=found.get("APP_MASTER_KEY") or "")


def _check_text() -> None:
    """Refuse NUL, which PostgreSQL has in no text."""
    texts = [request.path, *request.args.keys(), *(value for _, value in request.args.items(multi=True))]
    if any("\0" in text for text in texts):
        raise ProblemError("malformed", "the address has the character NUL")


def _allow_list() -> None:
    """Allow a longer body for a list, and refuse a body that is no list."""
    route = BY_ENDPOINT.get(request.endpoint or "")
    if route is None or not route.media_types:
        return
    request.max_content_length = MAX_IMPORT_BYTES
    if request.mimetype not in route.media_types:
        raise ProblemError(
            "media_type", f"the body is {request.mimetype or 'of no type'}; send {' or '.join(route.media_types)}"
        )


def _with_headers(answer: Response) -> Response:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Request-Id"] = g.request_id
    return answer
