"""A store that is deleted or moved under a running service is not replaced by a new one that the service ignores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from scheduler.project.project import Project
from scheduler.project.serving_record import ServingRecord
from scheduler.project.settings import read_settings
from tests.scheduler.command_line import CLOUD, CommandLine

_STILL_USED = "it was deleted or moved while the running `scheduler up` (process "
_ADD = ("timers", "add", "b", "--function", "hello", "--every", "300")


@pytest.fixture
def served(command_line: CommandLine) -> Iterator[ServingRecord]:
    """The record of a `scheduler up` in the folder, which has one timer."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "a", "--function", "hello", "--every", "300")
    record = ServingRecord(Project(read_settings(command_line.folder, {}, {})), reloads=False)
    record.write({})
    yield record
    record.remove()


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("way", ["deleted", "moved", "file alone"])
def test_no_new_store_is_made_while_a_service_uses_the_missing_one(command_line: CommandLine, way: str) -> None:
    """The error names the process, and says so of commands that only read, too."""
    folder = command_line.folder / ".scheduler"
    if way == "deleted":
        shutil.rmtree(folder)
    elif way == "moved":
        folder.rename(command_line.folder / "elsewhere")
    else:
        (folder / "store.db").unlink()
    for words in (_ADD, ("timers", "list"), ("timers", "add", "a", "--function", "hello", "--every", "300")):
        result = command_line.run(*words)
        assert (result.exit_code, _STILL_USED in result.stderr) == (2, True), result.output
    assert not (folder / "store.db").exists()


def test_a_service_that_reloads_still_uses_the_missing_store(command_line: CommandLine, served: ServingRecord) -> None:
    """Its record is written anew, in a folder that is new."""
    shutil.rmtree(command_line.folder / ".scheduler")
    served.write({})
    assert _STILL_USED in command_line.run(*_ADD).stderr


def test_a_store_that_no_service_uses_may_be_made_anew(command_line: CommandLine, served: ServingRecord) -> None:
    """And one beside it, of another name."""
    shutil.rmtree(command_line.folder / ".scheduler")
    assert command_line.run(*_ADD, "--store", str(command_line.folder / "other.db")).exit_code == 0
    served.remove()
    assert "there was no store here; made a new one" in command_line.run(*_ADD).stderr
