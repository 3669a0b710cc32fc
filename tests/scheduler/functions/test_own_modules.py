"""Files beside cloud.py that have the names of modules that others import."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.functions.own_modules import DEPENDENCIES, NOT_THE_USERS
from tests.scheduler.up_process import Up, clean_environ
from tests.waiting import eventually

CLOUD = """
import mine
from scheduler.engine import Engine

engine = Engine()


@engine.define
def hello():
    import colorsys

    return [mine.NAME, colorsys.NAME]


@engine.define
def bad():
    return 1 / 0


@engine.timer(every=86400)
@engine.define
def declared():
    pass
"""


def hostile_folder(folder: Path) -> Path:
    """A project with a file for every module of Python's library and of our dependencies; importing one raises."""
    folder.mkdir(exist_ok=True)
    for name in NOT_THE_USERS - {"__future__"}:
        (folder / f"{name}.py").write_text(f"raise RuntimeError('the file {name}.py was imported')\n")
    (folder / "cloud.py").write_text(CLOUD)
    (folder / "mine.py").write_text("NAME = 'mine'\n")
    # Nobody but the user's function imports this one.
    (folder / "colorsys.py").write_text("NAME = 'its own'\n")
    return folder


def cli(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    script = str(Path(sys.executable).with_name("scheduler"))
    return subprocess.run(
        [script, *words], cwd=folder, env=clean_environ(), capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_no_file_of_the_users_folder_takes_the_place_of_a_module_that_we_import(tmp_path: Path) -> None:
    """The user's own functions import them, as under `python cloud.py`; a failed function is shown with its lines."""
    folder = hostile_folder(tmp_path / "shop")
    called = cli(folder, "call", "hello")
    assert called.returncode == 0, called.stderr
    assert json.loads(called.stdout) == ["mine", "its own"]
    failed = cli(folder, "call", "bad")
    assert failed.returncode == 1
    assert "return 1 / 0" in failed.stderr
    added = cli(folder, "timers", "add", "t", "--function", "hello", "--every", "60")
    assert added.returncode == 0, added.stderr
    findings = json.loads(cli(folder, "doctor", "--json").stdout)
    assert [finding["name"] for finding in findings if not finding["ok"]] == []
    assert "workers" in [finding["name"] for finding in findings]


@pytest.mark.slow
def test_a_module_that_is_missing_here_is_not_the_users(tmp_path: Path) -> None:
    """Other modules get the usual ImportError; the user's own file imports it."""
    folder = hostile_folder(tmp_path)
    (folder / "winreg.py").write_text("NAME = 'mine'\n")
    (folder / "cloud.py").write_text(CLOUD.replace("colorsys", "winreg"))
    code = "import sys; from scheduler.functions.loading import load; load('cloud.py'); "
    library = "exec(compile('import winreg', 'elsewhere.py', 'exec'))"
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code + library],
        cwd=folder, env=clean_environ(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "No module named 'winreg'" in ran.stderr
    assert json.loads(cli(folder, "call", "hello").stdout) == ["mine", "mine"]


@pytest.mark.slow
def test_all_processes_start_in_such_a_folder(tmp_path: Path) -> None:
    """Daemon, workers, web, preview, and those of the next version."""
    folder, preview = hostile_folder(tmp_path / "shop"), hostile_folder(tmp_path / "preview")
    # Python itself would not start as `python -m` in this folder.
    safely = "import os, sys; os.execv(sys.argv[1], [sys.argv[1], '-P', *sys.argv[2:]])"
    options = ("--stage", "0", "--stage-source", str(preview), "--reload", "--metrics-port", "0")
    running = Up(folder, *options, under=[sys.executable, "-P", "-c", safely])
    try:
        cli(folder, "timers", "add", "t", "--function", "hello", "--every", "60")
        run = json.loads(cli(folder, "timers", "run", "t", "--wait", "--json").stdout)
        assert (run["outcome"], run["result"]) == ("succeeded", ["mine", "its own"])
        (folder / "mine.py").write_text("NAME = 'changed'\n")
        eventually(lambda: running.stderr, lambda seen: "reloaded in" in seen)
        run = json.loads(cli(folder, "timers", "run", "t", "--wait", "--json").stdout)
        assert run["result"] == ["changed", "its own"]
    finally:
        status, stderr = running.stop()
    assert status == 0
    assert "was imported" not in stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["token", "scheduler", "json"])
def test_a_file_that_the_user_cannot_import_is_named(tmp_path: Path, name: str) -> None:
    """A module of its name was loaded before; the same by an attribute that the other module lacks."""
    (tmp_path / f"{name}.py").write_text("def mine():\n    pass\n")
    (tmp_path / "cloud.py").write_text(f"from {name} import mine\n{CLOUD.replace('import mine', '')}")
    expected = f"{name}.py has the name of a module that is loaded already: rename it"
    assert expected in cli(tmp_path, "call", "hello").stderr
    (tmp_path / "cloud.py").write_text(f"import {name}\n{name}.mine()\n{CLOUD.replace('import mine', '')}")
    assert expected in cli(tmp_path, "call", "hello").stderr


def test_python_m_scheduler_does_not_import_files_of_the_working_folder(tmp_path: Path) -> None:
    """But for one of the name `scheduler`, which Python runs itself."""
    (tmp_path / "click.py").write_text("raise RuntimeError('the file click.py was imported')\n")
    (tmp_path / "cloud.py").write_text(CLOUD.replace("import mine\n", "").replace("mine.NAME, colorsys.NAME", "1"))
    words = [sys.executable, "-m", "scheduler", "call", "hello"]
    called = subprocess.run(words, cwd=tmp_path, env=clean_environ(), capture_output=True, text=True, check=False)
    assert called.returncode == 0, called.stderr
    assert json.loads(called.stdout) == [1]


def _needed(distribution: str, extra: str, seen: set[str]) -> set[str]:
    """The distributions that one needs, with those of an extra."""
    for text in importlib.metadata.requires(distribution) or ():
        name = re.split(r"[^\w.-]", text, maxsplit=1)[0]
        wanted = f'extra == "{extra}"' in text or f"extra == '{extra}'" in text or "extra ==" not in text
        if wanted and name.lower() not in seen:
            try:
                importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                continue
            seen.add(name.lower())
            _needed(name, "", seen)
    return seen


def test_every_package_that_we_need_is_in_the_table() -> None:
    """By the requirements of the extras, and what each of these needs."""
    seen: set[str] = set()
    for extra in ("scheduler", "postgres", "celery"):
        _needed("quartzcron", extra, seen)
    assert {"sqlalchemy", "celery", "psycopg"} <= seen
    tops = {
        top
        for top, distributions in importlib.metadata.packages_distributions().items()
        if {name.lower() for name in distributions} & seen and top.isidentifier() and not top.startswith("_")
    }
    assert tops - DEPENDENCIES == set()
