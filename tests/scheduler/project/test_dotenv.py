"""`dotenv = true`: the variables of the file `.env` are set at the start, unless they are set already."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.errors import ConfigError
from scheduler.project import dotenv_file
from scheduler.project.project import current_project
from scheduler.project.settings import wants_dotenv
from tests.scheduler.up_process import cli

pytest.importorskip("dotenv")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dotenv_file, "_added", {})
    yield
    for name in os.environ.keys() - before:
        del os.environ[name]
    os.environ.update(before)


def write(folder: Path, text: str | bytes, *, dotenv: str = "dotenv = true\n") -> Path:
    (folder / "scheduler.toml").write_text(dotenv)
    path = folder / ".env"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_its_variables_are_settings_and_are_there_for_functions(tmp_path: Path) -> None:
    """Those that are set already win; the origin of a setting names the file."""
    path = write(
        tmp_path, "# ours\nexport SCHEDULER_PORT=8081\nMAIL_TOKEN='a b # c'\nHOME=/nowhere\nEMPTY\nX=${HOME}/x\n"
    )
    home = os.environ["HOME"]
    settings = current_project().settings
    assert (settings.port, settings.origin("port")) == (8081, f"the environment variable SCHEDULER_PORT ({path})")
    assert (os.environ["MAIL_TOKEN"], os.environ["HOME"], os.environ["X"]) == ("a b # c", home, f"{home}/x")
    assert "EMPTY" not in os.environ


@pytest.mark.parametrize(
    ("in_file", "variable", "wanted"), [("", None, False), ("dotenv = false\n", None, False), ("", "true", True)]
)
def test_it_is_read_if_asked_to_only(tmp_path: Path, in_file: str, variable: str | None, wanted: bool) -> None:
    """By the file of settings, or by a variable."""
    write(tmp_path, "SCHEDULER_PORT=8081\n", dotenv=in_file)
    environ = {} if variable is None else {"SCHEDULER_DOTENV": variable}
    assert wants_dotenv(tmp_path, environ) is wanted
    os.environ.update(environ)
    assert current_project().settings.port == (8081 if wanted else 3000)


def test_a_folder_may_have_none(tmp_path: Path) -> None:
    """As on the machine where a service manager sets the variables."""
    write(tmp_path, "").unlink()
    assert current_project().settings.port == 3000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\nB='never closed\n", r"line 2: the value of 'B' does not end"),
        ("A=1\n\nB 2 s3cret\n", r"line 3 has no '='"),
        ("A=\x00\n", r"the variable 'A': embedded null byte"),
        (b"A=\xff\n", r"line 1 is not UTF-8"),
        ("SCHEDULER_PORT=70000\n", r"SCHEDULER_PORT \(.*\.env\): port = '70000' is invalid"),
        ("SCHEDULER_PROT=1\n", r"SCHEDULER_PROT: unknown setting; did you mean 'SCHEDULER_PORT'"),
        (f"# {'x' * 1_000_000}", "a file of settings has at most 1,000,000"),
    ],
)
def test_what_is_wrong_with_it_is_said_in_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    """With the place, and without the values, which are secrets."""
    write(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as refused:
        current_project()
    assert "\n" not in str(refused.value)
    assert "never" not in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_strangers_file_is_refused(tmp_path: Path) -> None:
    """It would set the variables of functions and of the programs that they start."""
    os.chown(write(tmp_path, "A=1\n"), 65_533, 65_533)
    with pytest.raises(ConfigError, match=r"\.env: belongs to 65533"):
        current_project()


def test_without_the_package_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for every extra."""
    write(tmp_path, "A=1\n")
    monkeypatch.setitem(sys.modules, "dotenv.main", None)
    with pytest.raises(ConfigError, match=r"python-dotenv: pip install .*\[dotenv\]"):
        current_project()


@pytest.mark.slow
def test_a_function_sees_them_and_never_the_address_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command line, whose store the file names."""
    # A variable that is set already would win.
    monkeypatch.delenv("TZ")
    code = 'return [os.environ.get("MAIL_TOKEN"), os.environ.get("SCHEDULER_STORE")]'
    (tmp_path / "cloud.py").write_text(
        f"import os\nfrom scheduler.engine import Engine\nengine = Engine()\n@engine.define\ndef seen(): {code}\n"
    )
    write(tmp_path, "SCHEDULER_STORE=own.db\nMAIL_TOKEN=t\nTZ=Asia/Tokyo\nSCHEDULER_RULES=standard\n")
    assert cli(tmp_path, "timers", "add", "t", "--function", "seen", "--cron", "0 0 8 * * ?").returncode == 0
    assert (tmp_path / "own.db").exists()
    assert json.loads(cli(tmp_path, "call", "seen", "--json").stdout) == ["t", None]
    assert "Asia/Tokyo" in cli(tmp_path, "timers", "list").stdout
