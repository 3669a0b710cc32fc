"""scheduler console link: an address that is right, and what it says where it cannot be."""

from __future__ import annotations

import socket

import pytest

from tests.scheduler.command_line import CommandLine

pytest.importorskip("flask")


def test_a_link_to_a_port_at_which_nothing_listens_gets_a_note(command_line: CommandLine) -> None:
    """On stderr, with what serves the console; the link holds once it is served."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
        made = command_line.run("console", "link", "--port", port)
        assert made.stdout.startswith(f"http://127.0.0.1:{port}/login?token=")
        assert f"nothing listens on port {port} of this machine yet" in made.stderr
        listener.listen()
        assert command_line.run("console", "link", "--port", port).stderr == ""


def test_a_link_needs_the_port_that_was_taken(command_line: CommandLine) -> None:
    """Where any free one is."""
    command_line.write("scheduler.toml", "console_port = 0\n")
    assert "give the one that the console printed: --port PORT" in command_line.refusal("console", "link")
