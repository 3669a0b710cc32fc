"""Every example of docs/quartzcron.md runs and prints what the page shows; the page shows every public method."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from quartzcron import CronExpression
from quartzcron.cli.commands import COMMANDS, main

PAGE = Path(__file__).parent.parent.parent / "docs" / "quartzcron.md"
HOSTS = ("pydantic", "celery", "apscheduler", "sqlalchemy", "django", "holidays")
TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return found


def commands() -> list[tuple[str, str]]:
    """Each command of the page, and what it prints."""
    return [
        (command, printed)
        for block in blocks("console")
        for command, printed in re.findall(r"^\$ quartzcron (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]


def test_the_python_examples_print_what_they_say() -> None:
    """All of them, in the order of the page."""
    for host in HOSTS:
        pytest.importorskip(host)
    examples = list(Sybil([PythonCodeBlockParser()]).parse(PAGE).examples())
    assert len(examples) >= len(blocks("python"))
    for example in examples:
        example.evaluate()


@pytest.mark.parametrize(("command", "printed"), commands())
def test_the_commands_print_what_they_say(
    command: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results and what goes to stderr, with the file that the page shows."""
    monkeypatch.chdir(tmp_path)
    Path("crons.txt").write_text(blocks("text")[0], encoding="utf-8")
    main(shlex.split(command))
    out, err = capsys.readouterr()
    assert (out + err).rstrip() == printed.rstrip()


def test_the_page_shows_every_public_name_and_every_command() -> None:
    """A new one has to be shown there."""
    public = {name for name in dir(CronExpression) if not name.startswith("_")} - {"tz", "dst"}
    assert {name for name in public if not re.search(rf"\b{name}\b", "".join(blocks("python")))} == set()
    assert {command.split()[0] for command, _ in commands()} == set(COMMANDS)
