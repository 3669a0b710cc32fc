"""Processes of `scheduler up` end while they start, or while the file of the store is moved away."""

from __future__ import annotations

import contextlib
import os
import signal
from http.client import HTTPException
from pathlib import Path

import pytest

from scheduler.up.process import CUT_S, ChildProcess
from scheduler.up.restarts import Place, WatchPolicy
from scheduler.up.stopping import AT_ONCE_S, DRAIN_S, has_had_its_time
from scheduler.up.supervisor import status_of_failure
from tests.scheduler.up_process import Up, children, cli, count_of, curl, up
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.faults]

CLOUD = """
from scheduler.engine import Engine

engine = Engine()


@engine.define
def hello():
    return "hello"
"""


def test_processes_that_are_replaced_wait_for_a_store_that_was_moved_away(tmp_path: Path) -> None:
    """The daemon says that there is none, HTTP is served meanwhile; when it is back, timers fire again."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path) as running:
        words = ("timers", "add", "t", "--function", "hello", "--every", "1", "--enable")
        assert cli(tmp_path, *words).returncode == 0
        eventually(lambda: _runs(tmp_path), lambda seen: seen >= 2)
        store = tmp_path / ".scheduler" / "store.db"
        away = store.with_name("away.db")
        before = _runs(tmp_path)
        store.rename(away)
        for pid in children(running.process.pid):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: "the daemon does not start; trying again" in running.stderr)
        assert "there is no store at" in running.stderr
        eventually(lambda: _answer(running), lambda seen: seen == (200, '{"result":"hello"}'))
        assert not store.exists()
        away.rename(store)
        eventually(lambda: _runs(tmp_path), lambda seen: seen >= before + 2)
        status, _ = running.stop()
    assert status == 0


def _runs(folder: Path) -> int:
    return count_of(folder, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'")


def _answer(running: Up) -> tuple[int, str]:
    with contextlib.suppress(OSError, HTTPException):
        return curl(running.facts["call"])
    return 0, ""


@pytest.mark.parametrize(("ended_with", "expected"), [(None, 2), (0, 2), (7, 7), (-9, 137)])
def test_processes_that_end_before_they_are_ready_are_no_success(ended_with: int | None, expected: int) -> None:
    """Nothing is served then, so a service manager is to start it again; 0 is that of one that was stopped."""
    assert status_of_failure(ended_with) == expected


def test_a_process_that_is_unreachable_gets_a_second_not_the_time_of_one_that_is_silent() -> None:
    """It cannot answer any more."""
    process = object.__new__(ChildProcess)
    process.silent_s = CUT_S + 0.1
    assert not process.is_silent(30.0)
    process.is_cut = True
    assert process.is_silent(30.0)
    process.silent_s = CUT_S - 0.1
    assert not process.is_silent(30.0)


@pytest.mark.parametrize(("silent_s", "time_s"), [(0.0, DRAIN_S), (DRAIN_S - 1, DRAIN_S), (DRAIN_S + 1, AT_ONCE_S)])
def test_clients_of_a_replaced_process_that_hangs_do_not_wait_for_it_as_long_as_for_others(
    silent_s: float, time_s: float
) -> None:
    """What it has accepted is answered by no other process; its end closes the connections."""
    process = object.__new__(ChildProcess)
    process.silent_s = silent_s
    assert not has_had_its_time(process, 100.0 + time_s - 0.1, 100.0 + DRAIN_S, silence_s=5.0)
    assert has_had_its_time(process, 100.0 + time_s, 100.0 + DRAIN_S, silence_s=5.0)


class Silent:
    """A process of a generation that is ready, and does not answer."""

    ready: dict[str, str] | None
    ready_at = began_at = 0.0
    memory_bytes = 0

    def __init__(self, *, is_ready: bool) -> None:
        self.ready = {} if is_ready else None
        self.silent_s = 0.0
        self.is_killed = self.has_ended = False

    def is_silent(self, bound_s: float) -> bool:
        return self.silent_s > bound_s

    def exit_status(self) -> int | None:
        return -9 if self.has_ended else None

    def cannot_be_killed(self, _: float) -> bool:
        return False

    def kill(self) -> None:
        self.is_killed = True


def test_a_silent_process_is_killed_even_if_no_other_one_becomes_ready(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Later than it would be replaced; the log says so, and it is counted once. The successor goes on starting."""
    monkeypatch.setattr("scheduler.up.restarts._patience", lambda: 1.0)
    first, successor = Silent(is_ready=True), Silent(is_ready=False)
    processes = iter([first, successor])
    place = Place(WatchPolicy("the web process", 5.0, 300.0), lambda _: next(processes))  # type: ignore[arg-type,return-value]
    retired: list[object] = []
    place.begin()
    for now, silent_s in ((1.0, 0.0), (10.0, 5.1), (11.0, 39.9)):
        first.silent_s = silent_s
        place.tick(now, retired.append)
    assert (first.is_killed, place.processes) == (False, [first, successor])
    first.silent_s = 40.1
    place.tick(12.0, retired.append)
    assert first.is_killed
    assert caplog.messages[-1] == "the web process has not answered for 40 s, and no other one is ready yet; killing it"
    first.has_ended = True
    place.tick(13.0, retired.append)
    assert (retired, place.processes, place.take_replaced()) == ([first], [successor], 1)
    successor.ready = {}
    place.tick(14.0, retired.append)
    assert (place.current, place.coming) == (successor, None)
