"""Descendants that take pains to escape are killed with their worker; those that end leave no zombie."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.core.run import Outcome
from scheduler.workers import process_tree
from scheduler.workers import unkillable_processes as module
from scheduler.workers.executor import ProcessExecutor
from scheduler.workers.unkillable_processes import LOG_AFTER_S, UnkillableProcesses
from tests.scheduler.up_process import children, living
from tests.scheduler.workers.test_executor import pids_in, run, task
from tests.scheduler.workers.test_hostile_functions import endings_of, ready, turn
from tests.waiting import eventually, slowed

pytestmark = pytest.mark.slow

FUNCTIONS = '''
import os
import subprocess
import sys
import time

from scheduler.functions import Registry

registry = Registry()
define = registry.define


def daemonize(pidfile):
    """A process of its own session, group, parent and environment."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            with open(pidfile, "a") as file:
                print(os.getpid(), file=file)
            os.closerange(0, 64)
            os.execve("/bin/sleep", ["sleep", "1000"], {})
        os._exit(0)
    os.wait()


@define
def daemonizes_and_hangs(pidfile):
    daemonize(pidfile)
    time.sleep(1000)


@define
def daemonizes_and_ends(pidfile):
    daemonize(pidfile)


@define
def leaves_zombies():
    for _ in range(5):
        if os.fork() == 0:
            if os.fork() == 0:
                os._exit(0)
            os._exit(0)
        os.wait()


@define
def checks_its_children():
    child = subprocess.Popen(["/bin/sh", "-c", "exit 7"])
    time.sleep(0.2)
    return child.wait()
'''


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessExecutor]:
    folder = tmp_path_factory.mktemp("functions")
    (folder / "descending_functions.py").write_text(FUNCTIONS)
    executor = ProcessExecutor(str(folder / "descending_functions.py"), workers=1, max_workers=1)
    executor.start()
    yield executor
    executor.stop()


def test_a_daemonized_process_is_killed_at_the_limit(executor: ProcessExecutor, tmp_path: Path) -> None:
    """Though it has neither the group nor the session nor the environment of its worker, and its parent is gone."""
    pidfile = tmp_path / "pids"
    ending, _ = run(executor, "daemonizes_and_hangs", params=f'{{"pidfile": "{pidfile}"}}', limit_s=1)
    assert ending.outcome is Outcome.TIMED_OUT
    assert living(*pids_in(pidfile, 1)) == []


def test_a_daemonized_process_outlives_a_run_that_ends_well_but_not_its_worker(
    executor: ProcessExecutor, tmp_path: Path
) -> None:
    """A function may leave a process behind; the next limit ends it, and so does the end of the service."""
    pidfile = tmp_path / "pids"
    ending, _ = run(executor, "daemonizes_and_ends", params=f'{{"pidfile": "{pidfile}"}}')
    assert ending.outcome is Outcome.SUCCEEDED
    (pid,) = pids_in(pidfile, 1)
    assert living(pid)
    run(executor, "daemonizes_and_hangs", params=f'{{"pidfile": "{pidfile}"}}', limit_s=1)
    assert living(pid) == []


def test_ended_orphans_do_not_stay_as_zombies(executor: ProcessExecutor) -> None:
    """The worker waits for them after a while, when runs have ended."""
    run(executor, "leaves_zombies")
    (worker,) = eventually(lambda: ready(executor), between=lambda: turn(executor))
    assert children(worker)
    number = 100

    def another_run() -> None:
        nonlocal number
        number += 1
        executor.submit([task("checks_its_children", number)])
        assert endings_of(executor, {number}, within_s=slowed(10))[number].result == "7"

    eventually(lambda: children(worker), lambda left: not left, between=another_run)
    assert ready(executor) == [worker]


@pytest.mark.skipif(not Path("/proc/thread-self/children").exists(), reason="the kernel lists no children")
def test_the_kernel_lists_the_descendants_of_a_process() -> None:
    """A child of a child too, without reading what every process of the machine is."""
    shell = subprocess.Popen(["sh", "-c", "sh -c 'sleep 600; true'; true"], start_new_session=True)
    try:
        eventually(lambda: len(process_tree._listed_descendants(shell.pid)) == 2)
        assert set(process_tree._listed_descendants(shell.pid)) == set(process_tree._descendants(shell.pid))
    finally:
        process_tree.kill(shell, "no mark")
    assert process_tree._listed_descendants(shell.pid) == []


def test_the_list_of_descendants_that_keep_forking_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a kill would wait for as long as each process that is read has one more child."""
    seconds = itertools.count()
    monkeypatch.setattr(process_tree.os, "listdir", lambda path: ["1"])
    monkeypatch.setattr(process_tree, "_read", lambda path: b"1")
    monkeypatch.setattr(process_tree.time, "monotonic", lambda: float(next(seconds)))
    assert process_tree._listed_descendants(1, give_up_at=2.5) == [1, 1, 1]


def test_a_killed_process_that_has_not_ended_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """And forgotten when it has ended."""
    unkillable_processes = UnkillableProcesses()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        unkillable_processes.add(process, 100.0)
        unkillable_processes.look(100.0 + LOG_AFTER_S / 2)
        assert not caplog.text
        unkillable_processes.look(100.0 + LOG_AFTER_S)
        unkillable_processes.look(100.0 + 2 * LOG_AFTER_S)
        assert caplog.text.count(f"process {process.pid} was killed 5 s ago and has not ended") == 1
        assert len(unkillable_processes) == 1
        process.kill()
        process.wait()
    unkillable_processes.look(200.0)
    assert len(unkillable_processes) == 0
    assert len(module.unkillable_processes) == 0
