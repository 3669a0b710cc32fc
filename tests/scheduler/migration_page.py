"""The parts of the page on moving from LeanCloud: its blocks, commands and files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = ("migrating-from-leancloud.md", "migrating-from-leancloud.zh-CN.md")


def blocks(page: str, language: str = r"\w+") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every line of the page that is for a shell."""
    return [line for block in blocks(PAGES[0], "sh") for line in block.splitlines()]


def variables() -> dict[str, str]:
    """What the page exports."""
    words = [word for line in commands() if line.startswith("export ") for word in shlex.split(line)[1:]]
    return dict(word.split("=", 1) for word in words)


def side(diff: str, sign: str) -> str:
    """One side of a diff: `-` for what was, `+` for what is."""
    return "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in (" ", sign))


def files(sign: str = "+") -> dict[str, str]:
    """The files of the page by the names in their first lines."""
    texts = [side(diff, sign) for diff in blocks(PAGES[0], "diff")]
    texts += [text for language in ("python", "js", "ini", "toml", "nginx") for text in blocks(PAGES[0], language)]
    named = {re.split(r"[\s]+", text, maxsplit=2)[1]: text for text in texts}
    (listed,) = blocks(PAGES[0], "csv")
    return named | {"timers.csv": listed}
