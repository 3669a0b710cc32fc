"""scheduler timers apply, rename, copy and add --replace; time spans of runs and logs; the last run in the list."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from scheduler.core.run import Line
from scheduler.store.database import Store
from scheduler.store.rows import line_columns
from scheduler.store.schema import lines
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.scheduler.store.test_pages import enter_run

LIST = """name,function,seconds,limit_s,enabled
one,hello,60,,
two,hello,90,30,true
"""


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    cli = CommandLine(tmp_path)
    cli.write("cloud.py", CLOUD)
    cli.write("timers.csv", LIST)
    return cli


def test_a_list_is_applied(cli: CommandLine) -> None:
    """The difference is printed; the second time there is none."""
    first = cli.run("timers", "apply", "timers.csv", "--why", "as in the repository")
    assert first.stdout.splitlines() == [
        "+ one in production: added calls hello, every 1 min, disabled",
        "+ two in production: added calls hello, every 90 s",
        "2 added, 0 changed, 0 unchanged",
    ]
    assert cli.run("timers", "apply", "timers.csv").stdout == "0 added, 0 changed, 2 unchanged\n"
    assert {change["why"] for change in cli.json("changes")} == {"as in the repository"}


def test_a_dry_run_changes_nothing(cli: CommandLine) -> None:
    """Also where there is no store yet; then a timer that is lacking and one that differs."""
    assert "would be: 2 added, 0 changed, 0 unchanged" in cli.run("timers", "apply", "timers.csv", "--dry-run").stdout
    assert not (cli.folder / ".scheduler" / "store.db").exists()
    cli.run("timers", "apply", "timers.csv")
    cli.run("timers", "add", "three", "--function", "hello", "--every", "5")
    cli.run("timers", "enable", "one")
    cli.write("timers.csv", LIST.replace("30", "20"))
    dry = cli.json("timers", "apply", "timers.csv", "--prune", "--dry-run")
    assert [(each["effect"], each["name"]) for each in dry["differences"]] == [("removed", "three"), ("changed", "two")]
    assert dry["differences"][1]["after"] == {"limit_s": 20.0}
    assert len(cli.json("timers", "list")) == 3
    text = cli.run("timers", "apply", "timers.csv", "--prune").stdout
    assert "~ two in production: changed limit_s 30.0 → 20.0" in text
    assert "0 added, 1 changed, 1 removed, 1 unchanged" in text
    assert [(timer["name"], timer["state"]) for timer in cli.json("timers", "list")] == [
        ("one", "enabled"),
        ("two", "enabled"),
    ]


def test_only_the_environments_of_the_list_are_pruned(cli: CommandLine) -> None:
    """And that of --env."""
    cli.run("timers", "add", "other", "--function", "hello", "--every", "5", "--env", "stage")
    cli.run("timers", "apply", "timers.csv", "--prune")
    assert len(cli.json("timers", "list")) == 3
    cli.write("empty.json", "[]")
    cli.run("timers", "apply", "empty.json", "--prune", "--env", "stage")
    assert len(cli.json("timers", "list")) == 2


def test_every_fault_of_a_list_is_reported_and_nothing_applied(cli: CommandLine) -> None:
    """Of values, and of functions."""
    cli.write("timers.csv", LIST + "three,gone,60,,\nfour,hello,0,,\n")
    message = cli.refusal("timers", "apply", "timers.csv")
    assert "line 4, function: cloud.py has no function 'gone'" in message
    assert "line 5, seconds: an interval must be from 1 to" in message
    assert not (cli.folder / ".scheduler" / "store.db").exists()


def test_a_timer_is_replaced(cli: CommandLine) -> None:
    """It stays enabled; what is not given has its default; the second time nothing changes."""
    add = ("timers", "add", "one", "--function", "hello", "--every", "60", "--replace")
    assert "added one: calls hello" in cli.run(*add, "--enable", "--limit", "9").stdout
    assert "one: changed limit_s 9.0 → 15.0; fires next at" in cli.run(*add).stdout
    assert "one: unchanged; fires next at" in cli.run(*add).stdout
    assert cli.json("timers", "show", "one")["state"] == "enabled"
    assert "exists already" in cli.refusal(*add[:-1])


def test_a_timer_is_renamed_and_copied(cli: CommandLine) -> None:
    """The copy is disabled, in another environment if that is given."""
    cli.run("timers", "apply", "timers.csv")
    assert cli.run("timers", "rename", "two", "2").stdout == "renamed two to 2\n"
    assert "added 3 in stage, like 2; it is disabled" in cli.run("timers", "copy", "2", "3", "--to", "stage").stdout
    shown = cli.json("timers", "show", "3", "--env", "stage")
    assert (shown["every_s"], shown["limit_s"], shown["state"]) == (90, 30.0, "disabled")
    assert cli.json("timers", "copy", "2", "4", "--enable")["state"] == "enabled"
    assert "exists already" in cli.refusal("timers", "copy", "2", "one")
    assert "no timer 'two'" in cli.refusal("timers", "rename", "two", "5")


def test_runs_and_lines_of_a_time_span(cli: CommandLine) -> None:
    """From an instant on, and before another one, in the default zone; and the last run of each timer."""
    cli.run("timers", "apply", "timers.csv")
    with Store(str(cli.folder / ".scheduler" / "store.db")) as store, store.writing() as connection:
        for hour in range(4):
            run_id = enter_run(connection, hour, timer="one", outcome="succeeded")
        at = datetime(2026, 1, 1, 8, tzinfo=UTC)
        printed = [Line(run_id, at + timedelta(hours=hour), "info", f"line {hour}") for hour in range(4)]
        connection.execute(insert(lines), [line_columns(line) for line in printed])
    all_runs = cli.json("runs")
    times = [run["fire_time"] for run in all_runs]
    assert [run["fire_time"] for run in cli.json("runs", "--since", times[2], "--until", times[0])] == times[1:3]
    span = ("--since", "2026-01-01T17:00", "--until", "2026-01-01T19:00")
    for more in ((), ("--run", str(run_id))):
        shown = cli.run("logs", *span, *more, "--json").stdout.splitlines()
        assert [json.loads(line)["text"] for line in shown] == ["line 1", "line 2"]
    assert "--follow shows new lines" in cli.refusal("logs", "-f", "--until", "2026-01-01T19:00")
    assert [timer["last_run"] and timer["last_run"]["id"] for timer in cli.json("timers", "list")] == [run_id, None]
    assert "succeeded" in cli.run("timers", "list").stdout
