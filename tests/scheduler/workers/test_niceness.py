"""Workers that start or run for long have low priority, and leave the last free worker to others; real processes."""

import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.core.run import Ending, Task
from scheduler.workers import niceness
from scheduler.workers.executor import ProcessExecutor
from tests.scheduler.workers.test_executor import collect, task
from tests.waiting import PATIENCE_S, eventually

OWN = os.getpriority(os.PRIO_PROCESS, 0)
LOW = min(OWN + niceness.LOW, 19)

can_raise = pytest.mark.skipif(
    not niceness.may_raise() or OWN == 19, reason="the kernel does not let this process lower a niceness"
)

FUNCTIONS = """
import os
import time
from scheduler.functions import Registry

registry = Registry()


@registry.define
def pid():
    return os.getpid()


@registry.define
def slow_pid():
    time.sleep(0.02)
    return os.getpid()


@registry.define
def pauses(seconds):
    time.sleep(seconds)
"""


def nice_of(pid: int) -> tuple[int, int]:
    """The niceness of the main thread, and that of the session, 0 where the kernel has no autogroups."""
    group = Path(f"/proc/{pid}/autogroup")
    return os.getpriority(os.PRIO_PROCESS, pid), int(group.read_text().split()[-1]) if group.exists() else 0


def group(value: int) -> int:
    return value if Path("/proc/self/autogroup").exists() else 0


@pytest.fixture
def sleeper() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process.pid
        process.kill()


@can_raise
def test_what_is_lowered_can_be_restored(sleeper: int) -> None:
    """The thread and the session get back their values."""
    before = nice_of(sleeper)
    assert niceness.lower(sleeper)
    assert nice_of(sleeper) == (LOW, group(niceness.LOW))
    assert niceness.restore(sleeper)
    assert nice_of(sleeper) == before == (OWN, 0)


@can_raise
def test_a_niceness_that_a_function_has_chosen_stays(sleeper: int) -> None:
    """It is neither raised nor lowered."""
    chosen = OWN + 3
    os.setpriority(os.PRIO_PROCESS, sleeper, chosen)
    for change in (niceness.lower, niceness.restore):
        assert change(sleeper)
        assert nice_of(sleeper)[0] == chosen


def test_a_process_that_has_ended_is_no_error() -> None:
    """Workers die at any moment."""
    with subprocess.Popen(["true"], start_new_session=True) as process:
        process.wait()
    assert niceness.lower(process.pid)
    assert niceness.restore(process.pid)


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[ProcessExecutor]:
    (tmp_path / "functions_with_time.py").write_text(FUNCTIONS)
    executor = ProcessExecutor(str(tmp_path / "functions_with_time.py"), workers=1, max_workers=1)
    executor.start()
    yield executor
    executor.stop()


def turn(executor: ProcessExecutor) -> None:
    """Wait as a daemon does, until the executor has something to report or asks to be checked."""
    check = executor.next_check()
    select.select(executor.filenos(), [], [], PATIENCE_S if check is None else check)
    executor.collect()


def turn_soon(executor: ProcessExecutor) -> None:
    """Like `turn`, for a change that wakes no executor."""
    select.select(executor.filenos(), [], [], 0.02)
    executor.collect()


@pytest.mark.slow
@can_raise
def test_a_long_run_has_low_priority_until_it_ends(executor: ProcessExecutor) -> None:
    """The next run of the same worker, a short one, has the daemon's."""
    executor.submit([task("pid", 1)])
    worker = int(str(collect(executor, 1).ended[0][1].result))
    assert nice_of(worker) == (OWN, 0)
    executor.submit([task("pauses", 2, params='{"seconds": 1}')])
    eventually(lambda: nice_of(worker), lambda seen: seen == (LOW, group(niceness.LOW)), between=lambda: turn(executor))
    executor.submit([task("pid", 3)])
    eventually(lambda: nice_of(worker), lambda seen: seen == (OWN, 0), between=lambda: turn(executor))


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file without which the functions beside it do not load."""
    gate = tmp_path / "gate"
    (tmp_path / "functions_that_load.py").write_text(
        "import os, pathlib, time\n"
        f"with open({str(tmp_path / 'pids')!r}, 'a') as file: print(os.getpid(), file=file)\n"
        f"while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\n" + FUNCTIONS
    )
    gate.touch()
    return gate


@pytest.fixture
def gated(gate: Path) -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(str(gate.parent / "functions_that_load.py"), workers=2, max_workers=4)
    executor.start()
    yield executor
    executor.stop()


@pytest.mark.slow
@can_raise
def test_a_worker_that_starts_beside_others_has_low_priority(gated: ProcessExecutor, gate: Path) -> None:
    """Until it has loaded the functions."""
    pids = gate.with_name("pids")
    gate.unlink()
    gated.submit([task("pauses", 1, params='{"seconds": 60}', limit_s=60)])
    started = eventually(
        lambda: pids.read_text().split(), lambda seen: len(seen) == 3, between=lambda: turn_soon(gated)
    )
    third = int(started[2])
    eventually(
        lambda: nice_of(third), lambda seen: seen == (LOW, group(niceness.LOW)), between=lambda: turn_soon(gated)
    )
    gate.touch()
    eventually(lambda: nice_of(third), lambda seen: seen == (OWN, 0), between=lambda: turn(gated))


@pytest.mark.slow
def test_long_tasks_leave_a_worker_to_others_while_the_pool_grows(gated: ProcessExecutor, gate: Path) -> None:
    """Two that are known to be long do not take both workers; when there are more workers, each has one."""
    gated.submit([task("pauses", 1, params='{"seconds": 60}', limit_s=0.6), task("pid", 2)])
    collect(gated, 2)
    # The replacement of the killed worker still starts. Two runs of a fast function would share a worker.
    eventually(lambda: {ending.result for _, ending in run_twice(gated, "slow_pid")}, lambda seen: len(seen) == 2)
    gate.unlink()
    gated.submit([task("pauses", number, params='{"seconds": 60}', limit_s=2) for number in (3, 4, 5)])
    gated.submit([task("pid", 6)])
    assert [ended.run_id for ended, _ in collect(gated, 1).ended] == [6]
    gate.touch()
    assert sorted(ended.run_id for ended, _ in collect(gated, 3).ended) == [3, 4, 5]


def run_twice(executor: ProcessExecutor, function: str) -> list[tuple[Task, Ending]]:
    executor.submit([task(function, number) for number in (7, 8)])
    return collect(executor, 2).ended
