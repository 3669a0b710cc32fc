"""A SQLite store on a disk that is really full, or really read-only: a small file system, with real daemons.

Needs the right to mount one; where that lacks, test_store_faults.py makes the same faults by limits.
"""

from __future__ import annotations

import errno
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Outcome
from tests.scheduler.daemon_processes import account, daemon_group
from tests.scheduler.fault_scale import scaled
from tests.scheduler.up_process import cli, up
from tests.waiting import eventually, slowed

pytestmark = pytest.mark.faults

TIMERS = 20
AWAY_S = scaled(2.0, 30.0)
CLOUD = """
from scheduler.engine import Engine

engine = Engine()


@engine.define
def hello():
    print("hello")
"""


class Disk:
    """A file system of a few megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Use all the space that is left, to the last byte."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (65_536, 512, 1):
                with suppress_full():
                    while True:
                        file.write(b"x" * size)

    def free(self) -> None:
        self._ballast.unlink()

    def remount(self, mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", self.folder], check=True, capture_output=True)


class suppress_full(suppress):
    """Suppress the error of a full disk, and no other."""

    def __init__(self) -> None:
        super().__init__(OSError)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: object) -> bool:
        return isinstance(error, OSError) and error.errno == errno.ENOSPC


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("no right to mount a file system")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)


def check_soundness(file: Path) -> None:
    """SQLite finds no fault in the file."""
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def test_a_full_disk_costs_nothing_but_the_time_that_it_is_full(tmp_path: Path, disk: Disk) -> None:
    """The daemon reports it once, waits, and goes on within a second; no function and no result is lost."""
    file = disk.folder / "a.db"
    with daemon_group(str(file), tmp_path) as group:
        group.add(TIMERS, overlap=OverlapPolicy.ALLOW)
        group.start(1)
        eventually(lambda: len(group.notes()), lambda seen: seen > TIMERS)
        disk.fill()
        filled_at, away_s = time.time(), slowed(AWAY_S)
        time.sleep(away_s)
        # What was claimed before may begin for a while.
        before = len([note for note in group.notes() if note.begun_at > filled_at + away_s / 2])
        disk.free()
        back_at = time.time()
        eventually(
            lambda: len([note for note in group.notes() if note.begun_at > back_at]), lambda seen: seen > 2 * TIMERS
        )
        result = account(group, group.end())
        fires_again_s = min(note.begun_at for note in group.notes() if note.begun_at > back_at) - back_at
        print(f"{before} fires while full; fired again {fires_again_s:.3f} s after there was room")
        missed = sum(run.count for run in group.runs() if run.outcome is Outcome.MISFIRED)
        outcomes = {run.outcome for run in group.runs()}
        log, (daemon,) = group.logs[0], group.daemons
    check_soundness(file)
    assert daemon.returncode == 0
    assert (result.doubled, result.lost, result.fired + missed) == (0, 0, result.due)
    assert outcomes <= {Outcome.SUCCEEDED, Outcome.MISFIRED}
    assert before == 0
    assert "the disk is full; free some space" in log
    assert log.count("trying again") == log.count("answers again") == 1
    assert fires_again_s < slowed(1)


def test_a_service_does_not_start_on_a_disk_that_is_read_only(tmp_path: Path, disk: Disk) -> None:
    """It reports what to check, and leaves the store as it was; when the disk can be written, it starts."""
    (tmp_path / "cloud.py").write_text(CLOUD)
    file = disk.folder / "a.db"
    store = ("--store", str(file))
    assert (
        cli(tmp_path, "timers", "add", "t", "--function", "hello", "--every", "1", "--enable", *store).returncode == 0
    )
    disk.remount("ro")
    contents = file.read_bytes()
    for words in (("up", "--port", "0"), ("timers", "disable", "t")):
        refused = cli(tmp_path, *words, *store)
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr
        # The store, or the folder of the keys beside it: the process that finds it first says so.
        assert str(disk.folder) in refused.stderr
        assert any(words in refused.stderr.lower() for words in ("written", "writable", "read-only"))
    doctor = cli(tmp_path, "doctor", *store)
    assert doctor.returncode == 1
    assert file.read_bytes() == contents
    disk.remount("rw")
    with up(tmp_path, *store) as running:
        eventually(lambda: _count(file), lambda seen: seen >= 2)
        status, _ = running.stop()
    assert status == 0
    check_soundness(file)


def _count(file: Path) -> int:
    connection = sqlite3.connect(file)
    (count,) = connection.execute("SELECT count(*) FROM runs WHERE outcome = 'succeeded'").fetchone()
    connection.close()
    return int(count)
