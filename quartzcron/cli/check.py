"""Expressions and files of expressions, checked: what is wrong with each line, where, and what was probably meant.

A file has one expression a line. Empty lines and lines that begin with `#` say nothing; what follows a tab is ignored.
"""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from .. import CronExpression, CronSyntaxError
from ..errors import shortened

_LONG = 2_000
_WIDTH = 40
_REDRAW_S = 0.1


def finding(text: str) -> dict[str, Any]:
    """Whether a text is an expression: its normal form, or its problems, a drawing of them and the likely fix."""
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
    """Whether an argument of `check` names a file, rather than being an expression.

    Raises OSError if it looks like a file name, and there is no such file.
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


def findings_in(name: str, lines: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A finding for each line that has an expression, with the file and the number of the line."""
    for number, line in enumerate(lines, 1):
        text = line.partition("\t")[0].rstrip()
        if text and not text.lstrip().startswith("#"):
            yield {"file": name, "line": number, **finding(text)}


def in_words(found: dict[str, Any]) -> str:
    """What is wrong with a line of a file, as compilers say it, or that it never fires."""
    where = f"{found['file']}:{found['line']}"
    if found["valid"]:
        return f"{where}:1: {shortened(found['expression'])} never fires"
    messages = "\n".join(f"{where}:{problem['column']}: {problem['message']}" for problem in found["problems"])
    fix = f"\n  did you mean {found['fix']!r}?" if found["fix"] else ""
    return f"{messages}\n{found['drawing']}{fix}"


def with_progress(findings: Iterable[dict[str, Any]], lines: int, out: TextIO) -> Iterator[dict[str, Any]]:
    """The same findings, and meanwhile a bar, if there are many lines and somebody is looking at a terminal."""
    if lines < _LONG or not out.isatty():
        yield from findings
        return
    drawn = 0.0
    for found in findings:
        now = time.monotonic()
        if now - drawn > _REDRAW_S:
            drawn = now
            done = found["line"] * _WIDTH // lines
            out.write(f"\r{'━' * done}{'─' * (_WIDTH - done)} {found['line'] * 100 // lines:3} %")
            out.flush()
        yield found
    out.write("\r\x1b[K")
    out.flush()
