"""scheduler calendars: what its commands make, print and refuse."""

from __future__ import annotations

import shlex

import pytest

from tests.scheduler.command_line import CommandLine

ICS = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test
BEGIN:VEVENT
DTSTART;VALUE=DATE:20900102
SUMMARY:Founding day
UID:1
DTSTAMP:20200101T000000Z
END:VEVENT
END:VCALENDAR
"""


def test_a_calendar_is_added_shown_changed_and_removed(command_line: CommandLine) -> None:
    """Of a working week, with further days; a change says which timers it moves."""
    said = command_line.run("calendars", "add", "firm", "--week", "MON-FRI", "--off", "2090-01-02").stdout
    assert said == "added firm: MON-FRI, 1 holiday, 0 worked days off, known until 2090-12-31\n"
    words = ("--function", "f", "--no-check", "--cron", "0 0 8 * * ?", "--tz", "UTC", "--calendar", "firm")
    window = ("--starts-at", "2090-01-02T00:00Z", "--enable")
    added = command_line.json("timers", "add", "t", *words, "--roll", "following", *window)
    assert (added["calendar"], added["roll"], added["next_fire"]) == (
        "firm",
        "following",
        "2090-01-03T08:00:00+00:00",
    ) or added["next_fire"] == "2090-01-02T08:00:00+00:00"
    shown = command_line.run("timers", "show", "t").stdout
    assert "calendar     firm, following" in shown
    assert "calendar firm, following" in command_line.run("timers", "list").stdout
    said = command_line.run("calendars", "edit", "firm", "--off", "2090-01-03", "--off", "2090-01-04").stdout
    assert "changed firm: MON-FRI, 3 holidays, 0 worked days off, known until 2090-12-31" in said
    said = command_line.run("calendars", "add", "other", "--work", "2090-01-07").stdout
    assert "0 holidays, 1 worked day off, known" in said
    command_line.run("calendars", "rm", "other")
    (listed,) = command_line.json("calendars", "list")
    assert (listed["name"], listed["timers"], listed["holidays"]) == ("firm", 1, 3)
    assert listed["source"] == "week MON-FRI"
    heat_map = command_line.run("calendars", "show", "firm", "--year", "2090").stdout
    assert heat_map.startswith("firm 2090: 25")
    assert "2090-01-03  Tue  off" in heat_map
    assert "is used by 't'" in command_line.refusal("calendars", "rm", "firm")
    assert command_line.json("timers", "edit", "t", "--calendar", "")["calendar"] is None
    assert command_line.run("calendars", "rm", "firm").stdout == "removed firm\n"
    assert "no calendars yet; add one with:" in command_line.run("calendars", "list").stdout
    assert "calendar" in command_line.run("changes").stdout


def test_a_calendar_comes_from_a_country_or_a_file(command_line: CommandLine) -> None:
    """With what it was made from; China's has weekends that are worked."""
    pytest.importorskip("holidays")
    pytest.importorskip("icalendar")
    command_line.write("days.ics", ICS)
    command_line.write("days.csv", "2090-01-03,Inventory\n2090-01-07,Sale,work\n")
    china = command_line.json("calendars", "add", "cn", "--country", "cn")
    assert (china["source"], china["worked"] > 50) == ("country CN", True)
    assert (
        command_line.json("calendars", "add", "by", "--country", "DE", "--subdivision", "BY")["source"]
        == "country DE-BY"
    )
    assert command_line.json("calendars", "add", "ics", "--ics", "days.ics")["holidays"] == 1
    listed = command_line.json("calendars", "add", "csv", "--csv", "days.csv", "--week", "MON-SAT")
    assert (listed["week"], listed["holidays"], listed["worked"], listed["source"]) == (
        "MON-SAT",
        1,
        1,
        "file days.csv",
    )
    assert "Founding day" in command_line.run("calendars", "show", "ics", "--year", "2090").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("add x --country XX", "does not know 'XX'"),
        ("add x --country CN --csv days.csv", "give one of --country and --csv"),
        ("add x --subdivision BY", "--subdivision goes with --country"),
        ("add x --csv missing.csv", "missing.csv: cannot be read"),
        ("add x --week FOO", "FOO"),
        ("add x --off soon", "expected a date as in 2026-12-31, got 'soon'"),
        ("add ' x'", "text without blanks around it"),
        ("edit firm", "nothing to change"),
        ("edit other --week MON-SAT", "no calendar 'other'; known calendars: firm"),
        ("edit firm --off 2095-01-01", "--known-until says otherwise"),
        ("show other", "no calendar 'other'"),
    ],
)
def test_what_makes_no_calendar_is_refused(command_line: CommandLine, words: str, said: str) -> None:
    """With what is wrong."""
    command_line.run("calendars", "add", "firm", "--off", "2026-01-02")
    assert said in command_line.refusal("calendars", *shlex.split(words))


def test_the_end_of_a_calendar_is_reported(command_line: CommandLine) -> None:
    """By list, show and simulate, and by doctor, while timers go by it."""
    command_line.run("calendars", "add", "firm", "--off", "2020-01-02")
    words = ("--function", "f", "--no-check", "--cron", "0 0 8 * * ?", "--tz", "UTC", "--calendar", "firm")
    command_line.run("timers", "add", "t", *words, "--enable")
    assert "the calendar 'firm' of 1 timer is known until 2020-12-31" in command_line.run("calendars", "list").stderr
    assumed = "the calendar firm is known until 2020-12-31; later, the working week MON-FRI is assumed"
    assert assumed in command_line.run("timers", "show", "t").stdout
    assert assumed in command_line.run("simulate").stderr
    assert "'firm' of 1 timer is known until 2020-12-31" in command_line.run("doctor").stdout
