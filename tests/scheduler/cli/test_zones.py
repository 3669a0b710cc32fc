"""Every zone that an expression takes is one that every command can store, read back and print."""

import json
import sqlite3
from datetime import UTC, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import dateutil.tz
import pytest
import pytz

from scheduler.errors import TimerError
from scheduler.timer import Cron
from tests.scheduler.command_line import CLOUD, CommandLine
from tests.scheduler.up_process import up
from tests.waiting import eventually

#: Each form in which a zone may be named, and the offset that instants of August 2026 have in it.
ZONES = {
    "+08:00": "+08:00",
    "-03:30:15": "-03:30:15",
    "UTC": "+00:00",
    "Z": "+00:00",
    "UTC+05:45": "+05:45",
    "Asia/Shanghai": "+08:00",
    "Asia/Calcutta": "+05:30",
    "Etc/GMT-14": "+14:00",
    "EST5EDT": "-04:00",
    "GB": "+01:00",
    "Australia/Lord_Howe": "+10:30",
}
SPAN = ("--from", "2026-08-01T00:00:00", "--to", "2026-08-02T00:00:00")


@pytest.mark.parametrize(("tz", "offset"), ZONES.items())
def test_a_timer_in_any_zone_is_shown_by_every_command(command_line: CommandLine, tz: str, offset: str) -> None:
    """Each exits with 0, and its instants have the offset of the zone."""
    words = ("--function", "hello", "--cron", "0 0 8 1 8 ? *", "--tz", tz)
    assert "fires next at" in command_line.run("timers", "add", "t", *words, "--enable").stdout
    (timer,) = command_line.json("timers", "list")
    assert (timer["tz"], timer["next_fire"][10:]) == (tz, f"T08:00:00{offset}")
    assert f"08:00:00{offset}" in command_line.run("timers", "list").stdout
    assert f"08:00:00{offset}" in command_line.run("timers", "edit", "t", "--limit", "3").stdout
    assert f"08:00:00{offset}" in command_line.run("timers", "enable", "t").stdout
    requested = command_line.json("timers", "run", "t")
    assert requested["fire_time"].endswith(command_line.json("runs")[0]["fire_time"][26:])
    assert command_line.run("runs").exit_code == 0
    span = ("--from", "2020-08-01T00:00:00Z", "--to", "2020-08-03T00:00:00Z")
    assert command_line.run("timers", "backfill", "t", *span, "--dry-run").exit_code == 0
    exported = command_line.run("timers", "export", "--json").stdout
    assert json.loads(exported)[0]["tz"] == tz
    assert tz in command_line.run("timers", "export").stdout
    command_line.write("list.json", exported)
    assert command_line.run("timers", "rm", "t").exit_code == 0
    assert command_line.run("timers", "import", "list.json", "--no-check").exit_code == 0
    assert command_line.json("timers", "list")[0]["tz"] == tz


@pytest.mark.parametrize(("tz", "offset"), ZONES.items())
def test_any_zone_may_be_that_of_the_settings(command_line: CommandLine, tz: str, offset: str) -> None:
    """It is the zone of timers that name none, of times that are given without an offset, and of what is printed."""
    command_line.write("scheduler.toml", f'tz = "{tz}"')
    assert (
        command_line.run("timers", "add", "t", "--function", "hello", "--cron", "0 0 8 * * ?", "--enable").exit_code
        == 0
    )
    assert command_line.json("timers", "list")[0]["tz"] == tz
    first, _ = [json.loads(line) for line in command_line.run("simulate", *SPAN, "--json").stdout.splitlines()]
    assert first["fire_time"] == f"2026-08-01T08:00:00{offset}"
    assert f"2026-08-01 08:00:00{offset}" in command_line.run("simulate", *SPAN).stdout
    assert command_line.run("logs").exit_code == 0
    shown = command_line.run("next", "0 0 8 1 8 ? *", "--tz", tz)
    assert shown.exit_code == 0
    assert f"08:00:00{offset}" in shown.stdout


def test_a_wall_time_that_comes_twice_or_never_is_standard_time(command_line: CommandLine) -> None:
    """Where an instant is given without an offset."""
    command_line.write("scheduler.toml", 'tz = "Europe/Berlin"')
    command_line.run("timers", "add", "t", "--function", "hello", "--cron", "0 30 * * * ?", "--enable")
    for day, expected in (("10-25", "2026-10-25T02:30:00+01:00"), ("03-29", "2026-03-29T03:30:00+02:00")):
        span = ("--from", f"2026-{day}T02:30:00", "--to", f"2026-{day}T06:00:00")
        lines = command_line.run("simulate", *span, "--json").stdout.splitlines()
        assert json.loads(lines[0])["fire_time"] == expected


@pytest.mark.parametrize(
    ("tz", "name"),
    [
        (ZoneInfo("Europe/Berlin"), "Europe/Berlin"),
        (pytz.timezone("Europe/Berlin"), "Europe/Berlin"),
        (pytz.utc, "UTC"),
        (pytz.FixedOffset(90), "+01:30"),
        (dateutil.tz.tzutc(), "UTC"),
        (dateutil.tz.tzoffset(None, 3600), "+01:00"),
        (UTC, "UTC"),
        (timezone(timedelta(hours=8)), "+08:00"),
    ],
)
def test_a_zone_object_is_stored_by_its_name(tz: object, name: str) -> None:
    """Of zoneinfo, pytz, dateutil and datetime."""
    trigger = Cron("0 0 8 * * ?", tz)  # type: ignore[arg-type]
    assert trigger == Cron("0 0 8 * * ?", name)
    assert Cron.from_json(json.loads(trigger.stored()[1])) == trigger


@pytest.mark.parametrize("tz", [dateutil.tz.tzstr("EST5EDT4,M3.2.0,M11.1.0"), 8, b"UTC"])
def test_what_has_no_name_is_refused_as_a_zone(tz: object) -> None:
    """The error names the attribute and shows what is expected."""
    with pytest.raises(TimerError, match="a name such as 'Asia/Shanghai', or an offset such as") as refused:
        Cron("0 0 8 * * ?", tz)  # type: ignore[arg-type]
    assert refused.value.field == "tz"


def test_a_zone_that_is_no_longer_known_costs_its_timer_only(command_line: CommandLine) -> None:
    """An older time zone database lacks it: the timer is shown with the reason, and others are as before."""
    for name in ("lost", "well"):
        command_line.run("timers", "add", name, "--function", "hello", "--cron", "0 0 8 * * ?", "--enable")
    _set_zone(command_line.folder, "lost", "Mars/Olympus")
    listed = command_line.run("timers", "list")
    assert listed.exit_code == 0
    assert "unknown time zone 'Mars/Olympus'" in listed.stdout
    assert command_line.run("simulate", *SPAN).exit_code == 0
    assert command_line.run("timers", "disable", "lost").exit_code == 0
    assert "Mars/Olympus" in command_line.refusal("timers", "enable", "lost")
    assert command_line.run("timers", "edit", "lost", "--cron", "0 0 8 * * ?", "--tz", "UTC").exit_code == 0
    assert command_line.json("timers", "list")[0]["tz"] == "UTC"


def _set_zone(folder: Path, name: str, tz: str) -> None:
    with sqlite3.connect(folder / ".scheduler" / "store.db") as store:
        (text,) = store.execute("SELECT trigger FROM timers WHERE name = ?", (name,)).fetchone()
        changed = json.dumps({**json.loads(text), "tz": tz})
        store.execute("UPDATE timers SET trigger = ? WHERE name = ?", (changed, name))
    store.close()


@pytest.mark.slow
def test_up_and_doctor_serve_timers_in_any_zone(command_line: CommandLine) -> None:
    """Added by hand, declared in the code, as the zone of the settings; one with an unknown zone is reported."""
    declared = "".join(
        f'\n@engine.timer("0 0 8 1 8 ? *", tz="{tz}")\n@engine.define\ndef in_{number}(): pass\n'
        for number, tz in enumerate(ZONES)
    )
    command_line.write("cloud.py", CLOUD + declared)
    command_line.write("scheduler.toml", 'tz = "+08:00"\nmax_timers = 0')
    for name, tz in (("lost", "UTC"), ("soon", "-03:30:15")):
        words = ("--function", "hello", "--cron", "* * * * * ?", "--tz", tz)
        command_line.run("timers", "add", name, *words, "--enable", "--no-check")
    _set_zone(command_line.folder, "lost", "Mars/Olympus")
    with up(command_line.folder) as running:
        assert {timer["tz"] for timer in command_line.json("timers", "list")} >= set(ZONES)
        eventually(lambda: command_line.json("runs", "--timer", "soon"))
        assert command_line.run("runs").exit_code == 0
        # Its exit status is 1 once the timer of the unknown zone is overdue.
        found = json.loads(command_line.run("doctor", "--json").stdout)
        assert "zones" in {finding["name"] for finding in found}
        assert not [finding for finding in found if "Traceback" in finding["text"]]
        status, stderr = running.stop()
    assert status == 0
    assert "Traceback" not in stderr
    assert "Mars/Olympus" in stderr
