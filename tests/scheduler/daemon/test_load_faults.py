"""Functions that die, hang, print and return too much, and very many timers at once, beside healthy timers.

Every test prints what was due, fired, doubled and lost, and asserts all four; daemon_processes.py defines these.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from scheduler.core.overlap import OverlapPolicy
from scheduler.core.run import Outcome, Run
from scheduler.core.timer import Timer
from scheduler.core.timestamps import EPOCH, stamp
from scheduler.core.triggers import Every
from scheduler.errors import TimerError
from scheduler.store.schema import timers
from scheduler.store.timers import TimerTable
from tests.scheduler.daemon_processes import SECOND, DaemonGroup, account, daemon_group
from tests.scheduler.fault_scale import peak_mb, scaled
from tests.waiting import eventually, slowdown, slowed

pytestmark = pytest.mark.faults

#: Healthy timers, beside the others.
HEALTHY = 10
#: How late healthy timers may be, on a busy machine.
ON_TIME_S = 2.0
PATIENCE_S = scaled(30.0, 200.0)
#: The memory of a daemon, and the most that any function may make it use.
MOST_MB = 150
FUNCTIONS = """
import ctypes, resource, signal, subprocess, sys


@engine.define
def segfault():
    ctypes.string_at(0)


@engine.define
def exit_at_once():
    os._exit(7)


@engine.define
def killed_as_memory_is_short():
    os.kill(os.getpid(), signal.SIGKILL)


@engine.define
def out_of_memory():
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**30, hard))
    try:
        return len(bytearray(2**40))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@engine.define
def abort():
    os.abort()


@engine.define
def print_a_lot(megabytes):
    for _ in range(megabytes):
        print("x" * 1_000_000)


@engine.define
def print_many_lines(megabytes):
    for _ in range(megabytes):
        print("a line of sixteen\\n" * 60_000)


@engine.define
def have_a_child_print(megabytes):
    subprocess.run(["head", "-c", f"{megabytes}M", "/dev/zero"], check=True)


@engine.define
def write_to_the_descriptor(megabytes):
    for _ in range(megabytes):
        os.write(1, b"y" * 999_999 + b"\\n")


@engine.define
def return_a_text(megabytes):
    return "x" * (megabytes * 1_000_000)


@engine.define
def return_a_list(megabytes):
    return [0] * (megabytes * 125_000)


@engine.define
def raise_a_lot(megabytes):
    raise ValueError("x" * (megabytes * 1_000_000))


@engine.define
def sleep():
    time.sleep(600)


@engine.define
def spin():
    while True:
        pass


@engine.define
def ignore_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


@engine.define
def fork():
    os.fork()
    time.sleep(600)


@engine.define
def hold_the_gil():
    import re
    re.match(r"(a+)+$", "a" * 60 + "b")
"""


@pytest.fixture
def group(tmp_path: Path) -> Iterator[DaemonGroup]:
    with daemon_group(str(tmp_path / "a.db"), tmp_path, FUNCTIONS) as group:
        group.add(HEALTHY, overlap=OverlapPolicy.ALLOW)
        yield group


def add(group: DaemonGroup, function: str, *, seconds: int = 1, **options: object) -> None:
    trigger = Every(seconds)
    timer = Timer(name=function, function=function, trigger=trigger, enabled=True, breaker_threshold=0, **options)  # type: ignore[arg-type]
    group.add_timers(timer)


def runs_of(group: DaemonGroup, name: str) -> list[Run]:
    """The runs of a timer that have ended, the last first."""
    return [run for run in group.runs() if run.timer == name and run.started_at is not None]


def check_healthy(group: DaemonGroup, on_time_s: float = ON_TIME_S) -> None:
    """Stop the daemon; healthy timers have fired each time, on time, and every fire time has a row."""
    end = group.end()
    result = account(group, end)
    assert [daemon.returncode for daemon in group.daemons] == [0], group.logs
    unended = [run for run in group.runs() if run.outcome is None]
    # On a busy machine a fire time may have been missed, and its run wait for its turn: the next daemon begins it.
    assert not [run for run in unended if run.is_claimed or slowdown() == 1], group.logs
    notes = [note for note in group.notes() if note.fire_time <= end]
    latest_s = max(note.begun_at - note.fire_time.timestamp() for note in notes)
    healthy = [run for run in group.runs() if run.timer[0] == "t" and run.timer[1:].isdigit() and run.fire_time <= end]
    misfired = [run for run in healthy if run.outcome is Outcome.MISFIRED]
    waiting = [run for run in healthy if run.outcome is None]
    print(f"{len(notes)} of {len(healthy)} healthy fires, the latest by {latest_s:.3f} s")
    assert (result.doubled, result.lost) == (0, 0)
    assert len(notes) + len(misfired) + len(waiting) == len(healthy)
    assert misfired == [] or slowdown() > 1
    assert latest_s < slowed(on_time_s)


DEADLY = {
    "segfault": "the worker process was killed by SIGSEGV",
    "exit_at_once": "the worker process ended with exit status 7",
    "killed_as_memory_is_short": "the worker process was killed by SIGKILL",
    "abort": "the worker process was killed by SIGABRT",
    "out_of_memory": "MemoryError",
}


def test_workers_that_die_take_nothing_with_them(group: DaemonGroup) -> None:
    """Each such run has failed, with the signal; the tasks in its chunk run in other workers, and on time."""
    for function in DEADLY:
        add(group, function)
    group.start(1)
    eventually(lambda: all(len(runs_of(group, name)) >= scaled(2, 30) for name in DEADLY), within_s=slowed(PATIENCE_S))
    check_healthy(group)
    for name, error in DEADLY.items():
        assert {(run.outcome, run.error) for run in runs_of(group, name)} == {(Outcome.FAILED, error)}


HANGING = ("sleep", "spin", "ignore_sigterm", "fork", "hold_the_gil")


def test_functions_that_never_return_hold_up_no_others(group: DaemonGroup) -> None:
    """Ten of them, all the time: each is killed at its limit, and the daemon stops when it is asked to."""
    for function in HANGING:
        for number in range(2):
            name = f"{function}-{number}"
            group.add_timers(
                Timer(name=name, function=function, trigger=Every(1), limit_s=2, enabled=True, breaker_threshold=0)
            )
    group.start(1)
    names = [f"{function}-{number}" for function in HANGING for number in range(2)]

    def killed(name: str) -> list[Run]:
        return [run for run in runs_of(group, name) if run.outcome is Outcome.TIMED_OUT]

    eventually(lambda: all(len(killed(name)) >= scaled(1, 10) for name in names), within_s=slowed(PATIENCE_S))
    began = time.monotonic()
    # Some of them spin: until the pool has grown, two cores have little time left for healthy timers.
    check_healthy(group, on_time_s=10.0)
    ended_s = time.monotonic() - began
    took_s = sorted(run.duration_s or 0 for name in names for run in killed(name))
    print(f"{len(took_s)} killed after {took_s[0]:.3f} to {took_s[-1]:.3f} s; ended {ended_s:.1f} s after SIGTERM")
    assert took_s[-1] < 2 + slowed(0.5)
    assert ended_s < slowed(5)
    outcomes = {run.outcome for run in group.runs() if run.timer in names}
    assert outcomes <= {Outcome.TIMED_OUT, Outcome.SKIPPED_OVERLAP} or (
        slowdown() > 1 and outcomes <= {Outcome.TIMED_OUT, Outcome.SKIPPED_OVERLAP, Outcome.MISFIRED, None}
    )


OVERSIZED_OUTPUT = [
    ("print_a_lot", 1000),
    ("write_to_the_descriptor", scaled(200, 1000)),
    ("return_a_text", 100),
    *scaled(
        [],
        [
            ("print_many_lines", 200),
            ("have_a_child_print", 1000),
            ("return_a_list", 100),
            ("raise_a_lot", 100),
        ],
    ),
]


@pytest.mark.parametrize(("function", "megabytes"), OVERSIZED_OUTPUT)
def test_oversized_output_costs_the_daemon_nothing(group: DaemonGroup, function: str, megabytes: int) -> None:
    """A gigabyte printed, a hundred megabytes returned: the history and the daemon's memory are bounded."""
    add(group, function, params={"megabytes": megabytes}, limit_s=600)
    group.start(1)
    (daemon,) = group.daemons
    eventually(lambda: runs_of(group, function) and len(group.notes()) > 2 * HEALTHY, within_s=slowed(PATIENCE_S))
    memory = peak_mb(daemon.pid)
    run = runs_of(group, function)[-1]
    check_healthy(group)
    print(f"{function} of {megabytes} MB: {run.duration_s:.1f} s, the daemon used at most {memory:.0f} MB")
    assert run.outcome is (Outcome.FAILED if function == "raise_a_lot" else Outcome.SUCCEEDED)
    assert memory < MOST_MB
    assert len(run.result or "") <= 1000
    assert len(run.error or "") <= 1000


def test_ten_thousand_timers_of_the_same_second_all_fire(group: DaemonGroup) -> None:
    """Once each, while the healthy timers go on; the daemon's memory is bounded."""
    count = 10_000
    params = {"path": str(group.notes_file)}
    same = [Timer(name=f"s{n}", function="note", trigger=Every(86_400), params=params) for n in range(count)]
    group.add_timers(*same)
    group.start(1)
    (daemon,) = group.daemons
    at = group.now().replace(microsecond=0) + 2 * SECOND
    with group.store.writing() as connection:
        _, trigger = Every(86_400, anchor=at - timedelta(days=1)).stored()
        moved = {"enabled": True, "next_fire_at": stamp(at), "trigger": trigger}
        connection.execute(update(timers).where(timers.c.name.like("s%")).values(moved))
    eventually(
        lambda: sum(note.timer.startswith("s") for note in group.notes()),
        lambda seen: seen >= count,
        within_s=slowed(PATIENCE_S),
    )
    last_s = max(note.begun_at for note in group.notes() if note.timer.startswith("s")) - at.timestamp()
    time.sleep(1)
    memory = peak_mb(daemon.pid)
    result = account(group, group.end())
    print(f"the last of {count} began {last_s:.2f} s after their second; the daemon used at most {memory:.0f} MB")
    assert (result.doubled, result.lost, result.fired + result.passed_over) == (0, 0, result.due)
    assert result.passed_over == 0 or slowdown() > 1
    assert memory < MOST_MB


def test_parameters_of_ten_megabytes_are_refused() -> None:
    """When the timer is made, with their size, the limit and the fix."""
    with pytest.raises(TimerError, match=r"parameters take 10000\d\d\d bytes, at most 65536 are allowed; store them"):
        Timer(name="t", function="note", trigger=Every(1), params={"text": "x" * 10_000_000})


@pytest.mark.parametrize("attempt", range(scaled(1, 10)))
def test_a_daemon_that_is_stopped_under_load_leaves_no_run_claimed(group: DaemonGroup, attempt: int) -> None:
    """It ends when its runs have ended, within their limit, each with its outcome; those that wait are given back."""
    group.add_timers(
        *(
            Timer(
                name=f"busy{number}",
                function="note",
                trigger=Every(1),
                params={"path": str(group.notes_file), "duration": 1.5},
                overlap=OverlapPolicy.ALLOW,
                enabled=True,
            )
            for number in range(20)
        )
    )
    group.start(1)
    time.sleep(1.3 + attempt / 10)
    (daemon,) = group.daemons
    stopped_at = time.time()
    end = group.end(waits_s=1.5 + attempt / 10)
    ended_s = time.time() - stopped_at
    result = account(group, end)
    later = [note for note in group.notes() if note.begun_at > stopped_at + 0.5]
    print(f"ended {ended_s:.1f} s after SIGTERM; {len(later)} runs that had been claimed began after it")
    assert daemon.returncode == 0
    assert (result.doubled, result.lost, result.fired + result.passed_over) == (0, 0, result.due)
    assert result.passed_over == 0 or slowdown() > 1
    outcomes = {run.outcome for run in group.runs() if run.outcome or run.is_claimed}
    assert Outcome.SUCCEEDED in outcomes
    assert outcomes <= {Outcome.SUCCEEDED, Outcome.MISFIRED}
    for entry in TimerTable(group.store).list():
        # Each has a row, or is due again: the timer's next fire time is the first one without.
        rows = sum(run.count for run in group.runs() if run.timer == entry.timer.name)
        assert entry.next_fire is not None
        assert rows == entry.timer.schedule.count(EPOCH, entry.next_fire)
    assert ended_s < slowed(15)
