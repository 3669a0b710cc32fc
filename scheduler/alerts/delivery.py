"""Delivery of the alerts of one rule: to its webhook one by one, to the addresses of apprise as one message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ..core.alerts import AlertRule, Cause
from ..store.alert_queue import AlertQueue, StoredAlert
from .apprise_messages import digest_of, send_messages
from .requests import Answer, Requests
from .texts import message
from .webhook import post_alert


async def deliver(queue: AlertQueue, requests: Requests, rule: AlertRule, alerts: Sequence[StoredAlert]) -> str:
    """Deliver alerts that were taken, and record the result; returns the error, empty if there was none."""
    if rule.webhook is None:
        return await _to_addresses(queue, rule, alerts)
    for place, alert in enumerate(alerts):
        answer = await post_alert(requests, rule, alert)
        if not answer.is_accepted:
            # The target is down: do not try each of the others now.
            await asyncio.to_thread(_fail, queue, alerts[place:], answer.text)
            return answer.text
        await asyncio.to_thread(queue.delivered, alert, datetime.now(UTC))
    return ""


def _fail(queue: AlertQueue, alerts: Sequence[StoredAlert], error: str) -> None:
    for alert in alerts:
        queue.failed(alert, datetime.now(UTC), error, alert.delivered_to)


async def _to_addresses(queue: AlertQueue, rule: AlertRule, alerts: Sequence[StoredAlert]) -> str:
    """One message to each address with the alerts that it does not have yet."""
    messages, addressed = [], []
    for address in rule.to:
        missing = [alert for alert in alerts if digest_of(address) not in alert.delivered_to]
        if missing:
            title, body = message(missing)
            messages.append({"address": address, "title": title, "body": body})
            addressed.append((digest_of(address), missing))
    answers = await send_messages(messages)
    has = {alert.id: set(alert.delivered_to) for alert in alerts}
    errors: dict[int, str] = {}
    for (digest, missing), sent, answer in zip(addressed, messages, answers, strict=True):
        for alert in missing:
            if answer.is_accepted:
                has[alert.id].add(digest)
            else:
                errors[alert.id] = f"{sent['address'].partition('://')[0]}: {answer.text}"
    for alert in alerts:
        if alert.id in errors:
            await asyncio.to_thread(queue.failed, alert, datetime.now(UTC), errors[alert.id], has[alert.id])
        else:
            await asyncio.to_thread(queue.delivered, alert, datetime.now(UTC), has[alert.id])
    return next(iter(errors.values()), "")


def test_alert(rule: AlertRule) -> StoredAlert:
    """An alert that says it is a test."""
    now = datetime.now(UTC)
    return StoredAlert(
        id=0,
        key=f"alert_test_{int(now.timestamp() * 1000):x}",
        rule=rule.name,
        cause=Cause.FAILED,
        environment="production",
        subject="test",
        at=now - timedelta(seconds=1),
        last_at=now,
        count=1,
        run_id=None,
        message="this is a test: no timer has failed",
        is_open=False,
        attempts=0,
        next_attempt_at=None,
        delivered_to=frozenset(),
        delivered_at=None,
        error=None,
    )


async def try_rule(rule: AlertRule) -> list[tuple[str, Answer]]:
    """Send a test alert to the targets of a rule; each target, as it may be shown, with its answer."""
    alert = test_alert(rule)
    if rule.webhook is not None:
        requests = Requests()
        try:
            return [(rule.shown_target, await post_alert(requests, rule, alert))]
        finally:
            await requests.close()
    title, body = message([alert])
    answers = await send_messages([{"address": address, "title": title, "body": body} for address in rule.to])
    shown = [f"{address.partition('://')[0]}://…" for address in rule.to]
    return list(zip(shown, answers, strict=True))
