"""check FILE: each line that is wrong with its number, column, caret and fix."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from quartzcron.cli.check import check_lines, with_progress
from quartzcron.cli.commands import main

LINES = "# nightly\n0 0 8 ? * MON\treport\n\n0 75 8 * * ?\n  0 8 * * 1-5\n0 0 8 30 2 ?\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "crons.txt"
    found.write_text(LINES, encoding="utf-8")
    return found


def test_a_wrong_line_is_named_as_compilers_do(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File, line and column, then the caret and the fix; an expression that never fires is reported, but not wrong."""
    assert main(["check", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{path}:4:3: minutes, column 3: 75 is out of range; minutes go from 0 to 59",
        "  0 75 8 * * ?",
        "    ^^",
        f"{path}:5:3: seconds, column 3: 5 fields, a Quartz expression has 6 or 7; "
        "seconds field missing, as in a crontab line",
        "    0 8 * * 1-5",
        "    ^",
        "  did you mean '0 0 8 ? * MON-FRI'?",
        f"{path}:6:1: 0 0 8 30 2 ? never fires",
    ]
    assert err == f"{path}: 4 expressions, 2 wrong\n"


def test_standard_input_and_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """- is standard input; one object per expression, with its line."""
    monkeypatch.setattr("sys.stdin", io.StringIO(LINES))
    assert main(["check", "-", "--json"]) == 1
    out, err = capsys.readouterr()
    assert [(found["line"], found["valid"]) for found in json.loads(out)] == [
        (2, True),
        (4, False),
        (5, False),
        (6, True),
    ]
    assert err == ""


def test_a_good_file_has_status_0(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a summary on stderr."""
    path.write_text("\ufeff0 0 8 ? * MON\r\n0 0 9 ? * MON\r\n", encoding="utf-8")
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().err == f"{path}: 2 expressions, none wrong\n"


@pytest.mark.parametrize("name", ["missing.txt", "no/such.cron"])
def test_a_missing_file_has_status_2(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is not read as an expression."""
    assert main(["check", name]) == 2
    assert "there is no such file" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("out", "lines", "drawn"), [(Terminal(), 2_000, True), (Terminal(), 10, False), (io.StringIO(), 2_000, False)]
)
def test_a_bar_is_drawn_for_long_files_on_terminals(out: io.StringIO, lines: int, drawn: bool) -> None:
    """Elsewhere nothing is written; the findings are the same, and the bar is gone at the end."""
    findings = list(check_lines("-", ["0 0 8 ? * MON"] * lines))
    assert list(with_progress(findings, lines, out)) == findings
    assert ("━" in out.getvalue() or "─" in out.getvalue()) == drawn
    assert out.getvalue().endswith("\r\x1b[K") == drawn
