"""scheduler up notifies a service manager that it is ready, alive and stopping, over a real datagram socket."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.up.service_manager import ServiceManager
from tests.scheduler.up_process import Up, curl
from tests.waiting import eventually

CLOUD = """
import os
from scheduler.engine import Engine

engine = Engine()


@engine.define
def names():
    return sorted(name for name in os.environ if name.startswith(("NOTIFY", "WATCHDOG")))
"""


class Manager:
    """The socket of a service manager, and the messages that it got."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self._told: list[str] = []

    def told(self) -> list[str]:
        """Every line so far."""
        while True:
            try:
                self._told += self.socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self._told


@pytest.fixture(params=["a file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    path = str(tmp_path / "notify") if request.param == "a file" else f"\0{tmp_path}"
    manager = Manager(path)
    monkeypatch.setenv("NOTIFY_SOCKET", path.replace("\0", "@"))
    yield manager
    manager.socket.close()


def test_a_manager_gets_each_state(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """And gets a sign of life twice in the time of its watchdog; the variables are gone."""
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    told = ServiceManager()
    assert not [name for name in os.environ if name.startswith(("NOTIFY", "WATCHDOG"))]
    for now in (0.0, 4.0, 5.0):
        told.takes_longer(now)
    told.ready("serving")
    for now in (10.0, 11.0, 11.5, 12.0, 13.1):
        told.alive(now)
    told.stopping()
    assert manager.told() == [
        *["EXTEND_TIMEOUT_USEC=30000000"] * 2,
        *("READY=1", "STATUS=serving"),
        *["WATCHDOG=1"] * 3,
        *("STOPPING=1", "STATUS=waiting for what is in progress"),
    ]


def test_a_state_is_sent_again_to_a_manager_that_was_busy(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue was full of other messages; signs of life are not sent again."""
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    told = ServiceManager()
    for now in range(0, 5_000, 5):
        told.takes_longer(float(now))
    told.ready("serving")
    told.alive(1.0)
    assert "READY=1" not in manager.told()
    told.alive(2.0)
    assert manager.told()[-2:] == ["READY=1", "STATUS=serving"]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"NOTIFY_SOCKET": "/gone/notify", "WATCHDOG_USEC": "1000000"},
        {"NOTIFY_SOCKET": "x" * 300},
        {"NOTIFY_SOCKET": "@", "WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000000"},
    ],
)
def test_without_a_manager_that_listens_nothing_happens(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service serves all the same."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    told = ServiceManager()
    told.ready("serving")
    told.alive(1.0)
    told.takes_longer(1.0)
    told.stopping()


def test_the_watchdog_of_another_process_is_not_served(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variables were inherited by mistake."""
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert ServiceManager().alive_every_s is None


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--one-process",)])
def test_up_notifies_its_manager(
    manager: Manager, tmp_path: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready after the banner, signs of life, stopping at the end; functions do not see the variables."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    up = Up(tmp_path, *options, NOTIFY_SOCKET=os.environ["NOTIFY_SOCKET"], WATCHDOG_USEC="400000")
    try:
        eventually(manager.told, lambda lines: "READY=1" in lines and lines.count("WATCHDOG=1") >= 3)
        assert json.loads(curl(up.facts["call"], instead="names")[1]) == {"result": []}
    finally:
        status, _ = up.stop()
    assert status == 0
    assert "STOPPING=1" in manager.told()
