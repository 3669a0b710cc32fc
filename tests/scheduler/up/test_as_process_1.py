"""scheduler up as process 1, as in a container without an init."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scheduler.workers.process_tree import sweep_orphans
from tests.scheduler.command_line import CLOUD
from tests.scheduler.up_process import Up, children, cli, count_of, curl, living, up
from tests.waiting import eventually

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc")


def _may_unshare() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*UNSHARE, "true"], check=False).returncode == 0


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not _may_unshare(), reason="no process namespace can be made here")]


@contextmanager
def as_process_1(folder: Path, *options: str) -> Iterator[tuple[Up, int]]:
    """The service, and the pid by which it is known outside its namespace."""
    with up(folder, *options, under=UNSHARE) as running:
        (pid,) = children(running.process.pid)
        try:
            yield running, pid
        finally:
            if living(pid):
                os.kill(pid, signal.SIGKILL)


def test_it_serves_fires_and_ends(tmp_path: Path) -> None:
    """Process 1 has no default action for signals; SIGTERM ends it with status 0."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with as_process_1(tmp_path) as (running, pid):
        assert curl(running.facts["call"])[0] == 200
        cli(tmp_path, "timers", "add", "often", "--function", "hello", "--every", "1", "--enable")
        eventually(lambda: count_of(tmp_path, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'"))
        os.kill(pid, signal.SIGTERM)
        status, stderr = running.ended()
    assert status == 0, stderr


ORPHAN = """

@engine.define
def orphan():
    import subprocess

    subprocess.run(["sh", "-c", "setsid sleep 3 &"], check=True)
"""


def test_it_takes_note_of_the_end_of_orphans(tmp_path: Path) -> None:
    """A process that a function left behind does not stay as a zombie."""
    (tmp_path / "cloud.py").write_text(CLOUD + ORPHAN)
    with as_process_1(tmp_path) as (running, pid):
        before = children(pid)
        assert curl(running.facts["call"], instead="orphan")[0] == 200
        eventually(lambda: len(children(pid)), lambda seen: seen == len(before) + 1)
        eventually(lambda: children(pid), lambda seen: seen == before)


LONG = """

@engine.define
def long():
    import time

    time.sleep(600)
"""


def test_its_runs_are_cancelled_and_its_timers_paused(tmp_path: Path) -> None:
    """By commands outside its namespace, which cannot see its processes."""
    (tmp_path / "cloud.py").write_text(CLOUD + LONG)
    with as_process_1(tmp_path) as (running, pid):
        cli(tmp_path, "timers", "add", "long", "--function", "long", "--every", "86400", "--limit", "900")
        cli(tmp_path, "timers", "run", "long")
        eventually(lambda: count_of(tmp_path, "SELECT count(*) FROM runs WHERE owner IS NOT NULL"))
        assert cli(tmp_path, "runs", "cancel", "1").returncode == 0
        eventually(lambda: count_of(tmp_path, "SELECT count(*) FROM runs WHERE outcome = 'cancelled'"))
        cli(tmp_path, "timers", "add", "often", "--function", "hello", "--every", "1", "--enable")
        eventually(lambda: succeeded(tmp_path))
        assert cli(tmp_path, "pause").returncode == 0
        # What was claimed ahead fires still, and nothing later.
        paused_at = round((time.time() + 0.5) * 1e6)
        fired_later = f"SELECT count(*) FROM runs WHERE timer = 'often' AND fire_at > {paused_at}"
        eventually(lambda: time.time() * 1e6 > paused_at + 2_000_000)
        assert count_of(tmp_path, fired_later) == 0
        assert cli(tmp_path, "resume").returncode == 0
        eventually(lambda: count_of(tmp_path, fired_later))
        os.kill(pid, signal.SIGTERM)
        status, stderr = running.ended()
    assert status == 0, stderr


def succeeded(folder: Path) -> int:
    return count_of(folder, "SELECT count(*) FROM runs WHERE outcome = 'succeeded'")


def test_it_ends_although_a_process_stands_still(tmp_path: Path) -> None:
    """Nobody else would end process 1; a second signal is not needed."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with as_process_1(tmp_path) as (running, pid):
        for child in children(pid):
            os.kill(child, signal.SIGSTOP)
        os.kill(pid, signal.SIGTERM)
        assert running.ended()[0] == 0


def test_a_daemon_outside_leaves_its_workers_alone(tmp_path: Path) -> None:
    """It kills the workers of daemons that have ended, but here the pid in their mark means another process."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    with as_process_1(tmp_path) as (_, pid):
        workers = [worker for child in children(pid) for worker in children(child)]
        assert workers
        sweep_orphans()
        assert living(*workers) == workers
