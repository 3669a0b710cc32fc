"""Keys with which clients request runs: within a day, the same key is answered with the same run (Idempotency-Key)."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from ..core.timestamps import stamp
from ..errors import TimerError
from .schema import request_keys as table

KEPT = timedelta(hours=24)


class RequestKey(NamedTuple):
    """The digest of a client and its key, and the digest of its request."""

    digest: str
    request: str

    @classmethod
    def of(cls, client: str, key: str, request: str) -> RequestKey:
        """The key of a client for a request; equal requests have the same text."""
        return cls(_digest(f"{client}\0{key}"), _digest(request))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def run_of_key(connection: Connection, key: RequestKey, *, now: datetime) -> int | None:
    """The run that was requested with a key; TimerError if that was another request.

    For transactions that have the mutex, so that the same request does not enter a run meanwhile.
    """
    connection.execute(delete(table).where(table.c.at < stamp(now - KEPT)))
    row = connection.execute(select(table).where(table.c.digest == key.digest)).one_or_none()
    if row is None:
        return None
    if row.request != key.request:
        raise TimerError(
            "this Idempotency-Key was used for another request within the last 24 hours; take a new one",
            field="Idempotency-Key",
        )
    return int(row.run_id)


def keep_key(connection: Connection, key: RequestKey, run_id: int, *, now: datetime) -> None:
    """Keep the run of a key."""
    values = {"digest": key.digest, "request": key.request, "run_id": run_id, "at": stamp(now)}
    connection.execute(insert(table).values(values))
