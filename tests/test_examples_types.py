"""mypy --strict accepts every Python example of the pages, as a reader's program would have it."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT
from tests.waiting import slowed

pytest.importorskip("mypy")

PAGES = [
    "README.md",
    "README.zh-CN.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
    "examples/README.md",
]
#: Pages whose blocks are files of a project of LeanCloud's, written without types.
UNTYPED = ("docs/migrating-from-leancloud.md", "docs/migrating-from-leancloud.zh-CN.md")
#: What a block takes from its surroundings on the page.
BEFORE = "from scheduler.engine import Engine\n\nengine = Engine()\n"
ENDING = '\n\nTimer(name="a", function="b", trigger=Every(1), misfire="skip", overlap="allow", environment="stage")\n'


def program_of(page: str) -> str:
    """The examples of a page as one program: blocks as they are, and the sources of its interactive ones."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    parser = doctest.DocTestParser()
    parts = [
        "".join(example.source for example in parser.get_examples(block)) if ">>>" in block else block
        for block in blocks
    ]
    # As one program, the page has the engine already.
    return "\n".join(parts).replace("from cloud import engine\n", "")


#: As strict as the check of the packages, which has filled the cache of mypy; but libraries without
#: types, which the examples use, are allowed.
SETTINGS = """
[mypy]
strict = True
warn_unreachable = True

[mypy-pages.*]
allow_redefinition = True
disable_error_code = import-untyped, import-not-found
disallow_untyped_calls = False
disallow_untyped_decorators = False
warn_unreachable = False
"""


def test_the_examples_have_right_types(tmp_path: Path) -> None:
    """Page by page, and policies as texts, which the options of the command line suggest."""
    pages = [page for page in PAGES if page not in UNTYPED and (ROOT / page).exists() and program_of(page)]
    assert len(pages) >= 6
    package = tmp_path / "pages"
    package.mkdir()
    (package / "__init__.py").touch()
    for page in pages:
        name = re.sub(r"\W", "_", page) + ".py"
        text = program_of(page)
        (package / name).write_text(text if "engine = " in text else BEFORE + text)
    (package / "policies.py").write_text("from scheduler import Every, Timer\n" + ENDING)
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    words = [sys.executable, "-m", "mypy", "--config-file", str(tmp_path / "mypy.ini"), "-p", "pages"]
    environ = os.environ | {"MYPYPATH": str(tmp_path)}
    checked = subprocess.run(
        words, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=slowed(900)
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
