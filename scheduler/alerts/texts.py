"""The texts of an alert: a title and a body for people, and the values for a webhook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..core.alerts import Cause
from ..store.alert_queue import StoredAlert

#: The most alerts that one message lists.
MAX_LISTED = 10

#: What has happened, by cause: the end of a title.
WORDS = {
    Cause.FAILED: "has failed",
    Cause.TIMED_OUT: "was over its limit",
    Cause.ABANDONED: "was abandoned",
    Cause.SHORT_CIRCUITED: "is short-circuited",
    Cause.RECOVERED: "has recovered",
    Cause.LATE: "is late",
    Cause.FINISHED: "is finished",
    Cause.PAUSED_ON_FAILURE: "has failed and is disabled",
    Cause.CALENDAR_ENDS: "ends soon",
    Cause.NO_DAEMON: "has ended without stopping",
}
_OF = {Cause.CALENDAR_ENDS: "calendar", Cause.NO_DAEMON: "daemon"}


def title(alert: StoredAlert) -> str:
    """One line, as in `timer report in production has failed`."""
    where = f" in {alert.environment}" if alert.environment else ""
    return f"{_OF.get(alert.cause, 'timer')} {alert.subject}{where} {WORDS[alert.cause]}"


def body(alert: StoredAlert) -> str:
    """The details that follow the title."""
    lines = [alert.message] if alert.message else []
    if alert.count > 1 and alert.cause is not Cause.RECOVERED:
        lines.append(f"{alert.count:,} times, most recently at {_iso(alert.last_at)}")
    lines.append(f"at {_iso(alert.at)}" + (f", run {alert.run_id}" if alert.run_id else ""))
    return "\n".join(lines)


def message(alerts: Sequence[StoredAlert]) -> tuple[str, str]:
    """The title and the body of one message for one or more alerts."""
    if len(alerts) == 1:
        return title(alerts[0]), body(alerts[0])
    listed = "\n".join(f"{title(alert)}: {alert.message}".removesuffix(": ") for alert in alerts[:MAX_LISTED])
    more = len(alerts) - MAX_LISTED
    return f"{len(alerts)} alerts of timers", listed + (f"\nand {more} more" if more > 0 else "")


def values(alert: StoredAlert) -> dict[str, Any]:
    """The body of a webhook, in the form that Standard Webhooks recommends."""
    subject = _OF.get(alert.cause, "timer")
    return {
        "type": f"{subject}.{alert.cause}",
        "timestamp": _iso(alert.at),
        "data": {
            "id": alert.key,
            "alert": alert.rule,
            "cause": alert.cause.value,
            subject: alert.subject,
            "environment": alert.environment or None,
            "count": alert.count,
            "first_at": _iso(alert.at),
            "last_at": _iso(alert.last_at),
            "run_id": alert.run_id,
            "title": title(alert),
            "message": alert.message,
        },
    }


def _iso(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
