"""The table of the engine's paths, and the search in it. Every other path belongs to the site.

Lives here: paths, and the credentials that each endpoint needs. Never here: answering, see endpoints.py.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


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
