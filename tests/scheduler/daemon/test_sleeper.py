"""How a daemon sleeps: woken by the kernel, or polling once a second."""

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

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports these changes")
#: No sleep here lasts so long; one that ended was woken.
LONG_S = 60.0


@pytest.fixture(autouse=True)
def _poll_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sleeper_module, "POLL_S", 0.1)


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
    """One with all descriptors of the kernel, and others for which it refuses one or both."""
    for name in request.param:
        monkeypatch.setattr(linux_wakeups, name, refuse)
    sleeper = Sleeper(store, SteadyClock(SystemClock()))
    yield sleeper
    sleeper.close()


@pytest.fixture
def watching(store: Store) -> Iterator[Sleeper]:
    """One with all descriptors of the kernel."""
    sleeper = Sleeper(store, SteadyClock(SystemClock()))
    yield sleeper
    sleeper.close()


def write(file: Path) -> None:
    """Change a store as a program does that rings no bell."""
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 7")
    connection.close()


def write_ourselves(store: Store) -> None:
    for number in range(100):
        with store.writing() as connection:
            connection.exec_driver_sql(f"PRAGMA user_version = {number}")


def after(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def is_readable(*ones: Alarm | FileWatch, timeout_s: float = 0.0) -> bool:
    return bool(select.select(ones, [], [], timeout_s)[0])


def test_a_silent_change_to_the_file_wakes_a_sleeper(sleeper: Sleeper, file: Path) -> None:
    """Whether the kernel reports it or the sleeper polls."""
    after(0.1, lambda: write(file))
    assert sleeper.sleep(LONG_S, [])


@pytest.mark.parametrize("change", [Path.unlink, lambda file: file.rename(file.with_name("b.db"))])
def test_a_file_that_is_taken_away_wakes_a_sleeper(
    sleeper: Sleeper, file: Path, change: Callable[[Path], object]
) -> None:
    """Deleted or moved."""
    after(0.1, lambda: change(file))
    assert sleeper.sleep(LONG_S, [])


def test_a_readable_descriptor_wakes_a_sleeper(sleeper: Sleeper) -> None:
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
def test_what_the_daemon_writes_itself_does_not_wake_it(watching: Sleeper, store: Store) -> None:
    """However much it was; all of it is one event, or two."""
    write_ourselves(store)
    (watch,) = watching._changes.watch() or []
    watching._changes.watch()
    assert not select.select([watch], [], [], 0.05)[0]
    write_ourselves(store)
    assert len(os.read(watch, 4096)) <= 2 * len(store.files) * 16


@on_linux
def test_a_change_that_is_reported_before_it_is_visible_is_noticed_later(watching: Sleeper, file: Path) -> None:
    """The journal is written before the change is committed."""
    after(0.1, lambda: os.utime(file))
    after(0.3, lambda: write(file))
    assert watching.sleep(LONG_S, [])


@on_linux
def test_a_missing_journal_is_polled_for(watching: Sleeper, file: Path) -> None:
    """As is anything else that cannot be watched."""
    assert watching._changes.watch()
    file.with_name("a.db-wal").unlink()
    assert watching._changes.watch() is None


class MovedClock(SystemClock):
    """A clock that is set."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.mark.parametrize("seconds", [30, -30])
def test_a_clock_that_is_not_the_kernel_s_is_polled(store: Store, seconds: int) -> None:
    """Nothing reports when it is set."""
    clock = MovedClock()
    sleeper = Sleeper(store, SteadyClock(clock))

    def set_clock() -> None:
        clock.ahead = timedelta(seconds=seconds)

    after(0.1, set_clock)
    assert sleeper.sleep(LONG_S, [])
    sleeper.close()


@on_linux
@pytest.mark.parametrize(
    ("clock", "preloaded", "has_alarm"),
    [
        (SystemClock(), "", True),
        (SystemClock(), "/usr/lib/faketime/libfaketimeMT.so.1", False),
        (MovedClock(), "", False),
    ],
)
def test_the_kernel_s_alarm_is_used_where_the_clock_is_the_kernel_s(
    store: Store, monkeypatch: pytest.MonkeyPatch, clock: Clock, preloaded: str, has_alarm: bool
) -> None:
    """Not where a test, or a preloaded library, replaces it."""
    monkeypatch.setenv("LD_PRELOAD", preloaded)
    sleeper = Sleeper(store, SteadyClock(clock))
    assert (sleeper._alarm is not None) == has_alarm
    sleeper.close()


@on_linux
@pytest.mark.parametrize("python_time_ns", [0, 4_102_444_800_000_000_000])
def test_an_alarm_rings_at_its_time(monkeypatch: pytest.MonkeyPatch, python_time_ns: int) -> None:
    """Not before, and again each time that it is set; even if Python's clock was replaced, as tests do."""
    monkeypatch.setattr(time, "time_ns", lambda: python_time_ns)
    alarm = Alarm()
    for _ in range(2):
        alarm.set(0.02)
        begun_at = time.monotonic()
        assert not is_readable(alarm)
        assert is_readable(alarm, timeout_s=LONG_S)
        assert time.monotonic() - begun_at > 0.015
    alarm.close()


class SetMeanwhile:
    """A C library in which the next alarm finds that the clock was set."""

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
    """The kernel remembers it between two sleeps; simulated, because a test must not set the machine's clock."""
    alarm = Alarm()
    monkeypatch.setattr(alarm, "_libc", SetMeanwhile(alarm._libc))
    alarm.set(LONG_S)
    assert is_readable(alarm, timeout_s=LONG_S)
    alarm.set(LONG_S)
    assert not is_readable(alarm)
    alarm.close()


@on_linux
def test_a_kernel_without_this_kind_of_alarm_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making one raises, and leaves nothing open."""
    monkeypatch.setattr(linux_wakeups, "_CANCEL_ON_SET", 1 << 20)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(OSError, match="Invalid argument"):
        Alarm()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@on_linux
def test_a_watch_reports_one_change(file: Path) -> None:
    """Until it is set again."""
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
def test_a_missing_file_cannot_be_watched(file: Path) -> None:
    """FileNotFoundError."""
    watch = FileWatch()
    with pytest.raises(FileNotFoundError):
        watch.watch([file])
    watch.close()


def test_a_store_without_a_file_needs_no_watch() -> None:
    """Only this process can change it."""
    with Store("sqlite://") as store:
        sleeper = Sleeper(store, SteadyClock(SystemClock()))
        assert sleeper._changes.watch() == []
        assert not sleeper.sleep(0.15, [])
        sleeper.close()
