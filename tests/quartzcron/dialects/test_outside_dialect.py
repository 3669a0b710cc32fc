"""A package from outside adds a dialect by an entry point; the package here is a folder with its dist-info."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quartzcron.dialects import DIALECTS, names

HOURLY = '''
"""Schedules of the form `HH:MM`."""

from quartzcron.dialects import Dialect, DialectError


def read(text):
    hour, _, minute = text.partition(":")
    if not (hour.isdigit() and minute.isdigit()):
        raise DialectError("Clock", None, f"{text!r} is not HH:MM")
    return f"0 {int(minute)} {int(hour)} * * ?", None


def write(expression):
    seconds, minute, hour, *days = expression.text.split()
    if not (minute.isdigit() and hour.isdigit()) or [seconds, *days] != ["0", "*", "*", "?"]:
        raise DialectError("Clock", None, "it has one time of day only")
    return f"{int(hour):02}:{int(minute):02}"


DIALECT = Dialect("Clock", read, write)
'''


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with a package that adds the dialect `clock`, and two broken ones."""
    (tmp_path / "clock_cron.py").write_text(HOURLY, encoding="utf-8")
    info = tmp_path / "clock_cron-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: clock-cron\nVersion: 1.0\n", encoding="utf-8")
    points = "clock = clock_cron:DIALECT\nlost = clock_cron.lost:DIALECT\nodd = clock_cron:read\n"
    (info / "entry_points.txt").write_text(f"[quartzcron.dialects]\n{points}", encoding="utf-8")
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A new interpreter that finds the package."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{Path(__file__).parents[3]}"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def test_the_command_line_converts_from_and_to_it(installed: Path) -> None:
    """By the name of the entry point; its errors are the dialect's own."""
    convert = ("-m", "quartzcron", "convert")
    assert run(installed, *convert, "08:30", "--from", "clock", "--to", "crontab").stdout == "30 8 * * *\n"
    assert run(installed, *convert, "30 8 * * *", "--from", "crontab", "--to", "clock").stdout == "08:30\n"
    refused = run(installed, *convert, "8.30", "--from", "clock")
    assert (refused.returncode, refused.stderr) == (2, "quartzcron: Clock: '8.30' is not HH:MM\n")


def test_it_is_listed_after_the_dialects_of_this_package(installed: Path) -> None:
    """A dialect that cannot be loaded has the reason in its row; the others are not affected."""
    lines = run(installed, "-m", "quartzcron", "convert", "0 30 8 * * ?").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*DIALECTS, "clock", "lost", "odd"]
    assert lines[-3:] == [
        "clock        08:30",
        "lost         -- clock_cron.lost:DIALECT cannot be loaded: No module named 'clock_cron.lost'; "
        "'clock_cron' is not a package",
        "odd          -- clock_cron:read is not a quartzcron.dialects.Dialect",
    ]


def test_programs_name_it_too(installed: Path) -> None:
    """In from_dialect and to_dialect."""
    program = """
from quartzcron import CronExpression
print(CronExpression.from_dialect("clock", "08:30", tz="Asia/Shanghai"))
print(CronExpression("0 30 8 * * ?").to_dialect("clock"))
"""
    assert run(installed, "-c", program).stdout == "0 30 8 * * ?\n08:30\n"


def test_the_dialects_of_this_package_do_not_search_for_others(installed: Path) -> None:
    """Reading the metadata of all installed packages takes longer than a conversion."""
    program = """
import sys
from quartzcron import CronExpression
CronExpression.from_crontab("@daily").to_dialect("spring")
print("importlib.metadata" in sys.modules)
"""
    assert run(installed, "-c", program).stdout == "False\n"


def test_without_such_packages_the_names_are_those_of_the_table() -> None:
    """In its order."""
    assert names() == list(DIALECTS)
