"""SIGTERM ends `up`, `worker` and `demo` in bounded time, in every state in which it may arrive."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scheduler.store.database import Store
from tests.scheduler.postgres_server import Server
from tests.scheduler.up_process import children, clean_environ, living, up
from tests.waiting import eventually, slowed

pytestmark = [pytest.mark.slow, pytest.mark.faults]

ENGINE = (
    "from scheduler.engine import Engine\nengine = Engine()\n\n\n@engine.define\ndef hello():\n    return 'hello'\n"
)
#: Sources whose import tells that it has begun, and does not end.
SLEEPS = "open('loading', 'w').close()\n__import__('time').sleep(1000)\n"
HOLDS = "open('loading', 'w').close()\n__import__('re').match(r'(a+)+$', 'a' * 60 + 'b')\n"
UNSHARE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


def _may_unshare() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*UNSHARE, "true"], check=False).returncode == 0


class Started(NamedTuple):
    """A command as a process; `pid` is that of the command itself, which may run under another program."""

    process: subprocess.Popen[bytes]
    pid: int
    log: Path

    def end(self, *, signals: int = 1) -> float:
        """Send SIGTERM so many times; returns after how many seconds it ended."""
        processes = children(self.pid)
        since = time.monotonic()
        for number in range(signals):
            if number:
                time.sleep(0.2)
            os.kill(self.pid, signal.SIGTERM)
        self.process.wait(slowed(60))
        took_s = time.monotonic() - since
        eventually(lambda: not living(*processes))
        return took_s


@contextmanager
def started(folder: Path, *words: str, under: Sequence[str] = ()) -> Iterator[Started]:
    log = folder / "log"
    command = [*under, sys.executable, "-m", "scheduler", *words]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=clean_environ() | {"TMPDIR": str(folder)}, stdout=file, stderr=file
        )
    try:
        pid = eventually(lambda: children(process.pid))[0] if under else process.pid
        yield Started(process, pid, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    with postgres.database() as url:
        yield url


def command_of(name: str, request: pytest.FixtureRequest) -> list[str]:
    """The words that start a service in a folder with a cloud.py."""
    if name == "up":
        return ["up", "cloud.py", "--port", "0"]
    pytest.importorskip("celery")
    pytest.importorskip("pgmq")
    return ["worker", "cloud.py", "--store", request.getfixturevalue("url"), "--broker", "pgmq://", "-c", "1"]


#: By what is imported and how it is started, the exit status of each command: one that has no handler yet ends by the
#: signal, which services managers take for an end in order.
IMPORTS = {
    "that sleeps": (SLEEPS, ()),
    "that holds the interpreter": (HOLDS, ()),
    "that sleeps, as process 1": (SLEEPS, UNSHARE),
}
AT_IMPORT = {
    ("up", "that sleeps"): 0,
    ("up", "that holds the interpreter"): 0,
    ("up", "that sleeps, as process 1"): 0,
    ("worker", "that sleeps"): -signal.SIGTERM,
    ("worker", "that holds the interpreter"): -signal.SIGTERM,
    ("worker", "that sleeps, as process 1"): 0,
}


@pytest.mark.parametrize(("name", "imports"), AT_IMPORT)
def test_while_an_import_hangs(request: pytest.FixtureRequest, tmp_path: Path, name: str, imports: str) -> None:
    """At once: nothing is in progress."""
    sources, under = IMPORTS[imports]
    if under and not _may_unshare():
        pytest.skip("no process namespace can be made here")
    words = command_of(name, request)
    (tmp_path / "cloud.py").write_text(sources)
    with started(tmp_path, *words, under=under) as command:
        eventually((tmp_path / "loading").exists)
        took_s = command.end()
        assert command.process.returncode == AT_IMPORT[name, imports], command.log.read_text()
    assert took_s < slowed(3)


@pytest.mark.parametrize("name", ["up", "worker"])
def test_just_after_it_has_begun_to_serve(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    """It ends in order from the first line on that it prints."""
    words = command_of(name, request)
    (tmp_path / "cloud.py").write_text(ENGINE)
    with started(tmp_path, *words, "--json") as command:
        eventually(lambda: b'{"' in command.log.read_bytes())
        took_s = command.end()
        assert command.process.returncode == 0, command.log.read_text()
        assert "Traceback" not in command.log.read_text()
    assert took_s < slowed(10)


@pytest.mark.parametrize("signals", [1, 2])
def test_while_the_store_is_locked_by_another_program(tmp_path: Path, signals: int) -> None:
    """Before the first migration of a new file, after one signal and after two."""
    (tmp_path / "cloud.py").write_text(ENGINE)
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        with started(tmp_path, "up", "--port", "0", "--store", "a.db") as command:
            eventually(lambda: children(command.pid))
            took_s = command.end(signals=signals)
    assert took_s < slowed(8)


def test_while_a_migration_waits_for_a_lock(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """`worker`: another program has locked the table that holds the version."""
    words = command_of("worker", request)
    (tmp_path / "cloud.py").write_text(ENGINE)
    with Store(url), ExitStack() as stack:
        lock(url, stack)
        with started(tmp_path, *words) as command:
            eventually(lambda: waits_for_a_lock(url))
            assert command.end() < slowed(3)


def lock(url: str, stack: ExitStack) -> None:
    """Lock every table until the stack is closed."""
    import psycopg

    connection = stack.enter_context(psycopg.connect(url))
    connection.execute("LOCK TABLE scheduler_version, runs, timers, daemons IN ACCESS EXCLUSIVE MODE")


def waits_for_a_lock(url: str) -> Any:
    import psycopg

    with psycopg.connect(url) as connection:
        return connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone()


@pytest.mark.parametrize("name", ["up", "worker"])
def test_while_the_store_is_gone(postgres: Server, tmp_path: Path, name: str) -> None:
    """And with it the broker of a fleet."""
    (tmp_path / "cloud.py").write_text(ENGINE)
    with postgres.database() as url:
        words = ["up", "cloud.py", "--port", "0", "--store", url]
        if name == "worker":
            words = ["worker", "cloud.py", "--store", url, "--broker", "pgmq://", "-c", "1"]
        with started(tmp_path, *words, "--json") as command:
            eventually(lambda: (b"ready." if name == "worker" else b'{"') in command.log.read_bytes())
            postgres.stop()
            try:
                eventually(lambda: b"does not answer" in command.log.read_bytes())
                took_s = command.end()
            finally:
                postgres.start()
            assert command.process.returncode == 0, command.log.read_text()
    assert took_s < slowed(15)


def test_while_a_reload_hangs(tmp_path: Path) -> None:
    """The version that serves ends in order, the one that loads at once."""
    (tmp_path / "cloud.py").write_text(ENGINE)
    with up(tmp_path, "--reload") as running:
        (tmp_path / "cloud.py").write_text(SLEEPS)
        eventually((tmp_path / "loading").exists)
        since = time.monotonic()
        status, stderr = running.stop()
        took_s = time.monotonic() - since
    assert status == 0, stderr
    assert took_s < slowed(8)


def test_a_demo_ends_its_workers_and_removes_its_folder(tmp_path: Path) -> None:
    """With the status that shells give for the signal."""
    with started(tmp_path, "demo") as command:
        eventually(lambda: children(command.pid))
        took_s = command.end()
        assert command.process.returncode == 128 + signal.SIGTERM, command.log.read_text()
    assert took_s < slowed(5)
    assert not list(tmp_path.glob("scheduler-demo-*"))


@pytest.mark.skipif(not _may_unshare(), reason="no process namespace can be made here")
def test_a_demo_as_process_1(tmp_path: Path) -> None:
    """Process 1 has no default action."""
    with started(tmp_path, "demo", under=UNSHARE) as command:
        eventually(lambda: children(command.pid))
        assert command.end() < slowed(5)
