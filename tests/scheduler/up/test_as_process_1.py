"""scheduler up as process 1, as in a container without an init."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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
