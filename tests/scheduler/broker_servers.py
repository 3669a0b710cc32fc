"""Brokers for tests, which can be stopped and started again: a Redis and a RabbitMQ on free ports.

They end with the process that started them, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_S, eventually

#: Ends a server with the signal that its standard input names, or when that is closed, also by the kernel.
_GUARD = '"$0" "$@" & trap "" INT; read -r signal; kill -"${signal:-TERM}" $!; wait'


class Redis:
    """A Redis server that can be stopped and started again; it saves nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        words = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = _guarded("redis-server", *words)
        eventually(lambda: is_listening(self._port))

    def stop(self) -> None:
        _stop(self._process)


#: The program behind Debian's command, which insists on the user rabbitmq and a system folder.
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitMQ:
    """A RabbitMQ server that can be stopped and started again; durable queues survive, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._port, self._names, distribution = free_port(), free_port(), free_port()
        (folder / "plugins").write_text("[].\n")
        self._environ = os.environ | {
            "HOME": str(folder),  # for Erlang's cookie
            "ERL_EPMD_PORT": str(self._names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # So that the command is replaced by the server.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_NODENAME": f"fleet{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            # Otherwise Erlang would start an epmd that never ends.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._epmd = _guarded("epmd", "-address", "127.0.0.1", "-port", str(self._names))
        try:
            eventually(lambda: is_listening(self._names))
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def start(self) -> None:
        self._process = _guarded(str(RABBITMQ), environ=self._environ)
        eventually(lambda: is_listening(self._port))

    def stop(self) -> None:
        if self._process is not None:
            _stop(self._process)

    def close(self) -> None:
        if self._process is not None:
            # An orderly stop takes seconds.
            _stop(self._process, "KILL")
        _stop(self._epmd)


def _guarded(*words: str, environ: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a server without output; Ctrl-C ends the tests, and those end the server."""
    return subprocess.Popen(
        ["sh", "-c", _GUARD, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environ,
        start_new_session=True,
    )


def _stop(process: subprocess.Popen[bytes], how: str = "TERM") -> None:
    process.communicate(how.encode() + b"\n", PATIENCE_S)


def free_port() -> int:
    """A port that no program has, and that the kernel gives to no connection while its server is stopped."""
    first_of_connections = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.SystemRandom().sample(range(10_000, max(first_of_connections, 20_000)), 100):
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a hundred ports are in use")


def is_listening(port: int) -> bool:
    """Whether a program accepts connections to a port."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    """A server for as long as the block lasts; skips the test where there is none."""
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server: apt-get install redis-server")
    server = Redis(folder)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def rabbitmq_server(folder: Path) -> Iterator[RabbitMQ]:
    """A server for as long as the block lasts; skips the test where there is none."""
    if not RABBITMQ.exists():
        pytest.skip("there is no RabbitMQ: apt-get install rabbitmq-server")
    server = RabbitMQ(folder)
    try:
        yield server
    finally:
        server.close()
