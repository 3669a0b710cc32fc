"""What the doctor looks at in a store: whether it answers, its size and clock, and who fires its timers."""

from __future__ import annotations

import contextlib
import secrets
import select
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from sqlalchemy import text

from ..formats import display
from ..store.database import Store
from ..store.statistics import Statistics, take
from .findings import Finding, bad, warning, well

#: A write-ahead log of this size is not being brought in: some reader never ends.
_LARGE_WAL = 256 * 2**20
#: Lease times are compared by each host's own clock, so clocks that differ by half a lease take daemons for dead.
_NOTICED_SKEW = timedelta(seconds=1)
_NOTICE_WITHIN_S = 2.0
_MOST_NAMED = 5


def findings(store: Store, file: Path | None, tz: tzinfo) -> Iterator[Finding]:
    """Everything there is to say of an open store; `file` is that of a SQLite store."""
    yield _writable(store, file)
    if store.has_server:
        yield _server_clock(store)
        yield _listening(store)
    now = datetime.now(UTC)
    census = take(store, now)
    yield _daemons(census, now, tz)
    yield _timers(census, now, tz)
    yield _breakers(census)


def _writable(store: Store, file: Path | None) -> Finding:
    began = time.perf_counter()
    store.check_writable()
    took_s = time.perf_counter() - began
    said = f"{store}: schema {store.version()}, written to in {display.seconds(took_s)}"
    if store.has_server:
        with store.reading() as connection:
            server = connection.execute(text("SHOW server_version")).scalar_one()
            size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        return well("store", f"{said}, {display.size(size)}, PostgreSQL {server}")
    if file is None:
        return well("store", said)
    with store.reading() as connection:
        mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
    log = Path(f"{file}-wal")
    log_size = log.stat().st_size if log.exists() else 0
    said += f", {display.size(file.stat().st_size)}, journal {mode} of {display.size(log_size)}"
    if mode != "wal":
        return warning(
            "store", f"{said}: without a write-ahead log readers hold up the daemon; is this a network disk?"
        )
    if log_size > _LARGE_WAL:
        return warning("store", f"{said}: some program reads without end and keeps the log from being brought in")
    return well("store", said)


def _server_clock(store: Store) -> Finding:
    """Halfway between question and answer is when the server looked at its clock."""
    with store.reading() as connection:
        before = datetime.now(UTC)
        theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        after = datetime.now(UTC)
    skew = before + (after - before) / 2 - theirs
    said = f"this machine's clock is {abs(skew.total_seconds()) * 1000:.0f} ms from the database's"
    if abs(skew) > store.lease / 2:
        return bad("server clock", f"{said}: daemons take each other for dead; keep the clocks right (NTP)")
    return warning("server clock", said) if abs(skew) > _NOTICED_SKEW else well("server clock", said)


def _listening(store: Store) -> Finding:
    """Whether a notification comes through: it does not where transactions are pooled."""
    channel = f"scheduler_doctor_{secrets.token_hex(4)}"
    with contextlib.closing(store.own_connection()) as connection:
        driver = connection.connection.dbapi_connection
        connection.exec_driver_sql(f"LISTEN {channel}")
        with store.writing() as other:
            other.exec_driver_sql(f"NOTIFY {channel}")
        began = time.perf_counter()
        libpq = getattr(driver, "pgconn")  # noqa: B009  the driver's own, which SQLAlchemy does not know
        while libpq.notifies() is None:
            left_s = _NOTICE_WITHIN_S - (time.perf_counter() - began)
            if left_s <= 0 or not select.select([libpq.socket], [], [], left_s)[0]:
                return bad(
                    "notifications",
                    f"none came within {_NOTICE_WITHIN_S:g} s: is there a pooler in between? "
                    "Daemons need connections of their own, or session pooling",
                )
            libpq.consume_input()
    return well("notifications", f"LISTEN and NOTIFY come through in {display.seconds(time.perf_counter() - began)}")


def _daemons(census: Statistics, now: datetime, tz: tzinfo) -> Finding:
    living = census.living(now)
    enabled = sum(count for (_, is_enabled), count in census.timers.items() if is_enabled)
    if not living:
        waits = f", and {enabled} enabled timers wait: {display.command('up')}" if enabled else ""
        return (warning if enabled else well)("daemons", f"no daemon runs{waits}")
    named = [f"{one.host} (process {one.pid}, since {display.instant(one.started_at, tz)})" for one in living]
    said = f"{len(living)} fire timers: {_listed(named)}"
    expired = len(census.daemons) - len(living)
    return warning("daemons", f"{said}; the leases of {expired} more ran out") if expired else well("daemons", said)


def _timers(census: Statistics, now: datetime, tz: tzinfo) -> Finding:
    total = sum(census.timers.values())
    enabled = sum(count for (_, is_enabled), count in census.timers.items() if is_enabled)
    said = f"{total} timers, {enabled} enabled"
    if census.due_since is None:
        return well("timers", said)
    if not census.overdue:
        return well("timers", f"{said}; the next fires at {display.instant(census.due_since, tz)}")
    late = display.seconds((now - census.due_since).total_seconds())
    said += f"; {census.overdue} are overdue, the longest by {late}"
    if census.living(now):
        return bad("timers", f"{said}, though a daemon runs: is it too busy? scheduler runs shows what takes long")
    return warning("timers", f"{said}; the next daemon treats them by their misfire policies")


def _breakers(census: Statistics) -> Finding:
    if not census.troubled:
        return well("breakers", "all closed")
    named = [
        f"{one.name} ({one.environment}) is {one.state} after {one.failures} failures: {one.last_error or 'no error'}"
        for one in census.troubled
    ]
    return warning("breakers", f"{_listed(named)}; {display.command('timers', 'reset')} NAME closes one")


def _listed(named: list[str]) -> str:
    more = f"; and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return "; ".join(display.plain(one[:300]) for one in named[:_MOST_NAMED]) + more
