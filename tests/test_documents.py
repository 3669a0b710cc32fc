"""The documents against the code: files, modules, commands and rooms that they name are there."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from tokenize import COMMENT, generate_tokens
from typing import Any

import click
import pytest

from scheduler.cli import COMMANDS, program
from scheduler.core.run import Outcome
from scheduler.store.schema import HEAD
from tests.imports import ROOT, modules
from tests.rooms_table import FILES_PAGE, files_page, with_tables
from tests.rooms_table import PAGE as ARCHITECTURE

PAGES = sorted(
    path.relative_to(ROOT).as_posix() for folder in (".", "docs", "benchmarks") for path in (ROOT / folder).glob("*.md")
)
#: The change log names what was, too.
PRESENT = [page for page in PAGES if page != "CHANGELOG.md"]
FOLDERS = "quartzcron|scheduler|tests|docs|benchmarks"
PROGRAMS = [path.relative_to(ROOT) for folder in FOLDERS.split("|") for path in sorted((ROOT / folder).rglob("*.py"))]
PROGRAM_PATHS = [f"/{path}" for path in PROGRAMS]
#: Files of the reader's project, which pages show how to write.
READERS_FILES = {
    "app.py",
    "client.py",
    "cloud.py",
    "save_review.py",
    "scheduler.py",
    "sessions.py",
    "storage.py",
    "wsgi.py",
}


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page: str) -> list[tuple[str, str]]:
    """The code blocks of a page, each with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL)


def spans_of(page: str) -> list[str]:
    """The code spans and indented lines of a page."""
    prose = re.sub(r"^```\w*\n.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return [*re.findall(r"^    (\S.*)$", prose, re.MULTILINE), *re.findall(r"`([^`]+)`", prose)]


def code_of(page: str) -> str:
    """Everything on a page that is code, but Python, whose examples run."""
    return "\n".join([*(text for language, text in blocks_of(page) if language != "python"), *spans_of(page)])


def missing_files(text: str) -> list[str]:
    """The Python files that a text names, by the end of their path, and that neither we nor its reader have."""
    names = set(re.findall(r"(?<![\w./-])[\w/]+\.py\b", text))
    ours = {name for name in names if name.rpartition("/")[2] not in READERS_FILES}
    return [name for name in ours if not any(path.endswith(f"/{name}") for path in PROGRAM_PATHS)]


@pytest.mark.parametrize("page", PRESENT)
def test_the_files_of_a_page_exist(page: str) -> None:
    """Paths from the root of the project, Python files by the end of their path, and links."""
    code = code_of(page)
    paths = re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*[\w/]", code)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert missing_files(code) == []
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text_of(page)) if "://" not in link]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_the_files_that_docstrings_and_comments_name_exist() -> None:
    """So a file that moves takes its name along."""
    prose = {path: "\n".join(prose_of(path)) for path in PROGRAMS}
    assert {path: names for path, text in prose.items() if (names := missing_files(text))} == {}


def prose_of(path: Path) -> Iterator[str]:
    """The comments and docstrings of a file that names others."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if ".py" not in text:
        return  # names no file; parsing all of them takes seconds
    if re.search(r"#.*\.py\b", text):
        yield from (token.string for token in generate_tokens(StringIO(text).readline) if token.type == COMMENT)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


@pytest.mark.parametrize("page", PRESENT)
def test_the_modules_of_a_page_exist(page: str) -> None:
    """A dotted name is a module or an attribute of one, or the name of a logger."""
    names = set(re.findall(r"(?<![\w./-])(?:quartzcron|scheduler)(?:\.[a-zA-Z_]\w*)+", code_of(page)))
    texts, _ = texts_and_names_in_the_code()
    wrong = {name for name in names if not is_module_or_attribute(name)} - texts
    assert wrong - {"scheduler.toml", "scheduler.py"} == set()


def is_module_or_attribute(name: str) -> bool:
    """Whether a dotted name leads somewhere; names of modules of earlier versions do not count."""
    known = {**modules("quartzcron"), **modules("scheduler")}
    words = name.split(".")
    module = max((".".join(words[:n]) for n in range(1, len(words) + 1) if ".".join(words[:n]) in known), key=len)
    value: object = importlib.import_module(module)
    try:
        for word in words[module.count(".") + 1 :]:
            value = getattr(value, word)
    except AttributeError:
        return False
    return True


@cache
def texts_and_names_in_the_code() -> tuple[set[str], set[str]]:
    """The texts of the packages, names of loggers among them; and everything that they define or import."""
    texts: set[str] = set()
    names: set[str] = set()
    for path in [*modules("quartzcron").values(), *modules("scheduler").values()]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.alias):
                names.add(node.name)
    return texts, names


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_the_classes_and_functions_of_a_page_exist(page: str) -> None:
    """Code spans that are a class, a method of one, or a call without arguments."""
    spans = re.findall(r"`((?:[A-Z]\w*[a-z]\w*)(?:\.\w+)?|\w+\(\))`", text_of(page))
    _, defined = texts_and_names_in_the_code()
    assert [span for span in spans if not set(span.removesuffix("()").split(".")) <= defined] == []


def commands_of(page: str) -> Iterator[list[str]]:
    """The calls of `scheduler` that a page shows, as words."""
    for line in code_of(page).splitlines():
        if (begin := re.match(r"scheduler (?=[a-z])", line)) is not None:
            yield shlex.split(re.split(r"[|>\n]", line[begin.end() :])[0], comments=True)


@pytest.mark.parametrize("page", PRESENT)
def test_the_commands_of_a_page_exist(page: str) -> None:
    """So do their subcommands and options."""
    for words in commands_of(page):
        command: click.Command = program
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            child = command.get_command(click.Context(command), words.pop(0))
            assert child is not None, (page, words)
            command = child
        options = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= options | {"--help"}, (page, command.name)


TRANSLATED = sorted(path.name for path in (ROOT / "docs").glob("*.zh-CN.md"))


def original(page: str) -> str:
    return page.replace(".zh-CN.md", ".md")


@pytest.mark.parametrize("page", TRANSLATED)
def test_a_page_in_chinese_has_the_examples_of_the_english_one(page: str) -> None:
    """All its blocks, in its order. They are run as those of the English page."""
    assert blocks_of(f"docs/{page}") == blocks_of(f"docs/{original(page)}")


@pytest.mark.parametrize("page", [page for page in TRANSLATED if not page.startswith("migrating")])
def test_a_page_in_chinese_has_the_sections_and_rows_of_the_english_one(page: str) -> None:
    """As many headings of each level, and rows of tables that name the same code first."""
    have_the_same_sections_and_rows(f"docs/{page}", f"docs/{original(page)}")


def test_the_readme_in_chinese_has_the_sections_and_rows_of_the_english_one() -> None:
    """And leads to the same pages."""
    have_the_same_sections_and_rows("README.zh-CN.md", "README.md")
    links = [re.findall(r"\]\(([\w./-]+?)(?:\.zh-CN)?\.md", text_of(page)) for page in ("README.zh-CN.md", "README.md")]
    assert sorted(links[0]) == sorted(links[1])


def have_the_same_sections_and_rows(page: str, other: str) -> None:
    here, there = text_of(page), text_of(other)
    assert re.findall(r"^#+ ", here, re.M) == re.findall(r"^#+ ", there, re.M)
    rows = [re.findall(r"^\|([^|]*`[^|]*)\|", text, re.M) for text in (here, there)]
    assert [re.findall(r"`[^`]+`", row) for row in rows[0]] == [re.findall(r"`[^`]+`", row) for row in rows[1]]


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_readme_names_every_command(page: str) -> None:
    """A reader of the page has seen all of them."""
    shown = {words[0] for words in commands_of(page)} | set(re.findall(r"-m scheduler (\w+)", text_of(page)))
    assert shown == set(COMMANDS)


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_readme_lists_what_an_install_brings(page: str) -> None:
    """The dependencies of the calculator, and of the timer service, as pyproject.toml has them."""
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    rows = dict(re.findall(r"^\| [^|]+ \| `pip install '?(quartzcron[^']*?)'?` \| ([^|]*) \|$", text_of(page), re.M))
    declared = {
        "quartzcron": project["dependencies"],
        "quartzcron[scheduler]": project["optional-dependencies"]["scheduler"],
    }
    for name, requirements in declared.items():
        names = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in requirements}  # type: ignore[index]
        assert {word.lower() for word in rows[name].split(", ")} == names


def test_the_tables_of_rooms_are_those_of_the_test_of_layers() -> None:
    """docs/architecture.md shows tests/rooms.toml; `python -m tests.rooms_table` writes it anew."""
    page = ARCHITECTURE.read_text(encoding="utf-8")
    assert with_tables(page) == page


def test_the_page_of_files_is_current() -> None:
    """docs/files.md has the first lines of all files; `python -m tests.rooms_table` writes it anew."""
    assert files_page() == FILES_PAGE.read_text(encoding="utf-8")


def test_the_table_of_up_has_every_file() -> None:
    """scheduler/up/__init__.py groups the files of its folder by the part that they have."""
    folder = ROOT / "scheduler" / "up"
    table = (folder / "__init__.py").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z_, ]+) \|", table, re.MULTILINE)[1:]
    files = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    assert sorted(name for row in rows for name in row.split(", ")) == sorted(files)


def test_the_drawing_of_a_turn_has_the_phases_of_the_daemon() -> None:
    """In the order in which `Daemon.step` takes them."""
    step = text_of("scheduler/daemon/loop.py").partition("def step(")[2].partition("\n    def ")[0]
    section = ARCHITECTURE.read_text(encoding="utf-8").partition("## A turn of the daemon")[2].partition("\n## ")[0]
    phases = re.findall(r"^ +# ([A-Z ]+)$", step, re.MULTILINE)
    assert len(phases) == 7
    assert re.findall(r"^   ([A-Z]+(?: [A-Z]+)*)  ", section, re.MULTILINE) == phases


def test_the_states_of_a_run_end_in_every_outcome() -> None:
    """The drawing and the table name each."""
    section = ARCHITECTURE.read_text(encoding="utf-8").partition("## The states of a run")[2].partition("\n## ")[0]
    drawing, _, table = section.partition("| from | to |")
    for outcome in Outcome:
        assert outcome in drawing
        assert outcome in table


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_the_headings_of_a_page_are_there_for_its_links(path: Path) -> None:
    """A link to a section leads to one, as GitHub names them."""
    text = path.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


def changes() -> list[Any]:
    """The rows of CONTRIBUTING.md that say where a change goes, by what it adds."""
    rows = re.findall(r"^\| (an? [^|]*) \| ([^|]*) \| [^|]* \|$", text_of("CONTRIBUTING.md"), re.MULTILINE)
    return [pytest.param(where, id=what) for what, where in rows]


@pytest.mark.parametrize("where", changes())
def test_a_change_goes_where_contributing_says(where: str) -> None:
    """Into a few files: those that have the tables and classes of that row."""
    spans = re.findall(r"`([^`]+)`", where)
    paths = [span for span in spans if re.match(rf"(?:{FOLDERS})/", span)]
    assert 1 <= len(paths) <= 4
    text = "\n".join(text_of(path) for path in paths if path.endswith(".py"))
    for name in set(spans) - set(paths):
        if re.fullmatch(r"[A-Z]\w+", name):
            assert re.search(rf"^(?:class {name}\b|{name}\b.*=|from .* import .*\b{name}\b)", text, re.MULTILINE), name


def test_a_package_may_add_to_the_tables_that_contributing_names() -> None:
    """The groups of entry points are those that the code reads."""
    groups = {"quartzcron.dialects", "scheduler.triggers", "scheduler.executors"}
    assert groups <= set(spans_of("CONTRIBUTING.md"))
    texts, _ = texts_and_names_in_the_code()
    assert groups <= texts


def test_nothing_is_in_the_change_log_twice() -> None:
    """As after a merge that brought back entries which are in a group already."""
    entries = [
        " ".join(entry.split()) for entry in re.findall(r"^- .*(?:\n  .*)*", text_of("CHANGELOG.md"), re.MULTILINE)
    ]
    assert [entry for entry, number in Counter(entries).items() if number > 1] == []


def test_the_change_log_has_a_section_for_the_version_of_the_package() -> None:
    """Versions are headings, and below each is what was added, changed and fixed, in this order."""
    sections = re.split(r"^## ", text_of("CHANGELOG.md"), flags=re.MULTILINE)[1:]
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    assert any(section.startswith(f"[{version}]") for section in sections)
    kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for section in sections:
        headings = re.findall(r"^### (.*)$", section, re.MULTILINE)
        assert headings == [kind for kind in kinds if kind in headings]


@pytest.mark.parametrize("check", ["ruff format", "ruff check", "mypy"])
def test_a_commit_is_checked_as_a_merge_is(check: str) -> None:
    """CONTRIBUTING.md, the hooks of pre-commit and .ci/run name the same tools."""
    for name in ("CONTRIBUTING.md", ".pre-commit-config.yaml", ".ci/run"):
        assert check in text_of(name).replace('"', ""), name


def test_the_tests_that_contributing_names_are_collected() -> None:
    """The command for one test finds one."""
    (line,) = [line for line in code_of("CONTRIBUTING.md").splitlines() if line.startswith("pytest -q tests/")]
    command = [sys.executable, "-m", *shlex.split(line, comments=True), "--collect-only"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60).returncode == 0


def test_the_migrations_are_one_chain() -> None:
    """Each has a number of its own, and follows the one before; two that were written side by side are found here."""
    found = sorted((ROOT / "scheduler" / "store" / "migrations" / "versions").glob("*.py"))
    texts = [path.read_text(encoding="utf-8") for path in found]
    numbers = [path.name.partition("_")[0] for path in found]
    assert numbers == [f"{number:04}" for number in range(1, len(found) + 1)]
    assert [re.findall(r'^revision = "(\w+)"', text, re.M) for text in texts] == [[number] for number in numbers]
    assert numbers[-1] == HEAD
