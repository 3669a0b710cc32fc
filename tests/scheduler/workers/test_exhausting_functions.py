"""Functions that use up what there is, or end in an odd way: each run ends once, and those of other timers end well."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from scheduler.core.run import Outcome
from scheduler.workers.executor import ProcessExecutor
from tests.scheduler.fault_scale import peak_mb
from tests.scheduler.workers.test_executor import task
from tests.scheduler.workers.test_hostile_functions import endings_of
from tests.waiting import slowed

pytestmark = pytest.mark.slow

FUNCTIONS = """
import asyncio
import ctypes
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

from scheduler.functions import Registry

registry = Registry()
define = registry.define


@define
def plain():
    return "plain"


@define
def starts_forks_without_end():
    # Bounded, so that a test that fails leaves the machine usable.
    resource.setrlimit(resource.RLIMIT_NPROC, (4_000, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        if os.fork() == 0:
            os.setpgid(0, 0)
    time.sleep(1_000)


@define
def starts_a_tree_of_processes():
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
    time.sleep(1_000)


@define
def opens_files_without_end():
    kept = []
    while True:
        kept.append(open("/dev/null"))


@define
def allocates_up_to_a_limit():
    resource.setrlimit(resource.RLIMIT_AS, (300_000_000, resource.getrlimit(resource.RLIMIT_AS)[1]))
    kept = []
    while True:
        kept.append(bytearray(10_000_000))


@define
def prints_hundreds_of_megabytes():
    for _ in range(300):
        print("x" * 1_000_000)


@define
def writes_hundreds_of_megabytes_raw():
    for _ in range(300):
        os.write(1, b"x" * 1_000_000)


@define
def returns_a_hundred_megabytes():
    return "x" * 100_000_000


@define
def returns_what_is_nested():
    result = []
    for _ in range(200_000):
        result = [result]
    return result


class Odd:
    def __init__(self, show):
        self.show = show

    def __repr__(self):
        return self.show()


@define
def returns_a_huge_repr():
    return Odd(lambda: "x" * 100_000_000)


@define
def returns_a_repr_that_hangs():
    return Odd(lambda: time.sleep(1_000))


@define
def returns_a_repr_that_exits():
    return Odd(lambda: os._exit(5))


class OddError(Exception):
    def __str__(self):
        return self.args[0]()


@define
def raises_a_long_message():
    raise ValueError("x" * 50_000_000)


@define
def raises_a_text_that_raises():
    raise OddError(lambda: 1 / 0)


@define
def raises_a_text_that_hangs():
    raise OddError(lambda: time.sleep(1_000))


@define
def raises_a_text_that_exits():
    raise OddError(lambda: os._exit(6))


@define
def raises_a_long_chain():
    error = None
    for _ in range(20_000):
        try:
            raise ValueError from error
        except ValueError as another:
            error = another
    raise error


@define
def recurs():
    recurs()


@define
def recurs_in_c():
    sys.setrecursionlimit(10_000_000)
    recurs()


@define
def ignores_all_signals():
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(1_000)


@define
def is_hit_by_an_alarm():
    signal.alarm(1)
    time.sleep(1_000)


@define
def closes_the_first_descriptors():
    os.closerange(0, 21)


@define
def exits():
    sys.exit(3)


@define
def exits_at_once():
    os._exit(3)


@define
def raises_keyboard_interrupt():
    raise KeyboardInterrupt


@define
def raises_generator_exit():
    raise GeneratorExit


@define
def raises_a_group():
    raise BaseExceptionGroup("several", [KeyboardInterrupt(), ValueError("one"), SystemExit(3)])


@define
def replaces_json():
    json.dumps = json.loads = lambda *_, **__: 1 / 0


@define
def closes_the_streams():
    sys.stdout.close()
    sys.stderr.close()
    print("nobody reads this")


@define
def breaks_the_streams():
    class Broken:
        def write(self, text):
            raise OSError("broken")

        flush = write

    sys.stdout = sys.stderr = Broken()
    print("nobody reads this")


@define
def leaves_threads_that_print():
    def talk():
        while True:
            print("still here")
            time.sleep(0.001)

    for _ in range(3):
        threading.Thread(target=talk, daemon=True).start()


@define
def crashes():
    ctypes.string_at(0)


@define
def is_traced():
    sys.settrace(lambda *_: 1 / 0)


@define
async def cannot_be_cancelled():
    while True:
        try:
            await asyncio.sleep(1_000)
        except asyncio.CancelledError:
            pass
"""

WELL, FAILED, KILLED = {Outcome.SUCCEEDED}, {Outcome.FAILED}, {Outcome.TIMED_OUT}
#: The name of each function, and how its run may end; what takes a second may take longer than its limit.
EXHAUSTING: dict[str, set[Outcome]] = {
    "starts_forks_without_end": KILLED | FAILED,
    "starts_a_tree_of_processes": KILLED,
    "opens_files_without_end": FAILED | KILLED,
    "allocates_up_to_a_limit": FAILED | KILLED,
    "prints_hundreds_of_megabytes": WELL | KILLED,
    "writes_hundreds_of_megabytes_raw": WELL | KILLED,
    "returns_a_hundred_megabytes": WELL | KILLED,
    "returns_what_is_nested": WELL | FAILED,
    "returns_a_huge_repr": WELL | KILLED,
    "returns_a_repr_that_hangs": KILLED,
    "returns_a_repr_that_exits": FAILED,
    "raises_a_long_message": FAILED | KILLED,
    "raises_a_text_that_raises": FAILED,
    "raises_a_text_that_hangs": KILLED,
    "raises_a_text_that_exits": FAILED,
    "raises_a_long_chain": FAILED | KILLED,
    "recurs": FAILED,
    "recurs_in_c": FAILED | KILLED,
    "ignores_all_signals": KILLED,
    "is_hit_by_an_alarm": FAILED | KILLED,
    "closes_the_first_descriptors": WELL | FAILED,
    "exits": FAILED,
    "exits_at_once": FAILED,
    "raises_keyboard_interrupt": FAILED,
    "raises_generator_exit": FAILED,
    "raises_a_group": FAILED,
    "replaces_json": WELL,
    "closes_the_streams": WELL | FAILED,
    "breaks_the_streams": FAILED,
    "leaves_threads_that_print": WELL,
    "crashes": FAILED,
    "is_traced": WELL | FAILED,
    "cannot_be_cancelled": KILLED,
}


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessExecutor]:
    """One pool for all of them, as one daemon has for all timers."""
    folder = tmp_path_factory.mktemp("functions")
    (folder / "exhausting_functions.py").write_text(FUNCTIONS)
    executor = ProcessExecutor(str(folder / "exhausting_functions.py"), workers=2, max_workers=3)
    executor.start()
    yield executor
    began = time.monotonic()
    executor.stop()
    assert time.monotonic() - began < slowed(5)


@pytest.mark.parametrize("function", EXHAUSTING)
def test_its_run_ends_once_and_others_end_well(executor: ProcessExecutor, function: str) -> None:
    """Those that are handed out with it, and those that come afterwards; the memory of the daemon is bounded."""
    memory_mb = peak_mb(os.getpid())
    first = 100 * list(EXHAUSTING).index(function)
    # What must not be killed has the time for it on a busy machine, too.
    limit_s = 3 if Outcome.TIMED_OUT in EXHAUSTING[function] else 100
    between = [task("plain", first + number, limit_s=100) for number in (1, 3)]
    executor.submit([between[0], task(function, first + 2, limit_s=limit_s), between[1]])
    endings = endings_of(executor, {first + 1, first + 2, first + 3}, within_s=slowed(15))
    for number in range(4, 12):
        executor.submit([task("plain", first + number, limit_s=100)])
        endings |= endings_of(executor, {first + number}, within_s=slowed(15))
    assert endings.pop(first + 2).outcome in EXHAUSTING[function]
    assert {ending.outcome for ending in endings.values()} == WELL
    assert peak_mb(os.getpid()) < memory_mb + 100
