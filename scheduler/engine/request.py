"""Request: the values of an HTTP request that the endpoints need.

Lives here: request id, remote address, timer headers, and the `Call` made from them. Never here: answering.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from ..core.timer_checks import check_name
from ..errors import TimerError
from ..functions.context import Call, TimerCall
from . import body, credentials
from .credentials import Credentials, Keys
from .routes import decoded

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:@=+-]{1,128}", re.ASCII)
#: The form of a run's request id, which lines of a client's call must not have.
_OF_A_RUN = re.compile(r"[0-9a-f]{16}", re.ASCII | re.IGNORECASE)
_OLD_BROWSER_TYPE = "text/plain"
#: The most bytes of a body that has to be parsed before its sender is known: 64 kB of JSON cost a millisecond.
FORM_LIMIT_BYTES = 64 * 1024


class Request:
    """A request at one of the engine's endpoints; its body is read when first needed.

    A trusted one, which has proved the master or the hook key, may name a timer and a run's request id.
    """

    __slots__ = ("_fields", "_limit", "credentials", "environ", "id", "is_trusted", "method", "names")

    def __init__(self, environ: Mapping[str, Any], names: tuple[str, ...], limit: int) -> None:
        self.environ = environ
        self.names = names
        self.method: str = environ["REQUEST_METHOD"]
        self.id = request_id(environ.get("HTTP_X_REQUEST_ID"))
        self.credentials = Credentials()
        self.is_trusted = False
        self._limit = limit
        self._fields: dict[str, Any] | None = None

    def identify(self, keys: Keys | None) -> Credentials:
        """Read the credentials from the headers, or else from the text/plain body of an old browser SDK.

        With `keys`, such a body must be short, and is parsed only if it contains our application id.
        """
        presented = credentials.of_headers(self.environ)
        if presented.are_absent and _is_from_old_browser(self.environ):
            if keys is None:
                presented = credentials.of_body(self.fields, presented)
            else:
                content = body.read(self.environ, min(FORM_LIMIT_BYTES, self._limit))
                if not credentials.may_be_in(content, keys):
                    return presented
                self._fields = body.parse(content)
                presented = credentials.of_body(self._fields, presented)
        self.credentials = presented
        return presented

    def trust(self) -> None:
        """Trust its headers for the timer and the request id."""
        self.is_trusted = True
        self.id = request_id(self.environ.get("HTTP_X_REQUEST_ID"), is_trusted=True)

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object in the body; RefusedError if it is anything else, or too large."""
        if self._fields is None:
            self._fields = body.fields(self.environ, self._limit)
        return self._fields

    @property
    def params(self) -> dict[str, Any]:
        """The keyword arguments for a function: all fields except those that start with `_`; `__type` is kept."""
        fields = self.fields
        for key in fields:
            if key[:1] == "_":
                return {key: value for key, value in fields.items() if key[:1] != "_" or key == "__type"}
        return fields

    def call(self, function: str) -> Call:
        """The context for a function that answers this request."""
        return Call(
            function,
            self.id,
            timer=timer_of(self.environ) if self.is_trusted and "HTTP_X_TIMER_NAME" in self.environ else None,
            session_token=self.credentials.session or None,
            meta={"remote_address": remote_address(self.environ)},
        )


def form_limit(environ: Mapping[str, Any], limit: int) -> int:
    """The most bytes of the body of a request without credentials in its headers; 0 if the body cannot have any."""
    return min(FORM_LIMIT_BYTES, limit) if _is_from_old_browser(environ) else 0


def _is_from_old_browser(environ: Mapping[str, Any]) -> bool:
    return str(environ.get("CONTENT_TYPE", "")).lower().startswith(_OLD_BROWSER_TYPE)


def request_id(given: str | None, *, is_trusted: bool = False) -> str:
    """The given id if it is safe in a log line and a header, else a new one; a run's id only from trusted requests."""
    if given and _REQUEST_ID.fullmatch(given) and (is_trusted or not _OF_A_RUN.fullmatch(given)):
        return given
    return f"{random.getrandbits(96):024x}"


def remote_address(environ: Mapping[str, Any]) -> str | None:
    """X-Real-IP, else the first of X-Forwarded-For, else the peer (engine protocol § 3)."""
    if real := environ.get("HTTP_X_REAL_IP"):
        return str(real)
    if forwarded := environ.get("HTTP_X_FORWARDED_FOR"):
        return str(forwarded).partition(",")[0].strip()
    return environ.get("REMOTE_ADDR")


def timer_of(environ: Mapping[str, Any]) -> TimerCall | None:
    """The timer in the X-Timer headers; None if one is missing or invalid."""
    try:
        scheduled_at = datetime.fromisoformat(environ["HTTP_X_TIMER_SCHEDULED_TIME"])
        attempt = _attempt(environ.get("HTTP_X_TIMER_ATTEMPT", "1"))
        name = check_name("name", unquote(decoded(environ["HTTP_X_TIMER_NAME"])))
    except (KeyError, ValueError, TimerError):
        return None
    if scheduled_at.tzinfo is None:
        scheduled_at = scheduled_at.replace(tzinfo=UTC)
    past_due = environ.get("HTTP_X_TIMER_PAST_DUE", "").lower() == "true"
    return TimerCall(name, scheduled_at, attempt, past_due)


def _attempt(text: str) -> int:
    """The number of an attempt; ValueError for anything but 1, 2 …"""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise ValueError(text)
    return int(text)
