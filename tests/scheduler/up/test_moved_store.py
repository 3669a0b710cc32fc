"""The file of the store is moved away while processes of `scheduler up` end: the next ones make no new file."""

from __future__ import annotations

import contextlib
import os
import signal
from http.client import HTTPException
from pathlib import Path

import pytest

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
    """They say that there is none; when it is back, HTTP is served and timers fire again, with the same history."""
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
        for name in ("web process", "daemon"):
            eventually(lambda name=name: f"the {name} does not start; trying again" in running.stderr)
        assert "there is no store at" in running.stderr
        assert not store.exists()
        away.rename(store)
        eventually(lambda: _answer(running), lambda seen: seen == (200, '{"result":"hello"}'))
        eventually(lambda: _runs(tmp_path), lambda seen: seen >= before + 2)
        status, _ = running.stop()
    assert status == 0


def _runs(folder: Path) -> int:
    return count_of(folder, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'")


def _answer(running: Up) -> tuple[int, str]:
    with contextlib.suppress(OSError, HTTPException):
        return curl(running.facts["call"])
    return 0, ""
