"""The courier: the process that delivers alerts and sends pings, so that a slow target never delays the daemon.

The daemon's process writes JSON objects to its stdin, one a line: first the orders (store, rules), then {"wake": true}
when alerts were written, and pings. The courier prints objects to its stdout: log messages, and a sign of life.
When its stdin is closed, as happens when the daemon dies, it finishes what it has begun and exits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from ..core.alerts import AlertEvent, AlertRule, AlertRules, Cause
from ..errors import StoreError
from ..store.alert_queue import AlertQueue, StoredAlert
from ..store.alert_recording import write_alerts
from ..store.calendars import SOON_DAYS, CalendarTable
from ..store.database import Store
from .delivery import deliver
from .pings import Pings
from .requests import Requests

log = logging.getLogger("scheduler.alerts")

#: How often to print a sign of life, and to look at the store although nothing was reported: on a server, workers of a
#: fleet write alerts too.
ALIVE_EVERY_S, LOOK_EVERY_S, LOOK_AT_SERVER_EVERY_S = 5.0, 30.0, 5.0
#: How long the courier finishes what it has begun when its stdin is closed.
LAST_S = 3.0
#: The pause after a message to addresses of apprise, so that later alerts are collected into one message; and after an
#: error of any target, because one that is down must not get a request for each alert that waits.
SPACING_S = 10.0
#: The pause after an error of the store.
RETRY_S = 5.0
CALENDARS_EVERY_S = 3_600.0
#: The nice(2) increment of the courier, so that timers come first.
_NICENESS = 10
_MAX_LINE = 4_000_000
_THREADS = 32


class Courier:
    """Delivers the alerts of a store by its rules: those of one rule in order, those of several concurrently."""

    def __init__(self, store: Store, requests: Requests) -> None:
        self._store = store
        self._queue = AlertQueue(store)
        self._rules = store.alerts.by_name()
        self._requests = requests
        self._woken = asyncio.Event()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._errors: dict[str, str] = {}
        #: The error of a store that does not answer, which is logged once.
        self._outage = ""
        self._every_s = LOOK_AT_SERVER_EVERY_S if store.has_server else LOOK_EVERY_S

    def wake(self) -> None:
        """Look for alerts to deliver now."""
        self._woken.set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being delivered."""
        return not self._busy and not self._woken.is_set()

    async def run(self) -> None:
        """Deliver due alerts until the task is cancelled."""
        while True:
            self._woken.clear()
            try:
                wait_s = await self._turn()
                self._outage = ""
            except StoreError as error:
                if str(error) != self._outage:
                    self._outage = str(error)
                    log.warning("alerts wait: %s", error)
                wait_s = RETRY_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), wait_s)

    async def _turn(self) -> float:
        """Begin to deliver due alerts; returns in how many seconds to look again."""
        idle = [name for name in self._rules if name not in self._busy]
        if not idle:
            return self._every_s
        by_rule: dict[str, list[StoredAlert]] = defaultdict(list)
        for alert in await asyncio.to_thread(self._queue.take, idle, datetime.now(UTC)):
            by_rule[alert.rule].append(alert)
        for name, alerts in by_rule.items():
            self._busy[name] = asyncio.create_task(self._deliver(name, alerts))
        rest = [name for name in idle if name not in by_rule]
        due = await asyncio.to_thread(self._queue.next_due, rest) if rest else None
        due_s = self._every_s if due is None else (due - datetime.now(UTC)).total_seconds()
        return min(self._every_s, max(0.1, due_s))

    async def _deliver(self, name: str, alerts: list[StoredAlert]) -> None:
        rule = self._rules[name]
        try:
            error = await deliver(self._queue, self._requests, rule, alerts)
            self._log(rule, error, alerts)
            if error or rule.webhook is None:
                await asyncio.sleep(SPACING_S)
        except StoreError as store_error:
            # The alerts are taken again, and so delivered twice, after their lease.
            log.warning("alert %r: the result of a delivery could not be recorded: %s", name, store_error)
        except Exception:
            log.exception("unexpected error while delivering the alert %r", name)
            await asyncio.sleep(RETRY_S)
        finally:
            del self._busy[name]
            self.wake()

    def _log(self, rule: AlertRule, error: str, alerts: list[StoredAlert]) -> None:
        """Log the first failure of a target, each different error after it, and the first success."""
        before = self._errors.pop(rule.name, "")
        if error:
            self._errors[rule.name] = error
            if error != before:
                log.warning("alert %r cannot be delivered to %s: %s; trying again", rule.name, rule.shown_target, error)
        elif before:
            log.info("alert %r is delivered again", rule.name)
        for alert in alerts:
            log.debug("alert %r: %s of %s %s", rule.name, alert.cause, alert.subject, error or "delivered")


async def watch_calendars(store: Store, courier: Courier) -> None:
    """Once an hour, write alerts of calendars that end soon, and that timers use."""
    while True:
        try:
            if await asyncio.to_thread(alert_of_calendars, store, datetime.now(UTC)):
                courier.wake()
        except StoreError as error:
            log.warning("the ends of calendars could not be checked: %s", error)
        await asyncio.sleep(CALENDARS_EVERY_S)


def alert_of_calendars(store: Store, now: datetime) -> bool:
    """Write an alert of each calendar that ends soon, once in SOON_DAYS; returns whether there are any."""
    ending = [one for one in CalendarTable(store).list() if one.timers and one.ends_soon(now.date())]
    known = {
        alert.subject
        for alert in AlertQueue(store).list(limit=10_000)
        if alert.cause is Cause.CALENDAR_ENDS and alert.last_at > now - timedelta(days=SOON_DAYS)
    }
    events = [
        AlertEvent(Cause.CALENDAR_ENDS, now, one.name, message=f"it is known up to {one.working_days.known_until} only")
        for one in ending
        if one.name not in known
    ]
    if events:
        with store.writing() as connection:
            write_alerts(connection, events)
    return bool(events)


# The process


async def serve(orders: Mapping[str, Any], stdin: asyncio.StreamReader) -> None:
    """Deliver alerts and pings by the orders until stdin ends."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    rules = [AlertRule(**rule) for rule in orders["rules"]]
    store = None if orders["store"] is None else await _opened(orders)
    if store is not None:
        store.alerts = AlertRules(rules)
    requests = Requests()
    pings = Pings(requests, store, allow_private=orders["ping_private"])
    running = [asyncio.create_task(_alive())]
    courier = None
    if store is not None and rules:
        courier = Courier(store, requests)
        running.append(asyncio.create_task(courier.run()))
        if Cause.CALENDAR_ENDS in store.alerts.causes:
            running.append(asyncio.create_task(watch_calendars(store, courier)))
    while line := await stdin.readline():
        report = json.loads(line)
        if "url" in report:
            pings.add(report)
        elif courier is not None:
            courier.wake()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_S):
            while not pings.is_idle or (courier is not None and not courier.is_idle):
                await asyncio.sleep(0.05)


async def _opened(orders: Mapping[str, Any]) -> Store:
    """Open the store; if it does not answer, try again until it does."""
    logged = ""
    while True:
        try:
            return await asyncio.to_thread(
                Store,
                orders["store"],
                timeout_s=orders["timeout_s"],
                durability=orders["durability"],
                brings_up_to_date=False,
            )
        except StoreError as error:
            if str(error) != logged:
                logged = str(error)
                log.warning("alerts wait: %s", error)
            await asyncio.sleep(RETRY_S)


async def _alive() -> None:
    while True:
        _print({"alive": True})
        await asyncio.sleep(ALIVE_EVERY_S)


def _print(message: Mapping[str, Any]) -> None:
    """Print a message for the daemon's process, which may be gone."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


class _LogToDaemon(logging.Handler):
    """Passes log records on to the process that writes the log."""

    def emit(self, record: logging.LogRecord) -> None:
        _print({"level": record.levelno, "text": self.format(record)})


async def _main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_MAX_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    orders = json.loads(await reader.readline())
    log.setLevel(orders["log_level"])
    await serve(orders, reader)


def main() -> None:
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    logging.getLogger().addHandler(_LogToDaemon())
    status = 0
    try:
        asyncio.run(_main())
    except Exception:
        log.exception("the courier ends")
        status = 1
    finally:
        # Threads may wait for the resolution of a name.
        os._exit(status)


if __name__ == "__main__":
    main()
