"""The listening sockets of `scheduler up`: what is proposed in place of a port in use."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from scheduler.errors import ConfigError, StoreUnavailableError
from scheduler.project import data_folder
from scheduler.project.project import Project
from scheduler.project.serving_record import ServingRecord, serving_processes
from scheduler.project.settings import read_settings
from scheduler.up import sockets


def test_a_free_port_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the one in use; neither another one in use, nor the console's."""
    with socket.create_server(("127.0.0.1", 0)) as first, ExitStack() as others:
        port = first.getsockname()[1]
        taken = {port}
        for other in (port + 1, port + 2):
            with suppress(OSError):  # in use by another program
                others.enter_context(socket.create_server(("127.0.0.1", other)))
            taken.add(other)
        monkeypatch.setattr(sockets, "_OF_CONSOLE", port + 3)
        with pytest.raises(ConfigError) as caught, sockets.listening_socket("127.0.0.1", port):
            pass
    proposed = re.search(r"choose another port: --port (\d+)$", str(caught.value))
    assert proposed
    assert int(proposed[1]) not in taken | {port + 3}


def test_the_file_of_a_setting_is_named() -> None:
    """Where the port of the console is chosen, which is no option of `up`."""
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=r"another port: console_port = \d+ in scheduler\.toml$"),
            sockets.listening_socket("127.0.0.1", port, option="console_port ="),
        ):
            pass


def test_a_folder_knows_by_which_process_it_is_served(tmp_path: Path) -> None:
    """While that process keeps its record."""
    project = Project(read_settings(tmp_path, {}, {}))
    assert serving_processes(project) == []
    record = ServingRecord(project, reloads=False)
    record.write({})
    assert len(serving_processes(project)) == 1
    record.remove()
    assert serving_processes(project) == []


def test_a_folder_that_is_closed_is_not_said_to_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is there; only this user may not write to it."""
    (tmp_path / ".scheduler").mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(data_folder.Path, "open", refuse)
    with pytest.raises(
        StoreUnavailableError, match=r"the folder for the store cannot be opened by the user of this program"
    ):
        data_folder.make_own_folder(tmp_path / ".scheduler")
