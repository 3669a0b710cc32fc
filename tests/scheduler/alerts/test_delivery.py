"""One attempt to deliver: what a receiver gets, and what becomes of an alert whose target does not accept it."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import json
import socket
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from scheduler.alerts import pings as pings_module
from scheduler.alerts import webhook
from scheduler.alerts.apprise_messages import is_installed
from scheduler.alerts.courier import Courier
from scheduler.alerts.delivery import deliver, try_rule
from scheduler.alerts.ping_queue import (
    HOST_AT_ONCE,
    MAX_WAITING,
    NEW_HOST_AT_ONCE,
    SLOW_HOST_AT_ONCE,
    PingQueue,
)
from scheduler.alerts.pings import Pings, ping_address
from scheduler.alerts.private_addresses import PrivateAddressError, is_private, resolved
from scheduler.alerts.requests import Answer, Requests
from scheduler.core.alerts import AlertEvent, AlertRule, AlertRules, Cause
from scheduler.store.alert_queue import LEASE, MAX_TAKEN, AlertQueue
from scheduler.store.alert_recording import GIVE_UP_AFTER, write_alerts
from scheduler.store.database import Store
from tests.scheduler.alerts.receivers import Receiver, answer, receiving, took_s

webhooks = pytest.importorskip("standardwebhooks.webhooks")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def rule(receiver: Receiver, **options: Any) -> AlertRule:
    values = {"name": "team", "webhook": receiver.url, "secret": SECRET, "allow_private": True} | options
    return AlertRule(**values)


def write(store: Store, rule: AlertRule, *events: AlertEvent) -> AlertQueue:
    store.alerts = AlertRules([rule])
    with store.writing() as connection:
        write_alerts(connection, events)
    return AlertQueue(store)


def failed(name: str = "report", at: datetime | None = None) -> AlertEvent:
    return AlertEvent(Cause.FAILED, at or datetime.now(UTC), name, "production", 7, "no such host")


def deliver_now(queue: AlertQueue, rule: AlertRule, now: datetime | None = None) -> str:
    """Take what is due, and try to deliver it; the error."""

    async def attempt() -> str:
        requests = Requests()
        try:
            taken = queue.take([rule.name], now or datetime.now(UTC))
            return await deliver(queue, requests, rule, taken) if taken else "nothing was due"
        finally:
            await requests.close()

    return asyncio.run(attempt())


def test_a_webhook_gets_the_alert_signed(receiver: Receiver) -> None:
    """As the package standardwebhooks checks it; a changed body does not pass."""
    with Store("sqlite://") as store:
        to = rule(receiver)
        queue = write(store, to, failed())
        assert deliver_now(queue, to) == ""
        (alert,) = queue.list()
    (got,) = receiver.received
    data = webhooks.Webhook(SECRET).verify(got.body, got.headers)
    assert data["type"] == "timer.failed"
    assert data["data"]["timer"] == "report"
    assert (data["data"]["message"], data["data"]["run_id"]) == ("no such host", 7)
    assert got.headers["webhook-id"] == data["data"]["id"] == alert.key
    assert alert.state == "delivered"
    with pytest.raises(webhooks.WebhookVerificationError):
        webhooks.Webhook(SECRET).verify(got.body.replace(b"report", b"other"), got.headers)


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (answer(500), "answered 500"),
        (answer(302, Location="http://127.0.0.1:1/"), "answered 302: redirects are not followed"),
        (answer(410), "answered 410"),
        (Receiver.cut, ""),
    ],
)
def test_a_target_that_does_not_accept_an_alert_gets_it_again_with_the_same_id(
    receiver: Receiver, behaviour: Any, error: str
) -> None:
    """After a pause, which becomes longer."""
    receiver.behave = behaviour
    with Store("sqlite://") as store:
        to, now = rule(receiver), datetime.now(UTC)
        queue = write(store, to, failed())
        assert error in deliver_now(queue, to, now)
        (alert,) = queue.list()
        assert (alert.state, alert.attempts) == ("waiting", 1)
        assert error in (alert.error or "")
        assert deliver_now(queue, to, now) == "nothing was due"
        assert error in deliver_now(queue, to, now + timedelta(seconds=30))
        receiver.behave = answer(204)
        assert deliver_now(queue, to, now + timedelta(hours=1)) == ""
        assert [alert.state for alert in queue.list()] == ["delivered"]
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 1
    assert len(receiver.received) == 3


def test_a_target_that_repeats_the_address_does_not_show_its_path(receiver: Receiver) -> None:
    """As pages of errors do; the path and the query of a webhook are secrets."""

    def repeat(handler: BaseHTTPRequestHandler) -> None:
        body = f'{{"path": "{unquote(handler.path)}"}}'.encode()
        handler.send_response(404)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    receiver.behave = repeat
    with Store("sqlite://") as store:
        to = rule(receiver, webhook=receiver.url + "/top%20secret?token=value-of-it")
        error = deliver_now(write(store, to, failed()), to)
    assert error.startswith('answered 404: {"path": "…')
    assert not any(secret in error for secret in ("top", "secret", "value-of-it"))


@pytest.mark.parametrize("how", ["hang", "drip", "flood"])
def test_a_target_that_never_ends_is_left(receiver: Receiver, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Within the deadline, whatever it sends."""
    monkeypatch.setattr(webhook, "DEADLINE_S", 0.5)
    receiver.behave = getattr(receiver, how)
    with Store("sqlite://") as store:
        to = rule(receiver)
        queue = write(store, to, failed())
        assert took_s(lambda: deliver_now(queue, to)) < 20
        (alert,) = queue.list()
    assert alert.error == ("answered 500: " + "x" * 150 if how == "flood" else "no answer within 0.5 s")


def test_alerts_behind_one_that_is_not_accepted_wait_too(receiver: Receiver) -> None:
    """A target that is down is asked once."""
    receiver.behave = answer(503)
    with Store("sqlite://") as store:
        to = rule(receiver)
        queue = write(store, to, *(failed(f"t{n}") for n in range(5)))
        deliver_now(queue, to)
        assert len(receiver.received) == 1
        assert {alert.state for alert in queue.list()} == {"waiting"}


def test_a_target_that_is_down_gets_no_request_for_each_alert_that_waits(receiver: Receiver, tmp_path: Path) -> None:
    """More alerts wait than are taken at once; the courier tries the next ones after a pause."""
    receiver.behave = answer(500)

    async def deliver_for_a_while(store: Store) -> None:
        requests = Requests()
        task = asyncio.create_task(Courier(store, requests).run())
        async with asyncio.timeout(60):
            while not receiver.received:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        task.cancel()
        await requests.close()

    with Store(tmp_path / "store.db") as store:
        write(store, rule(receiver), *(failed(f"t{n}") for n in range(3 * MAX_TAKEN)))
        asyncio.run(deliver_for_a_while(store))
    assert len(receiver.received) == 1


def test_an_alert_that_cannot_be_delivered_for_days_is_given_up_and_counted(receiver: Receiver) -> None:
    """So that a target that is gone is not asked for ever."""
    receiver.behave = answer(500)
    with Store("sqlite://") as store:
        to, now = rule(receiver), datetime.now(UTC)
        queue = write(store, to, failed(at=now - GIVE_UP_AFTER - timedelta(minutes=1)), failed("other"))
        deliver_now(queue, to)
        assert {alert.subject: alert.state for alert in queue.list()} == {"report": "given_up", "other": "waiting"}
        (state,) = queue.states()
    assert (state.given_up, state.waiting, state.delivered, state.error) == (1, 1, 0, "answered 500")


def test_an_alert_that_was_taken_by_a_process_that_died_is_taken_again(store: Store) -> None:
    """After its lease, and not before, so that two daemons do not both deliver it."""
    now = datetime.now(UTC)
    hook = AlertRule(name="team", webhook="https://example.com/", secret=SECRET)
    queue = write(store, hook, failed())
    assert [alert.subject for alert in queue.take(["team"], now)] == ["report"]
    assert queue.take(["team"], now) == []
    assert queue.take(["other"], now + LEASE) == []
    assert [alert.subject for alert in queue.take(["team"], now + LEASE)] == ["report"]


PRIVATE = (
    *("127.0.0.1", "127.1", "0.0.0.0", "2130706433", "0x7f000001", "017700000001", "10.1.2.3", "192.168.0.1"),
    *("172.16.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "localhost"),
    *(
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ),
)


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_refused_however_it_is_written(host: str) -> None:
    """What is checked is what a connection would go to."""
    with pytest.raises((PrivateAddressError, OSError)):
        asyncio.run(resolved(host, 80, allow_private=False))


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_a_public_address_is_not(text: str) -> None:
    """In either version of the protocol."""
    assert not is_private(ipaddress.ip_address(text))


def test_a_webhook_to_a_private_address_needs_the_setting_that_allows_it(receiver: Receiver) -> None:
    """The message names it, and nothing is sent."""
    with Store("sqlite://") as store:
        to = rule(receiver, allow_private=False)
        queue = write(store, to, failed())
        error = deliver_now(queue, to)
    assert error == "127.0.0.1 is a private address, 127.0.0.1; allow_private = true allows that"
    assert receiver.received == []


def test_the_address_that_was_checked_is_connected_to(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is resolved once, and still is the host of the request."""
    asked: list[str] = []

    async def resolve(host: str, port: int, *, allow_private: bool) -> str:
        asked.append(host)
        return "127.0.0.1"

    monkeypatch.setattr("scheduler.alerts.requests.resolved", resolve)
    with Store("sqlite://") as store:
        to = rule(receiver, webhook=receiver.url.replace("127.0.0.1", "no.such.example"), allow_private=False)
        queue = write(store, to, failed())
        assert deliver_now(queue, to) == ""
    assert asked == ["no.such.example"]
    assert receiver.received[0].headers["host"].startswith("no.such.example:")


def test_a_test_alert_says_that_it_is_one(receiver: Receiver) -> None:
    """And the answer is returned."""
    assert asyncio.run(try_rule(rule(receiver))) == [
        (receiver.url.replace("/hook", "/…"), Answer(True, "answered 200"))
    ]
    assert "this is a test" in json.loads(receiver.received[0].body)["data"]["message"]


# Pings


def test_a_ping_address_has_the_suffix_in_its_path_and_the_run_in_its_query() -> None:
    """The run is a UUID, the same for its begin and its end, and another one for another attempt."""
    begin, end = (ping_address("https://h/a/", suffix, "00ff", 1) for suffix in ("/start", ""))
    assert begin.startswith("https://h/a/start?rid=")
    assert end.startswith("https://h/a?rid=")
    assert begin.partition("rid=")[2] == end.partition("rid=")[2] != ping_address("https://h/a", "", "00ff", 2)[-36:]


def a_ping(url: str, n: int, what: str = "start") -> dict[str, Any]:
    return {"url": url, "what": what, "run_id": n, "request_id": f"{n:x}", "attempt": 1}


def test_pings_of_an_address_come_in_order_and_hosts_that_hang_delay_no_other(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many addresses they have: all are under way until the others have come."""
    monkeypatch.setattr(pings_module, "DEADLINE_S", 600.0)

    async def send(slow: list[Receiver]) -> None:
        requests = Requests()
        pings = Pings(requests, None, allow_private=True)
        for n in range(60):
            for hanging in slow:
                pings.add(a_ping(f"{hanging.url}/{n}", n))
        for n in range(20):
            for what in ("start", "succeeded" if n % 2 else "failed"):
                pings.add(a_ping(receiver.url, n, what))
        async with asyncio.timeout(60):
            while len(receiver.received) < 40:
                await asyncio.sleep(0.02)
        await requests.close()

    with receiving() as one, receiving() as another, receiving() as third:
        slow = [one, another, third]
        for hanging in slow:
            hanging.behave = hanging.hang
        asyncio.run(send(slow))
        assert all(0 < len(hanging.received) <= NEW_HOST_AT_ONCE for hanging in slow)
    paths = [got.path.partition("?")[0] for got in receiver.received]
    assert paths == ["/hook/start", "/hook/fail", "/hook/start", "/hook"] * 10
    rids = [got.path.partition("rid=")[2] for got in receiver.received]
    assert rids[::2] == rids[1::2]


def test_a_slow_host_gets_one_ping_at_a_time_until_it_answers_fast() -> None:
    """Too many of an address are dropped, the oldest first."""
    sent: list[tuple[str, int]] = []
    under_way, most, took_s = 0, 0, 9.0

    async def send(url: str, ping: Any) -> float:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        sent.append((url, ping["n"]))
        return took_s

    async def fill(*, addresses: int) -> tuple[int, int]:
        nonlocal most
        sent.clear()
        most = 0
        for n in range(3 * MAX_WAITING):
            for number in range(addresses):
                queue.add(f"http://h/{number}", {"n": n})
        async with asyncio.timeout(60):
            while not queue.is_empty:
                await asyncio.sleep(0)
        return len(sent), most

    async def main() -> None:
        nonlocal queue, took_s
        queue = PingQueue(send)
        assert await fill(addresses=30) == (30 * MAX_WAITING, NEW_HOST_AT_ONCE)
        assert [n for url, n in sent if url == "http://h/7"] == list(range(2 * MAX_WAITING, 3 * MAX_WAITING))
        assert (await fill(addresses=30))[1] == SLOW_HOST_AT_ONCE
        took_s = 0.1
        assert (await fill(addresses=30))[1] == HOST_AT_ONCE

    queue: Any = None
    asyncio.run(main())


def test_a_loop_that_ends_begins_no_ping() -> None:
    """Else coroutines would be left that nobody awaits."""
    begun = []

    async def send(url: str, ping: Any) -> float:
        begun.append(url)
        await asyncio.sleep(60)
        return 60.0

    async def main() -> None:
        queue = PingQueue(send)
        for number in range(2 * NEW_HOST_AT_ONCE):
            queue.add(f"http://h/{number}", {})
        while len(begun) < NEW_HOST_AT_ONCE:
            await asyncio.sleep(0)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(main())
        gc.collect()
    assert [str(warning.message) for warning in caught if "never awaited" in str(warning.message)] == []
    assert len(begun) == NEW_HOST_AT_ONCE


def test_names_that_are_looked_up_for_long_delay_no_other_and_keep_a_thread_each(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor what else runs in threads, as the store does."""
    asked, found, is_over = [], socket.getaddrinfo, threading.Event()

    def look_up(host: str, *options: Any, **more: Any) -> Any:
        if host != "dead.example":
            return found(host, *options, **more)
        asked.append(host)
        is_over.wait(60)
        raise socket.gaierror("no answer")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    monkeypatch.setattr(pings_module, "DEADLINE_S", 600.0)

    async def send() -> None:
        requests = Requests()
        pings = Pings(requests, None, allow_private=True)
        dead = [
            asyncio.create_task(
                requests.post("http://dead.example/", b"", {}, deadline_s=600, allow_private=True, hint="")
            )
            for _ in range(100)
        ]
        await asyncio.sleep(0)
        pings.add(a_ping("http://dead.example/check", 1))
        pings.add(a_ping(receiver.url, 1, "succeeded"))
        async with asyncio.timeout(60):
            while not receiver.received:
                await asyncio.sleep(0.02)
        assert not any(one.done() for one in dead)
        is_over.set()
        assert {answer.text for answer in await asyncio.gather(*dead)} == {"gaierror: no answer"}
        await requests.close()

    try:
        asyncio.run(send())
    finally:
        is_over.set()
    assert asked == ["dead.example"]


# Apprise

needs_apprise = pytest.mark.skipif(not is_installed(), reason="apprise is not installed")


@needs_apprise
@pytest.mark.slow
def test_addresses_of_apprise_get_one_message_and_each_is_tried_until_it_has_it(receiver: Receiver) -> None:
    """One that has it does not get it again because another one fails."""
    address = receiver.url.replace("http://", "json://")
    with Store("sqlite://") as store, receiving() as other:
        other.behave = answer(500)
        to = AlertRule(name="team", to=(address, other.url.replace("http://", "json://")))
        queue, now = write(store, to, failed("a"), failed("b")), datetime.now(UTC)
        assert "json" in deliver_now(queue, to, now)
        other.behave = answer(200)
        assert deliver_now(queue, to, now + timedelta(hours=1)) == ""
        assert {alert.state for alert in queue.list()} == {"delivered"}
        assert (len(receiver.received), len(other.received)) == (1, 2)
    text = json.loads(receiver.received[0].body)
    assert text["title"] == "2 alerts of timers"
    assert "timer a in production has failed: no such host" in text["message"]


@needs_apprise
@pytest.mark.slow
def test_an_address_that_apprise_does_not_know_is_named_without_its_secrets() -> None:
    """Only its kind is shown."""
    ((shown, got),) = asyncio.run(try_rule(AlertRule(name="x", to=("nosuch://user:s3cretpassword@host",))))
    assert (shown, got) == ("nosuch://…", Answer(False, "apprise does not understand the address"))
