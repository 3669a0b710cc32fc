"""scheduler timers show: everything about one timer, as text and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduler.core.run import Outcome
from scheduler.core.timer import Environment
from scheduler.daemon.loop import Daemon
from scheduler.store.database import Store
from scheduler.store.runs import RunHistory
from scheduler.testing import ManualClock
from tests.scheduler.command_line import CommandLine
from tests.scheduler.scripted_service import FAILURE, ScriptedExecutor, settle

REPORT = (
    *("timers", "add", "report", "--function", "hello", "--cron", "0 0 8 ? * MON", "--tz", "Europe/Berlin"),
    *("--description", "Weekly\nfigures", "--tags", "nightly, billing", "--ends-at", "2099-01-01", "name=Ann"),
)


def test_a_timer_is_shown_with_all_that_is_known_of_it(command_line: CommandLine) -> None:
    """What was given, what follows from it, and what it is to do next."""
    command_line.write("cloud.py", "from scheduler.engine import Engine\nengine = Engine()\n")
    assert command_line.run(*REPORT, "--no-check", "--enable").exit_code == 0
    shown = command_line.run("timers", "show", "report", "-n", "3").stdout
    for text in (
        "timer        report, production, enabled",
        "description  Weekly\n             figures",
        "tags         billing, nightly",
        'calls        hello with {"name": "Ann"}',
        "fires        0 0 8 ? * MON (Europe/Berlin)",
        "ends at      2099-01-01 00:00:00+01:00",
        "limit_s 15.0",
        "breaker      closed",
        "no runs yet",
    ):
        assert text in shown
    assert shown.count("08:00:00+0") == 3
    as_json = command_line.json("timers", "show", "report", "-n", "3")
    assert as_json["next_fire"] == as_json["next_fires"][0]
    assert len(as_json["next_fires"]) == 3
    assert as_json["runs"] == []
    assert command_line.json("timers", "list") == [
        {name: value for name, value in as_json.items() if name not in ("next_fires", "runs")} | {"last_run": None}
    ]


def test_a_disabled_timer_has_no_next_fires(command_line: CommandLine) -> None:
    """And an unknown one is refused with those that are known."""
    command_line.run(*REPORT, "--no-check")
    assert "next fires" not in command_line.run("timers", "show", "report").stdout
    assert command_line.json("timers", "show", "report")["next_fires"] == []
    assert "known timers: report" in command_line.refusal("timers", "show", "reprot")


def test_the_last_runs_of_this_timer_are_shown(command_line: CommandLine) -> None:
    """Newest first, at most as many as asked for."""
    command_line.run("timers", "add", "t", "--function", "f", "--every", "60", "--no-check", "--enable")
    with Store(str(command_line.folder / ".scheduler" / "store.db")) as store:
        clock = ManualClock(datetime.now(UTC))
        daemon = Daemon(store, {Environment.PRODUCTION: ScriptedExecutor(clock, lambda _: FAILURE)}, clock=clock)
        for _ in range(4):
            clock.advance(60)
            settle(daemon)
        daemon.close()
        known = [run.id for run in RunHistory(store).runs(outcomes=[Outcome.FAILED])]
    assert len(known) == 4
    shown = command_line.json("timers", "show", "t", "-n", "2")
    assert [run["id"] for run in shown["runs"]] == known[:2]
    text = command_line.run("timers", "show", "t", "-n", "2").stdout
    assert text.count("timerAction failed") == 2
    assert "TIMER" not in text
    assert "failures in a row" in text


@pytest.mark.parametrize("wrong", ["0", "1001", "many"])
def test_how_many_are_shown_is_bounded(command_line: CommandLine, wrong: str) -> None:
    """From 1 to 1,000."""
    assert "-n" in command_line.refusal("timers", "show", "t", "-n", wrong)
