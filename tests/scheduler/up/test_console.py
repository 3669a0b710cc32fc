"""The console of `scheduler up`: a process of its own that runs while a browser uses it."""

from __future__ import annotations

import os
import re
import signal
import socket
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from tests.scheduler.command_line import CLOUD
from tests.scheduler.up_process import cli, fetch, living, up
from tests.waiting import PATIENCE_S, eventually

pytest.importorskip("flask")
pytestmark = pytest.mark.slow

ON = {"SCHEDULER_CONSOLE": "true", "SCHEDULER_CONSOLE_PORT": "0"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cloud.py").write_text(CLOUD)
    return tmp_path


def test_the_link_leads_to_the_overview(folder: Path) -> None:
    """What `up` prints is all that a newcomer needs; nobody pays for a console that nobody visits."""
    with up(folder, **ON) as running:
        assert running.processes("console") == []
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with opener.open(running.facts["console"], timeout=PATIENCE_S) as answer:
            assert answer.url == f"{running.facts['console'].partition('login')[0]}"
            assert "Overview" in answer.read().decode()
            settings = answer.url + "settings"
        with opener.open(settings, timeout=PATIENCE_S) as answer:
            shown = answer.read().decode()
        # Every process has the variable from the supervisor; its origin is not that.
        row = shown.partition("<code>rules</code>")[2].partition("</tr>")[0]
        assert row
        assert "SCHEDULER_RULES" not in row
        process = running.only("console")
        assert os.getpriority(os.PRIO_PROCESS, process) == 10


def test_a_console_that_was_killed_is_there_for_the_next_visitor(folder: Path) -> None:
    """And the timers have not noticed."""
    with up(folder, **ON) as running:
        address = running.facts["console"].partition("?")[0]
        assert fetch(address)[0] == 200
        first, daemon = running.only("console"), running.only("daemon")
        os.kill(first, signal.SIGKILL)
        eventually(lambda: not living(first))
        assert eventually(lambda: fetch(address)[0]) == 200
        assert running.only("console") != first
        assert running.only("daemon") == daemon
        assert "the console ended" in running.stderr


def test_the_console_ends_with_the_service(folder: Path) -> None:
    """In order after SIGTERM, and when the supervisor is killed."""
    with up(folder, **ON) as running:
        assert fetch(running.facts["console"].partition("?")[0])[0] == 200
        process = running.only("console")
        status, stderr = running.stop()
        assert (status, living(process)) == (0, [])
        assert "killed" not in stderr
    with up(folder, **ON) as running:
        assert fetch(running.facts["console"].partition("?")[0])[0] == 200
        process = running.only("console")
        running.kill()
        eventually(lambda: not living(process))


def test_a_port_that_nobody_chose_may_be_in_use(folder: Path) -> None:
    """A second service on the machine goes without a console, and says so; a port that was chosen must be free."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        chosen = cli(folder, "up", "--port", "0", **ON | {"SCHEDULER_CONSOLE_PORT": port})
        assert chosen.returncode == 2
        assert re.search(rf"port {port} of 127.0.0.1 is in use; .*console_port = \d+", chosen.stderr)


def test_the_console_can_be_off(folder: Path) -> None:
    """Then there is no port, and no word of it."""
    with up(folder, SCHEDULER_CONSOLE="false") as running:
        assert "console" not in running.facts
