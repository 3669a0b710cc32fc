"""The courier as a process: alerts and pings of real daemons arrive, whatever is killed and whatever a target does."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from quartzcron.calendars import WorkingDays
from scheduler import Cron, Every, Scheduler, Timer
from scheduler.alerts.courier import alert_of_calendars
from scheduler.core.alerts import AlertRule, AlertRules
from scheduler.functions import Registry
from scheduler.store.alert_queue import AlertQueue
from scheduler.store.calendars import CalendarTable
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable
from tests.scheduler.alerts.receivers import Received, Receiver, receiving
from tests.scheduler.postgres_server import Server
from tests.scheduler.up_process import Up, cli, command, up
from tests.waiting import eventually

pytestmark = pytest.mark.slow

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CLOUD = """
import pathlib
from scheduler.engine import Engine

engine = Engine()


@engine.define
def work():
    print("at work")
    if pathlib.Path("broken").exists():
        raise ValueError("it is broken")
"""
RULE = """
[[alerts]]
name = "team"
webhook = "{url}"
secret = "{secret}"
allow_private = true
on = ["failed", "recovered", "abandoned", "no_daemon"]
"""


def project(folder: Path, url: str, *, more: str = "") -> Path:
    (folder / "cloud.py").write_text(CLOUD)
    (folder / "scheduler.toml").write_text(more + RULE.format(url=url, secret=SECRET))
    return folder


def data(received: Received) -> dict[str, Any]:
    """What a webhook has got; its signature is right."""
    webhooks = pytest.importorskip("standardwebhooks.webhooks")
    values: dict[str, Any] = webhooks.Webhook(SECRET).verify(received.body, received.headers)["data"]
    return values


def causes(receiver: Receiver) -> list[tuple[str, int]]:
    return [(data(got)["cause"], data(got)["count"]) for got in receiver.received]


def states(folder: Path) -> list[str]:
    """The states of the alerts on record."""
    return [row["state"] for row in json.loads(command(folder, "alerts", "list", "--json").stdout)]


def courier_of(running: Up) -> int:
    """The courier of its daemon."""

    def found() -> list[int]:
        paths = Path("/proc").glob("[0-9]*/cmdline")
        pids = [int(path.parent.name) for path in paths if _is_courier(path)]
        return [pid for pid in pids if _parent(pid) == running.only("daemon")]

    (pid,) = eventually(found, lambda seen: len(seen) == 1)
    return pid


def _is_courier(path: Path) -> bool:
    try:
        return b"scheduler.alerts.courier" in path.read_bytes()
    except OSError:
        return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_a_failing_timer_is_alerted_once_and_so_is_its_recovery(tmp_path: Path) -> None:
    """With the daemon in a process of its own, and another courier after the first one was killed."""
    with receiving() as receiver, up(project(tmp_path, receiver.url)) as running:
        (tmp_path / "broken").touch()
        assert command(tmp_path, "timers", "add", "t", "--function", "work", "--every", "1", "--enable").returncode == 0
        # On a busy machine a second run may have failed before the alert is sent, which counts both.
        eventually(lambda: causes(receiver), lambda seen: [cause for cause, _ in seen] == ["failed"])
        # Killed between the answer of the target and its record, the courier would deliver the alert twice.
        eventually(lambda: states(tmp_path), ["delivered"].__eq__)
        first = courier_of(running)
        os.kill(first, signal.SIGKILL)
        eventually(lambda: courier_of(running) != first)
        (tmp_path / "broken").unlink()
        seen = eventually(lambda: causes(receiver), lambda seen: len(seen) >= 2)
        assert [cause for cause, _ in seen] == ["failed", "recovered"]
        assert seen[1][1] > 1
        assert "it is broken" in data(receiver.received[0])["message"]
        eventually(lambda: states(tmp_path), ["delivered", "delivered"].__eq__)
        second = courier_of(running)
        assert running.stop()[0] == 0
        eventually(lambda: not Path(f"/proc/{second}").exists())


def test_an_alert_whose_daemon_was_killed_before_its_delivery_is_delivered_by_the_next(tmp_path: Path) -> None:
    """With the same id at each attempt; that the daemon was killed is an alert too."""
    with receiving() as receiver:
        receiver.behave = receiver.cut
        project(tmp_path, receiver.url)
        (tmp_path / "broken").touch()
        with up(tmp_path) as running:
            command(tmp_path, "timers", "add", "t", "--function", "work", "--every", "1", "--enable")
            eventually(lambda: receiver.received)
            courier = courier_of(running)
            os.kill(running.only("daemon"), signal.SIGKILL)
            running.kill()
            eventually(lambda: not Path(f"/proc/{courier}").exists())
        before = data(receiver.received[0])["id"]
        receiver.received.clear()
        receiver.behave = Receiver().behave
        with up(tmp_path):
            eventually(lambda: {data(got)["cause"] for got in receiver.received} >= {"failed", "no_daemon"})
        ids = [data(got)["id"] for got in receiver.received]
        assert ids.count(before) == 1
        assert len(ids) == len(set(ids))


def test_a_target_that_hangs_delays_no_timer(tmp_path: Path) -> None:
    """Nor the end of the service."""
    with receiving() as receiver:
        receiver.behave = receiver.hang
        project(tmp_path, receiver.url)
        (tmp_path / "broken").touch()
        with up(tmp_path) as running:
            command(tmp_path, "timers", "add", "t", "--function", "work", "--every", "1", "--enable")
            eventually(lambda: receiver.received)

            def lateness() -> list[float]:
                return [
                    row["lateness_s"]
                    for row in json.loads(command(tmp_path, "runs", "--json").stdout)
                    if row["outcome"]
                ]

            # The open breaker ends them after five.
            seen = eventually(lateness, lambda seen: len(seen) >= 5)
            assert sorted(late for late in seen if late is not None)[0] < 1
            assert running.stop()[0] == 0


def test_two_daemons_on_one_server_deliver_each_alert_once(postgres: Server) -> None:
    """Whichever of them has written it."""
    functions = Registry()

    @functions.define
    def work() -> None:
        raise ValueError("it is broken")

    with postgres.database() as url, receiving() as receiver:
        rule = AlertRule(name="team", on=["failed"], webhook=receiver.url, secret=SECRET, allow_private=True)
        timers = [Timer(name=f"t{n}", function="work", trigger=Every(1), enabled=True) for n in range(20)]
        with Scheduler(url, functions, alerts=[rule]) as first, Scheduler(url, functions, alerts=[rule]):
            for timer in timers:
                first.add(timer)
            eventually(lambda: len({data(got)["timer"] for got in receiver.received}) == 20)
            with Store(url) as store:
                eventually(lambda: {alert.state for alert in AlertQueue(store).list()} == {"delivered"})
        assert len(receiver.received) == 20


def test_a_run_reports_its_begin_and_its_end_to_the_ping_address(tmp_path: Path) -> None:
    """In order, with what it has printed; the setting allows the private address."""
    with receiving() as receiver, up(project(tmp_path, receiver.url, more="ping_private = true\n")):
        ping = ("--ping-url", f"{receiver.url}/check")
        command(tmp_path, "timers", "add", "t", "--function", "work", "--every", "3600", "--enable", *ping)
        assert command(tmp_path, "timers", "run", "t", "--wait").returncode == 0
        eventually(lambda: len(receiver.received) == 2)
        (tmp_path / "broken").touch()
        assert command(tmp_path, "timers", "run", "t", "--wait").returncode == 1
        eventually(lambda: sum("/check" in got.path for got in receiver.received) == 4)
        pings = [got for got in receiver.received if "/check" in got.path]
        paths = [got.path.partition("?rid=") for got in pings]
        assert [path for path, _, _ in paths] == [f"/hook/check{end}" for end in ("/start", "", "/start", "/fail")]
        assert paths[0][2] == paths[1][2] != paths[2][2] == paths[3][2]
        assert pings[1].body == b"at work"
        assert b"it is broken" in pings[3].body


def test_a_ping_to_a_private_address_is_refused_by_default(tmp_path: Path) -> None:
    """The log says what allows it, and not the path, which is the secret of the check."""
    with receiving() as receiver, up(project(tmp_path, receiver.url)) as running:
        ping = ("--ping-url", f"{receiver.url}/s3cret")
        command(tmp_path, "timers", "add", "t", "--function", "work", "--every", "3600", "--enable", *ping)
        command(tmp_path, "timers", "run", "t", "--wait")
        eventually(lambda: "ping_private = true allows that" in running.stderr)
        assert "s3cret" not in running.stderr
        assert receiver.received == []


def test_a_calendar_that_ends_is_alerted_once(tmp_path: Path) -> None:
    """While a timer uses it."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with Store(tmp_path / "s.db") as store:
        store.alerts = AlertRules([AlertRule(name="x", on=["calendar_ends"], webhook="https://h/", secret=SECRET)])
        CalendarTable(store).add("firm", WorkingDays(known_until=date(2026, 1, 31)), now=now)
        assert not alert_of_calendars(store, now)
        daily = Timer(name="t", function="f", trigger=Cron("0 0 8 * * ?", "UTC"), calendar="firm")
        TimerTable(store).add([daily], now=now)
        assert alert_of_calendars(store, now)
        assert not alert_of_calendars(store, now)
        (alert,) = AlertQueue(store).list()
        assert (alert.subject, alert.environment) == ("firm", "")


def test_the_command_tests_the_rules(tmp_path: Path) -> None:
    """And its exit status says whether all targets have accepted."""
    with receiving() as receiver:
        project(tmp_path, receiver.url)
        tried = cli(tmp_path, "alerts", "test")
        assert (tried.returncode, "accepted: answered 200" in tried.stdout) == (0, True)
        assert cli(tmp_path, "alerts", "test", "teem").stderr.endswith("did you mean 'team'?\n")
    failed = cli(tmp_path, "alerts", "test", "team")
    assert (failed.returncode, "NOT accepted" in failed.stdout) == (1, True)
    assert SECRET not in failed.stdout + failed.stderr
