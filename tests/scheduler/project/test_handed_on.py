"""Variables that the service sets for its children keep the origin of the setting whose value they have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scheduler.project.handed_on import VARIABLE, hand_on
from scheduler.project.settings import read_settings, rules_origin
from tests.scheduler.command_line import CLOUD, CommandLine

_FROM_INSIDE = '''
import subprocess, sys
@engine.define
def settings():
    """What `scheduler doctor` says of the settings, as the child of a function."""
    command = [sys.executable, "-m", "scheduler", "doctor", "--json"]
    found = __import__("json").loads(subprocess.run(command, capture_output=True, text=True).stdout)
    return {one["name"]: one["text"] for one in found if one["name"] in ("settings", "rules")}
'''


def test_the_origin_of_a_variable_that_the_service_has_set_is_that_of_the_setting(tmp_path: Path) -> None:
    """A child reads the same value, and does not say that a variable was set."""
    environ: dict[str, str] = {}
    hand_on(environ, {"LEANCLOUD_APP_PORT": "3000"})
    hand_on(environ, {"SCHEDULER_LOG_LEVEL": "debug"}, "the option --log-level")
    hand_on(environ, {"SCHEDULER_RULES": "standard"}, because="no variable of LeanCloud is set")
    settings = read_settings(tmp_path, environ, {})
    assert (settings.port, settings.origin("port")) == (3000, "the default")
    assert (settings.log_level, settings.origin("log_level")) == (
        "debug",
        "the option --log-level of the running service",
    )
    assert rules_origin(settings) == "no variable of LeanCloud is set"
    hand_on(environ, {"SCHEDULER_LOG_LEVEL": "info"}, settings.origin("log_level"))
    assert read_settings(tmp_path, environ, {}).origin("log_level") == "the option --log-level of the running service"


def test_a_variable_that_somebody_else_has_set_or_changed_is_its_own_origin(tmp_path: Path) -> None:
    """Also if the service would set the same value."""
    environ = {"LEANCLOUD_APP_PORT": "3001"}
    hand_on(environ, {"LEANCLOUD_APP_PORT": "3001", "SCHEDULER_LOG_LEVEL": "info"})
    assert json.loads(environ[VARIABLE]) == {"SCHEDULER_LOG_LEVEL": ["info", "the default", ""]}
    environ["SCHEDULER_LOG_LEVEL"] = "error"
    settings = read_settings(tmp_path, environ, {})
    for name, variable in (("port", "LEANCLOUD_APP_PORT"), ("log_level", "SCHEDULER_LOG_LEVEL")):
        assert settings.origin(name) == f"the environment variable {variable}"


@pytest.mark.parametrize("notes", ["", "{", "[]", '{"LEANCLOUD_APP_PORT": ["3001", 1, 2]}'])
def test_notes_that_are_damaged_are_ignored(tmp_path: Path, notes: str) -> None:
    """They may come from a program with the same variable."""
    environ = {"LEANCLOUD_APP_PORT": "3001", VARIABLE: notes}
    assert read_settings(tmp_path, environ, {}).origin("port") == "the environment variable LEANCLOUD_APP_PORT"


def test_the_doctor_in_a_function_names_no_variable_of_the_service(command_line: CommandLine) -> None:
    """Nobody has set any."""
    command_line.write("cloud.py", CLOUD + _FROM_INSIDE)
    result = command_line.run("call", "settings", "--json")
    said = json.loads(result.stdout)
    assert said["settings"] == "all defaults", result.output
    assert said["rules"].startswith("standard (no variable of LeanCloud is set)")
