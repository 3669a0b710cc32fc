"""scheduler runs, logs and next: what they show of a store and of an expression."""

import sys
from datetime import UTC, datetime, timedelta

import click
import pytest

from scheduler.claims.requested_runs import request_run
from scheduler.clock import ManualClock
from scheduler.core.breaker import Verdict
from scheduler.core.run import Outcome
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron
from scheduler.daemon.loop import Daemon
from scheduler.formats import display
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable
from tests.scheduler.command_line import CommandLine
from tests.scheduler.scripted_service import ScriptedExecutor

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def history(command_line: CommandLine) -> None:
    """Three runs, at 8:00 in Shanghai and twice by hand: one succeeded, one timed out and printed, one waits."""
    (command_line.folder / ".scheduler").mkdir()
    clock = ManualClock(MONDAY - timedelta(seconds=1))
    executor = ScriptedExecutor(clock, lambda task: None)
    with Store(str(command_line.folder / ".scheduler" / "store.db")) as store:
        timer = Timer(name="report", function="send", trigger=Cron("0 0 8 ? * MON"), enabled=True)
        TimerTable(store).add([timer], now=clock.now())
        daemon = Daemon(store, {Environment.PRODUCTION: executor}, clock=clock)
        clock.advance(1.25)
        daemon.step()
        executor.end(executor.going_on[0])
        daemon.step()
        clock.advance(60)
        request_run(store, "report", Environment.PRODUCTION, now=clock.now())
        clock.advance(2)
        daemon.step()
        executor.print(executor.going_on[0], "begun")
        executor.print(executor.going_on[0], "no answer \x1b[2J", "error")
        executor.end(executor.going_on[0], Outcome.TIMED_OUT, Verdict.FAILURE)
        daemon.step()
        daemon.close()
        request_run(store, "report", Environment.PRODUCTION, now=clock.now())


def test_the_newest_run_comes_first(command_line: CommandLine) -> None:
    """Each with its fire time, outcome and message."""
    _, waiting, timed_out, succeeded = command_line.run("runs").stdout.splitlines()
    assert "waiting" in waiting
    assert "timed_out" in timed_out
    assert "timerAction timed-out and no fallback available." in timed_out
    assert "2026-01-05 08:00:00+08:00" in succeeded
    assert "succeeded" in succeeded


def test_runs_are_filtered_by_timer_outcome_and_number(command_line: CommandLine) -> None:
    """An unknown timer or outcome is refused."""
    assert [run["outcome"] for run in command_line.json("runs")] == [None, "timed_out", "succeeded"]
    assert [run["outcome"] for run in command_line.json("runs", "-n", "1")] == [None]
    chosen = command_line.json("runs", "--outcome", "failed", "--outcome", "succeeded")
    assert [run["outcome"] for run in chosen] == ["succeeded"]
    assert "no timer 'other', and no run of one" in command_line.refusal("runs", "--timer", "other")
    assert "no timer 'other', and no run of one" in command_line.refusal("logs", "--timer", "other")
    assert command_line.run("runs", "--outcome", "misfired").stdout == "no misfired runs\n"
    assert "'lost' is not one of" in command_line.refusal("runs", "--outcome", "lost")


def test_instants_in_json_are_iso_8601_with_offset(command_line: CommandLine) -> None:
    """In the timer's zone."""
    run = command_line.json("runs")[-1]
    assert run["fire_time"] == "2026-01-05T08:00:00+08:00"
    assert run["lateness_s"] == 0.25


@pytest.mark.parametrize("command", ["runs", "logs", "simulate"])
def test_a_timer_name_without_its_option_is_refused_with_the_option(command: str, command_line: CommandLine) -> None:
    """`scheduler runs report` is what one would type."""
    assert "argument (report); use --timer NAME to name a timer" in command_line.refusal(command, "report")


def test_logs_without_a_line_print_no_lines_to_stderr(command_line: CommandLine) -> None:
    """So that a program that reads stdout gets lines only."""
    shown = command_line.run("logs", "--request", "none")
    assert (shown.stdout, shown.stderr) == ("", "no lines\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.0125, "12 ms"), (119.5, "119.50 s"), (120, "2 min"), (7_300, "2 h"), (28_063_980, "325 d")],
)
def test_spans_of_time_are_short(value: float | None, shown: str) -> None:
    """A backfilled run is late by months."""
    assert display.seconds(value) == shown


def test_a_narrow_terminal_misses_no_column_of_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It wraps the lines; where there is room for some of the last column, that is folded."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    for width, lines in ((75, 3), (40, 3), (20, 2)):
        display.print_table(("NAME", "时区", "MESSAGE"), [("x" * width, "上海", "too long " * 5)])
        shown = click.unstyle(capsys.readouterr().out).splitlines()
        assert len(shown) == lines
        assert shown[0].split() == ["NAME", "时区", "MESSAGE"]
        assert shown[1].startswith(f"{'x' * width}  上海  too long too long ")
        assert " ".join(shown[1:]).split()[2:] == ["too", "long"] * 5


def test_logs_show_what_runs_printed(command_line: CommandLine) -> None:
    """A line with its instant and its timer; a control character cannot steer the terminal."""
    first, second = command_line.run("logs").stdout.splitlines()
    assert first == "2026-01-05 08:01:02+08:00  info     report  begun"
    assert second.endswith("  error    report  no answer \\x1b[2J")


def test_logs_print_json_line_by_line(command_line: CommandLine) -> None:
    """One object a line, so that a program can read the output of --follow."""
    lines = command_line.run("logs", "--json").stdout.splitlines()
    assert len(lines) == 2
    assert '"level": "error"' in lines[1]


def test_logs_of_one_run(command_line: CommandLine) -> None:
    """--run takes the id that runs shows; an unknown one is refused."""
    timed_out = command_line.json("runs")[1]["id"]
    assert command_line.run("logs", "--run", str(timed_out)).stdout.count("\n") == 2
    assert "there is no run 999" in command_line.refusal("logs", "--run", "999")


def test_next_shows_fire_times_with_their_offset_and_weekday(command_line: CommandLine) -> None:
    """From a given instant, or from now."""
    words = ("next", "0 0 8 ? * MON", "-n", "2", "--from", "2026-01-01T00:00:00+08:00")
    assert command_line.run(*words).stdout == "2026-01-05 08:00:00+08:00  Mon\n2026-01-12 08:00:00+08:00  Mon\n"
    assert command_line.json(*words) == ["2026-01-05T08:00:00+08:00", "2026-01-12T08:00:00+08:00"]
    assert len(command_line.json("next", "* * * * * ?")) == 5


def test_a_start_without_offset_is_a_wall_time_of_the_zone(command_line: CommandLine) -> None:
    """Half past seven in Berlin is before eight in Berlin."""
    words = ("next", "0 0 8 * * ?", "--tz", "Europe/Berlin", "-n", "1", "--from", "2026-07-01T07:30")
    assert command_line.json(*words) == ["2026-07-01T08:00:00+02:00"]


def test_fire_times_are_shown_in_the_zone_of_the_expression(command_line: CommandLine) -> None:
    """Whatever the offset of the start: Monday 1:00 in Shanghai is Sunday in UTC, and is shown as Monday."""
    words = ("next", "0 0 1 ? * MON", "-n", "1", "--from", "2026-01-01T00:00:00Z")
    assert command_line.run(*words).stdout == "2026-01-05 01:00:00+08:00  Mon\n"
    assert command_line.json(*words) == ["2026-01-05T01:00:00+08:00"]
    assert command_line.json("next", "* * * * * ?", "-n", "1")[0].endswith("+08:00")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("next", "0 75 8 ? * MON"), "Error: minutes, column 3: 75 is out of range; minutes go from 0 to 59"),
        (("next", "0 0 8 * *"), "Error: "),
        (("next", "0 0 8 * * ?", "--tz", "Mars/Phobos"), "unknown time zone 'Mars/Phobos'"),
        (("next", "0 0 8 * * ?", "--from", "soon"), "'soon' is not a time"),
        (("next", "0 0 8 * * ?", "--dst", "none"), "'none' is not one of"),
    ],
)
def test_a_wrong_expression_zone_or_instant_is_refused(
    words: tuple[str, ...], message: str, command_line: CommandLine
) -> None:
    """With one message, for an expression with the column."""
    assert message in command_line.refusal(*words)


def test_an_expression_that_fires_no_more_ends_with_status_1(command_line: CommandLine) -> None:
    """2020 is over."""
    result = command_line.run("next", "0 0 8 * * ? 2020")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "never fires again" in result.stderr
