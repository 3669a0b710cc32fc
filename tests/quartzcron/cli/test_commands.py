"""The command line: what it prints, where, and with which exit status."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import quartzcron
from quartzcron.cli.commands import main

MONDAYS = "0 0 8 ? * MON"
SHANGHAI = ["--tz", "Asia/Shanghai", "--from", "2026-01-01"]


def test_next_prints_fire_times(capsys: pytest.CaptureFixture[str]) -> None:
    """One per line: weekday, time with offset, zone."""
    assert main(["next", MONDAYS, *SHANGHAI, "-n", "2"]) == 0
    assert capsys.readouterr().out == "Mon 2026-01-05 08:00:00+08:00 CST\nMon 2026-01-12 08:00:00+08:00 CST\n"


def test_prev_prints_the_latest_first(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON: a list of ISO texts."""
    assert main(["prev", MONDAYS, *SHANGHAI, "-n", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ["2025-12-29T08:00:00+08:00", "2025-12-22T08:00:00+08:00"]


@pytest.mark.parametrize(
    "moment", ["1 January 2026", "Jan 1, 2026 00:00", "2026-01-01T00:00+08:00", "2025-12-31 16:00 UTC"]
)
def test_moments_are_written_as_people_do(moment: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an offset it is wall time in the zone."""
    assert main(["next", MONDAYS, "--tz", "Asia/Shanghai", "--from", moment, "-n", "1"]) == 0
    assert capsys.readouterr().out.startswith("Mon 2026-01-05 08:00")


@pytest.mark.parametrize("moment", ["now", "today", "tomorrow", "yesterday"])
def test_moments_in_words(moment: str) -> None:
    """now, today, tomorrow, yesterday."""
    assert main(["next", MONDAYS, "--from", moment]) == 0


@pytest.mark.parametrize(("dst", "time"), [("vixie", "03-08 03:00"), ("quartz", "03-09 02:30")])
def test_the_policy_is_an_option(dst: str, time: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--dst, as in CronExpression."""
    main(["next", "0 30 2 * * ?", "--tz", "America/New_York", "--from", "2026-03-08", "--dst", dst, "-n", "1"])
    assert time in capsys.readouterr().out


def test_check_reports_every_problem(capsys: pytest.CaptureFixture[str]) -> None:
    """Valid ones on stdout in normal form, invalid ones on stderr with carets and the fix; status 1."""
    assert main(["check", "0 0 8 ? * 2", "0 8 * * 1", "0 0 8 30 2 ?"]) == 1
    out, err = capsys.readouterr()
    assert out == "0 0 8 ? * 2: ok, 0 0 8 ? * MON\n0 0 8 30 2 ?: ok, 0 0 8 30 2 ?, but it never fires\n"
    assert "did you mean '0 0 8 ? * MON'?" in err


def test_check_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One object per expression."""
    assert main(["check", MONDAYS, "0 75 8 * * ?", "--json"]) == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert good == {"expression": MONDAYS, "valid": True, "canonical": MONDAYS, "never_fires": False}
    assert [problem["column"] for problem in bad["problems"]] == [3]


def test_what_never_fires_has_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    """With the reason on stderr; JSON is an empty list."""
    assert main(["next", "0 0 8 30 2 ?"]) == 1
    assert "never fires" in capsys.readouterr().err
    assert main(["next", "0 0 8 1 1 ? 2020", *SHANGHAI, "--json"]) == 1
    assert capsys.readouterr().out == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["next", "0 75 8 * * ?"],
            "minutes, column 3: 75 is out of range; minutes go from 0 to 59\n  0 75 8 * * ?\n    ^^",
        ),
        (["next", MONDAYS, "--tz", "Asia/Shangai"], "unknown time zone 'Asia/Shangai'; did you mean 'Asia/Shanghai'?"),
        (["next", MONDAYS, "--from", "gibberish"], "cannot read 'gibberish' as a time"),
        (["next", MONDAYS, "--from", "2026-01-01 08:00 XYZ"], "cannot read"),
    ],
)
def test_a_wrong_argument_has_status_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One clear message on stderr, a caret under the problem, nothing on stdout."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


@pytest.mark.parametrize("arguments", [[], ["next"], ["next", MONDAYS, "-n", "0"], ["nonsense"]])
def test_wrong_usage_has_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """argparse's own."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: quartzcron" in capsys.readouterr().err


ENDLESS = "x\x1b[31m" * 20_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["next", ENDLESS],
        ["next", MONDAYS, "--tz", ENDLESS],
        ["next", MONDAYS, "--from", ENDLESS],
        ["next", MONDAYS, "--svg", f"/nowhere/{ENDLESS}"],
        ["next", MONDAYS, "-n", ENDLESS],
        ["next", MONDAYS, "--year", ENDLESS],
        ["next", MONDAYS, ENDLESS],
        ["explain", MONDAYS, "--lang", ENDLESS],
        ["check", ENDLESS],
        ["check", f"0 0 8 ? * {ENDLESS}"],
        ["check", "每" * 200],
        ["check", f"0 0 8 {','.join(['1'] * 40_000)} * ?"],
        ["check", f"0 0 8 30 2 ? {','.join(['2030'] * 20_000)}"],
        ["convert", ENDLESS, "--from", "crontab"],
        ["convert", f"{ENDLESS} 8 * * *", "--from", "crontab"],
        ["convert", MONDAYS, "--to", ENDLESS],
        ["convert", MONDAYS, "--from", ENDLESS],
        ["diff", MONDAYS, ENDLESS],
        [ENDLESS],
    ],
)
def test_what_is_echoed_is_short_and_harmless(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A few lines, whatever the argument, and no control characters."""
    with contextlib.suppress(SystemExit):  # argparse's way out
        main(arguments)
    out, err = capsys.readouterr()
    assert len(out + err) < 1000
    assert "\x1b" not in out + err


def test_forgotten_quotes_are_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    """The fields are separate arguments, which a shell may have expanded to file names."""
    with pytest.raises(SystemExit):
        main(["next", "0", "0", "8", "*", "*", "?"])
    assert "put an expression in quotes" in capsys.readouterr().err


def test_check_reads_what_a_shell_calls_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also a pipe, as in check <(crontab -l), but not a folder."""
    assert main(["check", "/dev/null"]) == 0
    assert "0 expressions, none wrong" in capsys.readouterr().err
    assert main(["check", str(tmp_path)]) == 2
    assert "it is a directory" in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    """python -m quartzcron."""
    command = [sys.executable, "-m", "quartzcron", "next", MONDAYS, *SHANGHAI, "-n", "1"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith("Mon 2026-01-05")


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/St_Johns", "UTC", "+05:45", "America/Sao_Paulo"])
def test_a_time_is_read_as_it_was_printed(zone: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the name of the zone behind the offset."""
    main(["next", "0 0 8 L * ?", "--tz", zone, "--from", "2026-01-01", "-n", "2"])
    first, second = capsys.readouterr().out.splitlines()
    assert main(["next", "0 0 8 L * ?", "--tz", zone, "--from", first, "-n", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == [second]


def test_an_offset_to_the_west_is_a_zone(capsys: pytest.CaptureFixture[str]) -> None:
    """Although it begins like an option."""
    for option in (["--tz", "-05:00"], ["--tz=-05:00"]):
        assert main(["next", "0 0 8 * * ?", *option, "--from", "2026-01-01", "-n", "1"]) == 0
        assert "2026-01-01 08:00:00-05:00" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """By the program and by the package."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"quartzcron {quartzcron.__version__}\n"
    assert quartzcron.__version__ == version("quartzcron")


def test_a_comment_in_a_file_is_none_of_an_expression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Behind a blank; without one, # belongs to the day."""
    path = tmp_path / "crons.txt"
    path.write_text("0 0 8 ? * TUE  # tuesday\n0 0 8 ? * FRI#3\n   # nothing\n0 0 9 * * ?\t# daily\n", encoding="utf-8")
    assert main(["check", str(path)]) == 0
    assert "3 expressions, none wrong" in capsys.readouterr().err


# -- by a calendar of working days --


@pytest.fixture
def firm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of days off in the working folder."""
    monkeypatch.chdir(tmp_path)
    Path("firm.csv").write_text("2026-01-30,closed\n2026-01-31,,work\n2026-02-27\n", encoding="utf-8")


LAST_DAY = ["0 0 17 L * ?", "--tz", "UTC", "--from", "2026-01-01", "-n", "2", "--calendar", "firm.csv"]


@pytest.mark.usefixtures("firm")
def test_fires_move_to_working_days(capsys: pytest.CaptureFixture[str]) -> None:
    """A Saturday that is worked, and a Thursday before a day off and a weekend."""
    assert main(["next", *LAST_DAY, "--roll", "preceding"]) == 0
    out, err = capsys.readouterr()
    assert [line[:14] for line in out.splitlines()] == ["Sat 2026-01-31", "Thu 2026-02-26"]
    assert err == ""
    assert main(["prev", *LAST_DAY[:4], "2026-03-01", *LAST_DAY[5:], "--roll", "preceding", "--json"]) == 0
    assert capsys.readouterr().out == '["2026-02-26T17:00:00+00:00", "2026-01-31T17:00:00+00:00"]\n'


@pytest.mark.usefixtures("firm")
def test_a_note_says_until_when_a_calendar_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, so that JSON stays JSON."""
    said = "quartzcron: the calendar is known until 2026-12-31; later days are those of its working week, "
    said += "without holidays\n"
    assert main(["next", *LAST_DAY, "--from", "2026-12-01", "--json"]) == 0
    out, err = capsys.readouterr()
    assert (len(json.loads(out)), err) == (2, said)
    assert main(["next", *LAST_DAY, "--year", "2027"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("2027 · 0 0 17 L * ? · firm, skip · UTC\n")
    assert err == said


@pytest.mark.usefixtures("firm")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["next", "0 0 17 L * ?", "--calendar", "none.csv"], "cannot read 'none.csv': No such file or directory"),
        (["next", "0 0 17 L * ?", "--calendar", "a/b"], "'a/b' is neither a country, such as cn or de-by, nor an"),
        (["next", "0 0 17 L * ?", "--roll", "skip"], "--roll needs --calendar"),
        (["prev", "0 0 17 L * ?", "--calendar"], "--calendar needs a name"),
    ],
)
def test_a_calendar_that_is_not_there_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With status 2 and one line."""
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_calendar_alone_prints_a_year(capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever it stands."""
    for arguments in (
        ["next", "0 0 8 1 * ?", "--calendar", "--tz", "UTC", "--from", "2026-05-05"],
        ["next", "--calendar", "0 0 8 1 * ?", "--tz", "UTC", "--from", "2026-05-05"],
        ["next", "--tz", "UTC", "--from", "2026-05-05", "0 0 8 1 * ?", "--calendar"],
    ):
        assert main(arguments) == 0
        assert capsys.readouterr().out.startswith("2026 · 0 0 8 1 * ? · UTC\n")
