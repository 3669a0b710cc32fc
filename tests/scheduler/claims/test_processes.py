"""A process is gone only where it can be asked: on this machine, since this boot, by the pids that are counted here."""

import os
import socket
import subprocess

import pytest

from scheduler.claims.processes import is_gone, is_running, own_identity

HOST = socket.gethostname()
STARTED, PIDS_OF = own_identity().split(" ")
BOOT, NAMESPACE = PIDS_OF.split(".")


@pytest.mark.parametrize(
    ("host", "identity", "expected"),
    [
        (HOST, own_identity(), False),
        (HOST, f"1{STARTED} {PIDS_OF}", True),
        (HOST, STARTED, False),
        (HOST, f"1{STARTED}", True),
        (HOST, f"1{STARTED} {BOOT}.1{NAMESPACE}", False),
        (HOST, f"{STARTED} 1{BOOT}.{NAMESPACE}", True),
        ("elsewhere", f"1{STARTED} {PIDS_OF}", False),
    ],
    ids=["lives", "another process", "earlier version", "gone, earlier version", "container", "reboot", "machine"],
)
def test_a_process_that_cannot_be_asked_is_not_gone(host: str, identity: str, *, expected: bool) -> None:
    """A container counts its own pids: a process there is no process that has ended here."""
    assert is_gone(host, os.getpid(), identity) is expected
    assert is_running(host, os.getpid(), identity) is (identity == own_identity() and host == HOST)


def test_a_process_that_has_ended_is_gone() -> None:
    """Once it was waited for."""
    process = subprocess.Popen(["sleep", "60"])
    identity = f"{_started(process.pid)} {PIDS_OF}"
    assert not is_gone(HOST, process.pid, identity)
    process.kill()
    process.wait()
    assert is_gone(HOST, process.pid, identity)


def _started(pid: int) -> str:
    from scheduler.process_start import process_started

    return process_started(pid)
