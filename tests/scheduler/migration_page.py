"""The parts of the pages on moving from LeanCloud and on deployment: their blocks, commands and files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGES = ("migrating-from-leancloud.md", "migrating-from-leancloud.zh-CN.md")
DEPLOYMENT = "deployment.md"


def blocks(page: str, language: str = r"\w+") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def commands(page: str = PAGES[0]) -> list[str]:
    """Every line of a page that is for a shell."""
    return [line for block in blocks(page, "sh") for line in block.splitlines()]


def variables() -> dict[str, str]:
    """What the page exports."""
    words = [word for line in commands() if line.startswith("export ") for word in shlex.split(line)[1:]]
    return dict(word.split("=", 1) for word in words)


def side(diff: str, sign: str) -> str:
    """One side of a diff: `-` for what was, `+` for what is."""
    return "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in (" ", sign))


def files(sign: str = "+") -> dict[str, str]:
    """The files of the page on moving by the names in their first lines."""
    texts = [side(diff, sign) for diff in blocks(PAGES[0], "diff")]
    texts += [text for language in ("python", "js", "toml") for text in blocks(PAGES[0], language)]
    (listed,) = blocks(PAGES[0], "csv")
    return _named(texts) | {"timers.csv": listed}


def deployment_files() -> dict[str, str]:
    """Those of the page on deployment."""
    return _named([text for language in ("ini", "toml", "nginx") for text in blocks(DEPLOYMENT, language)])


def _named(texts: list[str]) -> dict[str, str]:
    return {re.split(r"[\s]+", text, maxsplit=2)[1]: text for text in texts}
