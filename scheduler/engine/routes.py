"""The table of the engine's paths, and which other paths are refused before they reach the site.

Lives here: paths, and the credentials that each endpoint needs. Never here: answering (endpoints.py). A path that is
similar to one of the engine's gets a 404: with a site that answers every path, a client would take an unknown function
for a success.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote


class Needs(Enum):
    """The key that a request has to prove at an endpoint."""

    NOTHING = 0
    APP = 1
    MASTER = 2
    HOOK = 3


class Endpoint(NamedTuple):
    """One row: a path below the prefix and the version, the endpoint's name, and the key that it needs."""

    path: tuple[str, ...]
    name: str
    needs: Needs


class Match(NamedTuple):
    """An endpoint, and the segments that matched its `*`, decoded."""

    endpoint: Endpoint
    names: tuple[str, ...]


PREFIX = "__engine"
VERSIONS = ("1", "1.1")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")

PING = Endpoint(("ping",), "ping", Needs.NOTHING)

# Tried in this order. `*` matches one segment that is not empty.
ENDPOINTS = (
    Endpoint(("functions", "*"), "function", Needs.APP),
    Endpoint(("call", "*"), "rpc", Needs.APP),
    Endpoint(("functions", "_ops", "metadatas"), "metadatas", Needs.MASTER),
    Endpoint(("functions", "*", "*"), "hook", Needs.HOOK),
)

_FIRST_SEGMENTS = (PREFIX, *VERSIONS)
_FUNCTIONS = frozenset(endpoint.path[0] for endpoint in (PING, *ENDPOINTS))

#: The segments after /1.1/ in the paths of LeanCloud's data storage and other services.
STORAGE = frozenset((
    "batch", "bigquery", "classes", "cloudquery", "date", "exportdata", "files", "filetokens", "fileurl", "followees",
    "followers", "friendshiprequests", "installations", "leaderboard", "login", "logout", "push", "qiniu",
    "refreshsessiontoken", "requestchangephonenumber", "requestemailverify", "requestloginsmscode",
    "requestmobilephoneverify", "requestpasswordreset", "requestpasswordresetbysmscode", "requestsmscode",
    "resetpasswordbysmscode", "roles", "rtm", "scan", "schemas", "search", "statuses", "subscribe", "users",
    "usersbymobilephone", "verifymobilephone", "verifysmscode",
))  # fmt: skip


def match(path: str) -> Match | None:
    """The endpoint of a PATH_INFO, or None for a path of the site; leading slashes count as one (§ 1).

    >>> match("/1.1/functions/hello").names
    ('hello',)
    >>> match("/1.1/functionsX") is None
    True
    """
    segments = path.lstrip("/").split("/")
    if segments[0] not in _FIRST_SEGMENTS:
        return None
    prefixed = segments[0] == PREFIX
    versioned = segments[1:] if prefixed else segments
    if not versioned or versioned[0] not in VERSIONS:
        return None
    rest = versioned[1:]
    if prefixed and rest in (["ping"], ["ping", ""]):
        return Match(PING, ())
    for endpoint in ENDPOINTS:
        if (names := _names(endpoint.path, rest)) is not None:
            return Match(endpoint, names)
    return None


class Refusal(Enum):
    """Why a path that is not an endpoint does not reach the site either."""

    NO_ENDPOINT = "Not found: functions are called at /1.1/functions/NAME."
    NO_STORAGE = "Not found: the data storage of LeanCloud is not here; this engine serves functions and hooks."


def refusal(path: str) -> Refusal | None:
    """Why a PATH_INFO without an endpoint is refused; None for a path of the site.

    Ignores differences in slashes, dots, case, blanks, backslashes, parameters and a second percent-encoding.

    >>> refusal("/1.1//Functions/hello;v=1").name, refusal("/1.1/classes/Todo").name, refusal("/1.1/functionsX")
    ('NO_ENDPOINT', 'NO_STORAGE', None)
    """
    segments = _normal(path)
    if segments[:1] == [PREFIX]:
        return Refusal.NO_ENDPOINT
    if len(segments) < 2 or segments[0] not in VERSIONS:
        return None
    if segments[1] in _FUNCTIONS:
        return Refusal.NO_ENDPOINT
    # /1/ is too short a prefix to take away from sites.
    return Refusal.NO_STORAGE if segments[0] == "1.1" and segments[1] in STORAGE else None


def _normal(path: str) -> list[str]:
    """The segments of a path, as a lenient program might parse them."""
    for _ in range(3):
        if "%" not in path:
            break
        path = unquote(path)
    segments: list[str] = []
    for raw in path.replace("\\", "/").lower().split("/"):
        segment = raw.partition(";")[0].partition("?")[0].partition("#")[0].strip(_BLANK)
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    return segments


#: Controls and blanks, in Latin-1.
_BLANK = "".join(map(chr, [*range(0x21), *range(0x7F, 0xA1)]))


def _names(pattern: tuple[str, ...], segments: list[str]) -> tuple[str, ...] | None:
    if len(pattern) != len(segments):
        return None
    names = []
    for expected, segment in zip(pattern, segments, strict=True):
        if expected == "*" and segment:
            names.append(decoded(segment))
        elif expected != segment:
            return None
    return tuple(names)


def decoded(text: str) -> str:
    """A text of a WSGI environ, whose UTF-8 bytes were decoded as Latin-1 (PEP 3333), decoded as UTF-8."""
    if text.isascii():
        return text
    return text.encode("latin-1", "replace").decode("utf-8", "replace")
