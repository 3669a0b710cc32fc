"""A child process that a function or the site forks: it keeps no socket of the server, and does none of its work."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, WITH_KEY
from tests.waiting import eventually

pytestmark = pytest.mark.slow

CLOUD = f"""
import multiprocessing, os, subprocess, sys, threading, time
from pathlib import Path
from scheduler.engine import Engine, init
from scheduler.engine.http_server import Capacity, EngineServer

init({APP_ID!r}, {APP_KEY!r})
children = Path(sys.argv[1])

def site(environ, start_response):
    if os.fork() == 0:
        note(os.getpid())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    return [b"site"]

engine = Engine(site, function_limit_s=20.0)

def note(pid):
    with children.open("a") as file:
        file.write(f"{{pid}}\\n")

def sleep():
    time.sleep(100)

@engine.define
def by_multiprocessing(method):
    child = multiprocessing.get_context(method).Process(target=sleep)
    child.start()
    note(child.pid)
    return child.pid

@engine.define
def by_subprocess(close_fds):
    child = subprocess.Popen(["sleep", "100"], close_fds=close_fds == "yes")
    note(child.pid)
    return child.pid

@engine.define
def by_system():
    os.system(f"sleep 100 & echo $! >> {{children}}")

@engine.define
def returns():
    pid = os.fork()
    if pid == 0:
        note(os.getpid())
        return "child"
    return "parent"

@engine.define
def raises():
    if os.fork() == 0:
        note(os.getpid())
        raise ValueError("the child's own")
    return "parent"

if __name__ == "__main__":
    server = EngineServer(engine, host="127.0.0.1", port=0, capacity=Capacity.of(engine))
    print(server.url, flush=True)
    server.serve()
"""


class Server:
    """A process that serves CLOUD; its children note their process ids in a file."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder / "children"
        self.notes.touch()
        program = folder / "forking_cloud.py"
        program.write_text(textwrap.dedent(CLOUD))
        command = [sys.executable, "-W", "ignore", str(program), str(self.notes)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path.cwd(), text=True)
        self.url = _line(self.process.stdout)

    @property
    def children(self) -> list[int]:
        return [int(line) for line in self.notes.read_text().split()]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:  # the children hold the other end
            self.process.stdout.close()
        for child in self.children:
            if is_running(child):
                os.kill(child, signal.SIGKILL)


def _line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().strip()


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    yield running
    running.stop()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("by_multiprocessing", {"method": "fork"}),
        ("by_multiprocessing", {"method": "spawn"}),
        ("by_multiprocessing", {"method": "forkserver"}),
        ("by_subprocess", {"close_fds": "yes"}),
        ("by_subprocess", {"close_fds": "no"}),
        ("by_system", {}),
    ],
)
def test_a_child_that_outlives_the_server_keeps_neither_its_port_nor_a_connection(
    server: Server, name: str, params: dict[str, str]
) -> None:
    """The port is free once the server was killed, and a client that waits sees its connection end."""
    address = (server.url.split("/")[2].split(":")[0], int(server.url.rpartition(":")[2]))
    with socket.create_connection(address, timeout=30) as waiting, httpx.Client(headers=WITH_KEY, timeout=60) as client:
        waiting.sendall(b"POST /1.1/fun")
        time.sleep(0.2)  # the connection is accepted before the fork
        assert client.post(f"{server.url}/1.1/functions/{name}", json=params).status_code == 200
        (child,) = eventually(lambda: server.children)
        server.process.kill()
        server.process.wait()
        assert is_running(child)
        with contextlib.suppress(ConnectionResetError):
            assert waiting.recv(1) == b""
        # Not a test of SO_REUSEADDR, which takes a port from a listener that is gone, and from none that is there.
        eventually(lambda: _can_listen(address), within_s=30)
        assert is_running(child)


def _can_listen(address: tuple[str, int]) -> bool:
    try:
        with socket.create_server(address):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("name", ["returns", "raises"])
def test_a_child_that_returns_from_a_function_ends(server: Server, name: str) -> None:
    """Its parent answers, once, and goes on."""
    with httpx.Client(headers=WITH_KEY, timeout=60) as client:
        for count in (1, 2, 3):
            assert client.post(f"{server.url}/1.1/functions/{name}").json() == {"result": "parent"}
            assert len(eventually(lambda: server.children, lambda seen, count=count: len(seen) == count)) == count
        eventually(lambda: not any(is_running(child) for child in server.children), within_s=30)
        assert client.get(f"{server.url}/__engine/1/ping").status_code == 200


def test_a_child_that_returns_from_the_site_ends(server: Server) -> None:
    """It does not wait for requests in a thread of the server."""
    with httpx.Client(timeout=60) as client:
        for _ in range(3):
            assert client.get(f"{server.url}/").text == "site"
        eventually(lambda: len(server.children), lambda seen: seen == 3)
        eventually(lambda: not any(is_running(child) for child in server.children), within_s=30)
        assert client.get(f"{server.url}/__engine/1/ping").status_code == 200
