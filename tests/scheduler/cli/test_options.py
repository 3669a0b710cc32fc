"""The hint on an option that a command does not have."""

from __future__ import annotations

from ast import Call, Name, parse, walk
from pathlib import Path

import pytest

from scheduler import cli
from tests.scheduler.command_line import CommandLine


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("timers", "enable", "t", "--environment", "stage"), "--env"),
        (("timers", "list", "--envi", "stage"), "--env"),
        (("changes", "--author", "ann"), "--by"),
        (("runs", "--outcomes", "failed"), "--outcome"),
    ],
)
def test_an_unknown_option_proposes_the_one_that_is_meant(
    command_line: CommandLine, words: tuple[str, ...], meant: str
) -> None:
    """By the name of its value, by its beginning, or a similar one."""
    assert f"did you mean '{meant}'?" in command_line.refusal(*words).replace("Did", "did")


def test_an_option_that_is_like_none_has_no_hint(command_line: CommandLine) -> None:
    """Neither has a short one."""
    for option in ("--quux", "-q"):
        assert "you mean" not in command_line.refusal("runs", option)


def test_the_package_calls_no_function_whose_name_a_command_has() -> None:
    """The module of a command, such as next.py, is an attribute of the package as soon as it is imported."""
    source = Path(cli.__file__).read_text(encoding="utf-8")
    called = {node.func.id for node in walk(parse(source)) if isinstance(node, Call) and isinstance(node.func, Name)}
    modules = {file.stem for file in Path(cli.__file__).parent.glob("*.py")}
    assert "len" in called
    assert "next" in modules
    assert called & modules == set()


def test_no_alerts_are_no_sign_of_missing_rules(command_line: CommandLine) -> None:
    """The rules are named, and a misspelt one is."""
    command_line.run("timers", "add", "t", "--function", "f", "--no-check", "--every", "60")
    assert "there are no [[alerts]] in scheduler.toml" in command_line.run("alerts", "list").stdout
    command_line.write("scheduler.toml", '[[alerts]]\nname = "disk"\non = ["failed"]\nto = ["https://example.com/"]\n')
    assert command_line.run("alerts", "list").stdout == "no alerts yet; 1 rule: disk\n"
    assert command_line.run("alerts", "list", "--rule", "disk").stdout == "no alerts of disk\n"
    assert "did you mean 'disk'?" in command_line.run("alerts", "list", "--rule", "disc").stdout
