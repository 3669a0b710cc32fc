"""Log lines: kept, chosen and shown, of runs and of calls over HTTP alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.core.log_line import LogLine
from scheduler.core.zone_names import zone
from scheduler.engine import capture
from scheduler.engine.capture import CapturedLine
from scheduler.errors import StoreUnavailableError
from scheduler.store.database import Store
from scheduler.store.log_lines import LineFilter, LinePosition, LogLines
from scheduler.up.call_log import CallLogWriter, own_lines
from scheduler.up.run_reports import JsonReporter
from tests.scheduler.command_line import CommandLine
from tests.waiting import eventually

EIGHT = datetime(2026, 1, 5, tzinfo=UTC)


def line(n: int, text: str = "x", *, environment: str = "production", function: str = "hello") -> LogLine:
    return LogLine(EIGHT + timedelta(seconds=n), "info", text, function, environment, f"r{n}")


def test_the_last_lines_come_first_and_a_reader_goes_on_from_there(store: Store) -> None:
    """Nothing twice, nothing left out."""
    logged = LogLines(store)
    logged.add([line(n) for n in range(5)])
    found, position = logged.latest(LineFilter(), 3)
    assert found == [line(n) for n in (2, 3, 4)]
    logged.add([line(n) for n in range(5, 9)])
    found, position = logged.after(position, LineFilter(), 2)
    assert found == [line(5), line(6)]
    found, position = logged.after(position, LineFilter())
    assert found == [line(7), line(8)]
    assert logged.after(position, LineFilter()) == ([], position)


def test_a_store_without_lines(store: Store) -> None:
    """A reader begins at the beginning."""
    assert LogLines(store).latest(LineFilter(), 3) == ([], LinePosition())


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        (LineFilter(), [1, 2, 3]),
        (LineFilter(environment="stage"), [2]),
        (LineFilter(function="other"), [3]),
        (LineFilter(request_id="r1"), [1]),
        (LineFilter(timer="hello"), []),
        (LineFilter(environment="stage", function="other"), []),
    ],
)
def test_lines_are_chosen(store: Store, choice: LineFilter, numbers: list[int]) -> None:
    """By environment, function, request id; a call belongs to no timer."""
    logged = LogLines(store)
    logged.add([line(1), line(2, environment="stage"), line(3, function="other")])
    assert [found.request_id for found in logged.latest(choice, 10)[0]] == [f"r{n}" for n in numbers]


def test_old_lines_are_forgotten(store: Store) -> None:
    """By age."""
    logged = LogLines(store)
    logged.add([line(n) for n in range(10)])
    assert logged.prune(before=EIGHT + timedelta(seconds=7)) == 7
    assert [found.request_id for found in logged.latest(LineFilter(), 10)[0]] == ["r7", "r8", "r9"]


def test_logs_show_lines_of_calls_by_function(command_line: CommandLine) -> None:
    """With their level; --json has the request id that the client got."""
    (command_line.folder / ".scheduler").mkdir()
    with Store(str(command_line.folder / ".scheduler" / "store.db")) as store:
        LogLines(store).add([line(1, "a call"), line(2, "of the preview", environment="stage")])
    assert command_line.run("logs").stdout.splitlines()[0] == "2026-01-05 08:00:01+08:00  info     hello  a call"
    (text,) = command_line.run("logs", "--env", "stage", "--json").stdout.splitlines()
    assert json.loads(text) == {
        "at": "2026-01-05T08:00:02+08:00",
        "timer": None,
        "run": None,
        "function": "hello",
        "environment": "stage",
        "request_id": "r2",
        "level": "info",
        "text": "of the preview",
    }
    assert command_line.run("logs", "--request", "r1").stdout.count("\n") == 1


@contextmanager
def lines_kept(store: Store) -> Iterator[Callable[[int, str], None]]:
    """Within the block, the function prints a number as a line of a function."""
    reporter = JsonReporter(zone("Asia/Shanghai"))
    with (
        closing(CallLogWriter(store, keep=timedelta(days=30))) as writer,
        own_lines(writer, reporter, "production"),
    ):
        yield lambda n, function: capture._sinks[-1](CapturedLine(datetime.now(UTC), "info", str(n), function, f"r{n}"))


def texts(store: Store) -> list[str]:
    return [found.text for found in LogLines(store).latest(LineFilter(), 2000)[0]]


def test_calls_may_print_600_lines_a_minute(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Of which one function may not print the last hundred; further ones are counted, and the count is a line."""
    with lines_kept(store) as print_line:
        for n in range(1000):
            print_line(n, "loud")
        for n in range(1000, 1030):
            print_line(n, "quiet")
    kept = texts(store)
    # A slow machine reports the first of them while others are still printed.
    reports = [text for text in kept if "lines were dropped" in text]
    assert 1 <= len(reports) <= 2
    assert sum(int(text.split()[0]) for text in reports) == 510
    assert all(text.endswith(", since calls may print 600 lines a minute") for text in reports)
    assert sorted(set(kept) - set(reports)) == sorted(map(str, [*range(500), *range(1000, 1020)]))
    assert capsys.readouterr().out.count("\n") == 520 + len(reports)


def test_lines_wait_for_a_store_that_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is lost, none is shown twice."""
    answers = iter([False, False, True])
    kept = LogLines.add

    def add(self: LogLines, lines: list[LogLine]) -> None:
        if lines and not next(answers):
            raise StoreUnavailableError("away")
        kept(self, lines)

    monkeypatch.setattr(LogLines, "add", add)
    with lines_kept(store) as print_line:
        print_line(1, "hello")
        eventually(lambda: texts(store))
    assert texts(store) == ["1"]


def test_lines_that_the_store_refuses_keep_no_others_out(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are logged, and what is printed later is stored."""
    kept = LogLines.add

    def add(self: LogLines, lines: list[LogLine]) -> None:
        if any(line.text == "1" for line in lines):
            raise ValueError("an invalid line")
        kept(self, lines)

    monkeypatch.setattr(LogLines, "add", add)
    with lines_kept(store) as print_line:
        print_line(1, "hello")
        eventually(lambda: "1 lines that calls printed could not be stored" in caplog.text)
        print_line(2, "hello")
    assert texts(store) == ["2"]
