"""Authorization: refuses strangers by their headers, before the body is read, so that they cannot send megabytes; and
checks the key that each endpoint needs.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Mapping
from typing import Any

from . import credentials, failures
from .credentials import Credentials, Level, is_hook, level, our_keys
from .failures import RefusedError
from .parts import EngineParts
from .request import Request, form_limit
from .routes import METHODS, Match, Needs

logger = logging.getLogger(__package__)


def body_limit(parts: EngineParts, matched: Match, environ: Mapping[str, Any]) -> int:
    """The most bytes of a body that the engine reads, judged by the headers; 0 if it answers without the body."""
    needs, method = matched.endpoint.needs, environ["REQUEST_METHOD"]
    if method not in METHODS or method == "OPTIONS" or needs is Needs.NOTHING:
        return 0
    if not parts.auth:
        return parts.max_body_bytes
    presented = credentials.of_headers(environ)
    if presented.are_absent:
        return form_limit(environ, parts.max_body_bytes)
    return parts.max_body_bytes if _is_admitted(parts, needs, presented) else 0


def authorize(parts: EngineParts, request: Request, needs: Needs) -> None:
    """Refuse a request without the credentials that its endpoint needs; trust one with the master or the hook key."""
    presented = request.identify(our_keys() if parts.auth else None)
    if parts.auth and not _is_admitted(parts, needs, presented):
        raise RefusedError(failures.UNAUTHORIZED)
    if not parts.auth or is_hook(presented, our_keys()) or _proven(parts, presented) is Level.MASTER:
        request.trust()


def _proven(parts: EngineParts, presented: Credentials) -> Level:
    return level(presented, our_keys(), now_ms=time.time() * 1000, max_age_s=parts.max_age_s)


def _is_admitted(parts: EngineParts, needs: Needs, presented: Credentials) -> bool:
    """Whether the credentials are sufficient for what the endpoint needs."""
    keys = our_keys()
    if not keys.suffice:
        _warn_of_missing_keys()
    proven = _proven(parts, presented)
    if proven is Level.NONE or (needs is Needs.MASTER and proven is not Level.MASTER):
        return False
    return needs is not Needs.HOOK or is_hook(presented, keys)


@functools.cache
def _warn_of_missing_keys() -> None:
    logger.warning(
        "every request is refused, the application has no keys; call init(app_id, app_key), set LEANCLOUD_APP_ID and "
        "LEANCLOUD_APP_KEY, or check no keys with Engine(auth=False)"
    )
