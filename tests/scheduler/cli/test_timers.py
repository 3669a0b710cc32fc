"""scheduler timers: what its commands do and print, and how they refuse what is invalid."""

import shlex
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.run import Outcome
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.store.upgrade import VERSION_TABLE
from tests.scheduler.command_line import CLOUD, CommandLine

EVERY = ("--function", "hello", "--every", "60")


def test_a_timer_is_added_disabled_and_the_command_that_enables_it_is_printed(command_line: CommandLine) -> None:
    """The specification's rule."""
    command_line.write("cloud.py", CLOUD)
    output = command_line.run("timers", "add", "greeting", *EVERY).stdout
    assert "added greeting: calls hello in production, every 1 min" in output
    assert "it is disabled; enable it with:" in output
    assert output.rstrip().endswith("timers enable greeting")
    (timer,) = command_line.json("timers", "list")
    assert (timer["enabled"], timer["next_fire"]) == (False, None)


def test_a_new_store_stays_out_of_version_control(command_line: CommandLine) -> None:
    """Its folder has a .gitignore."""
    command_line.run("timers", "add", "greeting", *EVERY)
    assert (command_line.folder / ".scheduler" / ".gitignore").read_text() == "*\n"


def test_enabling_disabling_and_removing(command_line: CommandLine) -> None:
    """Each prints what it did; a disabled timer has no next fire time."""
    command_line.run("timers", "add", "greeting", *EVERY)
    assert "enabled; fires next at " in command_line.run("timers", "enable", "greeting").stdout
    assert command_line.json("timers", "list")[0]["next_fire"] is not None
    assert command_line.run("timers", "disable", "greeting").stdout == "disabled greeting\n"
    assert command_line.json("timers", "list")[0]["next_fire"] is None
    assert command_line.run("timers", "reset", "greeting").stdout == "closed the breaker of greeting\n"
    assert command_line.json("timers", "rm", "greeting")["name"] == "greeting"
    assert command_line.json("timers", "list") == []


def test_several_timers_are_changed_by_one_command(command_line: CommandLine) -> None:
    """None of them if one is unknown; a name that comes twice counts once."""
    for name in ("a", "b"):
        command_line.run("timers", "add", name, "--function", "hello", "--every", "60")
    for verb in ("enable", "disable", "reset", "rm"):
        assert "no timer 'nobody'" in command_line.refusal("timers", verb, "a", "nobody")
    assert [timer["enabled"] for timer in command_line.json("timers", "list")] == [False, False]
    shown = command_line.run("timers", "enable", "a", "b", "a").stdout
    assert [line.split(";")[0] for line in shown.splitlines()] == ["enabled a", "enabled b"]
    assert [timer["name"] for timer in command_line.json("timers", "reset", "a", "b")] == ["a", "b"]
    assert command_line.run("timers", "disable", "b", "a").stdout == "disabled b\ndisabled a\n"
    assert len(command_line.run("timers", "rm", "a", "b").stdout.splitlines()) == 2
    assert command_line.json("timers", "list") == []


def test_every_attribute_is_an_option(command_line: CommandLine) -> None:
    """Its value is stored, and --json has it under a fixed key."""
    options = (
        "--function hello --tz Europe/Berlin --dst quartz --limit 2.5 --misfire skip --overlap queue_one "
        "--delivery at_least_once --breaker 0 --env stage --enable n:=[1,2] text=a=b"
    )
    added = command_line.json("timers", "add", "t", "--cron", "0 0 8 ? * MON", *options.split())
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
    assert {name: added[name] for name in expected} == expected
    assert added["breaker"]["threshold"] == 0
    assert added["next_fire"][10:] in {"T08:00:00+01:00", "T08:00:00+02:00"}


def test_an_edit_changes_the_given_attributes_only(command_line: CommandLine) -> None:
    """A new expression keeps the time zone, a new limit keeps the parameters."""
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
    """08:00 in Kolkata is shown with +05:30."""
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
        ("--function hello", "--cron '0 0 8 ? * MON', --every 60, --at '2026-12-24 18:00' and --rrule"),
        ("--function hello --every 60 --at 09:00", "--at goes with an interval of days, weeks, months or years"),
        ("--every 60", "a timer needs a function: --function NAME"),
        ("--function hello --every 0", "an interval must be from 1 to"),
        ("--function hello --every 60 --tz Asia/Tokyo", "an interval has no time zone"),
        ("--function hello --every 60 --limit 0", "a time limit must be more than 0 s and at most 86400 s, got 0\n"),
        ("--function 'hello ' --every 60", "function 'hello ' has leading or trailing whitespace; use 'hello'"),
        ("--function hello --every 60 --breaker -1", "a breaker threshold must be"),
        ("--function hello --every 60 --jitter 61", "a jitter of 61 s is longer than the shortest time between"),
        ("--function hello --every 60 --misfire never", "'never' is not one of"),
        ("--function hello --every 60 --params [1]", "--params must be a JSON object"),
        ("--function hello --every 60 --params {", "is not JSON"),
        ("--function hello --every 60 name", "'name' is not a parameter; write key=text or key:=JSON"),
        ("--function hello --every 60 name:=Ann", "'Ann' is not JSON"),
        ("--function hello --every 60 name=a name=b", "the parameter 'name' is given twice"),
        ("--function hello --every 60 name=a name:=1", "the parameter 'name' is given twice"),
        ('--function hello --every 60 name:=\'{"x":1,"x":2}\'', "the parameter 'x' is given twice"),
        ("""--function hello --every 60 --params '{"name":1,"name":2}'""", "the parameter 'name' is given twice"),
        (f"--function hello --every 60 name:={'[' * 20_000}", f"{'[' * 80}…' is not JSON"),
        ("0 0 8 ? a.py MON", "'0' is not a parameter; write key=text or key:=JSON; put an expression in quotes"),
        ("hello '0 0 8 ? * MON'", "'hello' is not a parameter"),
        ("--function helo --every 60", "cloud.py has no function 'helo'; did you mean 'hello'?"),
        ("--function hello --every 60 nme=Ann", "superfluous argument 'nme'; the function takes name"),
        ("--function add --every 60 a:=1", "missing argument 'b'"),
        ("--function hello --every 60 --target nowhere.py", "nowhere.py: no such file"),
    ],
)
def test_an_invalid_timer_is_refused_and_nothing_is_stored(words: str, message: str, command_line: CommandLine) -> None:
    """With one message and status 2; not even the store is created."""
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


def test_a_timer_can_be_added_before_its_function_is_written(command_line: CommandLine) -> None:
    """With --no-check."""
    command_line.write("cloud.py", CLOUD)
    add = ("timers", "add", "t", "--function", "later", "--every", "60")
    assert "--no-check" in command_line.refusal(*add)
    assert command_line.run(*add, "--no-check").exit_code == 0


def test_a_cloud_py_that_does_not_load_is_a_warning_for_a_timer(command_line: CommandLine) -> None:
    """The timer is added, since the functions may be elsewhere, with a warning that they were not checked."""
    command_line.write("cloud.py", "1 / 0\n")
    result = command_line.run("timers", "add", "t", *EVERY)
    assert result.exit_code == 0
    assert "Warning: the function 'hello' was not checked: " in result.stderr
    assert "ZeroDivisionError" in result.stderr


def test_a_name_is_unique_in_an_environment(command_line: CommandLine) -> None:
    """The other environment may have a timer of the same name."""
    command_line.run("timers", "add", "t", *EVERY)
    assert "timer 't' exists already in production" in command_line.refusal("timers", "add", "t", *EVERY)
    assert command_line.run("timers", "add", "t", *EVERY, "--env", "stage").exit_code == 0


def test_an_environment_holds_five_timers_under_leanclouds_rules(command_line: CommandLine) -> None:
    """The sixth is refused until an option or a setting allows it."""
    command_line.write("scheduler.toml", 'rules = "leancloud"\n')
    for number in range(5):
        assert command_line.run("timers", "add", f"t{number}", *EVERY).exit_code == 0
    assert "production has 5 timers already" in command_line.refusal("timers", "add", "t5", *EVERY)
    assert command_line.run("timers", "add", "t5", *EVERY, "--max-timers", "6").exit_code == 0
    command_line.write("scheduler.toml", 'rules = "leancloud"\nmax_timers = 0\n')
    assert command_line.run("timers", "add", "t6", *EVERY).exit_code == 0


@pytest.mark.parametrize("verb", ["enable", "disable", "reset", "rm", "run", "edit"])
def test_an_unknown_timer_is_refused_with_a_similar_name(verb: str, command_line: CommandLine) -> None:
    """By every command that takes a name."""
    command_line.run("timers", "add", "greeting", *EVERY)
    words = ("timers", verb, "greting", *(("--limit", "3") if verb == "edit" else ()))
    assert "no timer 'greting' in production; did you mean 'greeting'?" in command_line.refusal(*words)


@pytest.mark.parametrize("verb", ["enable", "disable", "reset", "rm", "run", "edit"])
def test_an_unknown_timer_without_a_similar_name_is_refused_with_all_names(
    verb: str, command_line: CommandLine
) -> None:
    """By every command that takes a name."""
    command_line.run("timers", "add", "greeting", *EVERY)
    words = ("timers", verb, "xyz", *(("--limit", "3") if verb == "edit" else ()))
    assert "no timer 'xyz' in production; known timers: greeting" in command_line.refusal(*words)


def test_a_timer_of_the_other_environment_is_mentioned(command_line: CommandLine) -> None:
    """Where --env stage was forgotten."""
    command_line.run("timers", "add", "t", *EVERY, "--env", "stage")
    assert "there is one in stage: add --env stage" in command_line.refusal("timers", "enable", "t")


def test_waiting_for_a_run_without_a_daemon_is_refused(command_line: CommandLine) -> None:
    """--wait would wait for ever; no run is requested."""
    command_line.run("timers", "add", "t", *EVERY)
    assert "no daemon runs on" in command_line.refusal("timers", "run", "t", "--wait")
    assert command_line.json("runs") == []


def test_a_run_can_be_requested_before_a_daemon_starts(command_line: CommandLine) -> None:
    """Without --wait; the run is in the history, waiting."""
    command_line.run("timers", "add", "t", *EVERY)
    result = command_line.run("timers", "run", "t")
    assert result.exit_code == 0
    assert "no daemon runs on this store" in result.stderr
    (run,) = command_line.json("runs")
    assert (run["timer"], run["kind"], run["outcome"]) == ("t", "manual", None)


def test_without_wait_no_outcome_is_printed(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even of a run that has failed already: a script always gets the same line and status 0."""
    command_line.run("timers", "add", "t", *EVERY)
    read = RunHistory.run

    def read_late(history: RunHistory, run_id: int) -> Any:
        run = read(history, run_id)
        return run and replace(run, outcome=Outcome.FAILED, message="Execution failed.")

    monkeypatch.setattr(RunHistory, "run", read_late)
    result = command_line.run("timers", "run", "t")
    assert (result.exit_code, "requested run 1 of t; show it with:  " in result.stdout) == (0, True)
    assert "failed" not in result.stdout


def test_a_wrong_folder_is_not_taken_for_an_empty_store(command_line: CommandLine) -> None:
    """Commands that only read create nothing."""
    for words in (("timers", "list"), ("runs",), ("logs",), ("timers", "enable", "t")):
        assert "there is no store at" in command_line.refusal(*words)
    assert list(command_line.folder.iterdir()) == []


def make_newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE scheduler_version SET version_num = '9999'")
    connection.close()


def test_a_store_of_a_newer_version_is_left_alone(command_line: CommandLine) -> None:
    """The older program refuses it."""
    command_line.run("timers", "add", "t", *EVERY)
    make_newer(command_line.folder / ".scheduler" / "store.db")
    assert "written by a newer version" in command_line.refusal("timers", "list")


def test_a_file_that_is_no_database_is_left_alone(command_line: CommandLine) -> None:
    """A text file is neither read nor overwritten."""
    letter = command_line.write("letter.txt", "Dear Ann, " * 500)
    assert "not a database" in command_line.refusal("timers", "add", "t", *EVERY, "--store", "letter.txt")
    assert letter.read_text() == "Dear Ann, " * 500


def test_a_store_without_a_folder_is_refused(command_line: CommandLine) -> None:
    """A misspelt path creates no folder."""
    assert "does its folder exist" in command_line.refusal("timers", "add", "t", *EVERY, "--store", "no/where.db")


@pytest.mark.slow
def test_a_locked_store_is_refused_after_some_seconds(command_line: CommandLine) -> None:
    """The message says that another program has locked it."""
    command_line.run("timers", "add", "t", *EVERY)
    other = sqlite3.connect(command_line.folder / ".scheduler" / "store.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert "locked by another program" in command_line.refusal("timers", "enable", "t")
    other.close()


def test_an_edit_is_checked_as_a_new_timer_is(command_line: CommandLine) -> None:
    """A new function and new parameters, unless --no-check is given; what stays is not checked."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "hello", "--every", "60")
    said = command_line.refusal("timers", "edit", "t", "--function", "gone")
    assert "cloud.py has no function 'gone'" in said
    assert "(use --no-check to change it anyway)" in said
    assert "superfluous argument 'x'" in command_line.refusal("timers", "edit", "t", "x=1")
    assert "missing argument 'a'" in command_line.refusal("timers", "edit", "t", "--function", "add", "b:=1")
    assert "(use --no-check to change it anyway)" in command_line.refusal("timers", "edit", "t", "--function", "add")
    assert command_line.run("timers", "edit", "t", "--function", "add", "a:=1", "b:=2").exit_code == 0
    assert command_line.run("timers", "edit", "t", "--function", "gone", "--no-check").exit_code == 0
    assert command_line.run("timers", "edit", "t", "--limit", "3").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("timers", "list"),
        ("timers", "export"),
        ("timers", "enable", "t"),
        ("runs",),
        ("logs",),
        ("simulate",),
        ("doctor",),
    ],
)
def test_only_up_and_add_bring_a_store_up_to_date(command_line: CommandLine, words: tuple[str, ...]) -> None:
    """The others say which command does, in one line; doctor too."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "t", "--function", "hello", "--every", "60")
    with Store(str(command_line.folder / ".scheduler" / "store.db")) as store, store.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0005'")
    result = command_line.run(*words)
    assert result.exit_code != 0
    assert "was written by an earlier version of scheduler (its schema is '0005'" in result.output
    assert "`scheduler up` and `scheduler timers add` bring it up to date" in result.output
    assert "Traceback" not in result.output


def test_a_timer_whose_last_fire_time_is_over_can_be_changed_but_not_enabled(command_line: CommandLine) -> None:
    """Its limit and its name; another schedule that is over is refused."""
    command_line.run("timers", "add", "once", "--function", "hello", "--cron", "0 0 8 1 1 ? 2098")
    file = command_line.folder / ".scheduler" / "store.db"
    with sqlite3.connect(file) as store:
        store.execute("UPDATE timers SET trigger = replace(trigger, '2098', '2020')")
    store.close()
    assert command_line.run("timers", "edit", "once", "--limit", "5", "--rename", "over").exit_code == 0
    assert "never fires" in command_line.refusal("timers", "enable", "over")
    assert "never fires" in command_line.refusal("timers", "edit", "over", "--cron", "0 0 8 1 1 ? 2021")


def test_a_name_that_looks_like_another_one_is_refused(command_line: CommandLine) -> None:
    """An e with an accent of its own is not what it seems; the message shows both."""
    message = command_line.refusal("timers", "add", "caf" + "e" + chr(0x301), *EVERY)
    assert "'cafe\\u0301' is not in Unicode's form NFC; use 'caf\\xe9'" in message


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_an_address_cannot_contain_is_refused(name: str, command_line: CommandLine) -> None:
    """Browsers and HTTP clients take it for a folder, in the console and in the management API."""
    assert f"name '{name}' is a folder in the address" in command_line.refusal("timers", "add", name, *EVERY)


def test_the_command_for_a_name_like_an_option_can_be_copied(command_line: CommandLine) -> None:
    """It has two dashes before it."""
    output = command_line.run("timers", "add", *EVERY, "--", "-x").stdout
    words = shlex.split(output.splitlines()[-1].partition(":  ")[2])
    assert command_line.run(*words[words.index("timers") :]).exit_code == 0


@pytest.mark.parametrize(("word", "meant"), [("remove", "rm"), ("pause", "disable"), ("enabel", "enable")])
def test_a_word_of_other_programs_is_answered_with_the_command(
    command_line: CommandLine, word: str, meant: str
) -> None:
    """Or one that is spelled alike."""
    assert f"no such command {word!r}; did you mean {meant!r}?" in command_line.refusal("timers", word, "t")


def test_a_wrong_folder_is_noticed(command_line: CommandLine) -> None:
    """There is no cloud.py to check the function, and the store is a new one; a second timer makes none."""
    first = command_line.run("timers", "add", "a", *EVERY)
    assert first.exit_code == 0
    assert "the function 'hello' was not checked: there is neither a wsgi.py nor a cloud.py in" in first.stderr
    assert f"made a new one: {command_line.folder / '.scheduler' / 'store.db'}" in first.stderr
    command_line.write("cloud.py", CLOUD)
    assert command_line.run("timers", "add", "b", *EVERY).stderr == ""


def test_the_list_says_that_no_daemon_runs_while_a_timer_is_overdue(command_line: CommandLine) -> None:
    """On stderr, and not for programs; a paused timer is not overdue."""
    command_line.write("cloud.py", CLOUD)
    command_line.run("timers", "add", "a", "--function", "hello", "--every", "60", "--enable")
    assert command_line.run("timers", "list").stderr == ""
    with sqlite3.connect(command_line.folder / ".scheduler" / "store.db") as store:
        store.execute("UPDATE timers SET next_fire_at = next_fire_at - 3600000000")
    store.close()
    assert "no daemon runs on this store; start one with:" in command_line.run("timers", "list").stderr
    assert command_line.run("timers", "list", "--json").stderr == ""
    command_line.run("pause")
    assert command_line.run("timers", "list").stderr == ""
