"""Which paths are the engine's: a table, and the walk over it.

Lives here: paths and what each endpoint asks of its caller. Never here: answering. Every other path is the site's.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Needs(Enum):
    """The credentials that an endpoint asks for."""

    NOTHING = 0
    APP = 1
    MASTER = 2
    HOOK = 3


class Endpoint(NamedTuple):
    """One row: a path below the prefix and the version, what it is called, and what it needs."""

    path: tuple[str, ...]
    answer: str
    needs: Needs


class Match(NamedTuple):
    """An endpoint, and what stood in the path for its `*`, decoded."""

    endpoint: Endpoint
    names: tuple[str, ...]


PREFIX = "__engine"
VERSIONS = ("1", "1.1")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")

PING = Endpoint(("ping",), "ping", Needs.NOTHING)

# More particular rows stand first. `*` is one segment that is not empty.
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
    """A text as WSGI hands it over, bytes in the guise of Latin-1, read as the UTF-8 that it is."""
    if text.isascii():
        return text
    return text.encode("latin-1", "replace").decode("utf-8", "replace")
