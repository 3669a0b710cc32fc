"""The examples of both READMEs and of the page on the timer service run: Python line by line, commands if they end."""

import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.example import Example
from sybil.parsers.markdown import PythonCodeBlockParser

from tests.scheduler.command_line import CommandLine

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.zh-CN.md")
PAGES = (*READMES, "docs/timer-service.md")
#: Commands that go on until they are stopped, or need a daemon; tests of their own run them.
ENDLESS = ("up", "demo", "-f", "run")


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of a README in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / name).read_text(), re.MULTILINE | re.DOTALL)


def examples(name: str) -> list[Example]:
    return list(Sybil([PythonCodeBlockParser()]).parse(ROOT / name).examples())


#: Pages with programs beside their cloud.py.
PAGES_WITH_FILES = (*PAGES, "docs/timer-service.zh-CN.md")


def cloud_of(name: str) -> str:
    """The cloud.py of a page: its first block with a function."""
    return next(block for block in blocks(name, "python") if "@engine.define" in block)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, from which `cloud` can be imported, anew for each test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    kept = sys.modules.pop("cloud", None)
    yield tmp_path
    sys.modules.pop("cloud", None)
    if kept is not None:
        sys.modules["cloud"] = kept


@pytest.mark.parametrize("name", PAGES)
def test_the_python_examples_print_what_they_say(name: str, folder: Path) -> None:
    """Every Python block runs, in the order of the page, and what it writes stays in a folder of its own."""
    found = examples(name)
    (folder / "cloud.py").write_text(cloud_of(name), encoding="utf-8")
    assert len(found) >= 2
    for example in found:
        example.evaluate()


@pytest.mark.parametrize("name", PAGES_WITH_FILES)
def test_the_files_beside_cloud_py_run_by_themselves(name: str, folder: Path) -> None:
    """With what they import, and nothing from the blocks above them; the tests among them succeed."""
    (folder / "cloud.py").write_text(cloud_of(name), encoding="utf-8")
    files = {found[1]: block for block in blocks(name, "python") if (found := re.match(r"# (\w+\.py)\n", block))}
    assert "main.py" in files
    for file in files.keys() - {"cloud.py"}:
        (folder / file).write_text(files[file], encoding="utf-8")
        names = runpy.run_path(file, run_name="__main__")
        for test in [value for key, value in names.items() if key.startswith("test_")]:
            test()


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_the_first_five_minutes_work(name: str, command_line: CommandLine) -> None:
    """The README's cloud.py and its commands run without an error when they are copied."""
    command_line.write("cloud.py", cloud_of(name))
    lines = [shlex.split(line) for block in blocks(name, "sh") for line in block.splitlines()]
    commands = [words[1:] for words in lines if words[0] == "scheduler" and not set(words) & set(ENDLESS)]
    assert len(commands) >= 4
    for words in commands:
        assert command_line.run(*words).exit_code == 0, words


def test_both_readmes_begin_with_the_same_two_commands() -> None:
    """The demo, which installs nothing but what it needs, and the tests; each complete on one line."""
    first, second = (blocks(name, "sh")[0] for name in READMES)
    assert first == second
    venv = "python3 -m venv .venv && .venv/bin/pip install -e '.[{}]' && .venv/bin/python -m {}"
    assert first.splitlines() == [venv.format("console", "scheduler demo"), venv.format("test", "pytest -q")]


def test_both_readmes_are_short() -> None:
    """What there is more to say stands on the pages that they link."""
    for name in READMES:
        assert len((ROOT / name).read_text().splitlines()) <= 172, name
