"""Alerts of a fleet: PostgreSQL, `scheduler up` and a Celery worker, real processes, and a target that fails in a way.

Each alert is delivered at least once, and a timer beside it is neither late nor missed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.run import Outcome
from scheduler.store.alert_queue import AlertQueue
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from tests.scheduler.alerts.receivers import Receiver, answer, receiving
from tests.scheduler.postgres_server import Server
from tests.scheduler.up_process import Up, cli, up
from tests.waiting import PATIENCE_S, eventually, slowed

pytest.importorskip("celery")
pytest.importorskip("pgmq")

from tests.scheduler.celery_processes import Worker

pytestmark = pytest.mark.slow

CLOUD = """
import pathlib
from scheduler.engine import Engine

engine = Engine()


@engine.define
def work(broken):
    if pathlib.Path(broken).exists():
        raise ValueError("it is broken")


@engine.define
def nothing():
    pass
"""
SETTINGS = """
store = "{store}"
executor = "celery"
broker = "pgmq://"

[[alerts]]
name = "team"
webhook = "{url}"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
allow_private = true
on = ["failed", "recovered", "abandoned", "no_daemon"]
"""


class Fleet:
    """A folder with its settings, the store, and a worker; `scheduler up` is started by the test."""

    def __init__(self, folder: Path, store_url: str, url: str) -> None:
        self.folder, self.broken = folder, folder / "broken"
        text = SETTINGS.format(store=store_url, url=url)
        for place in (folder, folder / "worker"):
            place.mkdir(exist_ok=True)
            (place / "scheduler.toml").write_text(text)
        (folder / "cloud.py").write_text(CLOUD)
        self.store = Store(store_url)
        self.worker = Worker(folder / "worker", store_url, "pgmq://", concurrency=2, cloud=CLOUD)

    def add(self) -> None:
        """Add a timer that fails while the file `broken` is there, and one beside it, each every second."""
        for words in (
            ["t", "--function", "work", "--breaker", "0", f"broken={self.broken}"],
            ["u", "--function", "nothing"],
        ):
            added = cli(self.folder, "timers", "add", *words, "--every", "1", "--enable")
            assert added.returncode == 0, added.stderr

    def alerts(self) -> list[tuple[str, str]]:
        """The causes of the alerts and their states, oldest first."""
        return [(alert.cause.value, alert.state) for alert in reversed(AlertQueue(self.store).list())]

    def runs_of_the_other(self) -> list[Any]:
        return [run for run in RunHistory(self.store).runs(timer="u", limit=1_000) if run.outcome is not None]

    def goes_on(self, number: int = 5) -> None:
        """Wait until the timer beside it has run so many times more; none is missed, and none far too late."""
        before = {run.id for run in self.runs_of_the_other()}
        seen = eventually(self.runs_of_the_other, lambda runs: len({run.id for run in runs} - before) >= number)
        new = [run for run in seen if run.id not in before]
        assert {run.outcome for run in new} <= {Outcome.SUCCEEDED, Outcome.SKIPPED_OVERLAP}
        late = sorted((run.started_at - run.fire_time).total_seconds() for run in new if run.started_at is not None)
        assert late[len(late) // 2] < slowed(1), late

    def close(self) -> None:
        if self.worker.process.poll() is None:
            self.worker.kill()
        self.store.close()


@contextmanager
def made(postgres: Server, folder: Path, url: str) -> Iterator[Fleet]:
    with postgres.database() as store_url:
        fleet = Fleet(folder, store_url, url)
        try:
            yield fleet
        finally:
            fleet.close()


def data(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(got.body)["data"] for got in receiver.received]


def causes(receiver: Receiver) -> set[str]:
    return {one["cause"] for one in data(receiver)}


def test_a_target_that_is_away_gets_the_alert_when_it_is_back(postgres: Server, tmp_path: Path) -> None:
    """Nothing listens at its port at first; then something does."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        with made(postgres, tmp_path, f"http://127.0.0.1:{port}/hook") as fleet:
            fleet.broken.touch()
            with up(tmp_path):
                fleet.add()
                eventually(fleet.alerts, lambda seen: seen[:1] == [("failed", "waiting")])
                eventually(lambda: [alert.error for alert in AlertQueue(fleet.store).list()], lambda seen: seen[-1])
                fleet.goes_on()
                reserved.close()
                with receiving(port) as receiver:
                    eventually(lambda: "failed" in causes(receiver))
                    eventually(lambda: fleet.alerts()[:1], [("failed", "delivered")].__eq__)


@pytest.mark.parametrize("who", ["daemon", "everything", "worker"])
def test_what_is_killed_between_cause_and_delivery_loses_no_alert(postgres: Server, tmp_path: Path, who: str) -> None:
    """The daemon that would deliver it, all of the service, or the worker that has written it."""
    with receiving() as receiver, made(postgres, tmp_path, receiver.url) as fleet:
        well, receiver.behave = receiver.behave, receiver.cut
        fleet.broken.touch()
        with up(tmp_path) as running:
            fleet.add()
            (alert_id,) = eventually(lambda: {one["id"] for one in data(receiver)}, lambda seen: len(seen) == 1)
            _kill(who, fleet, running)
            receiver.received.clear()
            receiver.behave = well
            if who == "everything":
                with up(tmp_path):
                    _delivered(receiver, who)
            else:
                _delivered(receiver, who)
        failed = [one["id"] for one in data(receiver) if one["cause"] == "failed"]
        assert failed.count(alert_id) >= 1


def _delivered(receiver: Receiver, who: str) -> None:
    """Wait for the alert, and for the one that says that a daemon was killed."""
    wanted = {"failed"} if who == "worker" else {"failed", "no_daemon"}
    eventually(lambda: causes(receiver), lambda seen: seen >= wanted, within_s=slowed(PATIENCE_S))


def _kill(who: str, fleet: Fleet, running: Up) -> None:
    if who == "worker":
        os.killpg(fleet.worker.process.pid, signal.SIGKILL)
        fleet.worker.ended()
        return
    os.kill(running.only("daemon"), signal.SIGKILL)
    if who == "everything":
        running.kill()


@pytest.fixture(scope="module")
def served(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Receiver, Fleet]]:
    """A fleet that is up, whose timers run well, and whose target answers; for the last tests of this file."""
    folder = tmp_path_factory.mktemp("served")
    with receiving() as receiver, made(postgres, folder, receiver.url) as fleet, up(folder) as running:
        fleet.add()
        yield receiver, fleet
        assert running.stop()[0] == 0


@pytest.mark.parametrize("how", ["answers 500", "hangs", "cuts"])
def test_a_target_that_fails_gets_the_alert_when_it_is_well_again(served: tuple[Receiver, Fleet], how: str) -> None:
    """With the same id; meanwhile no timer is late, and the failure that a worker of the fleet records is in it."""
    receiver, fleet = served
    earlier = len(fleet.alerts())
    receiver.received.clear()
    well = receiver.behave
    receiver.behave = {"answers 500": answer(500), "hangs": receiver.hang, "cuts": receiver.cut}[how]
    fleet.broken.touch()
    eventually(lambda: receiver.received)
    fleet.goes_on()
    assert fleet.alerts()[earlier : earlier + 1] == [("failed", "waiting")]
    receiver.behave = well
    eventually(lambda: fleet.alerts()[earlier : earlier + 1], [("failed", "delivered")].__eq__)
    fleet.broken.unlink()
    eventually(lambda: fleet.alerts()[earlier:], [("failed", "delivered"), ("recovered", "delivered")].__eq__)
    assert causes(receiver) == {"failed", "recovered"}
    assert len({one["id"] for one in data(receiver) if one["cause"] == "failed"}) == 1
    assert "it is broken" in data(receiver)[0]["message"]
