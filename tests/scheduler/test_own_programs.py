"""Programs of this package are found in a new process wherever this process has imported the package from."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler import Scheduler, own_programs
from scheduler.core.alerts import AlertRule
from scheduler.errors import ConfigError
from scheduler.functions import Registry
from scheduler.own_programs import command, interpreter
from scheduler.workers.executor import ProcessExecutor

ROOT = Path(__file__).parents[2]

#: What an archive of shiv or pex does: folders are put on the import path when the program runs.
LIKE_AN_ARCHIVE = """\
import subprocess, sys
sys.path[:0] = sys.argv[1:]
from scheduler.own_programs import command
sys.exit(subprocess.run(command("scheduler.shown", "an argument")).returncode)
"""


def test_an_installed_package_is_found_by_itself() -> None:
    """The command is the plain one then, which `ps` shows."""
    expected = [sys.executable, "-P", "-m", "scheduler.up.program", "web"]
    assert command("scheduler.up.program", "web") == expected


def test_a_package_from_elsewhere_is_found_too(tmp_path: Path) -> None:
    """With the other folders that only this process knows, and no file there shadows the standard library."""
    site, other = tmp_path / "a site:1", tmp_path / "other"
    (site / "scheduler").mkdir(parents=True)
    other.mkdir()
    for name in ("__init__.py", "errors.py", "install.py", "own_programs.py", "earlier_names.py"):
        (site / "scheduler" / name).symlink_to(ROOT / "scheduler" / name)
    (site / "scheduler" / "shown.py").write_text(
        "import sys, beside, token\nprint(__name__, sys.argv[1:], beside.__file__, token.tok_name[0], __file__)\n"
    )
    (site / "token.py").write_text("1 / 0\n")
    (other / "beside.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-P", "-c", LIKE_AN_ARCHIVE, str(site), str(other)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    expected = f"__main__ ['an argument'] {other / 'beside.py'} ENDMARKER {site / 'scheduler' / 'shown.py'}\n"
    assert (done.stdout, done.stderr) == (expected, "")


def test_a_folder_of_packages_may_be_closed_to_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of the user in whose name HOME is still set."""

    def closed(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", closed)
    own_programs._folders_to_name.cache_clear()
    try:
        assert command("scheduler.up.program")[-1] == "scheduler.up.program"
    finally:
        own_programs._folders_to_name.cache_clear()


def test_a_frozen_program_starts_no_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It would start itself again and again; its functions run in threads."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    store = tmp_path / "timers.db"
    with pytest.raises(ConfigError, match=r"is a frozen program .* give the Scheduler an Engine or a Registry"):
        command("scheduler.workers.program")
    with pytest.raises(ConfigError, match="is a frozen program"):
        ProcessExecutor("cloud.py")
    with pytest.raises(ConfigError, match="is a frozen program"):
        Scheduler(store, "cloud.py")
    rule = AlertRule(name="ops", to=("mailto://example.com",))
    with pytest.raises(ConfigError, match="is a frozen program"):
        Scheduler(store, Registry(), alerts=[rule])
    assert not store.exists()
    Scheduler(store, Registry()).stop()


def test_a_server_that_embeds_python_starts_the_interpreter_of_its_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For example uWSGI, whose `sys.executable` may be uWSGI; an interpreter may have another name."""
    server = tmp_path / "bin" / "uwsgi"
    python = tmp_path / "bin" / "python3"
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(server))
    assert interpreter() == str(server)
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(ConfigError, match="no Python interpreter was found"):
        interpreter()
    python.parent.mkdir()
    python.symlink_to("/bin/sh")
    monkeypatch.setattr(sys, "executable", str(server))
    assert interpreter() == str(python)
