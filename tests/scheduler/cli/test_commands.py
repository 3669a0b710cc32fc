"""The program itself: its commands, its start, and what it says where something is missing."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

import scheduler.__main__ as entry
from scheduler.cli import COMMANDS
from tests.scheduler.command_line import CommandLine


def test_help_lists_every_command(command_line: CommandLine) -> None:
    """scheduler --help names all commands."""
    result = command_line.run("--help")
    assert result.exit_code == 0
    assert all(f"\n  {name} " in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, command_line: CommandLine) -> None:
    """Each command has a help page."""
    result = command_line.run(name, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: scheduler {name}")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "timers"])
def test_every_command_speaks_json(name: str, command_line: CommandLine) -> None:
    """--json is everywhere."""
    assert "--json" in command_line.run(name, "--help").stdout


def test_the_help_is_there_before_anything_heavy_is_imported() -> None:
    """scheduler --help imports neither the store nor rich nor the calculator."""
    program = "import sys, scheduler.cli as c; c.program(['--help'], standalone_mode=False); print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20)
    loaded = set(output.stdout.splitlines()[-1].split())
    assert not loaded & {"sqlalchemy", "rich", "quartzcron", "waitress", "alembic", "httpx"}


def test_an_unknown_command_is_answered_with_the_nearest_one(command_line: CommandLine) -> None:
    """A slip of the fingers costs one look."""
    assert "did you mean 'timers'?" in command_line.refusal("tiners")


def test_without_its_extra_the_script_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The calculator alone brings no click; the script then ends with one line and status 2."""
    monkeypatch.setattr(entry, "find_spec", lambda name: None if name == "click" else find_spec(name))
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install 'quartzcron[scheduler]'" in said


def test_the_module_runs_as_the_script_does() -> None:
    """python -m scheduler is the same program."""
    output = subprocess.run(
        [sys.executable, "-m", "scheduler", "--version"], capture_output=True, text=True, check=True, timeout=20
    )
    assert output.stdout.startswith("scheduler, version ")


def test_a_reader_who_has_enough_is_no_error() -> None:
    """scheduler next … | head -1 ends quietly."""
    command = f"{sys.executable} -m scheduler next '* * * * * ?' -n 10000 | head -1"
    output = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=30)
    assert output.stdout.count("\n") == 1
    assert output.stderr == ""
