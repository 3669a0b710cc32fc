"""The results of the command check: the problems and the likely fix of each expression or line of a file.

A file has one expression per line. Empty lines, and everything after a tab or after a blank and `#`, are ignored.
"""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..errors import CronSyntaxError, shortened
from ..expression import CronExpression
from ..grammar.likely_fix import comment_place

_LONG = 2_000
_WIDTH = 40
_REDRAW_S = 0.1


def check_text(text: str) -> dict[str, Any]:
    """The result for a text: the normal form of a valid one, else its problems, a drawing and the likely fix."""
    try:
        expression = CronExpression(text)
    except CronSyntaxError as error:
        problems = [
            {"field": problem.field, "column": problem.column, "text": problem.text, "message": str(problem)}
            for problem in error.problems
        ]
        return {"expression": text, "valid": False, "problems": problems, "fix": error.fix, "drawing": error.drawing}
    never = expression.never_fires
    return {"expression": text, "valid": True, "canonical": expression.canonical, "never_fires": never}


def is_file(argument: str) -> bool:
    """Whether an argument of `check` is a file name rather than an expression.

    Raises OSError if it looks like a file name, but the file is missing.
    """
    if argument == "-":
        return True
    if len(argument.encode(errors="replace")) > 255 or "\0" in argument:
        return False
    path = Path(argument)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a directory", argument)
    if not path.exists() and not argument.strip().count(" ") and path.suffix[1:].isalpha():
        raise FileNotFoundError(argument)
    return path.exists()


def lines_of(argument: str) -> list[str]:
    """The lines of a file, or of standard input for `-`."""
    if argument == "-":
        return sys.stdin.read().removeprefix("\ufeff").splitlines()
    return Path(argument).read_text(encoding="utf-8-sig", errors="replace").splitlines()


def check_lines(name: str, lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The result for each line with an expression, and the file and the line number."""
    for number, line in enumerate(lines, 1):
        text = line.partition("\t")[0]
        text = text[: comment_place(text)].rstrip()
        if text:
            yield {"file": name, "line": number, **check_text(text)}


def in_words(finding: dict[str, Any]) -> str:
    """The problems of a line of a file in the format of compilers, or that it never fires."""
    where = f"{finding['file']}:{finding['line']}"
    if finding["valid"]:
        return f"{where}:1: {shortened(finding['expression'])} never fires"
    messages = "\n".join(f"{where}:{problem['column']}: {problem['message']}" for problem in finding["problems"])
    fix = f"\n  did you mean {finding['fix']!r}?" if finding["fix"] else ""
    return f"{messages}\n{finding['drawing']}{fix}"


def with_progress(findings: Iterable[dict[str, Any]], lines: int, out: TextIO) -> Iterator[dict[str, Any]]:
    """The same findings; meanwhile draws a progress bar if there are many lines and `out` is a terminal."""
    if lines < _LONG or not out.isatty():
        yield from findings
        return
    drawn = 0.0
    for finding in findings:
        now = time.monotonic()
        if now - drawn > _REDRAW_S:
            drawn = now
            done = finding["line"] * _WIDTH // lines
            out.write(f"\r{'━' * done}{'─' * (_WIDTH - done)} {finding['line'] * 100 // lines:3} %")
            out.flush()
        yield finding
    out.write("\r\x1b[K")
    out.flush()
