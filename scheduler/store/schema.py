"""The tables of the store, as SQLAlchemy Core sees them. Instants are integers, see core/timestamps.py."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from ..core.attributes import ATTRIBUTES

#: The newest migration; a store that names another one is upgraded, or refused when it is newer.
HEAD = "0006"

metadata = MetaData()
#: SQLite gives row ids by itself only to a column declared INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")

_TYPES: dict[type, Any] = {str: Text, int: Integer, float: Float, bool: Boolean}

timers = Table(
    "timers",
    metadata,
    Column("id", Id, primary_key=True),
    *(Column(attribute.name, _TYPES[attribute.sql], nullable=False) for attribute in ATTRIBUTES),
    # The word for the kind, and the trigger as a JSON object.
    Column("trigger_kind", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("breaker_state", Text, nullable=False),
    Column("consecutive_failures", Integer, nullable=False),
    Column("openings", Integer, nullable=False),
    Column("opened_at", BigInteger),
    Column("next_probe_at", BigInteger),
    Column("last_error", Text),
    Column("next_fire_at", BigInteger),
    # The run in which further fire times of the same outcome are counted, until one begins.
    Column("counter_run_id", BigInteger),
    Column("counter_outcome", Text),
    # Grows with every edit, so that a daemon knows when the timer it remembers is stale.
    Column("revision", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # The environment whose functions declare the timer, and what they declared last; see declarations.py.
    Column("declared_in", Text),
    Column("declaration", Text),
    # Not null once the declaration is gone: whether the timer was enabled then.
    Column("suspended", Boolean),
    UniqueConstraint("environment", "name"),
)
Index(
    "timers_due",
    timers.c.next_fire_at,
    sqlite_where=text("next_fire_at IS NOT NULL"),
    postgresql_where=text("next_fire_at IS NOT NULL"),
)

# Timers whose breaker is of interest when a run ends well: few, most of the time.
TROUBLED = "consecutive_failures > 0 OR breaker_state <> 'closed'"
Index("timers_troubled", timers.c.id, sqlite_where=text(TROUBLED), postgresql_where=text(TROUBLED))

daemons = Table(
    "daemons",
    metadata,
    # Random, never used again: a daemon that lost its lease must not be mistaken for a later one.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    # Tells a process from a later one with the same pid.
    Column("process_started", Text, nullable=False),
    Column("wake_port", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    # The environments whose functions run in a fleet: those runs go on without it, until another daemon adopts them.
    Column("fleet", Text, nullable=False, server_default=""),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    # The history outlives the timer, so the names are kept here too. No foreign key: to check it costs PostgreSQL a
    # lock on the timer's row, and its end a search through the history; open runs lose the id of a timer that goes.
    Column("timer_id", BigInteger),
    Column("timer", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("fire_at", BigInteger, nullable=False),
    Column("last_fire_at", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("request_id", Text, nullable=False),
    # The daemon that runs it; a row without owner and without outcome waits for its turn.
    Column("owner", BigInteger),
    Column("claimed_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("outcome", Text),
    Column("message", Text, nullable=False),
    Column("error", Text),
    Column("result", Text),
    Column("lines_dropped", Integer, nullable=False),
    # When a further attempt may begin; and of the one before, which failed, the same instant.
    Column("due_at", BigInteger),
    Column("retry_at", BigInteger),
    # The process of a fleet that has begun it, and alone may end it: node/pid.
    Column("worker", Text),
)
Index(
    "runs_open",
    runs.c.timer_id,
    sqlite_where=text("outcome IS NULL"),
    postgresql_where=text("outcome IS NULL"),
)

# Runs that wait for their turn: few, most of the time, and asked for at every turn.
_WAITING = "outcome IS NULL AND owner IS NULL"
Index("runs_waiting", runs.c.id, sqlite_where=text(_WAITING), postgresql_where=text(_WAITING))

lines = Table(
    "lines",
    metadata,
    Column("id", Id, primary_key=True),
    Column("run_id", BigInteger, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("level", Text, nullable=False),
    Column("text", Text, nullable=False),
)
Index("lines_by_run", lines.c.run_id, lines.c.id)

# What functions print that are called over HTTP; such a call has no row of its own.
call_lines = Table(
    "call_lines",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("level", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("function", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("request_id", Text, nullable=False),
)
