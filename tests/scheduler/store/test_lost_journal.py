"""The -wal and -shm of a SQLite store are deleted while it is in use: what was committed to them is not lost."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scheduler.clock import ManualClock
from scheduler.core.timer import Timer
from scheduler.core.triggers import Every
from scheduler.errors import StoreUnavailableError
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable
from tests.scheduler.scripted_service import START, Service

pytestmark = pytest.mark.slow

#: Another program that uses the store: adds the timer of each line that it reads, and prints the names of all.
OTHER = """
import sys
from scheduler.store import Store
from scheduler.store.timers import TimerTable
from tests.scheduler.store.test_lost_journal import add, names

with Store(sys.argv[1]) as store:
    for line in sys.stdin:
        try:
            if line.strip():
                add(store, line.strip())
            print(*names(store), flush=True)
        except Exception as error:
            print(type(error).__name__, error, flush=True)
"""

#: A program that does not use this package.
CONNECT = "import os, sys, sqlite3; c = sqlite3.connect(sys.argv[1])"


def add(store: Store, name: str) -> None:
    timer = Timer(name=name, function="f", trigger=Every(10))
    TimerTable(store).add([timer], now=START, quota=0)


def names(store: Store) -> list[str]:
    return sorted(entry.timer.name for entry in TimerTable(store).list())


@contextmanager
def other_program(file: Path) -> Iterator["Other"]:
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    other = Other(process)
    try:
        other.ask()
        yield other
    finally:
        process.kill()
        process.communicate()


class Other:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, name: str = "") -> list[str]:
        """Have it add a timer, and return the names that it sees."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().split()


def delete(file: Path, which: tuple[str, ...]) -> None:
    for name in which:
        file.with_name(f"{file.name}-{name}").unlink()


def after_a_kill(file: Path) -> list[str]:
    """What a new program finds in the file, without anything from memory: the names of the timers."""
    code = "import sys; from tests.scheduler.store.test_lost_journal import *; print(*names(Store(sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    return done.stdout.split()


ALL = pytest.mark.parametrize("which", [("wal",), ("shm",), ("wal", "shm")], ids="-".join)


@ALL
def test_what_was_committed_is_saved(which: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Before the next transaction, which goes to a new journal."""
    file = tmp_path / "store.db"
    with Store(str(file)) as store:
        add(store, "before")
        delete(file, which)
        add(store, "after")
        assert names(store) == ["after", "before"]
        assert after_a_kill(file) == ["after", "before"]
        assert caplog.text.count("saved its contents") == 1
        add(store, "later")
        assert after_a_kill(file) == ["after", "before", "later"]
        assert caplog.text.count("saved its contents") == 1


@ALL
def test_a_daemon_goes_on(which: tuple[str, ...], tmp_path: Path) -> None:
    """It has sessions of its own open, too."""
    file = tmp_path / "store.db"
    clock = ManualClock(START)
    with Store(str(file)) as store:
        service = Service(store, clock)
        service.add(seconds=10)
        service.after(10)
        assert service.daemon is not None
        service.daemon._sleeper._changes.version()
        delete(file, which)
        assert service.daemon._sleeper._changes.version() == -1
        service.after(10)
        assert [row[0] for row in service.rows()] == [10, 20]
        with other_program(file) as other:
            assert other.ask("other") == ["other", "t"]
        service.after(10)
        assert service.rows() == [(10, 1, "succeeded"), (20, 1, "succeeded"), (30, 1, "succeeded")]
        service.daemon._sleeper._changes.version()  # which finds that its session was closed
        assert service.daemon._sleeper._changes.version() > 0
        service.kill()


@ALL
def test_two_programs_go_on(which: tuple[str, ...], tmp_path: Path) -> None:
    """The first one that notices saves what both have committed, the other one follows it."""
    file = tmp_path / "store.db"
    with Store(str(file)) as store:
        add(store, "a")
        with other_program(file) as other:
            other.ask("b")
            delete(file, which)
            add(store, "c")
            assert other.ask("d") == ["a", "b", "c", "d"]
            assert names(store) == ["a", "b", "c", "d"]
            add(store, "e")
            assert other.ask() == ["a", "b", "c", "d", "e"]
            assert after_a_kill(file) == ["a", "b", "c", "d", "e"]


@ALL
def test_a_program_that_only_reads_meanwhile_keeps_nothing_from_being_saved(
    which: tuple[str, ...], tmp_path: Path
) -> None:
    """It makes new files, and commits nothing."""
    file = tmp_path / "store.db"
    with Store(str(file)) as store:
        add(store, "a")
        delete(file, which)
        read = "c.execute('SELECT count(*) FROM sqlite_master').fetchall()"
        subprocess.run([sys.executable, "-c", f"{CONNECT}; {read}", str(file)], check=False, capture_output=True)
        add(store, "b")
        assert names(store) == ["a", "b"]
        assert after_a_kill(file) == ["a", "b"]


def test_two_journals_are_not_mixed(tmp_path: Path) -> None:
    """Another program has committed to a new one already: nothing is written here any more; the log says why."""
    file = tmp_path / "store.db"
    with Store(str(file)) as store:
        add(store, "a")
        add(store, "b")
        delete(file, ("wal", "shm"))
        write = "c.execute('CREATE TABLE x (y)'); c.commit(); os._exit(0)"
        subprocess.run([sys.executable, "-c", f"{CONNECT}; {write}", str(file)], check=True)
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="another program has begun a new one"):
                add(store, "c")
        with pytest.raises(StoreUnavailableError, match="another program has begun a new one"):
            store.check_in_place()
