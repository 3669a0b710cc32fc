"""Webhooks: an alert as a signed POST, by the specification Standard Webhooks (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

from ..core.alerts import AlertRule, secret_key
from ..store.alert_queue import StoredAlert
from .requests import Answer, Requests
from .texts import values

#: How long a target may take, from the resolution of its name to the beginning of its answer.
DEADLINE_S = 10.0


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of a delivery, for the header webhook-signature."""
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


async def post_alert(requests: Requests, rule: AlertRule, alert: StoredAlert) -> Answer:
    """Deliver an alert; the id is the same at each attempt, so that the receiver recognises a second one."""
    assert rule.webhook is not None
    body = json.dumps(values(alert), ensure_ascii=False).encode()
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": alert.key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret_key(rule.secret), alert.key, timestamp, body),
    }
    return await requests.post(
        rule.webhook,
        body,
        headers,
        deadline_s=DEADLINE_S,
        allow_private=rule.allow_private,
        hint="allow_private = true",
    )
