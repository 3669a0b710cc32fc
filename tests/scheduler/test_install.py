"""The command in error messages that installs what is missing."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest

from scheduler.console.installed import how_to_install
from scheduler.install import explained, install_command


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
