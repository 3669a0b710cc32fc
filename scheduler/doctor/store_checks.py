"""The checks of a store: that it is writable, its size and clock, its daemons, timers and breakers."""

from __future__ import annotations

import contextlib
import secrets
import select
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from sqlalchemy import text

from ..core.trigger_kinds import UnreadableTrigger
from ..formats import display
from ..formats.pause_text import pause_text
from ..store.calendars import CalendarTable
from ..store.database import Store
from ..store.statistics import DaemonLease, Statistics, count_claimed, held_up_runs, read_statistics
from ..store.timers import TimerTable
from .findings import Finding


def check_store(store: Store, file: Path | None, tz: tzinfo, *, max_workers: int | None = None) -> Iterator[Finding]:
    """All findings of an open store; `file` is that of a SQLite store, instants are shown in `tz`.

    `max_workers` is the most runs that a daemon has in progress, None if unknown.
    """
    yield _check_writable(store, file)
    if store.has_server:
        yield _check_server_clock(store)
        yield _check_notifications(store)
    now = datetime.now(UTC)
    statistics = read_statistics(store, now)
    yield _check_daemons(store, statistics, now, tz)
    yield _check_timers(store, statistics, now, tz)
    yield from _check_pauses(statistics, tz)
    yield from _check_calendars(store, now)
    places = max_workers * len(statistics.live_daemons(now)) if max_workers else None
    yield _check_runs(store, now, places)
    yield _check_breakers(statistics)


#: A write-ahead log reaches this size only if a reader keeps its transaction open, which prevents the checkpoint.
_LARGE_WAL = 256 * 2**20


def _check_writable(store: Store, file: Path | None) -> Finding:
    began = time.perf_counter()
    store.check_writable()
    took_s = time.perf_counter() - began
    what = f"{store}: schema {store.version()}, written to in {display.seconds(took_s)}"
    if store.has_server:
        with store.reading() as connection:
            server = connection.execute(text("SHOW server_version")).scalar_one()
            size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        return Finding.ok("store", f"{what}, {display.size(size)}, PostgreSQL {server}")
    if file is None:
        return Finding.ok("store", what)
    with store.reading() as connection:
        mode = connection.execute(text("PRAGMA journal_mode")).scalar_one()
    wal = Path(f"{file}-wal")
    wal_size = wal.stat().st_size if wal.exists() else 0
    what += f", {display.size(file.stat().st_size)}, journal {mode} of {display.size(wal_size)}"
    if mode != "wal":
        return Finding.warning(
            "store", f"{what}: without a write-ahead log readers block the daemon; is this a network disk?"
        )
    if wal_size > _LARGE_WAL:
        return Finding.warning("store", f"{what}: a program that keeps reading prevents the checkpoint of the log")
    return Finding.ok("store", what)


_WARNING_SKEW = timedelta(seconds=1)


def _check_server_clock(store: Store) -> Finding:
    """Compare the clocks, assuming that the server read its clock at the midpoint of the round trip."""
    with store.reading() as connection:
        before = datetime.now(UTC)
        server_time: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        after = datetime.now(UTC)
    skew = before + (after - before) / 2 - server_time
    what = f"this machine's clock is {abs(skew.total_seconds()) * 1000:.0f} ms from the database's"
    if abs(skew) > store.lease / 2:
        return Finding.error("server clock", f"{what}: timers fire at the wrong time; synchronise the clocks (NTP)")
    make = Finding.warning if abs(skew) > _WARNING_SKEW else Finding.ok
    return make("server clock", what)


_NOTIFICATION_TIMEOUT_S = 2.0


def _check_notifications(store: Store) -> Finding:
    """Check that LISTEN receives a NOTIFY, which it does not through transaction pooling."""
    channel = f"scheduler_doctor_{secrets.token_hex(4)}"
    with contextlib.closing(store.own_connection()) as connection:
        driver = connection.connection.dbapi_connection
        connection.exec_driver_sql(f"LISTEN {channel}")
        with store.writing() as other:
            other.exec_driver_sql(f"NOTIFY {channel}")
        began = time.perf_counter()
        libpq = getattr(driver, "pgconn")  # noqa: B009  an attribute of psycopg that SQLAlchemy's types lack
        while libpq.notifies() is None:
            left_s = _NOTIFICATION_TIMEOUT_S - (time.perf_counter() - began)
            if left_s <= 0 or not select.select([libpq.socket], [], [], left_s)[0]:
                return Finding.error(
                    "notifications",
                    f"none arrived within {_NOTIFICATION_TIMEOUT_S:g} s: is there a pooler in between? "
                    "Daemons need connections of their own, or session pooling",
                )
            libpq.consume_input()
    took_s = time.perf_counter() - began
    return Finding.ok("notifications", f"a NOTIFY reached its LISTEN in {display.seconds(took_s)}")


def _renewed_before(daemon: DaemonLease, store: Store, now: datetime) -> timedelta:
    """The time since a daemon renewed its lease."""
    return store.lease - (daemon.lease_until - now)


def _renewals_missed(store: Store) -> timedelta:
    """After how long a renewal is late, even on a busy machine."""
    return store.lease / store.lease_renewals * 1.5


def _silent(store: Store, living: Sequence[DaemonLease], now: datetime) -> list[DaemonLease]:
    """The daemons that do not renew their leases, judged by their times; with a server, by observation.

    The clock of another machine may be behind the local one.
    """
    silent = [daemon for daemon in living if _renewed_before(daemon, store, now) > _renewals_missed(store)]
    give_up_at = time.monotonic() + _renewals_missed(store).total_seconds()
    while silent and store.has_server and time.monotonic() < give_up_at:
        time.sleep(_LOOK_EVERY_S)
        seen = read_statistics(store, now).daemons
        silent = [daemon for daemon in silent if daemon in seen]
    return silent


#: How often to check whether a lease was renewed.
_LOOK_EVERY_S = 0.25


def _check_daemons(store: Store, statistics: Statistics, now: datetime, tz: tzinfo) -> Finding:
    living = statistics.live_daemons(now)
    if not living:
        enabled = _enabled(statistics)
        waiting = f", and {display.number(enabled, 'enabled timer')} will not fire: {display.command('up')}"
        make = Finding.warning if enabled else Finding.ok
        return make("daemons", f"no daemon runs{waiting if enabled else ''}")
    named = [
        f"{daemon.host} (process {daemon.pid}, since {display.instant(daemon.started_at, tz)})" for daemon in living
    ]
    what = f"{display.number(len(living), 'daemon')}: {_listed(named)}"
    if silent := _silent(store, living, now):
        longest = max(_renewed_before(daemon, store, now) for daemon in silent)
        which = _listed([f"process {daemon.pid} of {daemon.host}" for daemon in silent])
        return Finding.error(
            "daemons",
            f"{what}; {which} has not renewed its lease for {display.seconds(longest.total_seconds())}: it hangs, is "
            "stopped, or its store does not answer",
        )
    expired = len(statistics.daemons) - len(living)
    if expired:
        return Finding.warning("daemons", f"{what}, and {display.number(expired, 'expired lease')}")
    return Finding.ok("daemons", what)


def _check_timers(store: Store, statistics: Statistics, now: datetime, tz: tzinfo) -> Finding:
    total = sum(statistics.timers.values())
    what = f"{display.number(total, 'timer')}, {_enabled(statistics)} enabled"
    if statistics.finished:
        what += f", {statistics.finished} of them finished"
    if statistics.held:
        what += f", {statistics.held} paused"
    if statistics.due_since is None:
        return Finding.ok("timers", what)
    if not statistics.overdue:
        return Finding.ok("timers", f"{what}; the next fires at {display.instant(statistics.due_since, tz)}")
    late = display.seconds((now - statistics.due_since).total_seconds())
    what += f"; {statistics.overdue} overdue, the longest by {late}"
    if unreadable := _unreadable(store):
        return Finding.error("timers", f"{what}; {unreadable}")
    if statistics.live_daemons(now):
        return Finding.error(
            "timers", f"{what}, though a daemon runs: is it overloaded? scheduler runs shows what takes long"
        )
    return Finding.warning("timers", f"{what}; the next daemon applies their misfire policies")


def _unreadable(store: Store) -> str:
    """The enabled timers that do not fire because their trigger cannot be read here, with the reason; empty if none."""
    enabled = [stored.timer for stored in TimerTable(store).list() if stored.timer.enabled]
    found = [(timer, timer.trigger) for timer in enabled if isinstance(timer.trigger, UnreadableTrigger)]
    named = [f"{timer.name} in {timer.environment} ({trigger.reason})" for timer, trigger in found]
    return f"{display.number(len(found), 'timer')} cannot fire here: {_listed(named)}" if found else ""


def _check_calendars(store: Store, now: datetime) -> Iterator[Finding]:
    """Check that each calendar that timers use is known for some time to come; no finding without calendars."""
    stored = CalendarTable(store).list()
    soon = [calendar for calendar in stored if calendar.timers and calendar.ends_soon(now.date())]
    for calendar in soon:
        yield Finding.warning(
            "calendars",
            f"{calendar.name!r} of {display.number(calendar.timers, 'timer')} is known until "
            f"{calendar.working_days.known_until}; later, its working week is assumed: "
            f"{display.command('calendars', 'edit', calendar.name)} --known-until DATE, with the days up to then",
        )
    if stored and not soon:
        yield Finding.ok("calendars", ", ".join(calendar.name for calendar in stored))


#: A run whose claim is older than its limit plus this has probably not begun, because no worker is available.
_UNBEGUN = timedelta(minutes=2)


#: A run whose claim is older than this should have begun.
_WAITS = timedelta(seconds=5)


def _check_pauses(statistics: Statistics, tz: tzinfo) -> Iterator[Finding]:
    """A warning for each pause of many timers: while it lasts, they do not fire."""
    for pause in statistics.pauses:
        if pause.timer_id is None:
            yield Finding.warning("pauses", f"{pause_text(pause, tz)}; scheduler resume ends it")


def _check_runs(store: Store, now: datetime, places: int | None) -> Finding:
    """Check for claimed runs that do not end at their limit, or that wait for a free worker."""
    rows = held_up_runs(store, now - _UNBEGUN)
    if not rows:
        claimed = count_claimed(store, now - _WAITS)
        if places and claimed > places:
            return Finding.warning(
                "runs",
                f"{claimed} are claimed, and at most {places} run at once, so {claimed - places} or more wait for a "
                "free worker: raise max_workers, or lower the limits of functions that hang",
            )
        return Finding.ok("runs", "none is held up")
    since = display.seconds((now - rows[0].claimed_at).total_seconds())
    named = list(dict.fromkeys(f"{row.timer} ({row.environment})" for row in rows))
    return Finding.warning(
        "runs",
        f"{display.number(len(rows), 'run')} should have ended by its limit, the first was claimed {since} ago: "
        f"{_listed(named)}; too few workers, or none that loads the functions? the daemon's log says what it waits for",
    )


def _enabled(statistics: Statistics) -> int:
    return sum(count for (_, is_enabled), count in statistics.timers.items() if is_enabled)


def _check_breakers(statistics: Statistics) -> Finding:
    if not statistics.troubled:
        return Finding.ok("breakers", "all closed")
    named = [
        f"{timer.name} ({timer.environment}) is {timer.state} after {timer.failures} failures: "
        f"{timer.last_error or 'no error'}"
        for timer in statistics.troubled
    ]
    return Finding.warning("breakers", f"{_listed(named)}; {display.command('timers', 'reset')} NAME closes one")


_MAX_NAMED = 5


def _listed(named: list[str]) -> str:
    more = f"; and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
    return "; ".join(display.plain(name[:300]) for name in named[:_MAX_NAMED]) + more
