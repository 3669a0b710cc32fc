"""The commands explain, convert and diff, and the values that they print."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings

from quartzcron import CronExpression
from quartzcron.cli.answers import difference
from quartzcron.cli.commands import main
from quartzcron.dialects import DIALECTS
from tests.example_counts import examples
from tests.strategies import sparse_expressions

NEW_YEAR = datetime(2026, 1, 1)


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit status and what was printed to stdout."""
    status = main(list(arguments))
    return status, capsys.readouterr().out


def test_explain_speaks_both_languages(capsys: pytest.CaptureFixture[str]) -> None:
    """The description, and the normal form under it."""
    assert output(capsys, "explain", "0 0 8 ? * 2") == (0, "At 08:00 on Mondays\n0 0 8 ? * MON\n")
    assert output(capsys, "explain", "0 0 8 ? * 2", "--lang", "zh") == (0, "每周一 08:00\n0 0 8 ? * MON\n")


def test_explain_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With the gaps in seconds; Chinese as it is."""
    status, text = output(capsys, "explain", "0 0 8 ? * MON-FRI", "--lang", "zh", "--json")
    assert status == 0
    assert "每周一至周五" in text
    found = json.loads(text)
    assert (found["min_gap_s"], found["max_gap_s"], found["never_fires"]) == (86_400, 3 * 86_400, False)
    assert json.loads(output(capsys, "explain", "0 0 8 30 2 ?", "--json")[1])["min_gap_s"] is None


@pytest.fixture
def holidays(tmp_path: Path) -> str:
    """A file with one day off, 30 January 2026, a Friday."""
    path = tmp_path / "shop.csv"
    path.write_text("date,kind\n2026-01-30,off\n")
    return str(path)


def test_explain_and_diff_go_by_a_calendar(holidays: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As next does; the normal form is that of the expression."""
    by_it = ("--calendar", holidays, "--roll", "preceding")
    assert output(capsys, "explain", "0 0 17 L * ?", *by_it) == (
        0,
        "At 17:00 on the last day of every month, or the working day before it (shop)\n0 0 17 L * ?\n",
    )
    found = json.loads(output(capsys, "explain", "0 0 17 L * ?", "--calendar", holidays, "--lang", "zh", "--json")[1])
    assert found["description"] == "每月最后一天 17:00（仅工作日，shop）"
    arguments = ("--tz", "UTC", "--from", "2026-01-01", "-n", "1")
    dates = "0 0 17 31 1 ? 2026", "0 0 17 29 1 ? 2026"
    assert output(capsys, "diff", *dates, *by_it, *arguments) == (0, "they are equal\n")
    assert output(capsys, "diff", *dates, *arguments)[0] == 1
    alone = ("--calendar", holidays)
    assert output(capsys, "diff", "0 0 17 29,30 1 ? 2026", dates[1], *alone, *arguments) == (0, "they are equal\n")


@pytest.mark.parametrize("command", [("explain", "0 0 8 * * ?"), ("diff", "0 0 8 * * ?", "0 0 9 * * ?")])
def test_a_calendar_without_its_name_is_refused(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """And a roll without a calendar."""
    assert main([*command, "--calendar"]) == main([*command, "--roll", "following"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "quartzcron: --calendar needs a name: cn, de-by, FILE.ics or FILE.csv",
        "quartzcron: --roll needs --calendar: cn, de-by, FILE.ics or FILE.csv",
    ]


def test_convert_shows_every_dialect(capsys: pytest.CaptureFixture[str]) -> None:
    """With the reason where there is none."""
    status, text = output(capsys, "convert", "0 8 * * 1-5", "--from", "crontab")
    assert status == 0
    assert text.splitlines() == [
        "quartz       0 0 8 ? * MON-FRI",
        "crontab      0 8 * * 1-5",
        "spring       0 0 8 * * MON-FRI",
        "eventbridge  cron(0 8 ? * MON-FRI *)",
        "oncalendar   Mon..Fri *-*-* 08:00:00",
        "rrule        FREQ=WEEKLY;UNTIL=20991231T235959;BYDAY=MO,TU,WE,TH,FR;BYHOUR=8;BYMINUTE=0;BYSECOND=0",
    ]
    _, text = output(capsys, "convert", "0 0 8 LW * ?")
    assert "crontab      -- day of month: it has no L and no W" in text


def test_convert_to_one_dialect_prints_it_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1 where it is refused, 2 for an invalid text, or an unknown dialect."""
    assert output(capsys, "convert", "0 0 8 ? * MON", "--to", "crontab") == (0, "0 8 * * 1\n")
    assert output(capsys, "convert", "0 0 8 LW * ?", "--to", "crontab")[0] == 1
    assert output(capsys, "convert", "0 8 13 * 5", "--from", "crontab")[0] == 2
    assert output(capsys, "convert", "0 0 8 ? * MON", "--to", "vixie")[0] == 2
    assert output(capsys, "convert", "0 0 8 ? * MON", "--from", "vixie")[0] == 2
    found = json.loads(output(capsys, "convert", "30 0 8 ? * MON", "--to", "eventbridge", "--json")[1])
    assert found == [{"dialect": "eventbridge", "text": None, "refused": "seconds: it has whole minutes only"}]


def test_diff_shows_what_only_one_has(capsys: pytest.CaptureFixture[str]) -> None:
    """In order, signed as diff does; status 1."""
    arguments = ["--tz", "UTC", "--from", "2026-01-05", "-n", "1"]
    status, text = output(capsys, "diff", "0 0 8 * * ?", "0 0 8,9 ? * MON-FRI", *arguments)
    assert status == 1
    assert text.splitlines() == ["+ Mon 2026-01-05 09:00:00+00:00 UTC", "- Sat 2026-01-10 08:00:00+00:00 UTC"]
    status, text = output(capsys, "diff", "0 0 8 * * ?", "0 0 8,9 ? * MON-FRI", *arguments, "--json")
    assert json.loads(text)["only_second"] == ["2026-01-05T09:00:00+00:00"]


def test_diff_of_equals_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0; expressions that differ only where clocks change are not equal."""
    assert output(capsys, "diff", "0 0 8 ? * 2", "0 0 8 ? * MON *") == (0, "they are equal\n")
    status, text = output(capsys, "diff", "0 0 8 * * ?", "0 0 8-8 * * ?")
    assert (status, text) == (1, "the same fire times from then on, but they are not equal\n")


@given(one=sparse_expressions(), other=sparse_expressions())
@settings(max_examples=examples(40), deadline=None)
def test_differences_are_those_of_the_sets_of_fires(one: str, other: str) -> None:
    """Of one month."""
    left, right = CronExpression(one), CronExpression(other)
    end = datetime(2026, 2, 1)
    fires = set(left.between(NEW_YEAR, end)), set(right.between(NEW_YEAR, end))
    found = difference(left, right, NEW_YEAR, 10)
    assert [fire for fire in found["only_first"] if fire <= end] == sorted(fires[0] - fires[1])[:10]
    assert [fire for fire in found["only_second"] if fire <= end] == sorted(fires[1] - fires[0])[:10]


def test_every_reader_has_a_writer() -> None:
    """What can be read can be written."""
    assert all(dialect.write for dialect in DIALECTS.values() if dialect.read)


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        ("0 0,30 2 * * ?", "0 0/30 2 * * ?", "- Sun 2026-03-08 03:00:00-04:00 EDT"),
        ("0 30 1 * * ?", "0 30-30 1 * * ?", "+ Sun 2026-11-01 01:30:00-05:00 EST"),
        ("0 0 8 * * ?", "0 0 8 ? * MON-FRI", "- Sun 2026-03-01 08:00:00-05:00 EST"),
    ],
)
def test_diff_finds_what_differs_only_where_clocks_change(
    one: str, other: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the zone that is given; in one without clock changes there is no difference."""
    arguments = ("--from", "2026-03-01", "-n", "1")
    assert output(capsys, "diff", one, other, "--tz", "America/New_York", *arguments) == (1, f"{line}\n")
    if "MON" not in other:
        text = output(capsys, "diff", one, other, "--tz", "UTC", *arguments)[1]
        assert text == "the same fire times from then on, but they are not equal\n"


def test_diff_goes_by_the_policy(capsys: pytest.CaptureFixture[str]) -> None:
    """Under Quartz's, an interval expression fires in the second pass alone, as a fixed time does."""
    arguments = ("--tz", "America/New_York", "--from", "2026-10-30", "--dst", "quartz")
    text = output(capsys, "diff", "0 30 1 * * ?", "0 30-30 1 * * ?", *arguments)[1]
    assert text == "the same fire times from then on, but they are not equal\n"
