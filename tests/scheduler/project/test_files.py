"""The files of a project: who may read them, whose are used, and what several services make at once."""

from __future__ import annotations

import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scheduler.errors import ConfigError
from scheduler.project import keys
from scheduler.project.owners import check_owners
from scheduler.store.database import Store
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.scheduler.up_process import cli, curl, up

STRANGER = 65_533
ADD = ("timers", "add", "t", "--function", "hello", "--every", "60", "--no-check")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_only_the_owner_can_read_what_is_made(tmp_path: Path, umask: int) -> None:
    """A store, wherever it is, with its journal; the keys and their folder; whatever the umask says."""
    before = os.umask(umask)
    try:
        with Store(str(tmp_path / "store.db")) as store:
            store.check_writable()
            found = {path.name: mode(path) for path in tmp_path.iterdir()}
        keys.save_keys({"APP_ID": "a"}, tmp_path / ".scheduler" / "keys.json")
    finally:
        os.umask(before)
    assert found == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)
    assert mode(tmp_path / ".scheduler") == 0o700
    assert mode(tmp_path / ".scheduler" / "keys.json") == 0o600


def test_the_rights_of_a_store_that_exists_are_left_alone(tmp_path: Path) -> None:
    """A group may share it."""
    (tmp_path / "store.db").touch(0o660)
    (tmp_path / "store.db").chmod(0o660)
    with Store(str(tmp_path / "store.db")) as store:
        store.check_writable()
        assert {mode(path) for path in tmp_path.iterdir()} == {0o660}


def test_services_that_start_at_once_have_the_same_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in the file."""
    path = tmp_path / ".scheduler" / "keys.json"
    names = sorted(keys.KEY_BYTES)
    barrier = threading.Barrier(8)

    def started() -> None:
        generated = keys._generated(names)
        barrier.wait()
        keys.save_keys(generated, path)

    # In one process they would have one name for the new file.
    numbers = iter(range(1_000))
    monkeypatch.setattr(os, "getpid", lambda: next(numbers))
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(started) for _ in range(8)]:
            done.result()
    saved = keys._read(path)
    assert sorted(saved) == names
    assert [entry.name for entry in path.parent.iterdir() if entry.name not in (".gitignore", "keys.json")] == []


def test_a_key_in_the_file_is_never_replaced(tmp_path: Path) -> None:
    """What is missing is added."""
    path = tmp_path / ".scheduler" / "keys.json"
    keys.save_keys({"APP_ID": "a"}, path)
    keys.save_keys({"APP_ID": "b", "APP_KEY": "c"}, path)
    assert keys._read(path) == {"APP_ID": "a", "APP_KEY": "c"}


@needs_root
def test_a_pipe_in_the_place_of_the_keys_is_refused(tmp_path: Path) -> None:
    """Nobody waits for a program that writes to it."""
    os.mkfifo(tmp_path / "keys.json")
    with pytest.raises(ConfigError, match="not a file of keys"):
        keys._read(tmp_path / "keys.json")


@pytest.mark.parametrize("name", [".scheduler", ".scheduler/keys.json", ".scheduler/store.db"])
def test_a_strangers_file_is_refused_in_one_line(command_line: CommandLine, name: str) -> None:
    """Where the folder of the project is not his."""
    command_line.write("cloud.py", CLOUD)
    assert command_line.run(*ADD).exit_code == 0
    keys.save_keys({"APP_ID": "a"}, command_line.folder / ".scheduler" / "keys.json")
    os.chown(command_line.folder / name, STRANGER, STRANGER)
    message = command_line.refusal("up", "--port", "0")
    assert f"{name}: belongs to {STRANGER}" in message
    # On a busy machine, the log reports a slow start before; another service may have the console's port.
    assert len([line for line in message.splitlines() if "  INFO  " not in line and "no console" not in line]) == 1
    os.chown(command_line.folder, STRANGER, STRANGER)
    assert command_line.run("timers", "list").exit_code == 0


@needs_root
def test_of_a_symbolic_link_both_ends_count(tmp_path: Path) -> None:
    """A stranger's link to a file of the user's, and the user's link to a stranger's file."""
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    mine.touch()
    theirs.touch()
    os.chown(theirs, STRANGER, STRANGER)
    (tmp_path / "to_theirs").symlink_to(theirs)
    (tmp_path / "to_mine").symlink_to(mine)
    check_owners(tmp_path, mine, tmp_path / "to_mine", tmp_path / "missing")
    os.lchown(tmp_path / "to_mine", STRANGER, STRANGER)
    for path in (theirs, tmp_path / "to_theirs", tmp_path / "to_mine"):
        with pytest.raises(ConfigError, match=f"belongs to {STRANGER}"):
            check_owners(tmp_path, path)


@pytest.mark.slow
def test_three_services_in_a_new_folder_serve_the_keys_of_the_file(tmp_path: Path) -> None:
    """Although the functions take a second to load."""
    (tmp_path / "cloud.py").write_text(f"import time\ntime.sleep(1)\n{CLOUD}")
    begin = threading.Barrier(3)

    def serve(_: int) -> tuple[int, str]:
        begin.wait()
        with up(tmp_path) as running:
            begin.wait(120)
            key = json.loads((tmp_path / ".scheduler" / "keys.json").read_text())["LEANCLOUD_APP_KEY"]
            assert key in running.facts["call"]
            answer = curl(running.facts["call"])
            begin.wait(120)
            return answer

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(serve, range(3))) == 3 * [(200, '{"result":"hello, world"}')]


@pytest.mark.slow
def test_a_folder_that_cannot_hold_keys_serves_those_of_the_code(tmp_path: Path) -> None:
    """They are saved only where the code uses them; else nothing is left behind."""
    given = 'from scheduler.engine import init\ninit("id-1", app_key="key-1", master_key="m-1", hook_key="h-1")\n'
    (tmp_path / "cloud.py").write_text(given + CLOUD)
    with up(tmp_path) as running:
        assert running.facts["keys"] == "from the code"
        assert not (tmp_path / ".scheduler" / "keys.json").exists()
        assert cli(tmp_path, "timers", "list").returncode == 0
