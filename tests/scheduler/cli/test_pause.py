"""scheduler pause, resume, and timers disable --until: what they print, and what list and doctor show of it."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable
from tests.scheduler.command_line import CommandLine


@pytest.fixture(autouse=True)
def two_timers(command_line: CommandLine) -> None:
    """In the store of the folder."""
    (command_line.folder / ".scheduler").mkdir()
    with Store(str(command_line.folder / ".scheduler" / "store.db")) as store:
        timers = [
            Timer(name=name, function="f", trigger=Every(3600), enabled=True, environment=environment, tags=("mail",))
            for name, environment in (("report", Environment.PRODUCTION), ("trial", Environment.STAGE))
        ]
        TimerTable(store).add(timers, now=datetime.now(UTC))


def states(command_line: CommandLine) -> dict[str, str]:
    return {timer["name"]: timer["state"] for timer in command_line.json("timers", "list")}


def test_everything_is_paused_and_resumed(command_line: CommandLine) -> None:
    """The list says since when, by whom, and why."""
    said = command_line.run("pause", "--note", "the mail server is down").stdout
    assert said.startswith("everything is paused since ")
    assert ": the mail server is down\n" in said
    assert states(command_line) == {"report": "paused", "trial": "paused"}
    assert "everything is paused since" in command_line.run("timers", "list").stdout
    assert command_line.run("resume").stdout == "everything is no longer paused\n"
    assert states(command_line) == {"report": "enabled", "trial": "enabled"}
    assert "nothing is paused" in command_line.refusal("resume")
    assert "the mail server is down" in command_line.run("changes").stdout


def test_a_part_is_paused_until_a_time(command_line: CommandLine) -> None:
    """By environment and tag; JSON has both."""
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    pause = command_line.json("pause", "--env", "stage", "--tag", "mail", "--until", until)
    assert (pause["environment"], pause["tag"], pause["note"]) == ("stage", "mail", "")
    assert datetime.fromisoformat(pause["until"]) == datetime.fromisoformat(until)
    assert states(command_line) == {"report": "enabled", "trial": "paused"}
    assert "paused: every timer with the tag 'mail' in stage" in command_line.refusal("resume", "--tag", "mail")
    assert len(command_line.json("resume", "--env", "stage", "--tag", "mail", "--skip")) == 1
    assert "must end in the future" in command_line.refusal("pause", "--until", "2020-01-01")


def test_a_tag_that_no_timer_has_is_named(command_line: CommandLine) -> None:
    """A mistyped one pauses nothing, and `pause` says so; not where a timer has it."""
    assert "\nno timer has this tag yet\n" in command_line.run("pause", "--tag", "mial").stdout
    assert "no timer" not in command_line.run("pause", "--tag", "mail").stdout
    command_line.run("timers", "edit", "trial", "--env", "stage", "--tags", "trial")
    assert (
        "\nno timer of stage has this tag yet\n" in command_line.run("pause", "--tag", "mail", "--env", "stage").stdout
    )


def test_a_timer_is_disabled_until_a_time(command_line: CommandLine) -> None:
    """The list shows until when, and why."""
    until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    said = command_line.run("timers", "disable", "report", "--until", until, "--note", "it is broken").stdout
    assert said.startswith("disabled report until ")
    shown = command_line.run("timers", "list").stdout
    assert "report is disabled since " in shown
    assert "it is broken" in shown
    command_line.run("timers", "enable", "report")
    assert "is disabled since" not in command_line.run("timers", "list").stdout


def test_doctor_warns_of_a_pause(command_line: CommandLine) -> None:
    """As long as it lasts."""
    command_line.run("pause", "--tag", "mail")
    shown = command_line.run("doctor").stdout
    assert "every timer with the tag 'mail' is paused since" in shown
    assert "2 timers, 2 enabled, 2 paused" in shown


def test_a_pause_is_a_change_in_words(command_line: CommandLine) -> None:
    """Its begin and its end, and what it covers."""
    command_line.run("pause", "--until", "2100-01-01T00:00:00Z")
    command_line.run("resume")
    shown = command_line.run("changes").stdout
    assert "added a pause until 2100-01-01T" in shown
    assert "removed a pause until 2100-01-01T" in shown
