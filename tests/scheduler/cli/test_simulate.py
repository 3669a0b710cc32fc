"""scheduler simulate: every fire of a span, printed and nothing run."""

import json
import shlex

import pytest

from tests.scheduler.command_line import CommandLine

SPRING = ("--from", "2026-03-29T00:00:00+01:00", "--to", "2026-03-29T06:00:00+02:00")


@pytest.fixture(autouse=True)
def timers(command_line: CommandLine) -> None:
    """One by the clock of Berlin, one each hour in UTC that is disabled, one in stage."""
    for words in (
        "berlin --function hello --cron '0 30 2 * * ?' --tz Europe/Berlin --enable",
        "hourly --function add --cron '0 0 * * * ?' --tz UTC a:=1 b:=2",
        "report --function hello --cron '0 0 5 ? * SUN' --tz Europe/Berlin --enable --env stage",
    ):
        assert command_line.run("timers", "add", *shlex.split(words)).exit_code == 0


def fires(command_line: CommandLine, *words: str) -> tuple[list[tuple[str, str]], dict[str, object]]:
    """What is printed as JSON: (timer, fire time) of each line, and the last one."""
    result = command_line.run("simulate", *words, "--json")
    assert result.exit_code == 0, result.stderr
    *each, last = [json.loads(line) for line in result.stdout.splitlines()]
    return [(fire["timer"], fire["fire_time"]) for fire in each], last


def test_the_fires_of_a_span_come_in_order_with_the_clock_of_their_zone(command_line: CommandLine) -> None:
    """On the day without 02:30 the timer fires at 03:00, as its policy says; the disabled one is left out."""
    result = command_line.run("simulate", *SPRING)
    assert result.stdout.splitlines() == [
        "2026-03-29 03:00:00+02:00  berlin  hello  production",
        "2026-03-29 05:00:00+02:00  report  hello  stage",
        "2 fires of 2 timers:",
        "            1  berlin  (production, 0 30 2 * * ? (Europe/Berlin))",
        "            1  report  (stage, 0 0 5 ? * SUN (Europe/Berlin))",
    ]
    assert "1 disabled timer left out; --all" in result.stderr


def test_disabled_timers_are_simulated_when_asked_for(command_line: CommandLine) -> None:
    """The offset distinguishes both passes of an hour that comes twice."""
    autumn = ("--from", "2026-10-25T00:00Z", "--to", "2026-10-25T02:00Z")
    assert fires(command_line, *autumn, "--all")[0] == [
        ("hourly", "2026-10-25T00:00:00+00:00"),
        ("berlin", "2026-10-25T02:30:00+02:00"),
        ("hourly", "2026-10-25T01:00:00+00:00"),
    ]


def test_timers_are_filtered_by_name_and_environment(command_line: CommandLine) -> None:
    """By name, or by environment; an unknown name is refused with a similar one."""
    assert fires(command_line, *SPRING, "--timer", "berlin")[0] == [("berlin", "2026-03-29T03:00:00+02:00")]
    assert fires(command_line, *SPRING, "--env", "stage")[0] == [("report", "2026-03-29T05:00:00+02:00")]
    assert "no timer 'berln'; did you mean 'berlin'?" in command_line.refusal("simulate", "--timer", "berln")


def test_fire_times_that_are_not_shown_are_counted(command_line: CommandLine) -> None:
    """A year is counted without walking through it; --limit is the number of lines."""
    year = ("--from", "2026-01-01T00:00Z", "--to", "2027-01-01T00:00Z", "--all", "-n", "3")
    shown, last = fires(command_line, *year)
    assert len(shown) == 3
    assert (last["fires"], last["shown"]) == (365 + 8760 + 52, 3)
    assert "… and 9,174 more; --limit shows more of them" in command_line.run("simulate", *year).stdout


def test_the_default_span_is_the_next_day(command_line: CommandLine) -> None:
    """A timer of each hour fires 24 times in it."""
    assert fires(command_line, "--all", "--timer", "hourly")[1]["fires"] == 24


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--from 2026-01-02 --to 2026-01-02",
            "the time span from 2026-01-02T00:00:00+08:00 to 2026-01-02T00:00:00+08:00",
        ),
        ("--from soon", "'soon' is not a time; write it as in '2026-12-24 18:00'"),
        ("--from 1800-01-01 --to 2026-01-01", "1800-01-01 is out of range: the years 1970 to 2099"),
        ("--from 2026-01-01 --to 9999-12-31", "9999-12-31 is out of range"),
        ("--from 0001-01-01", "is out of range"),
        ("--from 9999-12-31", "is out of range"),
    ],
)
def test_an_invalid_span_is_refused(words: str, message: str, command_line: CommandLine) -> None:
    """With one line."""
    assert message in command_line.refusal("simulate", *shlex.split(words))
