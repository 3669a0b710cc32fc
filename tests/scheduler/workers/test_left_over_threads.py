"""Threads that outlive their run print as what they are: never for the run of another timer, and not without bound."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.core.log_limits import MAX_LINES_A_MINUTE
from scheduler.core.run import Outcome
from scheduler.workers.executor import ProcessExecutor
from tests.scheduler.workers.test_executor import run
from tests.scheduler.workers.test_hostile_functions import pass_time

pytestmark = pytest.mark.slow

FUNCTIONS = """
import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from scheduler.functions import Registry

registry = Registry()
define = registry.define
shared = ThreadPoolExecutor(1)


def for_ever(say):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        say("left over")
        time.sleep(0.0005)


@define
def leaves_a_thread_that_prints():
    threading.Thread(target=for_ever, args=(print,), daemon=True).start()


@define
def leaves_a_thread_that_logs():
    threading.Thread(target=for_ever, args=(logging.getLogger("mine").warning,), daemon=True).start()


@define
def leaves_a_chain_of_threads():
    end = time.monotonic() + 20

    def link():
        print("left over")
        if time.monotonic() < end:
            threading.Timer(0.001, link).start()

    link()


@define
def leaves_a_thread_that_writes():
    threading.Thread(target=for_ever, args=(lambda text: os.write(1, b"left over\\n" * 20),), daemon=True).start()


@define
def prints(seconds=0.3):
    print("be", end="")
    time.sleep(seconds)
    print("gun")


@define
def prints_in_threads():
    thread = threading.Thread(target=print, args=("in a thread",))
    thread.start()
    thread.join()
    shared.submit(print, "in a shared pool").result()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(print, "in a pool").result()
    return "done"
"""


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[ProcessExecutor]:
    (tmp_path / "printing_functions.py").write_text(FUNCTIONS)
    executor = ProcessExecutor(str(tmp_path / "printing_functions.py"), workers=1, max_workers=1)
    executor.start()
    yield executor
    executor.stop()


@pytest.mark.parametrize(
    "function", ["leaves_a_thread_that_prints", "leaves_a_thread_that_logs", "leaves_a_chain_of_threads"]
)
def test_lines_of_a_left_over_thread_are_no_lines_of_the_next_run(
    executor: ProcessExecutor, caplog: pytest.LogCaptureFixture, function: str
) -> None:
    """They are logged, with the run that they are left over from, and at most so many a minute."""
    with caplog.at_level("INFO"):
        assert run(executor, function, run_id=7)[0].outcome is Outcome.SUCCEEDED
        for number in range(10, 15):
            ending, lines = run(executor, "prints", run_id=number)
            assert lines == [("info", "begun")]
            assert ending.lines_dropped == 0
        pass_time(executor, 0.5)
    told = [record.getMessage() for record in caplog.records if "left over" in record.getMessage()]
    assert 0 < len(told) <= 2 * MAX_LINES_A_MINUTE
    assert all("left over from run 7: " in text for text in told)


def test_what_a_left_over_thread_writes_past_the_streams_is_bounded_over_all_runs(
    executor: ProcessExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    """It cannot be distinguished from what the run's own child processes write."""
    with caplog.at_level("INFO"):
        run(executor, "leaves_a_thread_that_writes", run_id=7)
        counted = 0
        until = time.monotonic() + 4
        number = 10
        while time.monotonic() < until:
            number += 1
            counted += len(run(executor, "prints", run_id=number, params='{"seconds": 0.1}')[1])
            pass_time(executor, 0.05)
    told = [record for record in caplog.records if "left over" in record.getMessage()]
    assert counted + len(told) <= 4 * MAX_LINES_A_MINUTE


def test_threads_of_a_run_print_for_it(executor: ProcessExecutor) -> None:
    """In every run, also from a pool that an earlier run began to use."""
    for number in range(1, 4):
        ending, lines = run(executor, "prints_in_threads", run_id=number)
        assert ending.result == '"done"'
        assert lines == [("info", "in a thread"), ("info", "in a shared pool"), ("info", "in a pool")]
