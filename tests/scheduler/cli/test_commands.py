"""The program itself: its table of commands, its start, and its messages where something is missing."""

import dataclasses
import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest

import scheduler.__main__ as entry
import scheduler.cli
from scheduler.cli import COMMANDS, program
from scheduler.core.timer import Timer
from scheduler.core.triggers import Cron
from scheduler.errors import ConfigError
from scheduler.executors.kinds import KINDS
from scheduler.install import install_command
from scheduler.project import keys
from scheduler.project.settings import Settings
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.scheduler.up_process import cli
from tests.waiting import PATIENCE_S

#: The files of the command line that are no command: parts of several.
PARTS = {
    "__init__",
    "arguments",
    "author",
    "demo_cloud",
    "options",
    "run_show",
    "run_wait",
    "show",
    "store_hints",
    "subcommands",
    "timer_names",
    "timer_options",
    "transfer",
}


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and subcommand that takes options, by its words."""
    for name in COMMANDS:
        command = program.get_command(click.Context(program), name)
        if isinstance(command, click.Group):
            yield from _subcommands(name, command)
        else:
            assert command is not None
            yield name, command


def _subcommands(name: str, group: click.Group) -> Iterator[tuple[str, click.Command]]:
    for child, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _subcommands(f"{name} {child}", command)
        else:
            yield f"{name} {child}", command


ALL = dict(commands())


def test_every_file_is_a_command_of_the_table_or_a_part_of_one() -> None:
    """COMMANDS is the index of the folder; long subcommands have files of their own."""
    files = {path.stem for path in Path(scheduler.cli.__file__).parent.glob("*.py")}
    assert COMMANDS.keys() | PARTS <= files
    assert files - PARTS <= COMMANDS.keys() | {name.split()[-1] for name in ALL}


def test_help_lists_the_commands_of_the_table_in_its_order(command_line: CommandLine) -> None:
    """Each with its line of help, which wraps at 80 columns."""
    result = command_line.run("--help")
    assert result.exit_code == 0
    listed = re.split(r"\n  (?=\w)", result.stdout.partition("\nCommands:")[2].rstrip())
    assert dict(tuple(" ".join(entry.split()).split(" ", 1)) for entry in listed[1:]) == COMMANDS
    assert [entry.split()[0] for entry in listed[1:]] == list(COMMANDS)


@pytest.mark.parametrize("name", [*COMMANDS, *ALL])
def test_every_command_has_a_page_of_help(name: str, command_line: CommandLine) -> None:
    """Not wider than a terminal of 80 columns but for the choices of an option, and no line of help is cut short."""
    result = command_line.run(*name.split(), "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: scheduler {name} ")
    assert [line for line in result.stdout.splitlines() if len(line) > 80 and "[" not in line] == []
    assert "..." not in result.stdout.partition("\nCommands:")[2]


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_json_output(name: str) -> None:
    """Under the same option, with the same help."""
    (option,) = (param for param in ALL[name].params if "--json" in param.opts)
    assert isinstance(option, click.Option)
    assert (option.name, option.is_flag, option.help) == ("as_json", True, "Print JSON; instants are ISO 8601.")


@pytest.mark.parametrize("name", ALL)
def test_defaults_in_the_help_are_those_of_the_settings_and_of_the_options(name: str) -> None:
    """`(default 3000)` in the help of --port, and so on; --env is no setting of its own; `now` and `today` are none."""
    executor_settings = (setting for kind in KINDS.values() for setting in kind.settings)
    defaults = {field.name: field.default for kind in (Cron, Timer, Settings) for field in dataclasses.fields(kind)}
    defaults |= {setting.name: setting.default for setting in executor_settings}
    if name.startswith("console "):
        defaults["port"] = defaults["console_port"]
    for option in ALL[name].params:
        shown = re.search(r"\(default (\S+)\)", getattr(option, "help", None) or "")
        if shown is not None and option.name != "environment" and shown[1] not in {"now", "today"}:
            default: Any = defaults.get(option.name or "", option.default)
            if isinstance(default, bool):
                default = str(default).lower()
            assert float(shown[1]) == float(default) if shown[1].isdigit() else shown[1] == default, option.name


@pytest.mark.parametrize("name", ALL)
def test_every_option_has_help(name: str) -> None:
    """One sentence that begins with a capital and ends with a full stop."""
    for param in ALL[name].params:
        if isinstance(param, click.Option):
            assert re.fullmatch(r"[A-Z].*[.)]", param.help or ""), param.name


def test_the_help_is_there_before_anything_heavy_is_imported() -> None:
    """scheduler --help imports neither the store nor rich nor the calculator."""
    program = "import sys, scheduler.cli as c; c.program(['--help'], standalone_mode=False); print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    loaded = set(output.stdout.splitlines()[-1].split())
    assert not loaded & {"sqlalchemy", "rich", "quartzcron", "waitress", "alembic", "httpx"}


def test_an_unknown_command_is_refused_with_a_similar_one(command_line: CommandLine) -> None:
    """A misspelt one, in one message."""
    assert "did you mean 'timers'?" in command_line.refusal("tiners")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("run", "timers run"),
        ("enable", "timers enable"),
        ("log", "logs"),
        ("status", "timers list"),
        ("deploy", "serves the folder"),
        ("serve", "'up'"),
        ("wizard", "the commands are up, "),
    ],
)
def test_a_command_of_another_name_is_hinted_at(name: str, hint: str, command_line: CommandLine) -> None:
    """One of `timers` with that very name comes first."""
    assert f"no such command '{name}'; " in (message := command_line.refusal(name, "x"))
    assert hint in message


@pytest.mark.parametrize(
    "words",
    [
        ("next", "0", "0", "8", "*", "*", "?"),
        ("timers", "add", "t", "--function", "f", "--cron", "0", "0", "8", "cloud.py", "?"),
        ("timers", "add", "t", "--function", "f", "--cron", "0", "a=1"),
    ],
)
def test_an_expression_without_quotes_gets_a_hint(words: tuple[str, ...], command_line: CommandLine) -> None:
    """The shell makes several arguments of it, and names of files of its stars."""
    assert "put an expression in quotes, as one argument" in command_line.refusal(*words).replace("put the", "put an")


@pytest.mark.parametrize(("option", "value"), [("--every", "5x"), ("--every", "0.5"), ("--limit", "1m")])
def test_a_wrong_number_is_refused_with_what_is_expected(option: str, value: str, command_line: CommandLine) -> None:
    """An interval has a unit or is in seconds; a limit is in seconds, whose unit is not written."""
    kind = "an interval as in 60, 90s, 5m, 2h, 1d or '2 weeks'" if option == "--every" else "a number of seconds"
    message = command_line.refusal("timers", "add", "t", "--function", "f", option, value)
    assert f"Invalid value for '{option}'" in message
    assert f"expected {kind}, got '{value}'" in " ".join(message.split())


def test_without_its_extra_the_script_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The calculator alone does not install click; the script then ends with one line and status 2."""
    monkeypatch.setattr(entry, "find_spec", lambda name: None if name == "click" else find_spec(name))
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert install_command("scheduler") in message


def test_the_module_runs_as_the_script_does() -> None:
    """python -m scheduler is the same program."""
    output = subprocess.run(
        [sys.executable, "-m", "scheduler", "--version"], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert output.stdout.startswith("scheduler, version ")


def test_a_closed_pipe_is_no_error() -> None:
    """scheduler next … | head -1 ends quietly."""
    command = f"{sys.executable} -m scheduler next '* * * * * ?' --tz UTC -n 10000 | head -1"
    output = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert output.stdout.count("\n") == 1
    assert output.stderr == ""


@pytest.mark.slow
def test_what_the_code_writes_to_the_descriptor_is_not_in_the_answer(command_line: CommandLine) -> None:
    """Also a program that it starts while it is loaded."""
    raw = "import os, subprocess\nos.write(1, b'raw')\nsubprocess.run(['echo', 'started'])\n"
    command_line.write("cloud.py", raw + CLOUD)
    for words in (("call", "hello"), ("timers", "add", "t", "--function", "hello", "--every", "60"), ("doctor",)):
        done = cli(command_line.folder, *words, "--json")
        json.loads(done.stdout)
        assert "started" in done.stderr


def test_a_folder_that_is_gone_is_reported(tmp_path: Path) -> None:
    """Of any command, in one line."""
    gone = tmp_path / "gone"
    gone.mkdir()
    remove = "import os, sys; os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]); sys.argv = ['scheduler', 'runs']"
    code = f"{remove}; import scheduler.__main__ as program; program.main()"
    done = subprocess.run([sys.executable, "-c", code, str(gone)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "the working folder is gone" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_folder_that_is_closed_to_the_user_is_named(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not taken for the output."""

    def refused(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refused)
    assert "store.db: cannot be opened by the user of this program" in command_line.refusal("timers", "list")


def test_doctor_reports_a_closed_folder_among_its_checks(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes on with the others."""
    exists = Path.exists

    def refused(path: Path) -> bool:
        if path.name == "store.db":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", refused)
    findings = json.loads(command_line.run("doctor", "--json").stdout)
    assert "store.db: cannot be opened by the user of this program" in str(
        [each for each in findings if each["state"] == "bad"]
    )
    assert len(findings) > 5


def test_keys_that_are_closed_to_the_user_are_not_to_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are another user's."""

    def refused(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(keys, "_text_of", refused)
    with pytest.raises(ConfigError, match=r"keys\.json: cannot be opened by the user of this program"):
        keys.set_missing_keys(tmp_path / "keys.json")


def test_arguments_are_utf_8_whatever_the_locale(capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are not are refused; they would be no text to the store."""
    assert scheduler.cli._as_utf_8(["runs", "周报"]) == ["runs", "周报"]
    with pytest.raises(SystemExit):
        scheduler.cli._as_utf_8(["runs", os.fsdecode(b"\xff")])
    assert "an argument is not UTF-8" in capsys.readouterr().err


def test_an_argument_that_is_not_utf_8_is_read_as_the_locale_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a terminal whose encoding is GB18030: the interpreter has decoded it already."""
    monkeypatch.setattr(os, "fsencode", lambda text: text.encode("gb18030"))
    assert scheduler.cli._as_utf_8(["runs", "周报"]) == ["runs", "周报"]


def test_a_umask_never_takes_rights_from_the_owner() -> None:
    """Or a process could not read what it has just written; what it keeps from others stays."""
    before = os.umask(0o777)
    try:
        scheduler.cli._lift_umask_of_owner()
        assert os.umask(0) == 0o077
    finally:
        os.umask(before)


@pytest.mark.parametrize("module", ["scheduler", "quartzcron"])
def test_characters_that_the_encoding_lacks_are_escaped(module: str) -> None:
    """As in a terminal that is set to latin-1."""
    words = {"scheduler": ["next", "0 0 8 ? * 周"], "quartzcron": ["explain", "0 0 8 ? * MON", "--lang", "zh"]}
    done = subprocess.run(
        [sys.executable, "-m", module, *words[module]],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert b"\\u5468" in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("calendars remove firm", "did you mean 'rm'?"),
        ("calendars lst", "did you mean 'list'?"),
        ("calendars enable firm", "the commands are add, edit, list, show, rm"),
        ("console tokens delete 1", "did you mean 'rm'?"),
        ("alerts show", "the commands are list, test"),
    ],
)
def test_an_unknown_subcommand_gets_a_hint_in_every_group(command_line: CommandLine, words: str, hint: str) -> None:
    """By other programs' words, where the group has such a command; else all of its commands."""
    assert hint in command_line.refusal(*words.split())
