"""A Celery fleet as it is in earnest: a PostgreSQL store, a broker, a real worker, and daemons of this process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scheduler.claims import request_run
from scheduler.clock import SystemClock
from scheduler.daemon import Daemon
from scheduler.executors.celery import CeleryExecutor
from scheduler.history import History
from scheduler.run import Ending, Line, Run, Task
from scheduler.store import Store
from scheduler.timer import Environment, Every, Timer
from scheduler.timetable import Timetable

from .service import PATIENCE_S, clean_environ, lives

CLOUD = """
import os, signal, subprocess, sys, time
from pathlib import Path
from scheduler.engine import Engine, LeanEngineError

engine = Engine()


@engine.define
def nothing():
    pass


@engine.define
def hello(name="world"):
    return f"hello, {name}"


@engine.define
def note(path, seconds=0.0, **more):
    with open(path, "a") as file:
        file.write(f"{engine.current.timer.name} {engine.current.timer.attempt}\\n")
    time.sleep(seconds)


@engine.define
def talk():
    print("to stdout")
    print("to stderr", file=sys.stderr)
    return engine.current.timer.name


@engine.define
def fail():
    raise ValueError("boom")


@engine.define
def refuse():
    raise LeanEngineError(123, "not you")


@engine.define
def sleep(path):
    child = subprocess.Popen(["sleep", "600"])
    Path(path).write_text(f"{os.getpid()} {child.pid}\\n")
    print("before the end")
    time.sleep(600)


@engine.define
def spin():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


@engine.define
def die():
    print("last words")
    os.kill(os.getpid(), signal.SIGKILL)


@engine.define
def leave():
    os._exit(7)
"""


class Worker:
    """One `scheduler worker`; it serves when this is made."""

    def __init__(self, folder: Path, url: str, broker: str, *more: str, concurrency: int = 3) -> None:
        (folder / "cloud.py").write_text(CLOUD)
        words = ["worker", "cloud.py", "--store", url, "--broker", broker, "-c", str(concurrency), *more]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scheduler", *words],
            cwd=folder,
            env=clean_environ(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.said: list[str] = []
        self._is_ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._is_ready.wait(PATIENCE_S), self.said

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if "ready." in line:
                self._is_ready.set()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.terminate()
        return self._ended()

    def kill(self) -> None:
        """SIGKILL for the main process, as the kernel does it; its children see that and end."""
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        status = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


class Watched:
    """A daemon on a thread, which tells what it hears of runs."""

    def __init__(self, store: Store, broker: str) -> None:
        self.store = store
        self.history = History(store)
        self.timetable = Timetable(store)
        self.ended: dict[int, Ending] = {}
        self.lines: list[Line] = []
        self._news = threading.Condition()
        self.executor = CeleryExecutor(store, broker)
        self.daemon = Daemon(store, dict.fromkeys(Environment, self.executor), listener=self._listen)
        self._thread = threading.Thread(target=self.daemon.run)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def add(self, name: str, function: str, *, limit_s: float = 5.0, **options: Any) -> None:
        """Add a timer that fires only when asked to."""
        timer = Timer(name=name, function=function, trigger=Every(86_400), limit_s=limit_s, **options)
        self.timetable.add([timer], now=SystemClock().now(), quota=0)

    def begin(self, *names: str, environment: Environment = Environment.PRODUCTION) -> list[int]:
        """Have timers run now."""
        now = SystemClock().now()
        return [request_run(self.store, name, environment, now=now) for name in names]

    def end_of(self, *run_ids: int, patience_s: float = PATIENCE_S) -> list[Run]:
        """The runs, when the listener has heard of their ends."""
        with self._news:
            done = self._news.wait_for(lambda: self.ended.keys() >= set(run_ids), patience_s)
        runs = [self.history.run(run_id) for run_id in run_ids]
        assert done, runs
        return [run for run in runs if run is not None]

    def run(self, name: str, function: str, **options: Any) -> Run:
        """Add a timer, have it run, and wait for its end."""
        self.add(name, function, **options)
        (run,) = self.end_of(*self.begin(name))
        return run

    def _listen(self, ended: list[tuple[Task, Ending]], lines: list[Line]) -> None:
        with self._news:
            self.ended |= {task.run_id: ending for task, ending in ended}
            self.lines += lines
            self._news.notify_all()


class Redis:
    """A Redis server that can be stopped and started again; it keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        words = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
        listens(self._port)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)


#: Debian's command asks for the user rabbitmq and a folder of the system's; this is what it starts.
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitMQ:
    """A RabbitMQ server that can be stopped and started again; it keeps durable queues, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._port, self._names, distribution = free_port(), free_port(), free_port()
        (folder / "plugins").write_text("[].\n")
        self._environ = os.environ | {
            "HOME": str(folder),  # where Erlang's cookie is
            "ERL_EPMD_PORT": str(self._names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # So that the command becomes the server, rather than start it and wait.
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
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        # Erlang would start one that stays for ever.
        self._epmd = subprocess.Popen(["epmd", "-address", "127.0.0.1", "-port", str(self._names)])
        listens(self._names)
        self.start()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def start(self) -> None:
        self._process = subprocess.Popen([RABBITMQ], env=self._environ, stdout=subprocess.DEVNULL)
        listens(self._port)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)

    def close(self) -> None:
        # To stop in good order takes seconds.
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._epmd.terminate()
        self._epmd.wait(PATIENCE_S)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def listens(port: int) -> None:
    """Wait until something does."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert time.monotonic() < give_up_at
            time.sleep(0.02)


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


def are_gone(pids: list[int]) -> bool:
    return not any(lives(pid) for pid in pids)
