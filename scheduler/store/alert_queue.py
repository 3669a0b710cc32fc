"""AlertQueue: takes the alerts that are due, records the result of each delivery, and lists them.

A process that takes an alert has LEASE to deliver it; if it is killed and records nothing by then, the alert is taken
again. So an alert is delivered at least once, and its key is the same each time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, case, func, select, update

from ..core.alerts import Cause
from ..core.timestamps import instant, instant_or_none, stamp
from .alert_recording import GIVE_UP_AFTER
from .database import Store
from .rows import storable
from .schema import alerts

#: How long others wait for the process that has taken an alert.
LEASE = timedelta(minutes=3)
#: The pause after the first attempt that failed, doubled each time up to the second of these.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(hours=1)
#: The most alerts of a rule that are taken at once.
MAX_TAKEN = 10
_MAX_ERROR_LENGTH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlert:
    """An alert: its rule, its cause, and how often the cause has come true from `at` to `last_at`.

    `subject` is the timer, the calendar or the daemon. `is_open`: further causes are counted in it. `state` is one of
    waiting, delivered, given_up. `delivered_to` are digests of the addresses that have it.
    """

    id: int
    key: str
    rule: str
    cause: Cause
    environment: str
    subject: str
    at: datetime
    last_at: datetime
    count: int
    run_id: int | None
    message: str
    is_open: bool
    attempts: int
    next_attempt_at: datetime | None
    delivered_to: frozenset[str]
    delivered_at: datetime | None
    error: str | None

    @property
    def state(self) -> str:
        if self.delivered_at is not None:
            return "delivered"
        return "given_up" if self.next_attempt_at is None else "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleState:
    """The alerts of one rule by state; since when the waiting ones have failed to be delivered, and the last error."""

    rule: str
    waiting: int
    delivered: int
    given_up: int
    failing_since: datetime | None
    error: str | None


class AlertQueue:
    """The alerts of one store; every method is one transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, rules: Collection[str], now: datetime) -> list[StoredAlert]:
        """Take alerts of these rules whose time has come, oldest first, a few of each rule."""
        taken: list[Row[Any]] = []
        with self._store.writing() as connection:
            for rule in sorted(rules):
                due = select(alerts).where(alerts.c.rule == rule, alerts.c.next_attempt_at <= stamp(now))
                due = due.order_by(alerts.c.id).limit(MAX_TAKEN).with_for_update(skip_locked=True)
                taken += connection.execute(due).all()
            if taken:
                theirs = update(alerts).where(alerts.c.id.in_([row.id for row in taken]))
                values = {"next_attempt_at": stamp(now + LEASE), "attempts": alerts.c.attempts + 1}
                connection.execute(theirs.values(values))
        return [_stored(row) for row in taken]

    def next_due(self, rules: Collection[str]) -> datetime | None:
        """When the next alert of these rules can be taken; None if none waits."""
        earliest = select(func.min(alerts.c.next_attempt_at)).where(
            alerts.c.next_attempt_at.is_not(None), alerts.c.rule.in_(rules)
        )
        with self._store.reading() as connection:
            return instant_or_none(connection.execute(earliest).scalar())

    def delivered(self, alert: StoredAlert, now: datetime, to: Collection[str] = ()) -> None:
        """Note that an alert has been delivered."""
        values = {"next_attempt_at": None, "delivered_at": stamp(now), "error": None, "delivered_to": _joined(to)}
        with self._store.writing() as connection:
            connection.execute(update(alerts).where(alerts.c.id == alert.id).values(values))

    def failed(self, alert: StoredAlert, now: datetime, error: str, to: Collection[str] = ()) -> bool:
        """Note that an alert could not be delivered to all; returns whether it is given up."""
        is_given_up = now - alert.at > GIVE_UP_AFTER
        next_at = None if is_given_up else stamp(now + pause_after(alert.attempts + 1))
        values = {"next_attempt_at": next_at, "error": storable(error[:_MAX_ERROR_LENGTH]), "delivered_to": _joined(to)}
        # Another process may have taken it meanwhile, and delivered it.
        undelivered = update(alerts).where(alerts.c.id == alert.id, alerts.c.delivered_at.is_(None))
        with self._store.writing() as connection:
            connection.execute(undelivered.values(values))
        return is_given_up

    def list(self, limit: int = 100, rule: str | None = None, *, before: int | None = None) -> list[StoredAlert]:
        """The latest alerts, newest first; with `before`, those before that id."""
        query = select(alerts).order_by(alerts.c.id.desc()).limit(limit)
        if rule is not None:
            query = query.where(alerts.c.rule == rule)
        if before is not None:
            query = query.where(alerts.c.id < before)
        with self._store.reading() as connection:
            return [_stored(row) for row in connection.execute(query)]

    def count_undelivered(self) -> int:
        """The number of alerts that wait after a delivery that failed; an index contains these."""
        failing = select(func.count()).where(alerts.c.next_attempt_at.is_not(None), alerts.c.error.is_not(None))
        with self._store.reading() as connection:
            return int(connection.execute(failing).scalar_one())

    def states(self) -> Sequence[RuleState]:
        """The state of each rule that has alerts in the store."""
        waits, is_delivered = alerts.c.next_attempt_at.is_not(None), alerts.c.delivered_at.is_not(None)
        has_failed = waits & alerts.c.error.is_not(None)
        counts = select(
            alerts.c.rule,
            func.count(case((waits, 1))).label("waiting"),
            func.count(case((is_delivered, 1))).label("delivered"),
            func.count(case((~waits & ~is_delivered, 1))).label("given_up"),
            func.min(case((has_failed, alerts.c.at))).label("failing_since"),
            func.max(case((has_failed, alerts.c.id))).label("latest_failed"),
        ).group_by(alerts.c.rule)
        with self._store.reading() as connection:
            rows = connection.execute(counts.order_by(alerts.c.rule)).all()
            latest = select(alerts.c.id, alerts.c.error).where(alerts.c.id.in_([row.latest_failed for row in rows]))
            errors = {row.id: row.error for row in connection.execute(latest)}
        return [
            RuleState(
                rule=row.rule,
                waiting=row.waiting,
                delivered=row.delivered,
                given_up=row.given_up,
                failing_since=instant_or_none(row.failing_since),
                error=errors.get(row.latest_failed),
            )
            for row in rows
        ]


def pause_after(attempts: int) -> timedelta:
    """How long to wait after this number of attempts.

    >>> [int(pause_after(attempts).total_seconds()) for attempts in (1, 2, 3, 9, 10, 1000)]
    [10, 20, 40, 2560, 3600, 3600]
    """
    # The exponent is bounded, so that a thousand attempts do not make a number of a thousand bits.
    factor: int = 2 ** min(attempts - 1, 20)
    return min(FIRST_PAUSE * factor, LONGEST_PAUSE)


def _joined(digests: Collection[str]) -> str:
    return ",".join(sorted(digests))


def _stored(row: Row[Any]) -> StoredAlert:
    return StoredAlert(
        id=row.id,
        key=row.key,
        rule=row.rule,
        cause=Cause(row.cause),
        environment=row.environment,
        subject=row.subject,
        at=instant(row.at),
        last_at=instant(row.last_at),
        count=row._mapping["count"],  # row.count is a method of tuples
        run_id=row.run_id,
        message=row.message,
        is_open=bool(row.is_open),
        attempts=row.attempts,
        next_attempt_at=instant_or_none(row.next_attempt_at),
        delivered_to=frozenset(filter(None, row.delivered_to.split(","))),
        delivered_at=instant_or_none(row.delivered_at),
        error=row.error,
    )
