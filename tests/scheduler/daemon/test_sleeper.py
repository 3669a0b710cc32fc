"""How a daemon sleeps: told by the kernel, or with an eye that it opens once a second."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler.clock import Clock, SteadyClock, SystemClock
from scheduler.daemon import linux_wakeups
from scheduler.daemon import sleeper as sleeper_module
from scheduler.daemon.linux_wakeups import Alarm, FileWatch
from scheduler.daemon.sleeper import Sleeper
from scheduler.store.database import Store

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="a kernel that is not Linux tells nothing of this")
#: Nobody sleeps so long here; a sleep that ended was ended.
LONG_S = 60.0


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sleeper_module, "EYES_SHUT_S", 0.1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    with Store(str(file)) as store:
        yield store


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSYS, "function not implemented")


@pytest.fixture(params=[pytest.param((), marks=on_linux), ("Alarm",), ("FileWatch",), ("Alarm", "FileWatch")])
def sleeper(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, store: Store) -> Iterator[Sleeper]:
    """One whom the kernel tells everything, and others whom it refuses one thing or all."""
    for name in request.param:
        monkeypatch.setattr(linux_wakeups, name, refuse)
    sleeper = Sleeper(store, SteadyClock(SystemClock()))
    yield sleeper
    sleeper.close()


@pytest.fixture
def told(store: Store) -> Iterator[Sleeper]:
    sleeper = Sleeper(store, SteadyClock(SystemClock()))
    yield sleeper
    sleeper.close()


def write(file: Path) -> None:
    """Change a store as somebody does who rings no bell."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 7")
    connection.close()


def write_oneself(store: Store) -> None:
    for number in range(100):
        with store.writing() as connection:
            connection.exec_driver_sql(f"PRAGMA user_version = {number}")


def after(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def is_readable(*ones: Alarm | FileWatch, timeout_s: float = 0.0) -> bool:
    return bool(select.select(ones, [], [], timeout_s)[0])


def test_a_change_to_the_file_that_nobody_rings_for_wakes_a_sleeper(sleeper: Sleeper, file: Path) -> None:
    """Whether it is told of, or looks for it."""
    after(0.1, lambda: write(file))
    assert sleeper.sleep(LONG_S, [])


@pytest.mark.parametrize("change", [Path.unlink, lambda file: file.rename(file.with_name("b.db"))])
def test_a_file_that_is_taken_away_wakes_a_sleeper(
    sleeper: Sleeper, file: Path, change: Callable[[Path], object]
) -> None:
    """Deleted or moved."""
    after(0.1, lambda: change(file))
    assert sleeper.sleep(LONG_S, [])


def test_news_wakes_a_sleeper(sleeper: Sleeper) -> None:
    """And is no silent change."""
    reader, writer = os.pipe()
    after(0.1, lambda: os.write(writer, b"!"))
    assert not sleeper.sleep(LONG_S, [reader])
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("seconds", [0.0, 0.0105, 0.25])
def test_a_sleep_is_as_long_as_was_asked_for(sleeper: Sleeper, seconds: float) -> None:
    """Never shorter, and nothing has changed."""
    begun_at = time.monotonic()
    assert not sleeper.sleep(seconds, [])
    assert time.monotonic() - begun_at >= seconds


@on_linux
def test_what_one_writes_oneself_does_not_wake_one(told: Sleeper, store: Store) -> None:
    """However much it was; all of it is one event, or two."""
    write_oneself(store)
    (watch,) = told._changes.told_by() or []
    told._changes.told_by()
    assert not select.select([watch], [], [], 0.05)[0]
    write_oneself(store)
    assert len(os.read(watch, 4096)) <= 2 * len(store.files) * 16


@on_linux
def test_a_change_that_is_told_of_before_it_can_be_seen_is_seen_later(told: Sleeper, file: Path) -> None:
    """The journal is written before the change is committed."""
    after(0.1, lambda: os.utime(file))
    after(0.3, lambda: write(file))
    assert told.sleep(LONG_S, [])


@on_linux
def test_a_journal_that_is_not_there_is_looked_for(told: Sleeper, file: Path) -> None:
    """So is anything else that cannot be watched."""
    assert told._changes.told_by()
    file.with_name("a.db-wal").unlink()
    assert told._changes.told_by() is None


class MovedClock(SystemClock):
    """A clock that is set."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.mark.parametrize("seconds", [30, -30])
def test_a_clock_that_is_not_the_kernel_s_is_looked_at(store: Store, seconds: int) -> None:
    """Nobody tells when it is set."""
    clock = MovedClock()
    sleeper = Sleeper(store, SteadyClock(clock))

    def set_clock() -> None:
        clock.ahead = timedelta(seconds=seconds)

    after(0.1, set_clock)
    assert sleeper.sleep(LONG_S, [])
    sleeper.close()


@on_linux
@pytest.mark.parametrize(
    ("clock", "preloaded", "is_told"),
    [
        (SystemClock(), "", True),
        (SystemClock(), "/usr/lib/faketime/libfaketimeMT.so.1", False),
        (MovedClock(), "", False),
    ],
)
def test_the_kernel_is_asked_where_it_keeps_the_clock(
    store: Store, monkeypatch: pytest.MonkeyPatch, clock: Clock, preloaded: str, is_told: bool
) -> None:
    """Not where a test, or a library that is preloaded, does."""
    monkeypatch.setenv("LD_PRELOAD", preloaded)
    sleeper = Sleeper(store, SteadyClock(clock))
    assert (sleeper._alarm is not None) == is_told
    sleeper.close()


@on_linux
@pytest.mark.parametrize("python_says", [0, 4_102_444_800_000_000_000])
def test_an_alarm_rings_in_its_time(monkeypatch: pytest.MonkeyPatch, python_says: int) -> None:
    """Not before, and again each time that it is set; even if Python's clock was stopped, as tests do."""
    monkeypatch.setattr(time, "time_ns", lambda: python_says)
    alarm = Alarm()
    for _ in range(2):
        alarm.set(0.02)
        begun_at = time.monotonic()
        assert not is_readable(alarm)
        assert is_readable(alarm, timeout_s=LONG_S)
        assert time.monotonic() - begun_at > 0.015
    alarm.close()


class SetMeanwhile:
    """A C library, in which the next alarm finds that the clock was set."""

    def __init__(self, library: Any) -> None:
        self._library, self._results = library, [errno.ECANCELED]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def timerfd_settime(self, *arguments: Any) -> int:
        result: int = self._library.timerfd_settime(*arguments)
        if self._results:
            ctypes.set_errno(self._results.pop())
            return -1
        return result


@on_linux
def test_an_alarm_rings_at_once_when_the_clock_was_set_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two sleeps the kernel remembers it; setting the machine's clock is nothing for a test."""
    alarm = Alarm()
    monkeypatch.setattr(alarm, "_libc", SetMeanwhile(alarm._libc))
    alarm.set(LONG_S)
    assert is_readable(alarm, timeout_s=LONG_S)
    alarm.set(LONG_S)
    assert not is_readable(alarm)
    alarm.close()


@on_linux
def test_a_kernel_that_knows_only_other_alarms_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so when one is made, and nothing stays open."""
    monkeypatch.setattr(linux_wakeups, "_CANCEL_ON_SET", 1 << 20)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(OSError, match="Invalid argument"):
        Alarm()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@on_linux
def test_a_watch_tells_once(file: Path) -> None:
    """Until it is asked again."""
    file.touch()
    watch = FileWatch()
    for _ in range(2):
        watch.watch([file])
        assert not is_readable(watch)
        file.write_bytes(b"1")
        assert is_readable(watch)
        os.read(watch.fileno(), 4096)
        file.write_bytes(b"2")
        assert not is_readable(watch)
    watch.close()


@on_linux
def test_a_file_that_is_not_there_cannot_be_watched(file: Path) -> None:
    """The error is Python's for that."""
    watch = FileWatch()
    with pytest.raises(FileNotFoundError):
        watch.watch([file])
    watch.close()


def test_a_store_without_a_file_tells_by_itself() -> None:
    """It is this process alone that can change it."""
    with Store("sqlite://") as store:
        sleeper = Sleeper(store, SteadyClock(SystemClock()))
        assert sleeper._changes.told_by() == []
        assert not sleeper.sleep(0.15, [])
        sleeper.close()
