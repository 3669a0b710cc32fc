"""Two containers with one host name and one SQLite file: neither takes the other for dead, and a killed one returns.

A container is namespaces of pids, mounts and host name: each service is process 1, and sees no process of the other.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.up_process import children, clean_environ, command, count_in, living
from tests.waiting import PATIENCE_S, eventually

CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts")
CLOUD = """
from pathlib import Path
from scheduler.engine import Engine

engine = Engine()


@engine.define
def note():
    with open(Path(__file__).with_name("called"), "a") as file:
        file.write(f"{engine.current.timer.scheduled_at}\\n")
"""


def _may_unshare() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*CONTAINER, "true"], check=False).returncode == 0


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not _may_unshare(), reason="no namespaces can be made here")]


@contextmanager
def container(folder: Path, number: int) -> Iterator[subprocess.Popen[bytes]]:
    """`scheduler up` in a container called box."""
    command = f"hostname box && exec {sys.executable} -m scheduler up --port 0 --env production"
    with (folder / f"{number}.log").open("ab") as log:
        process = subprocess.Popen(
            [*CONTAINER, "sh", "-c", command], cwd=folder, env=clean_environ(), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill process 1, and with it all others of the container."""
    for pid in living(*children(process.pid)):
        os.kill(pid, signal.SIGKILL)
    process.wait(PATIENCE_S)


def runs(folder: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(command(folder, "runs", "--json", "-n", "1000").stdout)
    return listed


def test_two_containers_share_a_file_and_one_returns_after_a_kill(tmp_path: Path) -> None:
    """Each second is on record once, and called once at most; only the killed container's runs may be abandoned."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    store = tmp_path / ".scheduler" / "store.db"
    assert command(tmp_path, "timers", "add", "t", "--function", "note", "--every", "1", "--enable").returncode == 0

    def daemons() -> int:
        return count_in(store, "SELECT count(*) FROM daemons WHERE host = 'box'")

    def goes_on(seconds: int) -> None:
        ended = "SELECT count(*) FROM runs WHERE outcome = 'succeeded'"
        before = count_in(store, ended)
        eventually(lambda: count_in(store, ended) >= before + seconds)

    with container(tmp_path, 1) as first, container(tmp_path, 2) as second:
        eventually(lambda: daemons() == 2)
        goes_on(8)
        assert daemons() == 2
        kill(first)
        goes_on(2)
        # The other one may have removed the row of the killed one by then, or may not.
        latest = "SELECT max(started_at) FROM daemons"
        before = count_in(store, latest)
        with container(tmp_path, 1):
            eventually(lambda: count_in(store, latest) > before)
            goes_on(5)
            assert second.poll() is None
    called = Counter((tmp_path / "called").read_text().split("\n")[:-1])
    assert set(called.values()) == {1}
    found = runs(tmp_path)
    # Several seconds in one row are those that were misfired or skipped on a busy machine.
    seconds = [_second(run["fire_time"]) + late for run in found for late in range(run["count"])]
    assert sorted(seconds) == list(range(min(seconds), max(seconds) + 1))
    assert sum(run["outcome"] == "abandoned" for run in found) <= 1
    for number in (1, 2):
        assert "taken over" not in (tmp_path / f"{number}.log").read_text()


def _second(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp())
