"""The check of alerts: that apprise is installed and understands the addresses, and that targets accept alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from ..alerts.apprise_messages import is_installed, missing_text, send_messages
from ..alerts.private_addresses import private_host, unsent_ping
from ..core.alerts import AlertRule
from ..core.timer import Timer
from ..errors import StoreError
from ..formats import display
from ..project.project import Project
from ..store.alert_queue import AlertQueue, RuleState
from ..store.timers import TimerTable
from .findings import Finding

#: How long alerts may wait before that is an error.
_FAILING = timedelta(minutes=10)
#: The most timers that are named.
_MOST_SHOWN = 5


def check_alerts(project: Project) -> Iterator[Finding]:
    """The findings of the rules in the settings; none if there are no rules."""
    rules = project.settings.alerts
    if not rules:
        return
    faults = [*_faults_of_addresses(rules), *_private_webhooks(rules)]
    yield from (Finding.error("alerts", fault) for fault in faults)
    states = {state.rule: state for state in _states(project)}
    now = datetime.now(UTC)
    shown = [_check_rule(rule, states.get(rule.name), now) for rule in rules]
    yield from (finding for finding in shown if finding is not None)
    if unknown := sorted(name for name, state in states.items() if state.waiting and name not in _names(rules)):
        yield Finding.warning("alerts", f"alerts wait for rules that these settings do not have: {', '.join(unknown)}")
    elif not faults and not any(shown):
        delivered = sum(state.delivered for state in states.values())
        yield Finding.ok(
            "alerts", f"{display.number(len(rules), 'rule')}, {display.number(delivered, 'alert')} delivered"
        )


def check_pings(project: Project) -> Iterator[Finding]:
    """The findings of the ping addresses of timers; none if there is nothing to say."""
    if project.settings.ping_private:
        return
    try:
        with project.open_store() as store:
            timers = [entry.timer for entry in TimerTable(store).list()]
    except StoreError:  # the check of the store reports it
        return
    unsent = [(timer.name, reason) for timer in timers if (reason := unsent_ping_of(timer))]
    for name, reason in unsent[:_MOST_SHOWN]:
        yield Finding.warning("pings", f"timer {name!r}: {reason}")
    if len(unsent) > _MOST_SHOWN:
        yield Finding.warning("pings", f"so it is with {len(unsent) - _MOST_SHOWN:,} more timers")


def unsent_ping_of(timer: Timer) -> str | None:
    """Why a daemon without `ping_private` sends no ping of this timer; None if it does, or there is none."""
    return unsent_ping(timer.ping_url)


def _private_webhooks(rules: Sequence[AlertRule]) -> Iterator[str]:
    for rule in rules:
        if not rule.allow_private and (host := private_host(rule.webhook)):
            yield f"alert {rule.name!r}: {host} is a private address; allow_private = true in its table allows it"


def _names(rules: Sequence[AlertRule]) -> set[str]:
    return {rule.name for rule in rules}


def _states(project: Project) -> Sequence[RuleState]:
    try:
        with project.open_store() as store:
            return AlertQueue(store).states()
    except StoreError:  # the check of the store reports it
        return ()


def _faults_of_addresses(rules: Sequence[AlertRule]) -> Iterator[str]:
    addressed = [(rule, number, address) for rule in rules for number, address in enumerate(rule.to, start=1)]
    if addressed and not is_installed():
        yield missing_text()
        return
    if addressed:
        # Without a title, nothing is sent.
        answers = asyncio.run(send_messages([{"address": address} for _, _, address in addressed]))
        for (rule, number, address), answer in zip(addressed, answers, strict=True):
            if not answer.is_accepted:
                kind = address.partition("://")[0]
                yield f"alert {rule.name!r}, address {number} ({kind}://…): {answer.text}"


def _check_rule(rule: AlertRule, state: RuleState | None, now: datetime) -> Finding | None:
    if state is None:
        return None
    lost = f"; {display.number(state.given_up, 'alert')} given up" if state.given_up else ""
    if state.failing_since is not None and now - state.failing_since > _FAILING:
        since = display.seconds((now - state.failing_since).total_seconds())
        return Finding.error(
            "alerts",
            f"{display.number(state.waiting, 'alert')} of {rule.name!r} cannot be delivered to {rule.shown_target}, "
            f"for {since}: {display.plain(state.error or '')}{lost}; {display.command('alerts', 'test', rule.name)}",
        )
    if lost:
        return Finding.warning("alerts", f"{rule.name!r}{lost}: {rule.shown_target} did not accept them for three days")
    return None
