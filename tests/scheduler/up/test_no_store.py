"""No process in which functions run has the store open: whatever they write to descriptors, it stays sound."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.scheduler.up_process import Up, children, command, curl, up
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.faults]

CLOUD = """
import os
import sys
from scheduler.engine import Engine

engine = Engine()


@engine.timer(every=3600)
@engine.define
def hello():
    print("said hello")
    return "hello"


@engine.define
def scribble():
    print("scribbling")
    for descriptor in range(3, 200):
        try:
            os.pwrite(descriptor, b"garbage" * 3000, 0)
        except OSError:
            pass
        try:
            os.write(descriptor, b"garbage")
        except OSError:
            pass
"""


def descriptors(pid: int) -> list[str]:
    """What the descriptors of a process refer to."""
    names = []
    for number in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
        try:
            names.append(os.readlink(f"/proc/{pid}/fd/{number}"))  # noqa: PTH115
        except FileNotFoundError:
            continue
    return names


def with_the_store(*pids: int) -> list[int]:
    return [pid for pid in pids if any("store.db" in name for name in descriptors(pid))]


def workers(running: Up) -> list[int]:
    """The worker processes of the daemon, at least one."""
    return eventually(lambda: children(running.only("daemon")))


@pytest.mark.parametrize("options", [(), ("--stage", "0"), ("--reload",), ("--web-processes", "2")])
def test_no_process_that_runs_functions_has_the_store_open(tmp_path: Path, options: tuple[str, ...]) -> None:
    """After calls and runs; the daemon has it open, so the look is one that finds it."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path, *options) as running:
        assert curl(running.facts["call"])[0] == 200
        assert (
            json.loads(command(tmp_path, "timers", "run", "hello", "--wait", "--json").stdout)["outcome"] == "succeeded"
        )
        assert eventually(lambda: "said hello" in command(tmp_path, "logs", "--function", "hello").stdout)
        daemon, webs = running.only("daemon"), running.processes("web") + running.processes("stage")
        assert webs
        assert with_the_store(daemon) == [daemon]
        assert with_the_store(*webs, *workers(running), running.process.pid) == []
        assert running.stop()[0] == 0


def test_garbage_to_all_descriptors_harms_no_store(tmp_path: Path) -> None:
    """The process that serves it is replaced, the store is sound, and what the function printed before is kept."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path) as running:
        web = running.only("web")
        assert _status(running) == 200
        _status(running, "scribble")
        eventually(lambda: running.processes("web"), lambda seen: len(seen) == 1 and seen != [web])
        eventually(lambda: _status(running) == 200)
        assert running.stop()[0] == 0
    with closing(sqlite3.connect(tmp_path / ".scheduler" / "store.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert "said hello" in command(tmp_path, "logs").stdout


def _status(running: Up, function: str = "hello") -> int:
    try:
        return curl(running.facts["call"], instead=function)[0]
    except (OSError, HTTPException):
        return 0


def test_declared_timers_and_lines_reach_the_store(tmp_path: Path) -> None:
    """Those of the live version and those of a preview; the last line before a stop, too."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path, "--stage", "0") as running:
        listed = json.loads(command(tmp_path, "timers", "list", "--json").stdout)
        assert {(timer["name"], timer["environment"]) for timer in listed} == {
            ("hello", "production"),
            ("hello", "stage"),
        }
        curl(running.facts["call"])
        assert running.stop()[0] == 0
    assert command(tmp_path, "logs", "--function", "hello").stdout.count("said hello") == 1
