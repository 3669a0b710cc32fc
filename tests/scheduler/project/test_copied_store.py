"""A store that was copied is noticed while the original is in its place; one that was moved or restored is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scheduler.project.copied_store import copied_from, note_place, warning_of_copy
from scheduler.project.project import Project
from scheduler.project.settings import read_settings
from tests.scheduler.command_line import CLOUD, CommandLine


def _project(folder: Path) -> Project:
    return Project(read_settings(folder, {}, {}))


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A folder with a store, in which a service has run."""
    folder = tmp_path / "served"
    folder.mkdir()
    _project(folder).open_or_create_store().close()
    note_place(_project(folder))
    return folder


def test_a_copy_is_noticed_until_its_record_is_removed(served: Path, tmp_path: Path) -> None:
    """A service in the copy does not make it an original."""
    shutil.copytree(served, tmp_path / "copy")
    copy = _project(tmp_path / "copy")
    note_place(copy)
    assert f"is a copy of {served}/.scheduler/store.db: with a service for each" in warning_of_copy(copy)
    assert warning_of_copy(_project(served)) == ""
    Path(warning_of_copy(copy).rpartition(" remove ")[2]).unlink()
    note_place(copy)
    assert warning_of_copy(copy) == ""


def test_a_moved_store_is_no_copy(served: Path, tmp_path: Path) -> None:
    """Even if a new one is made where it was; nor is one that is reached by another path."""
    (tmp_path / "link").symlink_to(served)
    assert copied_from(_project(tmp_path / "link")) is None
    moved = served.rename(tmp_path / "moved")
    assert copied_from(_project(moved)) is None
    served.mkdir()
    _project(served).open_or_create_store().close()
    assert copied_from(_project(moved)) is None
    note_place(_project(moved))
    shutil.copytree(moved, tmp_path / "copy")
    assert copied_from(_project(tmp_path / "copy")) == moved / ".scheduler" / "store.db"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"file": 1, "inode": 2}', '{"file": "\\u0000", "inode": 2}'])
def test_a_record_that_is_damaged_is_ignored(served: Path, text: str) -> None:
    """And written anew."""
    (path,) = (served / ".scheduler").glob("*.place.json")
    whole = path.read_text()
    path.write_text(text)
    assert warning_of_copy(_project(served)) == ""
    note_place(_project(served))
    assert path.read_text() == whole


def test_the_doctor_warns_of_a_copy(served: Path, command_line: CommandLine) -> None:
    """Beside what it finds of the store."""
    command_line.write("cloud.py", CLOUD)
    shutil.copytree(served / ".scheduler", command_line.folder / ".scheduler")
    found = {finding["name"]: finding for finding in command_line.json("doctor")}
    assert found["copy"]["state"] == "warning"
