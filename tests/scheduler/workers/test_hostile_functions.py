"""Functions that harm the process they run in: each ends as it must, and the runs of other timers go on."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.core.run import Ending, Outcome
from scheduler.executors import Report
from scheduler.workers.executor import ProcessExecutor
from tests.scheduler.fault_scale import peak_mb
from tests.scheduler.workers.test_executor import run, task
from tests.waiting import eventually, slowed

pytestmark = pytest.mark.slow

FUNCTIONS = """
import builtins
import ctypes
import json
import os
import re
import resource
import signal
import socket
import sys
import threading
import time

from scheduler.functions import Registry

registry = Registry()
define = registry.define


@define
def plain(path=None):
    if path:
        with open(path, "a") as file:
            print(time.monotonic(), file=file)


@define
def tells():
    return "told"


@define
def leaves_a_thread_that_holds_the_gil():
    threading.Timer(0.05, re.match, (r"(a+)+$", "a" * 60 + "b")).start()


@define
def stops_itself_later():
    pid = os.getpid()
    threading.Timer(0.05, os.kill, (pid, signal.SIGSTOP)).start()


@define
def stops_itself():
    os.kill(os.getpid(), signal.SIGSTOP)


@define
def leaves_a_signal_handler_that_blocks():
    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(1_000))
    pid = os.getpid()
    threading.Timer(0.05, os.kill, (pid, signal.SIGUSR1)).start()


@define
def closes_all_descriptors():
    os.closerange(0, 64)


@define
def puts_sockets_in_place_of_all_descriptors():
    kept = []
    for descriptor in range(3, 32):
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept.append(other.detach())
        if one.fileno() != descriptor:
            os.dup2(one.fileno(), descriptor)
        one.detach()


@define
def reads_all_descriptors():
    for descriptor in range(3, 32):
        try:
            os.set_blocking(descriptor, False)
            os.read(descriptor, 100_000)
        except OSError:
            pass
        try:
            os.set_blocking(descriptor, True)
        except OSError:
            pass


def write_to_all(data, times=1):
    for _ in range(times):
        for descriptor in range(3, 64):
            try:
                os.set_blocking(descriptor, False)
                os.write(descriptor, data)
            except OSError:
                pass


@define
def writes_a_tuple_of_billions():
    write_to_all(b"(hello")


@define
def writes_a_tuple_of_millions():
    write_to_all(b"(\\xff\\xff\\xff\\x07")


@define
def writes_a_megabyte():
    write_to_all(os.urandom(150_000), times=20)


@define
def writes_nothing():
    write_to_all(b"")


@define
def sets_the_clocks_to_nothing():
    time.time_ns = lambda: 0
    time.time = lambda: 0.0
    time.monotonic = lambda: 0.0
    time.monotonic_ns = lambda: 0
    time.perf_counter = lambda: 0.0


@define
def sets_the_clocks_to_2099():
    time.time_ns = lambda: 4_070_908_800_000_000_000
    time.time = lambda: 4_070_908_800.0
    time.monotonic = lambda: 4_070_908_800.0
    time.monotonic_ns = lambda: 4_070_908_800_000_000_000


@define
def freezes_the_clocks_in_all_modules():
    # As libraries do that freeze the time of a test, and that were left on.
    real = {name: getattr(time, name) for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter")}
    frozen = {id(value): (lambda: 0) if name.endswith("_ns") else (lambda: 0.0) for name, value in real.items()}
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()):
            if id(value) in frozen:
                setattr(module, name, frozen[id(value)])


@define
def makes_the_clocks_raise():
    del time.time_ns, time.monotonic, time.time, time.monotonic_ns


@define
def clears_the_modules():
    sys.modules.clear()


@define
def empties_the_builtins():
    vars(builtins).clear()


@define
def takes_builtins_away():
    del builtins.len, builtins.isinstance


@define
def breaks_the_import():
    builtins.__import__ = None


def empty(module):
    for name in list(vars(module)):
        if not name.startswith("__"):
            delattr(module, name)


@define
def empties_os():
    empty(os)


@define
def empties_socket():
    empty(socket)


@define
def empties_json():
    empty(json)


@define
def empties_threading():
    empty(threading)


@define
def empties_signal():
    empty(signal)


@define
def leaves_little_memory_and_time():
    resource.setrlimit(resource.RLIMIT_AS, (1_000_000, 1_000_000))
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))


@define
def leaves_tiny_limits():
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@define
def crashes_in_a_thread_later():
    threading.Timer(0.05, ctypes.string_at, (0,)).start()


@define
def exits_in_a_thread_later():
    threading.Timer(0.05, os._exit, (9,)).start()
"""

ENDED_WELL = {Outcome.SUCCEEDED}
FAILED = {Outcome.FAILED}
KILLED = {Outcome.TIMED_OUT}

#: The name of each function, and how its own run may end.
HOSTILE: dict[str, set[Outcome]] = {
    "leaves_a_thread_that_holds_the_gil": ENDED_WELL,
    "stops_itself_later": ENDED_WELL,
    "stops_itself": KILLED,
    "leaves_a_signal_handler_that_blocks": ENDED_WELL,
    "closes_all_descriptors": FAILED | ENDED_WELL,
    "puts_sockets_in_place_of_all_descriptors": FAILED | ENDED_WELL,
    "reads_all_descriptors": ENDED_WELL,
    "writes_a_tuple_of_billions": FAILED,
    "writes_a_tuple_of_millions": FAILED,
    "writes_a_megabyte": FAILED,
    "writes_nothing": ENDED_WELL | FAILED,
    "sets_the_clocks_to_nothing": ENDED_WELL,
    "sets_the_clocks_to_2099": ENDED_WELL,
    "freezes_the_clocks_in_all_modules": ENDED_WELL,
    "makes_the_clocks_raise": ENDED_WELL,
    "clears_the_modules": ENDED_WELL | FAILED,
    "empties_the_builtins": ENDED_WELL | FAILED,
    "takes_builtins_away": ENDED_WELL | FAILED,
    "breaks_the_import": ENDED_WELL | FAILED,
    "empties_os": ENDED_WELL | FAILED,
    "empties_socket": ENDED_WELL | FAILED,
    "empties_json": ENDED_WELL | FAILED,
    "empties_threading": ENDED_WELL | FAILED,
    "empties_signal": ENDED_WELL | FAILED,
    "leaves_little_memory_and_time": ENDED_WELL | FAILED,
    "leaves_tiny_limits": ENDED_WELL,
    "crashes_in_a_thread_later": ENDED_WELL | FAILED,
    "exits_in_a_thread_later": ENDED_WELL | FAILED,
}

#: A run that was handed to a worker that does not begin it goes to another one within this, and some time to begin.
FOUND_S = 5.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("functions")
    (folder / "hostile_functions.py").write_text(FUNCTIONS)
    return folder


@pytest.fixture
def executor(folder: Path) -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(str(folder / "hostile_functions.py"), workers=2, max_workers=3)
    executor.start()
    yield executor
    began = time.monotonic()
    executor.stop()
    assert time.monotonic() - began < slowed(5)


def turn(executor: ProcessExecutor) -> Report:
    check_s = executor.next_check()
    select.select(executor.filenos(), [], [], min(0.2, 0.2 if check_s is None else check_s))
    return executor.collect()


def endings_of(executor: ProcessExecutor, run_ids: set[int], *, within_s: float) -> dict[int, Ending]:
    """How these runs ended; each ends once."""
    endings: dict[int, Ending] = {}

    def collect() -> None:
        for ended, ending in turn(executor).endings():
            assert ended.run_id not in endings
            endings[ended.run_id] = ending

    eventually(lambda: run_ids - endings.keys(), lambda left: not left, within_s=within_s, between=collect)
    return endings


@pytest.mark.parametrize("function", HOSTILE)
def test_a_hostile_function_ends_and_holds_up_no_other_run(executor: ProcessExecutor, function: str) -> None:
    """Its run ends once and in time; runs that come at the same time and afterwards end well, in both workers."""
    memory_mb = peak_mb(os.getpid())
    executor.submit([task("plain", 1), task(function, 2, limit_s=2), task("tells", 3), task("plain", 4)])
    endings = endings_of(executor, {1, 2, 3, 4}, within_s=slowed(10))
    assert endings[2].outcome in HOSTILE[function], endings[2]
    for number in range(10, 20):
        later = {10 * number + n for n in range(4)}
        executor.submit([task("plain" if run_id % 2 else "tells", run_id, limit_s=5) for run_id in later])
        endings |= endings_of(executor, later, within_s=slowed(FOUND_S))
        pass_time(executor, 0.05)
    assert {run_id: ending for run_id, ending in endings.items() if ending.outcome is not Outcome.SUCCEEDED}.keys() <= {
        2
    }
    times = [(ending.started_at, ending.ended_at) for ending in endings.values() if ending.started_at]
    assert all(abs(time.time() - at.timestamp()) < slowed(60) for pair in times for at in pair)
    assert peak_mb(os.getpid()) < memory_mb + 50


def pass_time(executor: ProcessExecutor, seconds: float) -> None:
    """Let the executor work for a while, in which no run ends more than once."""
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= until, between=lambda: check_nothing_ends(executor))


def check_nothing_ends(executor: ProcessExecutor) -> None:
    assert not turn(executor).endings()


def test_a_stopped_idle_worker_holds_up_no_run_for_long(executor: ProcessExecutor) -> None:
    """Its runs go to another worker, and it is replaced; the executor ends although it is stopped."""
    eventually(lambda: len(ready(executor)) == 2, between=lambda: turn(executor))
    stopped = ready(executor)[0]
    os.kill(stopped, signal.SIGSTOP)
    for number in range(1, 30):
        executor.submit([task("plain", 2 * number), task("plain", 2 * number + 1)])
        endings_of(executor, {2 * number, 2 * number + 1}, within_s=slowed(FOUND_S))
    eventually(lambda: stopped in ready(executor), lambda is_there: not is_there, between=lambda: turn(executor))
    eventually(lambda: len(ready(executor)) == 2, between=lambda: turn(executor))
    for pid in ready(executor):
        os.kill(pid, signal.SIGSTOP)


def test_when_all_workers_are_stopped_others_take_over(executor: ProcessExecutor, tmp_path: Path) -> None:
    """And each run begins once."""
    eventually(lambda: len(ready(executor)) == 2, between=lambda: turn(executor))
    for pid in ready(executor):
        os.kill(pid, signal.SIGSTOP)
    path = tmp_path / "begun"
    runs = set(range(1, 21))
    executor.submit([task("plain", run_id, params=f'{{"path": "{path}"}}') for run_id in runs])
    pass_time(executor, 0.1)
    assert 0.1 <= executor.oldest_unbegun_s < slowed(5)
    endings = endings_of(executor, runs, within_s=slowed(15))
    assert {ending.outcome for ending in endings.values()} == {Outcome.SUCCEEDED}
    assert len(path.read_text().splitlines()) == 20
    assert executor.oldest_unbegun_s == 0.0


def test_a_worker_that_goes_on_after_its_tasks_were_taken_back_begins_none_of_them(
    folder: Path, tmp_path: Path
) -> None:
    """It was stopped for less than would have it killed, and serves on."""
    executor = ProcessExecutor(str(folder / "hostile_functions.py"), workers=2, max_workers=2)
    executor.start()
    try:
        eventually(lambda: len(ready(executor)) == 2, between=lambda: turn(executor))
        both = ready(executor)
        path = tmp_path / "begun"
        for number in range(1, 6):
            for pid in both:
                os.kill(pid, signal.SIGSTOP)
            executor.submit([task("plain", number, params=f'{{"path": "{path}"}}')])
            pass_time(executor, 0.4)
            for pid in both:
                os.kill(pid, signal.SIGCONT)
            endings_of(executor, {number}, within_s=slowed(FOUND_S))
        assert run(executor, "tells", run_id=99)[0].outcome is Outcome.SUCCEEDED
        assert len(path.read_text().splitlines()) == 5
    finally:
        executor.stop()


def ready(executor: ProcessExecutor) -> list[int]:
    return [worker.pid for worker in executor._workers if worker.ready]
