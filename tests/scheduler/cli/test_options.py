"""The hint on an option that a command does not have."""

from __future__ import annotations

from ast import Call, Name, parse, walk
from pathlib import Path

import pytest

from scheduler import cli
from tests.scheduler.command_line import CLOUD, CommandLine


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


def test_an_option_without_effect_is_a_warning(command_line: CommandLine) -> None:
    """When it is added, edited, imported or applied, and of a declaration; the timer is stored."""
    command_line.write("cloud.py", CLOUD)
    told = "max_concurrent has no effect: it goes with overlap = allow, and overlap is skip"
    added = command_line.run("timers", "add", "a", "--function", "hello", "--every", "60", "--max-concurrent", "2")
    assert f"Warning: a: {told}" in added.stderr
    assert f"Warning: a: {told}" in command_line.run("timers", "edit", "a", "--limit", "30").stderr
    assert "no effect" not in command_line.run("timers", "edit", "a", "--overlap", "allow").stderr
    rows = "".join(f"t{number},hello,60,2\n" for number in range(12))
    command_line.write("list.csv", f"name,function,seconds,max_concurrent\n{rows}")
    for command in ("apply", "import"):
        said = command_line.run("timers", command, "list.csv", "--dry-run").stderr if command == "apply" else ""
        said = said or command_line.run("timers", command, "list.csv").stderr
        assert said.count("Warning: t") == 10
        assert "Warning: 2 more attributes have no effect" in said
    command_line.write("cloud.py", CLOUD + "engine.timer(every=60, max_concurrent=2, name='c')(engine.define(abs))\n")
    said = command_line.run("call", "hello").stderr
    assert f"@engine.timer of 'abs', timer 'c': {told}" in said
    found = [finding for finding in command_line.json("doctor") if finding["name"] == "declarations"]
    assert [(finding["state"], told in finding["text"]) for finding in found] == [("warning", True)]


@pytest.mark.parametrize(("tz", "is_refused"), [("'UTC'", True), ("None", False)])
def test_an_interval_that_is_declared_with_a_zone_is_refused(
    command_line: CommandLine, tz: str, is_refused: bool
) -> None:
    """As `timers add --every 60 --tz UTC` is."""
    command_line.write("cloud.py", CLOUD + f"engine.timer(every=60, tz={tz})(engine.define(abs))\n")
    said = command_line.run("call", "hello").stderr
    assert ("an interval has no time zone: leave tz out" in said) == is_refused
    command_line.write("list.csv", "name,function,seconds,tz\nt,hello,60,UTC\n")
    refusal = command_line.refusal("timers", "import", "list.csv")
    assert "line 2, tz: an interval has no time zone: leave it empty" in refusal
