"""Whose rules hold where a timer names no zone and no limit is set: LeanCloud's, or none but the machine's own zone."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scheduler import Cron
from scheduler.core.timer import Environment, Timer
from scheduler.default_rules import LEANCLOUD, STANDARD, DefaultZone, assumed_quota, assumed_zone, rules_in_force
from scheduler.engine import Engine
from scheduler.functions.declarations import read_declarations
from scheduler.project.settings import read_settings
from scheduler.store.database import Store
from scheduler.store.declaration_sync import synchronise, synchronise_valid
from scheduler.store.timers import TimerTable
from tests.scheduler.command_line import CLOUD, CommandLine

START = datetime(2026, 1, 1, tzinfo=UTC)
PRODUCTION = Environment.PRODUCTION
ADD = ("timers", "add", "report", "--function", "hello", "--cron", "0 0 8 ? * MON")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("SCHEDULER_", "LEANCLOUD_", "LC_"))]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("environ", "rules"),
    [
        ({}, STANDARD),
        ({"LC_ALL": "C.UTF-8", "LC_TIME": "de_DE"}, STANDARD),
        ({"LEANCLOUD_APP_ID": ""}, STANDARD),
        ({"LEANCLOUD_APP_ID": "x"}, LEANCLOUD),
        ({"LC_APP_PROD": "1"}, LEANCLOUD),
        ({"LEANCLOUD_APP_ID": "x", "SCHEDULER_RULES": "standard"}, STANDARD),
        ({"SCHEDULER_RULES": "leancloud"}, LEANCLOUD),
    ],
)
def test_leanclouds_variables_or_the_setting_choose_the_rules(environ: dict[str, str], rules: str) -> None:
    """Variables of the locale begin with LC_ too, and are none of LeanCloud's."""
    assert rules_in_force(environ)[0] == rules


@pytest.mark.parametrize(
    ("tz", "name", "is_known"),
    [
        ("Europe/Berlin", "Europe/Berlin", True),
        (":America/New_York", "America/New_York", True),
        ("/usr/share/zoneinfo/posix/Asia/Tokyo", "Asia/Tokyo", True),
        ("UTC", "UTC", True),
        ("CST-8", "+08:00", True),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "UTC", False),
        ("Europe/Berlni", "UTC", False),
        ("CST", "UTC", False),
        ("local", "UTC", False),
        ("China Standard Time", "UTC", False),
        # as the C library has it
        ("", "UTC", True),
        ("UTC-8", "+08:00", True),
        ("UTC+08:00", "-08:00", True),
        ("<+08>-8", "+08:00", True),
        ("UTC0", "UTC", True),
        ("<+00>-00:00", "UTC", True),
        ("ABC1", "-01:00", True),
    ],
)
def test_a_zone_of_this_machine_without_a_name_is_utc_and_reported(tz: str, name: str, is_known: bool) -> None:
    """In a process of its own: the C library reads TZ when a process begins."""
    code = "from scheduler.default_rules import assumed_zone as z; print(*z()[:2], z().is_known, sep='|')"
    shown = subprocess.run([sys.executable, "-c", code], env={"TZ": tz}, capture_output=True, text=True, check=True)
    zone, whose, known = shown.stdout.strip().split("|")
    assert (zone, known) == (name, str(is_known))
    assert ("not known" in whose) != is_known


def test_a_cron_without_a_zone_is_in_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """In LeanCloud's under its rules; its repr and its pickle name the zone in either case."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    assert repr(Cron("0 0 8 ? * MON")) == "Cron(expression='0 0 8 ? * MON', tz='Europe/Berlin', dst='vixie')"
    monkeypatch.setenv("LEANCLOUD_APP_ID", "x")
    assert Cron("0 0 8 ? * MON").tz == "Asia/Shanghai"
    assert assumed_quota() == 5


@pytest.mark.parametrize(
    ("toml", "environ", "zone", "quota"),
    [
        ("", {}, DefaultZone("Europe/Berlin", "this machine's zone", is_of_machine=True), 0),
        ('rules = "leancloud"', {}, DefaultZone("Asia/Shanghai", "LeanCloud's zone"), 5),
        ("", {"LEANCLOUD_APP_ENV": "stage"}, DefaultZone("Asia/Shanghai", "LeanCloud's zone"), 5),
        ('rules = "standard"', {"LEANCLOUD_APP_ID": "x"}, assumed_zone("leancloud"), 0),
        ('rules = "leancloud"\ntz = "Asia/Tokyo"\nmax_timers = 7', {}, DefaultZone("Asia/Tokyo"), 7),
    ],
)
def test_the_rules_set_zone_and_limit_where_they_are_not_set_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str, environ: dict[str, str], zone: DefaultZone, quota: int
) -> None:
    """A setting of their own is stronger."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    (tmp_path / "scheduler.toml").write_text(toml)
    settings = read_settings(tmp_path, environ, {})
    expected = zone if "standard" not in toml else assumed_zone("standard")
    assert (settings.default_zone, settings.tz, settings.max_timers) == (expected, expected.name, quota)


def test_the_zone_that_is_assumed_is_shown_at_once(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """By `timers add`, `next` and doctor; `quartzcron next` means the same zone."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    command_line.write("cloud.py", CLOUD)
    added = command_line.run(*ADD).stdout
    assert "added report: calls hello in production, 0 0 8 ? * MON (Europe/Berlin, this machine's zone)\n" in added
    shown = command_line.run("next", "0 0 8 ? * MON", "--from", "2026-01-01T00:00", "-n", "1")
    assert (shown.stdout, shown.stderr) == (
        "2026-01-05 08:00:00+01:00  Mon\n",
        "in Europe/Berlin, this machine's zone\n",
    )
    words = [sys.executable, "-m", "quartzcron", "next", "0 0 8 ? * MON", "--from", "2026-01-01", "-n", "1", "--json"]
    assert "2026-01-05T08:00:00+01:00" in subprocess.run(words, capture_output=True, text=True, check=True).stdout
    (rules,) = [finding for finding in command_line.json("doctor") if finding["name"] == "rules"]
    assert rules["text"] == (
        "standard (no variable of LeanCloud is set): timers that name no zone are in Europe/Berlin, "
        "this machine's zone; no limit of timers"
    )


def test_a_zone_that_was_given_is_not_shown_as_assumed(command_line: CommandLine) -> None:
    """Nor is one that a setting names."""
    assert "(Asia/Tokyo)\n" in command_line.run(*ADD, "--tz", "Asia/Tokyo").stdout
    command_line.write("scheduler.toml", 'tz = "Asia/Tokyo"\n')
    assert "(Asia/Tokyo)\n" in command_line.run("timers", "add", "again", *ADD[3:]).stdout


def test_a_list_in_the_words_of_leanclouds_console_is_in_its_zone(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other lines are in the zone of the machine; both are said."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    lines = "name,function,cron,environment\na,hello,0 0 8 ? * MON,生产环境\nb,hello,0 0 8 ? * MON,production\n"
    said = command_line.run("timers", "import", str(command_line.write("timers.csv", lines)))
    assert said.exit_code == 0
    assert "1 timer whose line names no zone: Asia/Shanghai\n1 timer whose line names no zone: Europe/Berlin\n" in (
        said.stderr
    )
    assert [(t["name"], t["tz"]) for t in command_line.json("timers", "list")] == [
        ("a", "Asia/Shanghai"),
        ("b", "Europe/Berlin"),
    ]


def test_a_declared_timer_of_a_store_made_before_keeps_its_zone(
    store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only the zone of the machine is assumed; a zone that is set, or LeanCloud's, moves it."""
    engine.timer("0 0 8 ? * MON", enabled=True)(list)
    before = Timer(name="list", function="list", enabled=True, trigger=Cron("0 0 8 ? * MON", "Asia/Shanghai"))
    synchronise(store, [before], PRODUCTION, now=START)
    monkeypatch.setenv("TZ", "Europe/Berlin")

    def synchronised(zone: DefaultZone) -> list[str]:
        declared = read_declarations(engine.registry, PRODUCTION, zone)
        return [str(change) for change in synchronise_valid(store, declared, PRODUCTION, now=START, quota=0).changes]

    (told,) = synchronised(assumed_zone())
    assert "the timer 'list' stays in Asia/Shanghai, as it was declared first" in told
    assert "Europe/Berlin, this machine's zone: name its zone in @engine.timer" in told
    assert TimerTable(store).get("list").timer == before
    (changed,) = synchronised(DefaultZone("Asia/Tokyo"))
    assert changed.startswith("changed the timer 'list', enabled: trigger")
    assert TimerTable(store).get("list").timer.trigger.tz == "Asia/Tokyo"


@pytest.fixture
def engine() -> Engine:
    return Engine()
