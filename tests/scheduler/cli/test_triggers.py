"""The options of `timers add` and `timers edit` that make triggers, beside a single expression or interval."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from scheduler.cli import program
from scheduler.core.at import At
from scheduler.core.calendrical import Calendrical
from scheduler.core.from_now import from_now
from scheduler.engine import Engine
from scheduler.functions.declarations import declared_timers
from scheduler.timer import AnyOf, Cron, Environment, Every
from tests.scheduler.command_line import CommandLine

#: A Tuesday.
NOW = datetime(2026, 12, 1, 10, 15, 20, 7, tzinfo=UTC)


def added(command_line: CommandLine, words: str, name: str = "t") -> dict[str, Any]:
    """A timer that is added with these options, as JSON."""
    given = ("--function", "f", "--no-check", *shlex.split(words))
    shown: dict[str, Any] = command_line.json("timers", "add", name, *given)
    return shown


def test_a_timer_fires_once_at_an_instant(command_line: CommandLine) -> None:
    """As a wall time of its zone, with several of them, or after a delay; list and show say so."""
    shown = added(command_line, "--at '2090-12-24 18:00' --at 2090-12-25T08:00Z --tz Asia/Shanghai --enable")
    assert shown["at"] == ["2090-12-24T18:00:00+08:00", "2090-12-25T16:00:00+08:00"]
    assert (shown["next_fire"], shown["cron"], shown["every_s"]) == ("2090-12-24T18:00:00+08:00", None, None)
    assert "at 2090-12-24 18:00:00+08:00 and 2090-12-25 16:00:00+08:00" in command_line.run("timers", "list").stdout
    assert "2090-12-24 18:00:00+08:00  Sun" in command_line.run("timers", "show", "t").stdout
    shown = added(command_line, "--at 'in 20 minutes' --tz UTC", "u")
    delay = datetime.fromisoformat(shown["at"][0]) - datetime.now(UTC)
    assert timedelta(minutes=19) < delay <= timedelta(minutes=20)
    edited = command_line.json("timers", "edit", "u", "--at", "2091-01-01 00:00")
    assert (edited["at"], edited["tz"]) == (["2091-01-01T00:00:00+00:00"], "UTC")


def test_a_past_time_is_refused_unless_it_is_allowed(command_line: CommandLine) -> None:
    """A list of which all are past never fires."""
    words = ("timers", "add", "t", "--function", "f", "--no-check", "--tz", "UTC", "--at", "2020-01-01")
    assert "2020-01-01 00:00:00+00:00 is past; --allow-past" in command_line.refusal(*words)
    assert "never fires after" in command_line.refusal(*words, "--allow-past")
    assert len(command_line.json(*words, "--at", "2090-01-01", "--allow-past")["at"]) == 2


def test_a_timer_fires_every_other_tuesday(command_line: CommandLine) -> None:
    """From a day on that is moved to the next such day; an edit keeps what it does not name."""
    shown = added(command_line, "--every '2 weeks' --on TUE --at 09:00 --from 2090-12-02 --tz Europe/Berlin --enable")
    assert (shown["every"], shown["at"], shown["start"]) == ("2 weeks", "09:00:00", "2090-12-05")
    assert shown["next_fire"] == "2090-12-05T09:00:00+01:00"
    assert "every 2 weeks at 09:00:00 from 2090-12-05 on (Europe/Berlin)" in command_line.run("timers", "list").stdout
    edited = command_line.json("timers", "edit", "t", "--at", "10:00")
    assert (edited["every"], edited["at"], edited["start"]) == ("2 weeks", "10:00:00", "2090-12-05")
    edited = command_line.json("timers", "edit", "t", "--every", "3 days")
    assert (edited["every"], edited["at"], edited["tz"]) == ("3 days", "10:00:00", "Europe/Berlin")
    assert command_line.json("timers", "edit", "t", "--every", "90s")["every_s"] == 90


@pytest.mark.parametrize(
    ("given", "start", "at"),
    [
        ({"every": "2 weeks"}, "2026-12-01", "10:15:20"),
        ({"every": "1 month", "at": ("09:00",)}, "2026-12-02", "09:00:00"),
        ({"every": "1 month", "at": ("11:00",)}, "2026-12-01", "11:00:00"),
        ({"every": "1 week", "on": "tuesday", "at": ("11:00",)}, "2026-12-01", "11:00:00"),
        ({"every": "1 week", "on": "tuesday", "at": ("09:00",)}, "2026-12-08", "09:00:00"),
        ({"every": "3 months", "on": "31", "at": ("9:00",)}, "2026-12-31", "09:00:00"),
        ({"every": "2 days", "start": "2026-01-01"}, "2026-01-01", "10:15:20"),
    ],
)
def test_an_interval_by_the_calendar_begins_now(given: dict[str, Any], start: str, at: str) -> None:
    """With a time of day, its first fire is the next such time."""
    values = Calendrical.from_options({"tz": "UTC", **from_now(given, NOW)}).option_values()
    assert (values["start"], values["at"]) == (start, at)


def test_units_and_several_triggers(command_line: CommandLine) -> None:
    """`1d` is 24 hours; what comes several times is one timer that fires for each."""
    assert [added(command_line, f"--every {text}", text)["every_s"] for text in ("90s", "5m", "2h", "1d", "7")] == [
        *(90, 300, 7_200, 86_400, 7),
    ]
    words = "--cron '0 0 8 * * ?' --cron '0 0 20 * * ?' --every 6h --every '1 month' --at 09:00 --from 2090-01-01"
    shown = added(command_line, f"{words} --tz Asia/Tokyo")
    assert [trigger.get("cron", trigger.get("every")) for trigger in shown["any_of"]] == [
        *("0 0 8 * * ?", "0 0 20 * * ?", 21_600, "1 month"),
    ]
    assert {trigger.get("tz", "Asia/Tokyo") for trigger in shown["any_of"]} == {"Asia/Tokyo"}
    exported = command_line.run("timers", "export").stdout
    imported = CliRunner().invoke(
        program, ["timers", "import", "-", "--store", "other.db", "--no-check"], input=exported
    )
    assert imported.exit_code == 0, imported.output
    assert command_line.run("timers", "export", "--store", "other.db").stdout == exported


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--every 60 --at 09:00", "--at goes with an interval of days, weeks, months or years"),
        ("--every '2 weeks' --at 'next monday 9:00'", "at: expected a time of day as in 09:00"),
        ("--every '2 weeks' --on 31", "on: expected one day of the week such as TUE beside '2 weeks', got '31'"),
        ("--every '2 weeks' --on TUE,THU", "expected one day of the week"),
        ("--every '3 months' --on TUE", "on: expected a day of the month from 1 to 31"),
        ("--every '3 days' --on TUE", "on: TUE goes with an interval of weeks, got '3 days'"),
        ("--cron '0 0 8 * * ?' --on TUE", "an expression has no day: --on goes with --every"),
        ("--every 60 --from 2026-01-01", "an interval has no first day: --from goes with --every '2 weeks'"),
        ("--every '1 month 2 hours'", "mixes units of the clock with those of the calendar"),
        ("--at soon", "'soon' is not a time"),
    ],
)
def test_a_mistake_is_named_with_what_is_meant(command_line: CommandLine, words: str, said: str) -> None:
    """Nothing is added."""
    given = ("timers", "add", "t", "--function", "f", "--no-check", *shlex.split(words))
    assert said in command_line.refusal(*given)


def test_declarations_have_every_trigger() -> None:
    """By options, as a value, and as a list; without a start, an interval is counted from 1970."""
    engine = Engine()
    berlin = {"tz": "Europe/Berlin"}
    engine.timer(every="5m")(abs)
    engine.timer(every="3 months", at="09:00", **berlin)(all)
    engine.timer(at=["2026-12-24 18:00", datetime(2026, 12, 25, tzinfo=UTC)], **berlin)(any)
    engine.timer(Calendrical(weeks=2, **berlin))(bin)
    engine.timer(["0 0 8 * * ?", Every(60)], **berlin)(bool)
    engine.timer(any_of=[{"cron": "0 0 8 * * ?", **berlin}, Every(60)])(chr)
    several = AnyOf(Cron("0 0 8 * * ?", **berlin), Every(60))
    assert [timer.trigger for timer in declared_timers(engine.registry, Environment.PRODUCTION)] == [
        Every(300),
        Calendrical(months=3, at="09:00", start="1970-01-01", **berlin),
        At("2026-12-24 18:00", "2026-12-25T00:00Z", **berlin),
        Calendrical(weeks=2, **berlin),
        several,
        several,
    ]


def test_an_assumed_zone_of_instants_is_named(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of an expression is; not a zone that was given."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    words = ("timers", "add", "--function", "f", "--no-check", "--at", "2090-01-01 18:00")
    added_at = "at 2090-01-01 18:00:00+01:00"
    assert f"{added_at} (Europe/Berlin, this machine's zone)\n" in command_line.run(*words, "a").stdout
    assert f"{added_at}\n" in command_line.run(*words, "b", "--tz", "Europe/Berlin").stdout
