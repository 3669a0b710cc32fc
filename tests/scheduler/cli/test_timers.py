"""scheduler timers: a newcomer's commands, and what they say when something is wrong."""

import shlex
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.run import Outcome
from scheduler.store.runs import RunHistory
from tests.scheduler.command_line import CLOUD, CommandLine

EVERY = ("--function", "hello", "--every", "60")


def test_a_timer_is_created_disabled_and_says_how_to_enable_it(command_line: CommandLine) -> None:
    """The specification's rule, with the command that ends it."""
    command_line.write("cloud.py", CLOUD)
    said = command_line.run("timers", "add", "greeting", *EVERY).stdout
    assert "added greeting: calls hello in production, every 60 s" in said
    assert "it is disabled; enable it with:" in said
    assert said.rstrip().endswith("timers enable greeting")
    (timer,) = command_line.json("timers", "list")
    assert (timer["enabled"], timer["next_fire"]) == (False, None)


def test_a_new_store_stays_out_of_version_control(command_line: CommandLine) -> None:
    """The folder for the store brings a .gitignore of its own."""
    command_line.run("timers", "add", "greeting", *EVERY)
    assert (command_line.folder / ".scheduler" / ".gitignore").read_text() == "*\n"


def test_enabling_disabling_and_removing(command_line: CommandLine) -> None:
    """Each says what it did; a disabled timer has no next fire."""
    command_line.run("timers", "add", "greeting", *EVERY)
    assert "enabled; fires next at " in command_line.run("timers", "enable", "greeting").stdout
    assert command_line.json("timers", "list")[0]["next_fire"] is not None
    assert command_line.run("timers", "disable", "greeting").stdout == "disabled greeting\n"
    assert command_line.json("timers", "list")[0]["next_fire"] is None
    assert command_line.run("timers", "reset", "greeting").stdout == "closed the breaker of greeting\n"
    assert command_line.json("timers", "rm", "greeting")["name"] == "greeting"
    assert command_line.json("timers", "list") == []


def test_every_attribute_is_an_option(command_line: CommandLine) -> None:
    """What was given is what is kept, and --json has it under names that stay."""
    options = (
        "--function hello --tz Europe/Berlin --dst quartz --limit 2.5 --misfire skip --overlap queue_one "
        "--delivery at_least_once --breaker 0 --env stage --enable n:=[1,2] text=a=b"
    )
    kept = command_line.json("timers", "add", "t", "--cron", "0 0 8 ? * MON", *options.split())
    expected = {
        "name": "t",
        "environment": "stage",
        "function": "hello",
        "params": {"n": [1, 2], "text": "a=b"},
        "cron": "0 0 8 ? * MON",
        "tz": "Europe/Berlin",
        "dst": "quartz",
        "every_s": None,
        "enabled": True,
        "limit_s": 2.5,
        "misfire": "skip",
        "overlap": "queue_one",
        "delivery": "at_least_once",
    }
    assert {name: kept[name] for name in expected} == expected
    assert kept["breaker"]["threshold"] == 0
    assert kept["next_fire"][10:] in {"T08:00:00+01:00", "T08:00:00+02:00"}


def test_an_edit_changes_what_is_named_and_nothing_else(command_line: CommandLine) -> None:
    """The zone of an expression survives a new expression, parameters survive a new limit."""
    command_line.run(
        *("timers", "add", "t", "--function", "hello", "--cron", "0 0 8 * * ?", "--tz", "Europe/Berlin", "name=Ann")
    )
    edited = command_line.json("timers", "edit", "t", "--cron", "0 0 9 * * ?", "--limit", "3", "--rename", "u")
    assert (edited["name"], edited["cron"], edited["tz"]) == ("u", "0 0 9 * * ?", "Europe/Berlin")
    assert (edited["limit_s"], edited["params"]) == (3.0, {"name": "Ann"})
    assert command_line.json("timers", "edit", "u", "--tz", "Asia/Tokyo")["tz"] == "Asia/Tokyo"
    assert command_line.json("timers", "edit", "u", "--every", "5", "n:=1")["every_s"] == 5
    assert "an interval has no time zone" in command_line.refusal("timers", "edit", "u", "--tz", "Asia/Tokyo")
    assert "nothing to change" in command_line.refusal("timers", "edit", "u")


def test_instants_are_shown_in_the_timers_zone_with_their_offset(command_line: CommandLine) -> None:
    """A table never leaves the reader guessing which noon is meant."""
    add = ("timers", "add", "t", "--function", "f", "--cron", "0 0 8 * * ?", "--enable")
    command_line.run(*add, "--tz", "Asia/Kolkata")
    assert " 08:00:00+05:30" in command_line.run("timers", "list").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--function hello --cron '0 75 8 ? * MON'",
            "75 is out of range; minutes go from 0 to 59\n  0 75 8 ? * MON\n    ^^",
        ),
        ("--function hello --cron '0 0 8 31 2 ?'", "never fires"),
        ("--function hello --cron '0 0 8 ? * MON' --tz Asia/Shangai", "did you mean 'Asia/Shanghai'?"),
        ("--function hello", "--cron '0 0 8 ? * MON' and --every 60"),
        ("--function hello --every 60 --cron '0 0 8 ? * MON'", "give one of"),
        ("--every 60", "a timer needs a function: --function NAME"),
        ("--function hello --every 0", "an interval of 0 s is out of range"),
        ("--function hello --every 60 --tz Asia/Tokyo", "an interval has no time zone"),
        ("--function hello --every 60 --limit 0", "a time limit is more than 0 s and at most 86400 s, not 0\n"),
        ("--function 'hello ' --every 60", "function 'hello ' has a blank at an end; leave it out: 'hello'"),
        ("--function hello --every 60 --breaker -1", "a breaker opens after"),
        ("--function hello --every 60 --jitter 61", "a jitter of 61 s is longer than the shortest time between"),
        ("--function hello --every 60 --misfire never", "'never' is not one of"),
        ("--function hello --every 60 --params [1]", "--params is a JSON object"),
        ("--function hello --every 60 --params {", "is no JSON"),
        ("--function hello --every 60 name", "'name' is no parameter; write key=text or key:=JSON"),
        ("--function hello --every 60 name:=Ann", "'Ann' is no JSON"),
        ("--function helo --every 60", "cloud.py has no function 'helo'; did you mean 'hello'?"),
        ("--function hello --every 60 nme=Ann", "superfluous argument 'nme'; the function takes name"),
        ("--function add --every 60 a:=1", "missing argument 'b'"),
        ("--function hello --every 60 --target nowhere.py", "nowhere.py: no such file"),
    ],
)
def test_a_timer_that_cannot_be_is_refused_and_nothing_is_kept(
    words: str, message: str, command_line: CommandLine
) -> None:
    """One clear message and status 2; the store is not even made."""
    command_line.write("cloud.py", CLOUD)
    assert message in command_line.refusal("timers", "add", "t", *shlex.split(words))
    assert not (command_line.folder / ".scheduler").exists()


def test_jitter_shows_in_every_fire_time(command_line: CommandLine) -> None:
    """Where the timer is listed, and where it is simulated."""
    command_line.run("timers", "add", "t", *EVERY, "--enable")
    edited = command_line.json("timers", "edit", "t", "--cron", "0 0 8 * * ?", "--jitter", "3600")
    assert edited["jitter_s"] == 3600
    assert edited["next_fire"].endswith("T08:18:48+08:00")
    assert "0 0 8 * * ? (Asia/Shanghai) + 1128 s" in command_line.run("timers", "list").stdout
    assert "08:18:48+08:00  t  hello" in command_line.run("simulate").stdout


def test_a_function_that_is_still_to_be_written_can_have_its_timer(command_line: CommandLine) -> None:
    """--no-check keeps a timer whose function nobody has yet."""
    command_line.write("cloud.py", CLOUD)
    add = ("timers", "add", "t", "--function", "later", "--every", "60")
    assert "--no-check" in command_line.refusal(*add)
    assert command_line.run(*add, "--no-check").exit_code == 0


def test_a_cloud_py_that_does_not_load_is_a_warning_for_a_timer(command_line: CommandLine) -> None:
    """The timer is kept, since the functions may live elsewhere; nobody is left believing that it was checked."""
    command_line.write("cloud.py", "1 / 0\n")
    result = command_line.run("timers", "add", "t", *EVERY)
    assert result.exit_code == 0
    assert "Warning: the function 'hello' was not checked: " in result.stderr
    assert "ZeroDivisionError" in result.stderr


def test_a_name_is_taken_once_in_an_environment(command_line: CommandLine) -> None:
    """The same name may stand in the other environment."""
    command_line.run("timers", "add", "t", *EVERY)
    assert "timer 't' exists already in production" in command_line.refusal("timers", "add", "t", *EVERY)
    assert command_line.run("timers", "add", "t", *EVERY, "--env", "stage").exit_code == 0


def test_an_environment_holds_five_timers_unless_set_otherwise(command_line: CommandLine) -> None:
    """The sixth is refused with the setting that allows it, wherever that stands."""
    for number in range(5):
        assert command_line.run("timers", "add", f"t{number}", *EVERY).exit_code == 0
    assert "production has 5 timers already" in command_line.refusal("timers", "add", "t5", *EVERY)
    assert command_line.run("timers", "add", "t5", *EVERY, "--max-timers", "6").exit_code == 0
    command_line.write("scheduler.toml", "max_timers = 0\n")
    assert command_line.run("timers", "add", "t6", *EVERY).exit_code == 0


@pytest.mark.parametrize("verb", ["enable", "disable", "reset", "rm", "run", "edit"])
def test_an_unknown_timer_is_answered_with_the_nearest_name(verb: str, command_line: CommandLine) -> None:
    """Every command that takes a name helps with a wrong one."""
    command_line.run("timers", "add", "greeting", *EVERY)
    words = ("timers", verb, "greting", *(("--limit", "3") if verb == "edit" else ()))
    assert "no timer 'greting' in production; did you mean 'greeting'?" in command_line.refusal(*words)


@pytest.mark.parametrize("verb", ["enable", "disable", "reset", "rm", "run", "edit"])
def test_an_unknown_timer_unlike_any_other_is_answered_with_those_that_there_are(
    verb: str, command_line: CommandLine
) -> None:
    """Where no name comes near, all are named."""
    command_line.run("timers", "add", "greeting", *EVERY)
    words = ("timers", verb, "xyz", *(("--limit", "3") if verb == "edit" else ()))
    assert "no timer 'xyz' in production; known timers: greeting" in command_line.refusal(*words)


def test_a_timer_of_the_other_environment_is_pointed_at(command_line: CommandLine) -> None:
    """Forgetting --env stage is the commonest slip."""
    command_line.run("timers", "add", "t", *EVERY, "--env", "stage")
    assert "there is one in stage: add --env stage" in command_line.refusal("timers", "enable", "t")


def test_waiting_for_a_run_that_nobody_would_begin_is_refused(command_line: CommandLine) -> None:
    """Without a daemon, --wait would wait for ever; nothing is entered."""
    command_line.run("timers", "add", "t", *EVERY)
    assert "no daemon runs on" in command_line.refusal("timers", "run", "t", "--wait")
    assert command_line.json("runs") == []


def test_a_run_is_entered_for_the_daemon_to_come(command_line: CommandLine) -> None:
    """Without --wait the run stands in the history, waiting."""
    command_line.run("timers", "add", "t", *EVERY)
    result = command_line.run("timers", "run", "t")
    assert result.exit_code == 0
    assert "no daemon runs on this store" in result.stderr
    (run,) = command_line.json("runs")
    assert (run["timer"], run["kind"], run["outcome"]) == ("t", "manual", None)


def test_of_a_run_that_nobody_waits_for_no_outcome_is_told(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if it had failed before one could look: a script is told the same always, and exits with 0."""
    command_line.run("timers", "add", "t", *EVERY)
    look = RunHistory.run

    def look_too_late(history: RunHistory, run_id: int) -> Any:
        run = look(history, run_id)
        return run and replace(run, outcome=Outcome.FAILED, message="Execution failed.")

    monkeypatch.setattr(RunHistory, "run", look_too_late)
    result = command_line.run("timers", "run", "t")
    assert (result.exit_code, "is entered; look at it with" in result.stdout) == (0, True)
    assert "failed" not in result.stdout


def test_a_wrong_folder_does_not_look_like_an_empty_store(command_line: CommandLine) -> None:
    """Looking makes nothing."""
    for words in (("timers", "list"), ("runs",), ("logs",), ("timers", "enable", "t")):
        assert "there is no store at" in command_line.refusal(*words)
    assert list(command_line.folder.iterdir()) == []


def make_newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE scheduler_version SET version_num = '9999'")
    connection.close()


def test_a_store_of_a_newer_version_is_left_alone(command_line: CommandLine) -> None:
    """An older program says that it is the older one."""
    command_line.run("timers", "add", "t", *EVERY)
    make_newer(command_line.folder / ".scheduler" / "store.db")
    assert "written by a newer version" in command_line.refusal("timers", "list")


def test_a_file_that_is_no_database_is_left_alone(command_line: CommandLine) -> None:
    """Somebody's letter is neither read nor overwritten."""
    letter = command_line.write("letter.txt", "Dear Ann, " * 500)
    said = command_line.refusal("timers", "add", "t", *EVERY, "--store", "letter.txt")
    assert "not a database" in said
    assert letter.read_text() == "Dear Ann, " * 500


def test_a_store_without_a_folder_is_refused(command_line: CommandLine) -> None:
    """A slip in the path makes no folder."""
    assert "does its folder exist" in command_line.refusal("timers", "add", "t", *EVERY, "--store", "no/where.db")


@pytest.mark.slow
def test_a_store_that_somebody_has_locked_is_refused_in_time(command_line: CommandLine) -> None:
    """After some seconds of patience the message says who is to blame."""
    command_line.run("timers", "add", "t", *EVERY)
    other = sqlite3.connect(command_line.folder / ".scheduler" / "store.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert "locked by another program" in command_line.refusal("timers", "enable", "t")
    other.close()
