"""The command in error messages that installs what is missing."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scheduler.console.installed import how_to_install
from scheduler.doctor import machine
from scheduler.doctor.findings import Severity
from scheduler.install import damage, explained, install_command


class Installed:
    """A distribution with what pip has recorded of its origin."""

    def __init__(self, recorded: str | None) -> None:
        self.recorded = recorded

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.recorded


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (None, "pip install 'quartzcron[postgres]'"),
        ("no JSON", "pip install 'quartzcron[postgres]'"),
        ("[1]", "pip install 'quartzcron[postgres]'"),
        ('{"url": "file:///a%20b/c", "dir_info": {"editable": true}}', "pip install '/a b/c[postgres]'"),
        (
            '{"url": "https://example.com/c.git", "vcs_info": {"vcs": "git"}}',
            "pip install 'quartzcron[postgres] @ git+https://example.com/c.git'",
        ),
        (
            '{"url": "file:///c/quartzcron-0.1.0-py3-none-any.whl", "archive_info": {}}',
            "pip install 'quartzcron[postgres] @ file:///c/quartzcron-0.1.0-py3-none-any.whl'",
        ),
    ],
)
def test_the_command_installs_from_where_this_was_installed(
    recorded: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name where it came from an index."""
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed(recorded))
    assert install_command("postgres") == expected


def test_a_source_tree_that_was_never_installed_is_named_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no record at all."""

    def missing(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert install_command("scheduler", upgrade=True) == "pip install -U 'quartzcron[scheduler]'"


def test_a_missing_package_is_named_with_the_command() -> None:
    """But a missing module of ours is a fault of ours."""
    with (
        pytest.raises(ModuleNotFoundError, match=r"No module named 'sqlalchemy'; pip install ") as raised,
        explained("a"),
    ):
        raise ModuleNotFoundError("No module named 'sqlalchemy'", name="sqlalchemy.orm")
    assert raised.value.name == "sqlalchemy.orm"
    with pytest.raises(ModuleNotFoundError, match="x"), explained("a"):
        raise ModuleNotFoundError("x", name="scheduler.nonesuch")


def test_the_console_is_not_installed_beside_leanclouds_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Because pip would then bring a Flask that the SDK cannot be imported with."""
    assert how_to_install() == install_command("console")
    (tmp_path / "leancloud.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert "python3 -m venv console && console/bin/pip install" in how_to_install()


#: What the distribution `scheduler` on PyPI has at this place: another package of the same name.
OTHER = "class Scheduler: ...\n"


@pytest.fixture
def overwritten(tmp_path: Path) -> Path:
    """A folder with this package, whose `__init__.py` another distribution has overwritten."""
    package = tmp_path / "scheduler"
    package.mkdir()
    root = Path(machine.__file__).parents[2]
    (tmp_path / "quartzcron").symlink_to(root / "quartzcron")
    for entry in (root / "scheduler").iterdir():
        (package / entry.name).symlink_to(entry)
    (package / "__init__.py").unlink()
    (package / "__init__.py").write_text(OTHER)
    record = tmp_path / "scheduler-0.8.11.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: scheduler\nVersion: 0.8.11\n")
    (record / "top_level.txt").write_text("scheduler\n")
    return tmp_path


def run(folder: Path, code: str) -> str:
    """What a program prints that has this folder on its import path."""
    others = "(path for path in sys.path if not os.path.exists(path + '/scheduler'))"
    path = f"import os, sys; sys.path[:] = [{str(folder)!r}, *{others}]; "
    done = subprocess.run(
        [sys.executable, "-P", "-c", path + code], capture_output=True, text=True, cwd=folder, timeout=60, check=False
    )
    return done.stdout + done.stderr


def test_another_distribution_that_has_overwritten_the_package_is_named(overwritten: Path) -> None:
    """By the first import of the engine, by an import error of a cloud.py, and by doctor, each with the fix."""
    fix = "pip uninstall scheduler, then pip install --force-reinstall --no-deps"
    expected = "the package 'scheduler' is that of scheduler 0.8.11, not that of quartzcron; " + fix
    assert expected in run(overwritten, "import scheduler.engine")
    (overwritten / "cloud.py").write_text("from scheduler import Cron\n")
    load = "from scheduler.functions.loading import load; load('cloud.py')"
    assert expected in run(overwritten, load).splitlines()[-1]
    assert expected in run(overwritten, "from scheduler.doctor.machine import check_versions; print(check_versions())")


def test_a_package_without_its_init_is_found(overwritten: Path) -> None:
    """The other distribution took it along when it was uninstalled."""
    (overwritten / "scheduler" / "__init__.py").unlink()
    (overwritten / "scheduler-0.8.11.dist-info" / "top_level.txt").unlink()
    assert "has lost its __init__.py" in run(overwritten, "import scheduler.engine")


def test_another_distribution_below_this_one_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """It works until that one is upgraded or uninstalled; a package that is alone has no finding."""
    assert damage() == ""
    assert machine.check_versions().severity is Severity.OK
    monkeypatch.setattr(machine, "other_distributions", lambda: ["scheduler 0.8.11"])
    found = machine.check_versions()
    assert found.severity is Severity.WARNING
    assert "pip uninstall scheduler" in found.text
