"""Digest: reads the history of a store in portions, newest first, and each run once.

A run that is open, or still counts further fire times, is unsettled: it is read again until it is settled. A run that
a daemon gives back is deleted, and SQLite gives its id to the next one, so ids above the highest one are unread again.
On a server, a transaction may commit lower ids after higher ones: ids that are missing among the newest ones are looked
for again for a minute.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, func, select

from ...core.timestamps import instant
from ...errors import StoreError
from ...store.database import Store
from ...store.schema import runs, timers
from ...store.statements import Among
from . import file
from .settled import COLUMNS, MAY_COUNT, RunRow, add

log = logging.getLogger("scheduler.console")

#: How many runs one transaction reads.
PORTION = 2_000
#: How long ids that are missing are looked for: longer than a transaction may last.
_GAP_LASTS_US = 60_000_000
#: How long a page waits for what has happened since the last one.
_BUDGET_S = 0.1
_AMONG = Among(COLUMNS, runs.c.id)


class Digest:
    """The digest of one store; safe to share between threads, and its file between processes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file = file.DigestFile(store)
        self._turn = threading.Lock()
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The tables of the digest, for queries.py, after a look at what is new."""
        self.catch_up()
        with self._file.reading() as connection:
            yield connection

    def catch_up(self, budget_s: float = _BUDGET_S) -> None:
        """Read what is new, for a bounded time; a thread reads what remains."""
        if not self._turn.acquire(blocking=False):
            return  # the thread, or another page, is at it
        try:
            until = time.monotonic() + budget_s
            has_more = self._try_step()
            while has_more and time.monotonic() < until:
                has_more = self._try_step()
        finally:
            self._turn.release()
        if has_more and not self._is_closed.is_set() and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._read_all, name="digest", daemon=True)
            self._thread.start()

    def _read_all(self) -> None:
        has_more = True
        while has_more and not self._is_closed.is_set():
            with self._turn:
                has_more = self._try_step()

    def close(self) -> None:
        """Stop reading."""
        self._is_closed.set()
        if self._thread is not None:
            self._thread.join()

    def _try_step(self) -> bool:
        """A step; pages show what has been read before, if the file cannot be written."""
        try:
            return self.step()
        except sqlite3.OperationalError as error:
            log.warning("the digest of the history cannot be written: %s", error)
        except sqlite3.DatabaseError as error:
            log.warning("the digest of the history is made anew: %s", error)
            self._file.discard()
        except StoreError as error:
            log.warning("the digest of the history waits for the store: %s", error)
        return False

    def step(self, portion: int = PORTION) -> bool:
        """Read the unsettled runs again, and one portion of those that are unread; returns whether some remain."""
        with self._file.writing() as digest, self._store.reading() as connection:
            _note_new_runs(digest, connection)
            _read_unsettled(digest, connection)
            _read_gaps(digest, connection)
            _read_portion(digest, connection, portion, has_gaps=self._store.has_server)
            return digest.execute("SELECT 1 FROM unread LIMIT 1").fetchone() is not None


def _note_new_runs(digest: sqlite3.Connection, connection: Connection) -> None:
    """Add the ids of new runs to the unread ones."""
    highest = connection.execute(select(func.max(runs.c.id))).scalar() or 0
    if not _is_same_store(digest, connection, highest):
        file.clear(digest)
    known = _get(digest, "highest", 0)
    if highest < known:
        digest.execute("DELETE FROM unsettled WHERE run_id > ?", (highest,))
        digest.execute("DELETE FROM unread WHERE first > ?", (highest,))
        digest.execute("UPDATE unread SET last = min(last, ?)", (highest,))
        digest.execute("DELETE FROM gaps WHERE last > ?", (highest,))
    elif highest > known:
        digest.execute("INSERT INTO unread VALUES (?, ?)", (known + 1, highest))
    if highest != known:
        _set(digest, "highest", highest)


def _is_same_store(digest: sqlite3.Connection, connection: Connection, highest: int) -> bool:
    """Whether the settled run with the highest id is still that run; else the ids are those of another history."""
    run_id = _get(digest, "settled_id", 0)
    if run_id > highest:
        return False
    found = connection.execute(select(runs.c.request_id).where(runs.c.id == run_id)).scalar()
    return found is None or found == _get(digest, "settled_request", "")


def _read_unsettled(digest: sqlite3.Connection, connection: Connection) -> None:
    """Read the unsettled runs again; those that were deleted leave the digest."""
    ids = [run_id for (run_id,) in digest.execute("SELECT run_id FROM unsettled ORDER BY run_id")]
    for start in range(0, len(ids), PORTION):
        asked = ids[start : start + PORTION]
        rows = [RunRow._make(row) for row in _AMONG.rows(connection, asked)]
        gone = set(asked) - {row.id for row in rows}
        digest.executemany("DELETE FROM unsettled WHERE run_id = ?", [(run_id,) for run_id in gone])
        _add(digest, connection, rows)


def _read_portion(digest: sqlite3.Connection, connection: Connection, portion: int, *, has_gaps: bool) -> None:
    found = digest.execute("SELECT first, last FROM unread ORDER BY last DESC LIMIT 1").fetchone()
    if found is None:
        return
    first, last = found
    query = COLUMNS.where(runs.c.id >= first, runs.c.id <= last).order_by(runs.c.id.desc()).limit(portion)
    rows = [RunRow._make(row) for row in connection.execute(query)]
    lowest = rows[-1].id if len(rows) == portion else first
    if lowest > first:
        digest.execute("UPDATE unread SET last = ? WHERE first = ?", (lowest - 1, first))
    else:
        digest.execute("DELETE FROM unread WHERE first = ?", (first,))
    if rows:
        _set(digest, "read_back_to", rows[-1].claimed_at)
        if has_gaps:
            _note_gaps(digest, rows, max(first, lowest))
    _add(digest, connection, rows)


def _add(digest: sqlite3.Connection, connection: Connection, rows: Sequence[RunRow]) -> None:
    if not rows:
        return
    counting = frozenset(_counting(connection) if any(row.outcome in MAY_COUNT for row in rows) else ())
    add(digest, rows, counting)
    settled = max((row for row in rows if row.outcome is not None and row.id not in counting), default=None)
    if settled is not None and settled.id >= _get(digest, "settled_id", 0):
        _set(digest, "settled_id", settled.id)
        _set(digest, "settled_request", settled.request_id)


def _counting(connection: Connection) -> Sequence[Any]:
    """The runs in whose rows further fire times are counted."""
    query = select(timers.c.counter_run_id).where(timers.c.counter_run_id.is_not(None))
    return connection.execute(query).scalars().all()


def _note_gaps(digest: sqlite3.Connection, rows: Sequence[RunRow], first: int) -> None:
    """Note which ids are missing among runs that were claimed lately."""
    lately = time.time() * 1_000_000 - _GAP_LASTS_US
    ids = [*(row.id for row in rows), first - 1]
    gaps = [
        (lower + 1, higher - 1, row.claimed_at)
        for (higher, lower), row in zip(pairwise(ids), rows, strict=True)
        if higher - lower > 1 and row.claimed_at > lately
    ]
    digest.executemany("INSERT OR REPLACE INTO gaps VALUES (?, ?, ?)", gaps)


def _read_gaps(digest: sqlite3.Connection, connection: Connection) -> None:
    """Look for runs with ids that were missing."""
    for first, last, seen_at in digest.execute("SELECT first, last, seen_at FROM gaps").fetchall():
        query = COLUMNS.where(runs.c.id >= first, runs.c.id <= last).order_by(runs.c.id).limit(PORTION)
        rows = [RunRow._make(row) for row in connection.execute(query)]
        newest = max((row.claimed_at for row in rows), default=0)
        _add(digest, connection, [row for row in rows if not _is_known(digest, row.id)])
        digest.execute("DELETE FROM gaps WHERE first = ?", (first,))
        now = int(time.time() * 1_000_000)
        if now - max(seen_at, newest) < _GAP_LASTS_US:
            edges = [first - 1, *(row.id for row in rows), last + 1]
            rest = [(low + 1, high - 1, seen_at) for low, high in pairwise(edges) if high - low > 1]
            digest.executemany("INSERT OR REPLACE INTO gaps VALUES (?, ?, ?)", rest)


def _is_known(digest: sqlite3.Connection, run_id: int) -> bool:
    return digest.execute("SELECT 1 FROM unsettled WHERE run_id = ?", (run_id,)).fetchone() is not None


def _get(digest: sqlite3.Connection, name: str, default: Any) -> Any:
    found = digest.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
    return default if found is None else found[0]


def _set(digest: sqlite3.Connection, name: str, value: Any) -> None:
    digest.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, value))


def unread_before(digest: sqlite3.Connection) -> datetime | None:
    """The instant before which runs are still unread; None if all are read."""
    if digest.execute("SELECT 1 FROM unread LIMIT 1").fetchone() is None:
        return None
    at = _get(digest, "read_back_to", None)
    return None if at is None else instant(at)
