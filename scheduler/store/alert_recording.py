"""Records alerts, in the transaction of their cause: so none is lost, and none recorded twice.

A trouble of a timer makes one alert for each rule that selects it; further ones are counted in its row until the timer
has recovered. alert_queue.py takes the rows to deliver them. They are written last in a transaction, after timers and
runs, so that no two transactions wait for each other.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from secrets import token_hex
from typing import Any

from sqlalchemy import Connection, Row, bindparam, false, select, text, update

from ..core.alerts import MAX_MESSAGE_LENGTH, TROUBLE, AlertEvent, AlertRule, Cause, in_rounds
from ..core.timestamps import instant, stamp
from .database import store_of
from .rows import storable
from .schema import alerts, timers
from .statements import Among

#: An alert of late runs counts further ones until there has been none for this long.
LATE_QUIET = timedelta(hours=1)
#: An alert that cannot be delivered for this long is given up.
GIVE_UP_AFTER = timedelta(days=3)

_TAGS = Among(select(timers.c.environment, timers.c.name, timers.c.tags), timers.c.name)
_OPEN = select(alerts).where(alerts.c.is_open, alerts.c.incident == TROUBLE)
_OPEN_KEYS = select(alerts.c.environment, alerts.c.subject).where(alerts.c.is_open, alerts.c.incident == TROUBLE)
_CLOSE = update(alerts).where(alerts.c.is_open).values(is_open=False)
# The same text for both databases; their index with the condition is what ON CONFLICT names.
_INSERT = text(
    "INSERT INTO alerts (key, rule, incident, cause, environment, subject, at, last_at, count, run_id, message,"
    " is_open, attempts, next_attempt_at, delivered_to)"
    " VALUES (:key, :rule, :incident, :cause, :environment, :subject, :at, :last_at, :count, :run_id, :message,"
    " :is_open, 0, 0, '')"
    " ON CONFLICT (rule, incident, environment, subject) WHERE is_open"
    " DO UPDATE SET count = alerts.count + excluded.count,"
    " last_at = CASE WHEN excluded.last_at > alerts.last_at THEN excluded.last_at ELSE alerts.last_at END,"
    # The message of the last run has more details than that of a fire time that did not run.
    " message = CASE WHEN excluded.run_id IS NULL THEN alerts.message ELSE excluded.message END,"
    " run_id = COALESCE(excluded.run_id, alerts.run_id)"
)


def write_alerts(connection: Connection, events: Iterable[AlertEvent]) -> None:
    """Write the alerts that the rules of the store select from these events, in their order."""
    rules = store_of(connection).alerts
    for events_of_round in in_rounds(events):
        caused = [event for event in events_of_round if event.cause is not Cause.RECOVERED]
        _begin_or_count(connection, rules.rules, caused)
        recovered = [event for event in events_of_round if event.cause is Cause.RECOVERED]
        if recovered:
            _recover(connection, rules.by_name(), recovered)
    rules.written += 1


def open_troubles(connection: Connection) -> set[tuple[str, str]]:
    """The timers with an alert that waits for their recovery, by environment and name."""
    return {(row.environment, row.subject) for row in connection.execute(_OPEN_KEYS)}


def _begin_or_count(connection: Connection, rules: Sequence[AlertRule], events: Sequence[AlertEvent]) -> None:
    tags = _tags(connection, events) if any(rule.tags for rule in rules) else {}
    rows = [
        _row(rule, event)
        for event in events
        for rule in rules
        if rule.selects(event, tags.get((event.environment, event.subject), ()))
    ]
    if not rows:
        return
    if late := [event for event in events if event.cause is Cause.LATE]:
        before = stamp(min(event.at for event in late) - LATE_QUIET)
        is_quiet = (alerts.c.incident == Cause.LATE.value) & (alerts.c.last_at < before)
        connection.execute(_CLOSE.where(is_quiet))
    # In one order, because two transactions may count in the same rows.
    rows.sort(key=lambda row: (row["rule"], row["incident"], row["environment"], row["subject"]))
    connection.execute(_INSERT, rows)


def _row(rule: AlertRule, event: AlertEvent) -> dict[str, Any]:
    at = stamp(event.at)
    return {
        "key": f"alert_{token_hex(12)}",
        "rule": rule.name,
        "incident": event.incident,
        "cause": event.cause.value,
        "environment": str(event.environment),
        "subject": event.subject,
        "at": at,
        "last_at": at,
        "count": event.times,
        "run_id": event.run_id,
        "message": storable(event.message[:MAX_MESSAGE_LENGTH]),
        "is_open": event.is_counted,
    }


def _tags(connection: Connection, events: Sequence[AlertEvent]) -> dict[tuple[str, str], Collection[str]]:
    rows = _TAGS.rows(connection, sorted({event.subject for event in events}))
    return {(environment, name): json.loads(tags) for environment, name, tags in rows}


def _recover(connection: Connection, rules: Mapping[str, AlertRule], events: Sequence[AlertEvent]) -> None:
    """Close the alerts of timers that have recovered, and write an alert of each recovery."""
    by_timer = {(str(event.environment), event.subject): event for event in events}
    found = {row.id: row for row in connection.execute(_OPEN) if (row.environment, row.subject) in by_timer}
    if not found:
        return
    closed = _close(connection, list(found))
    recovered = []
    for row in (found[alert_id] for alert_id in sorted(closed)):
        rule = rules.get(row.rule)
        if rule is not None and Cause.RECOVERED in rule.on:
            event = by_timer[row.environment, row.subject]
            recovered.append(_row(rule, event._replace(times=_count(row), message=_recovered_text(row))))
    if recovered:
        connection.execute(_INSERT, recovered)


def _close(connection: Connection, alert_ids: Collection[int]) -> set[int]:
    """Close alerts; returns the ids of those that no other transaction has closed meanwhile."""
    closing = _CLOSE.where(alerts.c.id.in_(alert_ids)).returning(alerts.c.id)
    return set(connection.execute(closing).scalars())


def _count(row: Row[Any]) -> int:
    return int(row._mapping["count"])  # row.count is a method of tuples


def _recovered_text(row: Row[Any]) -> str:
    count = _count(row)
    times = "once" if count == 1 else f"{count:,} times"
    since = instant(row.at).isoformat(timespec="seconds")
    return f"a run has succeeded; before that, {times} in trouble ({row.cause}) since {since}"


# What a person changes


_CLOSE_TROUBLE = (
    update(alerts)
    .where(
        alerts.c.is_open,
        alerts.c.incident != Cause.CALENDAR_ENDS.value,
        alerts.c.environment == bindparam("its_environment"),
        alerts.c.subject == bindparam("its_name"),
    )
    .values(is_open=false())
)


def close_alerts(connection: Connection, names: Collection[tuple[str, str]]) -> None:
    """End the incidents of timers, by environment and name, that a person has enabled, reset, renamed or removed."""
    values = [{"its_environment": str(environment), "its_name": name} for environment, name in names]
    if len(values) > _ONE_BY_ONE:
        # Only those with an incident: usually few of thousands.
        in_trouble = {(row.environment, row.subject) for row in connection.execute(_OPEN_ALERTS)}
        values = [row for row in values if (row["its_environment"], row["its_name"]) in in_trouble]
    if values:
        connection.execute(_CLOSE_TROUBLE, values)


#: For more timers than this, the open alerts are read first.
_ONE_BY_ONE = 8
_OPEN_ALERTS = select(alerts.c.environment, alerts.c.subject).where(alerts.c.is_open)
