"""FileProblem, an error on one line of a list of timers, and TimerListError, all errors of a list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..errors import TimerError, shown
from .timer_columns import COLUMNS


class FileProblem(NamedTuple):
    """An error on one line, and its column; None if it is about the whole line.

    `timer` is the name of the timer, where another one is on the same line.
    """

    line: int
    column: str | None
    text: str
    timer: str | None = None

    def __str__(self) -> str:
        timer = f", timer {shown(self.timer)}" if self.timer else ""
        return f"line {self.line}{timer}{f', {self.column}' if self.column else ''}: {self.text}"


class TimerListError(TimerError):
    """A list of timers that cannot be imported; `problems` has every line that is wrong."""

    MOST_SHOWN = 20

    def __init__(self, problems: Iterable[FileProblem]) -> None:
        self.problems = sorted(problems, key=_position)
        more = len(self.problems) - self.MOST_SHOWN
        shown = [str(problem) for problem in self.problems[: self.MOST_SHOWN]]
        super().__init__("\n".join([*shown, f"and {more} more"] if more > 0 else shown))


def _position(problem: FileProblem) -> tuple[int, int]:
    column = problem.column
    return problem.line, COLUMNS.index(column) if column in COLUMNS else -1
