"""Notes of a fleet's child process: what a run printed and how it ended, until the store has it.

They stand in a file, too, for the main process to read when the child is killed.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..core.breaker import Verdict
from ..core.run import Ending, Line, Outcome
from ..core.timestamps import instant
from ..errors import StoreUnavailableError
from .runs import FleetRuns

#: When lines are written while their run goes on.
KEEP_EVERY_S, KEEP_EVERY_LINES = 1.0, 100

#: run_id, at, level, text
Note = tuple[int, int, str, str]
#: run_id, worker, channel, ended_at, outcome, verdict, error, result, lines_dropped
Told = tuple[int, str, str, int, str, str, str | None, str | None, int]


class Notes:
    """What is known of a run and the store does not have yet; in a file too, in case the process is killed."""

    def __init__(self, path: Path, fleet: Callable[[], FleetRuns]) -> None:
        self._fleet = fleet
        self._file = path.open("wb", buffering=0)
        self._notes: list[Note] = []
        self._keep_at = 0.0

    def take(self, *note: Any) -> None:
        """Take a line that a run prints; the store gets it soon."""
        run_id, _, _, text = note
        if not run_id:
            print(text, file=sys.__stderr__)
            return
        if not self._notes:
            self._keep_at = time.monotonic() + KEEP_EVERY_S
        self.add(note)
        if len(self._notes) >= KEEP_EVERY_LINES or time.monotonic() >= self._keep_at:
            self._keep()

    def add(self, note: Any) -> None:
        """Take a line that goes to the store with the ending of its run."""
        self._notes.append(note)
        self._write(note)

    def add_ending(self, told: Told) -> None:
        """Note how a run has ended."""
        self._write(told)

    def unkept(self) -> list[Note]:
        return list(self._notes)

    def clear(self) -> None:
        self._notes.clear()
        self._file.seek(0)
        self._file.truncate()

    def _write(self, words: tuple[Any, ...]) -> None:
        self._file.write(json.dumps(words).encode() + b"\n")

    def _keep(self) -> None:
        try:
            self._fleet().keep(lines_of(self._notes))
        except StoreUnavailableError:
            self._keep_at = time.monotonic() + KEEP_EVERY_S
            return
        self.clear()


def notes_of(path: Path, run_id: int | None) -> tuple[list[Note], Told | None]:
    """What a process that was killed had not brought to the store of a run; a line that is cut short is none."""
    notes: list[Note] = []
    ending: Told | None = None
    with contextlib.suppress(FileNotFoundError, ValueError):
        for text in path.read_bytes().splitlines():
            words: Any = tuple(json.loads(text))
            if words[0] != run_id:
                continue
            if len(words) == _NOTE_WORDS:
                notes.append(words)
            else:
                ending = words
    return notes, ending


_NOTE_WORDS = 4


def lines_of(notes: Iterable[Note]) -> list[Line]:
    """Notes as lines of their runs."""
    return [Line(run_id, instant(at), level, text) for run_id, at, level, text in notes]


def ending_of(told: Told) -> Ending:
    """How a run has ended, as was noted."""
    _, _, _, ended_at, outcome, verdict, error, result, dropped = told
    return Ending(
        outcome=Outcome(outcome),
        verdict=Verdict(verdict),
        ended_at=instant(ended_at),
        error=error,
        result=result,
        lines_dropped=dropped,
    )
