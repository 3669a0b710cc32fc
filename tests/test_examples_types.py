"""mypy --strict accepts every Python example of the pages, as a reader's program would have it."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT

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
    return "\n".join(parts)


def test_the_examples_have_right_types(tmp_path: Path) -> None:
    """Page by page, and policies as texts, which the options of the command line suggest."""
    pages = [page for page in PAGES if page not in UNTYPED and (ROOT / page).exists() and program_of(page)]
    assert len(pages) >= 6
    for page in pages:
        name = re.sub(r"\W", "_", page) + ".py"
        text = program_of(page)
        (tmp_path / name).write_text(text if "engine = " in text else BEFORE + text)
    (tmp_path / "policies.py").write_text("from scheduler import Every, Timer\n" + ENDING)
    words = [sys.executable, "-m", "mypy", "--strict", "--allow-redefinition", "--ignore-missing-imports"]
    # Libraries without types, which the examples use.
    words += ["--disable-error-code", "import-untyped", "--allow-untyped-calls", "--allow-untyped-decorators"]
    words += ["--cache-dir", str(tmp_path / "cache")]
    checked = subprocess.run([*words, "."], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=900)
    assert checked.returncode == 0, checked.stdout + checked.stderr
