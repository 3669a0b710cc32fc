"""Functions whose import is slow or hangs: it is said what is waited for, and nothing waits for ever."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scheduler.core.run import Outcome
from scheduler.errors import TargetError
from scheduler.workers import loading
from scheduler.workers.executor import ProcessExecutor
from tests.scheduler.workers.test_executor import run, task
from tests.scheduler.workers.test_hostile_functions import endings_of, ready, turn
from tests.waiting import eventually, slowed

pytestmark = pytest.mark.slow

FUNCTIONS = """
import time
from pathlib import Path

from scheduler.functions import Registry

registry = Registry()
seconds = Path(__file__).with_name("seconds")
time.sleep(float(seconds.read_text()) if seconds.exists() else 0)


@registry.define
def plain():
    pass
"""


@contextmanager
def pool(folder: Path, load_timeout_s: float, *, loads_in_s: float = 0) -> Iterator[ProcessExecutor]:
    (folder / "slow_functions.py").write_text(FUNCTIONS)
    (folder / "seconds").write_text(str(loads_in_s))
    executor = ProcessExecutor(
        str(folder / "slow_functions.py"), workers=2, max_workers=3, load_timeout_s=load_timeout_s
    )
    try:
        yield executor
    finally:
        executor.stop()


def test_a_slow_import_is_waited_for_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As long as the setting allows."""
    monkeypatch.setattr(loading, "LOG_EVERY_S", 0.2)
    with pool(tmp_path, 60, loads_in_s=1) as executor, caplog.at_level("INFO"):
        executor.start()
        assert run(executor, "plain")[0].outcome is Outcome.SUCCEEDED
    assert "has been loading" in caplog.text
    assert "slow_functions.py for 1 s" in caplog.text


def test_an_import_that_hangs_ends_the_start(tmp_path: Path) -> None:
    """With the setting that decides when."""
    with pool(tmp_path, 0.5, loads_in_s=1_000) as executor:
        began = time.monotonic()
        with pytest.raises(TargetError, match=r"was not loaded within 0\.5 s \(the setting load_timeout_s\)"):
            executor.start()
        assert time.monotonic() - began < slowed(10)


def test_an_import_that_hangs_in_a_new_worker_holds_up_nothing_for_ever(tmp_path: Path) -> None:
    """Loaded workers serve on; without any, runs fail with the reason; and they succeed when it loads again."""
    with pool(tmp_path, slowed(2)) as executor:
        executor.start()
        eventually(lambda: len(ready(executor)) == 2, between=lambda: turn(executor))
        (tmp_path / "seconds").write_text("1000")
        one, other = ready(executor)
        os.kill(one, signal.SIGKILL)
        for number in range(1, 30):
            executor.submit([task("plain", number)])
            endings = endings_of(executor, {number}, within_s=slowed(5))
            assert endings[number].outcome is Outcome.SUCCEEDED
        os.kill(other, signal.SIGKILL)
        eventually(lambda: other in ready(executor), lambda is_there: not is_there, between=lambda: turn(executor))
        executor.submit([task("plain", 100)])
        ending = endings_of(executor, {100}, within_s=slowed(20))[100]
        assert ending.outcome is Outcome.FAILED
        assert "was not loaded within" in str(ending.error)
        (tmp_path / "seconds").write_text("0")
        eventually(lambda: ready(executor), between=lambda: turn(executor))
        executor.submit([task("plain", 101)])
        assert endings_of(executor, {101}, within_s=slowed(10))[101].outcome is Outcome.SUCCEEDED
