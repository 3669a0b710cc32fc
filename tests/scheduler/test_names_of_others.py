"""The table of docs/comparison.md that says what other schedulers' terms are called here: each row is run."""

import re
import shlex

import pytest

from tests.imports import ROOT
from tests.scheduler.command_line import CommandLine

PAGE = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## What is it called here?")[2].partition("\n## ")[0]
ROWS = [line.strip("| ").split(" | ") for line in TABLE.splitlines() if line.startswith("| ")][1:]


@pytest.fixture
def store(command_line: CommandLine) -> CommandLine:
    """A folder with a timer, a run of it that waits, and a calendar."""
    command_line.json("timers", "add", "report", "--function", "hello", "--every", "60")
    command_line.json("timers", "run", "report")
    command_line.json("calendars", "add", "cn")
    return command_line


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_the_table_says_can_be_typed(row: list[str], store: CommandLine) -> None:
    """Each row has a column for each program, and a form that works here."""
    assert len(row) == 7
    (form,) = re.findall(r"`(.*)`", row[-1])
    words = shlex.split(form)
    if words[0] == "scheduler":
        store.json(*words[1:])
        return
    schedule = () if {"--cron", "--every", "--at"} & set(words) else ("--every", "60")
    added = store.json("timers", "add", "t", "--function", "hello", *schedule, *words)
    assert added["name"] == "t"
