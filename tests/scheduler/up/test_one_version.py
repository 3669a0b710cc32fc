"""Sources that change while `scheduler up` runs without --reload: one version is served, and the log says so."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.command_line import CommandLine
from tests.scheduler.up_process import cli, command, curl, up
from tests.waiting import eventually

CLOUD = """
import os, time
from scheduler.engine import Engine

engine = Engine()
VERSION = 1


@engine.define
def hello():
    return [VERSION, os.getpid()]


@engine.define
def hang():
    time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--one-process",)])
@pytest.mark.parametrize("saved", [CLOUD.replace("VERSION = 1", "VERSION = 2"), "def broken(:\n"])
def test_processes_that_are_started_later_serve_the_version_of_the_others(
    tmp_path: Path, saved: str, options: tuple[str, ...]
) -> None:
    """A worker in the place of one that was killed, and a web process; also while the file is half saved."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with up(tmp_path, "--workers", "1", *options) as running:
        for name in ("hello", "hang"):
            command(tmp_path, "timers", "add", name, "--function", name, "--every", "86400", "--limit", "1")
        (tmp_path / "cloud.py").write_text(saved)
        first = _run(tmp_path, "hello")
        assert _run(tmp_path, "hang")["outcome"] == "timed_out"
        second = _run(tmp_path, "hello")
        (version, pid), (later, other_pid) = first["result"], second["result"]
        assert (version, later) == (1, 1)
        assert pid != other_pid
        if not options:
            web = running.only("web")
            os.kill(web, signal.SIGKILL)
            eventually(lambda: running.processes("web"), lambda seen: seen and seen != [web])
        answered = eventually(lambda: _called(running.facts["call"]))
        assert answered[0] == 1


def _run(folder: Path, name: str) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(command(folder, "timers", "run", name, "--wait", "--json").stdout)
    return run


def _called(call: str) -> list[int]:
    try:
        status, text = curl(call)
    except (ValueError, OSError):
        return []
    result: list[int] = json.loads(text)["result"] if status == 200 else []
    return result


@pytest.mark.slow
def test_everything_reports_that_the_service_does_not_serve_what_was_saved(tmp_path: Path) -> None:
    """The log, `timers add`, the failed run and doctor; none of them after the end, nor under --reload."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    newer = CLOUD + "\n\n@engine.define\ndef newer():\n    pass\n"
    told = "cloud.py has changed since `scheduler up` loaded the functions at "
    with up(tmp_path) as running:
        assert cli(tmp_path, "timers", "add", "before", "--function", "hello", "--every", "60").stderr == ""
        (tmp_path / "cloud.py").write_text(newer)
        assert f"Warning: {told}" in cli(tmp_path, "timers", "add", "t", "--function", "newer", "--every", "60").stderr
        failed = _run(tmp_path, "t")["error"]
        assert failed.startswith("no function 'newer'")
        assert "cloud.py has changed since the functions were loaded" in failed
        findings = {finding["name"]: finding for finding in json.loads(cli(tmp_path, "doctor", "--json").stdout)}
        assert told in findings["functions"]["text"]
        eventually(lambda: running.stderr, lambda seen: told in seen)
        _, stderr = running.stop()
    assert stderr.count(told) == 1
    assert cli(tmp_path, "timers", "add", "after", "--function", "newer", "--every", "60").stderr == ""
    assert [path.name for path in (tmp_path / ".scheduler").glob("serving*")] == []


def test_a_record_that_a_killed_service_has_left_is_forgotten(command_line: CommandLine) -> None:
    """So is one that is no record at all."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "hello", "--every", "60")
    folder = command_line.folder / ".scheduler"
    record = {"tz": "UTC", "reloads": False, "since": "2026-01-01T00:00:00+00:00"}
    sources = {str(command_line.folder / "cloud.py"): [1, 1]}
    (folder / "serving-1.json").write_text(json.dumps({**record, "sources": sources}))
    with (folder / "serving-1.json").open("rb") as living:
        # As another process does, in another container even.
        fcntl.flock(living, fcntl.LOCK_EX)
        told = command_line.run("timers", "add", "v", "--function", "hello", "--every", "60").stderr
        assert "cloud.py has changed since `scheduler up` loaded the functions at 00:00:00" in told
    (folder / "serving-2.json").write_text("[]")
    (folder / "serving-3.json").write_text("{")
    os.mkfifo(folder / "serving-4.json")
    added = command_line.run("timers", "add", "u", "--function", "hello", "--every", "60")
    assert (added.exit_code, added.stderr) == (0, "")
    assert not (folder / "serving-1.json").exists()
