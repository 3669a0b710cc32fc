"""Processes of tests end with the tests."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scheduler.up_process import living
from tests.waiting import eventually

STARTER = """
import subprocess, time
from tests.scheduler.lifeline import ending_with_tests, lifeline
command = ending_with_tests("sleep", "600")
print(subprocess.Popen(command, pass_fds=[lifeline()], start_new_session=True).pid, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs F_SETSIG")
def test_a_process_does_not_survive_tests_that_are_killed() -> None:
    """Although it is in a session of its own."""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", STARTER], cwd=root, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        pid = int(tests.stdout.readline())
        eventually(lambda: Path(f"/proc/{pid}/comm").read_text(), lambda seen: seen == "sleep\n")
        tests.send_signal(signal.SIGKILL)
    eventually(lambda: not living(pid))
