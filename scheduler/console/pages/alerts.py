"""The page of alerts: the rules of the settings, and the latest alerts with how their delivery went."""

from __future__ import annotations

from flask import request

from ...store.alert_queue import AlertQueue
from ..current import console
from ..rendering import render
from .position import position

_LISTED = 50


def show() -> str:
    """A page of alerts, the latest first."""
    before = request.args.get("before", type=position)
    queue = AlertQueue(console().store)
    alerts = queue.list(_LISTED + 1, before=before)
    return render(
        "alerts.html",
        rules=console().settings.alerts,
        states={state.rule: state for state in queue.states()},
        alerts=alerts[:_LISTED],
        is_first=before is None,
        next=alerts[_LISTED - 1].id if len(alerts) > _LISTED else None,
    )
