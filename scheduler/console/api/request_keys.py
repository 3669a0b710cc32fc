"""The Idempotency-Key of a request."""

from __future__ import annotations

import json

from flask import request

from ...store.request_keys import RequestKey
from ..reader import reader
from .problems import ProblemError

MAX_KEY_LENGTH = 255


def request_key() -> RequestKey | None:
    """The Idempotency-Key of this request, whose scope is the token."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    if not given.strip() or len(given) > MAX_KEY_LENGTH:
        raise ProblemError(
            "invalid", f"an Idempotency-Key has from 1 to {MAX_KEY_LENGTH} characters", field="Idempotency-Key"
        )
    token = reader().token
    assert token is not None
    return RequestKey.of(
        f"{token.id}", given, json.dumps([request.path, request.get_json(silent=True)], sort_keys=True)
    )
