"""The body of a request: read up to a limit, and parsed as a JSON object.

Lives here: reading and parsing. Never here: what the fields mean. If an object has a key twice, the last value counts,
as in the JSON parsers of LeanCloud's servers.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Mapping
from itertools import islice
from typing import Any

from .failures import BUSY, MALFORMED, TOO_LARGE, RefusedError

LIMIT_BYTES = 20 * 1024 * 1024
#: Larger bodies are parsed one at a time, because their objects may take thirty times their size.
LARGE_BYTES = 1024 * 1024
#: The most keys, numbers, texts, lists … of a body, lists and objects counted twice: a second of work, and 100 MB.
MAX_VALUES = 1_000_000
#: The longest that a large body waits for others to be parsed.
WAIT_S = 5.0
_CHUNK = 64 * 1024


def fields(environ: Mapping[str, Any], limit: int = LIMIT_BYTES) -> dict[str, Any]:
    """The JSON object in the body of a request, {} for an empty body; RefusedError with code 107 or 413."""
    return parse(read(environ, limit))


def read(environ: Mapping[str, Any], limit: int) -> bytes:
    """The whole body, at most `limit` bytes; RefusedError if it is larger, cut short or of unknown length."""
    length = _length(environ)
    if length is None:
        return _read_to_end(environ["wsgi.input"], limit)
    if length > limit:
        raise RefusedError(TOO_LARGE)
    body = _read_exactly(environ["wsgi.input"], length) if length else b""
    if len(body) < length:
        raise RefusedError(MALFORMED)
    return body


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in a text; RefusedError with code 107 for anything else, NaN, Infinity and 1e999 included."""
    if len(body) <= LARGE_BYTES:
        return _parse(body)
    if not _large.acquire(timeout=WAIT_S):
        raise RefusedError(BUSY)
    try:
        if _has_too_many_values(body):
            raise RefusedError(TOO_LARGE)
        return _parse(body)
    finally:
        _large.release()


def _parse(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        text = body.decode()
        value = _decode(text) if not text.isspace() else {}
    except (ValueError, RecursionError):
        raise RefusedError(MALFORMED) from None
    if type(value) is not dict:
        raise RefusedError(MALFORMED)
    return value


def _has_too_many_values(body: bytes) -> bool:
    """Whether a text of JSON has more than MAX_VALUES values: each but the first follows one of these signs."""
    if sum(body.count(sign) for sign in (b",", b"[", b"{")) < MAX_VALUES:
        return False
    # Texts are skipped, because they may contain these signs.
    return next(islice(_VALUE.finditer(body), MAX_VALUES, None), None) is not None


_VALUE = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[,\[{]')
_large = threading.Lock()


def _length(environ: Mapping[str, Any]) -> int | None:
    """The length that the request declares; None if the server marks the end of the input."""
    declared = environ.get("CONTENT_LENGTH")
    if declared:
        if not (declared.isascii() and declared.isdigit()):
            raise RefusedError(MALFORMED)
        return int(declared) if len(declared) < 20 else 1 << 64
    if environ.get("wsgi.input_terminated"):
        return None
    if "HTTP_TRANSFER_ENCODING" in environ:  # a chunked body whose end this server does not mark
        raise RefusedError(MALFORMED)
    return 0


def _read_exactly(source: Any, length: int) -> bytes:
    body = _read(source, length)
    while body and len(body) < length:
        more = _read(source, length - len(body))
        if not more:
            break
        body += more
    return body


def _read_to_end(source: Any, limit: int) -> bytes:
    chunks, size = [], 0
    while chunk := _read(source, _CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise RefusedError(TOO_LARGE)
    return b"".join(chunks)


def _read(source: Any, size: int) -> bytes:
    try:
        return bytes(source.read(size))
    except Exception:  # the client disconnected, or its chunks are broken: each server raises errors of its own
        raise RefusedError(MALFORMED) from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large for a float")
    return number


_decode = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite).decode
