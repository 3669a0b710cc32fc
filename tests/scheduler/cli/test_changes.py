"""scheduler changes and scheduler timers history: who changed what."""

import getpass
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler.store.change_recording import Action, Author, NewChange, Subject, Way, record_changes
from scheduler.store.database import Store
from tests.scheduler.command_line import CLOUD, CommandLine


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    cli = CommandLine(tmp_path)
    cli.write("cloud.py", CLOUD)
    cli.run("timers", "add", "greeting", "--function", "hello", "--every", "60", "--why", "a trial")
    return cli


def test_each_command_is_recorded(cli: CommandLine) -> None:
    """With its user and host, and why."""
    cli.run("timers", "enable", "greeting", "--why", "as agreed")
    cli.run("timers", "edit", "greeting", "--limit", "30", "--tags", "a,b")
    cli.run("timers", "edit", "greeting", "--rename", "hello")
    cli.run("timers", "disable", "hello")
    cli.run("timers", "rm", "hello", "--why", "over")
    shown = cli.json("changes")
    assert [(change["action"], change["name"], change["why"]) for change in shown] == [
        ("removed", "hello", "over"),
        ("disabled", "hello", ""),
        ("renamed", "hello", ""),
        ("changed", "greeting", ""),
        ("enabled", "greeting", "as agreed"),
        ("added", "greeting", "a trial"),
    ]
    assert {change["author"] for change in shown} == {f"{getpass.getuser()}@{socket.gethostname()}"}
    assert {change["way"] for change in shown} == {"command_line"}
    assert (shown[3]["before"], shown[3]["after"]) == (
        {"limit_s": 15.0, "tags": []},
        {"limit_s": 30.0, "tags": ["a", "b"]},
    )
    text = cli.run("timers", "history", "hello").stdout
    for part in (
        "added calls hello, every 1 min, disabled (a trial)",
        "enabled (as agreed)",
        "changed limit_s 15.0 → 30.0, tags none → a, b",
        "renamed from greeting",
        "removed calls hello, every 1 min, disabled (over)",
    ):
        assert part in text
    assert len(text.splitlines()) == 7


def test_changes_are_filtered(cli: CommandLine) -> None:
    """By timer, author, way and time."""
    cli.run("timers", "add", "other", "--function", "hello", "--every", "60")
    assert [change["name"] for change in cli.json("changes", "--timer", "other")] == ["other"]
    assert len(cli.json("changes", "--by", socket.gethostname().upper())) == 2
    assert cli.json("changes", "--by", "nobody") == []
    assert cli.json("changes", "--way", "console") == []
    assert cli.json("changes", "--until", "2020-01-01T00:00") == []
    assert len(cli.json("changes", "--since", "2020-01-01T00:00", "-n", "1")) == 1
    assert cli.run("changes", "--way", "api").stdout == "no changes\n"


def test_a_timer_that_never_was_has_no_history(cli: CommandLine) -> None:
    """The one that was probably meant is named."""
    assert "no change of one; did you mean 'greeting'?" in cli.refusal("timers", "history", "greetin")
    assert "no timer 'greeting' in stage" in cli.refusal("timers", "history", "greeting", "--env", "stage")


def test_an_edit_may_ask_for_a_revision(cli: CommandLine) -> None:
    """It is refused if the timer was changed since it was read."""
    revision = str(cli.json("timers", "show", "greeting")["revision"])
    cli.json("timers", "edit", "greeting", "--limit", "20", "--revision", revision)
    message = cli.refusal("timers", "edit", "greeting", "--limit", "30", "--revision", revision)
    assert "timer 'greeting' in production was changed meanwhile by " in message
    assert cli.json("timers", "show", "greeting")["limit_s"] == 20


@pytest.mark.parametrize("why", ["x" * 501, "\x1b[2J"])
def test_a_reason_that_cannot_be_shown_is_refused(cli: CommandLine, why: str) -> None:
    """And nothing is changed."""
    assert "the reason of a change has" in cli.refusal("timers", "enable", "greeting", "--why", why)
    assert cli.json("timers", "show", "greeting")["state"] == "disabled"


def test_requests_of_runs_are_recorded(cli: CommandLine) -> None:
    """Running, running again, ending, backfilling, and taking back."""
    cli.run("timers", "run", "greeting")
    cli.run("runs", "again", "1")
    cli.run("runs", "cancel", "2", "--no-wait")
    cli.run("timers", "add", "old", "--function", "hello", "--cron", "0 0 8 * * ?")
    cli.run("timers", "backfill", "old", "--from", "2026-01-01", "--to", "2026-01-03")
    cli.run("timers", "backfill", "old", "--cancel")
    made = [(change["action"], change["name"]) for change in cli.json("changes")]
    assert made[:3] == [("cancelled", "old"), ("backfilled", "old"), ("added", "old")]
    assert made[3:6] == [("cancelled", "greeting"), ("requested", "greeting"), ("requested", "greeting")]
    text = cli.run("changes").stdout
    for part in ("requested run 1", "cancelled run 2", "backfilled 2 runs from", "cancelled 2 backfilled runs"):
        assert part in text


def test_calendars_and_links_are_in_words(cli: CommandLine) -> None:
    """Not as JSON; a change of days only says so."""
    cli.run("calendars", "add", "firm", "--off", "2090-12-25")
    cli.run("calendars", "edit", "firm", "--off", "2090-12-24")
    cli.run("calendars", "edit", "firm", "--off", "2090-12-25", "--work", "2090-12-24")
    with Store(str(cli.folder / ".scheduler" / "store.db")) as store, store.writing() as connection:
        link = NewChange(Action.ADDED, "ann", after={"kind": "link", "role": "operator"}, subject=Subject.TOKEN)
        record_changes(connection, [link], Author("ann", Way.CONSOLE), now=datetime.now(UTC))
    text = cli.run("changes").stdout
    assert "added a calendar of MON-FRI, 1 holiday, 0 worked days off, known until 2090-12-31" in text
    assert "changed holidays 1 → 2" in text
    assert "added a sign-in link for the role operator" in text
    assert "{" not in text
    assert "digest" not in text
