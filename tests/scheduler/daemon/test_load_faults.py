"""Functions that die, hang, shout and return too much, and very many timers at once, beside timers that are well.

Every test prints what was due, fired, doubled and lost, and asserts all four; fleet.py says what these are.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from scheduler.core.admission import OverlapPolicy
from scheduler.core.run import Outcome, Run
from scheduler.core.timer import Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Every
from scheduler.errors import TimerError
from scheduler.store.schema import timers
from tests.scheduler.daemon_processes import SECOND, Fleet, account, fleet_on
from tests.scheduler.fault_scale import peak_mb, scaled
from tests.waiting import eventually

pytestmark = pytest.mark.faults

#: Timers that are well, beside those that are not.
WELL = 10
#: How late those may be at the most, on a machine that has other things to do as well.
ON_TIME_S = 2.0
PATIENCE_S = scaled(30.0, 200.0)
#: What a daemon holds by itself, and what any function may make it hold.
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
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with fleet_on(str(tmp_path / "a.db"), tmp_path, FUNCTIONS) as fleet:
        fleet.add(WELL, overlap=OverlapPolicy.ALLOW)
        yield fleet


def add(fleet: Fleet, function: str, *, seconds: int = 1, **options: object) -> None:
    trigger = Every(seconds)
    timer = Timer(name=function, function=function, trigger=trigger, enabled=True, breaker_threshold=0, **options)  # type: ignore[arg-type]
    fleet.add_timers(timer)


def runs_of(fleet: Fleet, name: str) -> list[Run]:
    """Those of a timer that have ended; the last first."""
    return [run for run in fleet.runs() if run.timer == name and run.started_at is not None]


def check_the_others(fleet: Fleet, on_time_s: float = ON_TIME_S) -> None:
    """End it all; timers that are well have fired each time, on time, and everything is accounted for."""
    end = fleet.end()
    result = account(fleet, end)
    assert [daemon.returncode for daemon in fleet.daemons] == [0], fleet.said
    assert not [run for run in fleet.runs() if run.outcome is None], fleet.said
    notes = [note for note in fleet.notes() if note.fire_time <= end]
    latest_s = max(note.begun_at - note.fire_time.timestamp() for note in notes)
    due = sum(run.timer.startswith("t") and run.timer[1:].isdigit() for run in fleet.runs() if run.fire_time <= end)
    print(f"{len(notes)} of {due} healthy fires, the latest by {latest_s:.3f} s")
    assert (result.doubled, result.lost) == (0, 0)
    assert len(notes) == due
    assert latest_s < on_time_s


DEADLY = {
    "segfault": "the worker process was killed by SIGSEGV",
    "exit_at_once": "the worker process ended with exit status 7",
    "killed_as_memory_is_short": "the worker process was killed by SIGKILL",
    "abort": "the worker process was killed by SIGABRT",
    "out_of_memory": "MemoryError: ",
}


def test_workers_that_die_take_nothing_with_them(fleet: Fleet) -> None:
    """Each such run has failed, with the signal; what shared a chunk with it runs elsewhere, and on time."""
    for function in DEADLY:
        add(fleet, function)
    fleet.start(1)
    eventually(lambda: all(len(runs_of(fleet, name)) >= scaled(2, 30) for name in DEADLY), within_s=PATIENCE_S)
    check_the_others(fleet)
    for name, error in DEADLY.items():
        assert {(run.outcome, run.error) for run in runs_of(fleet, name)} == {(Outcome.FAILED, error)}


HANGING = ("sleep", "spin", "ignore_sigterm", "fork", "hold_the_gil")


def test_functions_that_never_return_keep_nobody_waiting(fleet: Fleet) -> None:
    """Ten of them, at it all the time: each is killed at its limit, and a daemon that is told to stop does."""
    for function in HANGING:
        for number in range(2):
            name = f"{function}-{number}"
            fleet.add_timers(
                Timer(name=name, function=function, trigger=Every(1), limit_s=2, enabled=True, breaker_threshold=0)
            )
    fleet.start(1)
    names = [f"{function}-{number}" for function in HANGING for number in range(2)]

    def killed(name: str) -> list[Run]:
        return [run for run in runs_of(fleet, name) if run.outcome is Outcome.TIMED_OUT]

    eventually(lambda: all(len(killed(name)) >= scaled(1, 10) for name in names), within_s=PATIENCE_S)
    began = time.monotonic()
    # Some of them spin: until there are as many workers as they block, two cores have little left for the others.
    check_the_others(fleet, on_time_s=10.0)
    ended_s = time.monotonic() - began
    took_s = sorted(run.duration_s or 0 for name in names for run in killed(name))
    print(f"{len(took_s)} killed after {took_s[0]:.3f} to {took_s[-1]:.3f} s; ended {ended_s:.1f} s after SIGTERM")
    assert took_s[-1] < 2.5
    assert ended_s < 5
    outcomes = {run.outcome for run in fleet.runs() if run.timer in names}
    assert outcomes <= {Outcome.TIMED_OUT, Outcome.SKIPPED_OVERLAP}


SAYING_TOO_MUCH = [
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


@pytest.mark.parametrize(("function", "megabytes"), SAYING_TOO_MUCH)
def test_a_function_that_says_too_much_costs_the_daemon_nothing(fleet: Fleet, function: str, megabytes: int) -> None:
    """A gigabyte printed, a hundred megabytes returned: what is kept of it is bounded, as is the daemon's memory."""
    add(fleet, function, params={"megabytes": megabytes}, limit_s=120)
    fleet.start(1)
    (daemon,) = fleet.daemons
    eventually(lambda: runs_of(fleet, function) and len(fleet.notes()) > 2 * WELL, within_s=PATIENCE_S)
    memory = peak_mb(daemon.pid)
    run = runs_of(fleet, function)[-1]
    check_the_others(fleet)
    print(f"{function} of {megabytes} MB: {run.duration_s:.1f} s, the daemon held at most {memory:.0f} MB")
    assert run.outcome is (Outcome.FAILED if function == "raise_a_lot" else Outcome.SUCCEEDED)
    assert memory < MOST_MB
    assert len(run.result or "") <= 1000
    assert len(run.error or "") <= 1000


def test_ten_thousand_timers_of_the_same_second_all_fire(fleet: Fleet) -> None:
    """Once each, soon after one another, while the others go on; the daemon's memory is bounded."""
    count = 10_000
    params = {"path": str(fleet.notes_file)}
    same = [Timer(name=f"s{n}", function="note", trigger=Every(86_400), params=params) for n in range(count)]
    fleet.add_timers(*same)
    fleet.start(1)
    (daemon,) = fleet.daemons
    at = fleet.now().replace(microsecond=0) + 2 * SECOND
    with fleet.store.writing() as connection:
        _, trigger = Every(86_400, anchor=at - timedelta(days=1)).stored()
        moved = {"enabled": True, "next_fire_at": stamp(at), "trigger": trigger}
        connection.execute(update(timers).where(timers.c.name.like("s%")).values(moved))
    eventually(lambda: sum(note.timer.startswith("s") for note in fleet.notes()), lambda seen: seen >= count)
    last_s = max(note.begun_at for note in fleet.notes() if note.timer.startswith("s")) - at.timestamp()
    time.sleep(1)
    memory = peak_mb(daemon.pid)
    result = account(fleet, fleet.end())
    print(f"the last of {count} began {last_s:.2f} s after their second; the daemon held at most {memory:.0f} MB")
    assert (result.doubled, result.lost, result.fired) == (0, 0, result.due)
    assert memory < MOST_MB


def test_parameters_of_ten_megabytes_are_refused_where_they_are_given() -> None:
    """With their size, the limit, and what to do; no daemon ever sees them."""
    with pytest.raises(TimerError, match=r"parameters take 10000\d\d\d bytes, at most 65536 are allowed; store them"):
        Timer(name="t", function="note", trigger=Every(1), params={"text": "x" * 10_000_000})


@pytest.mark.parametrize("attempt", range(scaled(1, 10)))
def test_a_daemon_that_is_told_to_stop_under_load_leaves_nothing_open(fleet: Fleet, attempt: int) -> None:
    """It ends when its runs have ended: within their limit, each with its outcome, none begun any more."""
    fleet.add_timers(
        *(
            Timer(
                name=f"busy{number}",
                function="note",
                trigger=Every(1),
                params={"path": str(fleet.notes_file), "duration": 1.5},
                overlap=OverlapPolicy.ALLOW,
                enabled=True,
            )
            for number in range(20)
        )
    )
    fleet.start(1)
    time.sleep(1.3 + attempt / 10)
    (daemon,) = fleet.daemons
    told_at = time.time()
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(20)
    ended_s = time.time() - told_at
    end = fleet.now() - SECOND / 2 - timedelta(seconds=ended_s)
    result = account(fleet, end)
    later = [note for note in fleet.notes() if note.begun_at > told_at + 0.5]
    print(f"ended {ended_s:.1f} s after SIGTERM; {len(later)} runs that had been claimed began after it")
    assert daemon.returncode == 0
    assert (result.doubled, result.lost, result.fired) == (0, 0, result.due)
    assert {run.outcome for run in fleet.runs()} <= {Outcome.SUCCEEDED, Outcome.MISFIRED}
    assert ended_s < 15
