"""The tables of the store, for SQLAlchemy Core. Instants are integers, see core/timestamps.py."""

from __future__ import annotations

from datetime import datetime
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
    false,
    text,
)

from ..core.attributes import ATTRIBUTES

#: The newest migration. A store of an older one is upgraded, a store of a newer one refused.
HEAD = "0020"

metadata = MetaData()
#: SQLite numbers rows only in a column declared INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")

#: The SQL type of an attribute of a timer.
_TYPES: dict[type, Any] = {str: Text, int: Integer, float: Float, bool: Boolean, datetime: BigInteger}

#: The defaults of attributes that migrations have added, for the rows that were there; a new store has them as well.
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("jitter_s", "retries", "max_runs", "max_concurrent", "catch_up_s"), "0"),
    **dict.fromkeys(("pause_on_failure", "remove_when_finished", "fire_on_enable", "fire_on_start"), false()),
    **dict.fromkeys(("tags", "then"), "[]"),
    "retry_backoff_s": "10",
    "grace_s": "5",
    "description": "",
    "roll": "skip",
    "then_on": "succeeded",
}

timers = Table(
    "timers",
    metadata,
    Column("id", Id, primary_key=True),
    *(
        Column(
            attribute.name,
            _TYPES[attribute.sql],
            nullable=attribute.is_optional,
            server_default=_DEFAULTS.get(attribute.name),
        )
        for attribute in ATTRIBUTES
    ),
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
    # Increases with every edit, so that daemons read the timer again.
    Column("revision", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # The environment whose functions declare the timer, and their last declaration; see declaration_sync.py.
    Column("declared_in", Text),
    Column("declaration", Text),
    # Not null while the declaration is gone: whether the timer was enabled before.
    Column("suspended", Boolean),
    # How many scheduled runs have begun since it was enabled, if it has max_runs.
    Column("begun_runs", Integer, nullable=False, server_default="0"),
    # While a pause covers it: no daemon claims it; see pauses.py.
    Column("held", Boolean, nullable=False, server_default=false()),
    # The digest of its calendar, which shows daemons that the calendar has changed.
    Column("calendar_digest", Text),
    UniqueConstraint("environment", "name"),
)
#: The condition of a timer that daemons may claim.
NOT_HELD = "NOT timers.held"
_DUE = "next_fire_at IS NOT NULL AND NOT held"
# With both columns: SQLite evaluates the condition even if the index implies it, and would read each row for that.
Index("timers_due", timers.c.next_fire_at, timers.c.held, sqlite_where=text(_DUE), postgresql_where=text(_DUE))

# Timers whose breaker changes when a run succeeds: usually few.
TROUBLED = "consecutive_failures > 0 OR breaker_state <> 'closed'"
Index("timers_troubled", timers.c.id, sqlite_where=text(TROUBLED), postgresql_where=text(TROUBLED))

# Timers that others follow: usually few.
CHAINED = "\"then\" <> '[]'"
Index("timers_chained", timers.c.id, sqlite_where=text(CHAINED), postgresql_where=text(CHAINED))

# Timers that are removed when they are finished: usually few.
REMOVED_WHEN_FINISHED = "remove_when_finished"
Index(
    "timers_passing",
    timers.c.id,
    sqlite_where=text(REMOVED_WHEN_FINISHED),
    postgresql_where=text(REMOVED_WHEN_FINISHED),
)

daemons = Table(
    "daemons",
    metadata,
    # Random and never reused, so that a daemon that lost its lease does not match a later row.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    # Distinguishes a process from a later one with the same pid.
    Column("process_started", Text, nullable=False),
    Column("wake_port", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    # The environments whose functions run in a fleet; their runs continue when the daemon dies, and others adopt them.
    Column("fleet", Text, nullable=False, server_default=""),
    # Whether its start has fired the timers with fire_on_start.
    Column("has_fired", Boolean, nullable=False, server_default=false()),
)

# Pauses: of everything, of an environment, of a tag; or of one timer, which is disabled until then.
pauses = Table(
    "pauses",
    metadata,
    Column("id", Id, primary_key=True),
    Column("environment", Text),
    Column("tag", Text),
    Column("timer_id", BigInteger),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger),
    # Who has paused it, and why.
    Column("by", Text, nullable=False),
    Column("note", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    # The history outlives the timer, so it has the names too. There is no foreign key: PostgreSQL would lock the row of
    # the timer for each run, and search the history when a timer is removed. Its open runs lose their timer_id then.
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
    # The daemon that claimed the run; a run without owner and outcome waits.
    Column("owner", BigInteger),
    Column("claimed_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("outcome", Text),
    Column("message", Text, nullable=False),
    Column("error", Text),
    Column("result", Text),
    Column("lines_dropped", Integer, nullable=False),
    # When a further attempt is due; and in retry_at of the failed attempt before it, the same instant.
    Column("due_at", BigInteger),
    Column("retry_at", BigInteger),
    # The process of a fleet that has begun the run, and alone may end it: node/pid.
    Column("worker", Text),
    # The parameters of a requested run that has its own, as JSON; else those of the timer hold.
    Column("own_params", Text),
    # The instant of a request to end it at once; see claims/cancellations.py.
    Column("cancel_requested_at", BigInteger),
    # The run that led to it, whose timer its own follows; see claims/chains.py.
    Column("cause_id", BigInteger),
)
Index(
    "runs_open",
    runs.c.timer_id,
    sqlite_where=text("outcome IS NULL"),
    postgresql_where=text("outcome IS NULL"),
)

# Waiting runs: usually few, and queried at every claim.
_WAITING = "outcome IS NULL AND owner IS NULL"
Index("runs_waiting", runs.c.id, sqlite_where=text(_WAITING), postgresql_where=text(_WAITING))

# Runs to cancel: mostly none, and looked for when a daemon is woken.
_TO_CANCEL = "cancel_requested_at IS NOT NULL AND outcome IS NULL"
Index("runs_to_cancel", runs.c.id, sqlite_where=text(_TO_CANCEL), postgresql_where=text(_TO_CANCEL))

_CAUSED = "cause_id IS NOT NULL"
Index("runs_caused", runs.c.cause_id, sqlite_where=text(_CAUSED), postgresql_where=text(_CAUSED))

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

# Lines printed by functions that clients call over HTTP; such a call is not a run.
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

# Calendars of working days, by the names that timers have; see calendars.py.
calendars = Table(
    "calendars",
    metadata,
    Column("name", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    # A JSON object.
    Column("content", Text, nullable=False),
    # What it was made from, as in `country CN`.
    Column("source", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
)

# Who changed what; each row is written in the transaction of the change.
changes = Table(
    "changes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("way", Text, nullable=False),
    Column("why", Text, nullable=False),
    # What was changed: usually a timer, which has an environment.
    Column("subject", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("environment", Text),
    Column("former_name", Text),
    # JSON objects.
    Column("before", Text),
    Column("after", Text),
)
Index("changes_by_name", changes.c.name, changes.c.id)
_RENAMED = "former_name IS NOT NULL"
Index(
    "changes_by_former_name",
    changes.c.former_name,
    sqlite_where=text(_RENAMED),
    postgresql_where=text(_RENAMED),
)

# Alerts to deliver and delivered; each row is written in the transaction of its cause; see alert_recording.py.
alerts = Table(
    "alerts",
    metadata,
    Column("id", Id, primary_key=True),
    # Random: receivers recognise by it an alert that they get twice.
    Column("key", Text, nullable=False),
    # The name of the rule, whose target only the settings have.
    Column("rule", Text, nullable=False),
    Column("incident", Text, nullable=False),
    Column("cause", Text, nullable=False),
    # Empty for what is in no environment.
    Column("environment", Text, nullable=False),
    # The name of the timer or calendar, or the daemon.
    Column("subject", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("run_id", BigInteger),
    Column("message", Text, nullable=False),
    # Whether further events of the incident are counted in this row.
    Column("is_open", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    # Null once it is delivered or given up; a process that delivers it sets this to when others may try.
    Column("next_attempt_at", BigInteger),
    # Digests of the addresses that have it, of a rule with several.
    Column("delivered_to", Text, nullable=False),
    Column("delivered_at", BigInteger),
    Column("error", Text),
)
_IS_OPEN, _TO_DELIVER = "is_open", "next_attempt_at IS NOT NULL"
Index(
    "alerts_open",
    alerts.c.rule,
    alerts.c.incident,
    alerts.c.environment,
    alerts.c.subject,
    unique=True,
    sqlite_where=text(_IS_OPEN),
    postgresql_where=text(_IS_OPEN),
)
Index(
    "alerts_to_deliver",
    alerts.c.next_attempt_at,
    sqlite_where=text(_TO_DELIVER),
    postgresql_where=text(_TO_DELIVER),
)

# The functions of each environment, as the process that has loaded them last describes them; see catalogue.py.
functions = Table(
    "functions",
    metadata,
    Column("environment", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("signature", Text, nullable=False),
    # The first line of its documentation.
    Column("doc", Text, nullable=False),
    # Its file and line, as in `cloud.py:12`.
    Column("place", Text, nullable=False),
)

# Who may use the console: the SHA-256 of each token, link and session; see console/tokens.py.
console_tokens = Table(
    "console_tokens",
    metadata,
    # Random and never used again, so that a cookie never matches a later token.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
)

# Runs that clients have requested with a key: the same key is answered with the same run; see store/request_keys.py.
request_keys = Table(
    "request_keys",
    metadata,
    # The SHA-256 of the client and its key.
    Column("digest", Text, primary_key=True),
    # That of the request.
    Column("request", Text, nullable=False),
    Column("run_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
Index("request_keys_at", request_keys.c.at)
