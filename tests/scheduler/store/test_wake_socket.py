"""A daemon is woken through its own socket."""

import resource

from scheduler.store.wake_socket import WakeSocket
from tests.waiting import eventually


def test_a_daemon_is_woken_though_its_program_has_no_descriptor_left() -> None:
    """Or a program that runs out of them could not stop it, and a signal handler would raise."""
    socket = WakeSocket()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        socket.wake()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    eventually(socket.was_woken)
    socket.close()


def test_waking_a_daemon_that_has_ended_does_nothing() -> None:
    socket = WakeSocket()
    socket.close()
    socket.wake()
