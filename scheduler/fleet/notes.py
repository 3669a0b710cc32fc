"""Notes of a child process: what a run printed and how it ended, until the store has it.

They are in a file as well, for the main process to read when the child is killed.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import StoreUnavailableError
from ..workers.protocol import PackedEnding, PackedLine
from .runs import FleetRuns

#: When lines are written to the store while their run goes on.
WRITE_EVERY_S, WRITE_EVERY_LINES = 1.0, 100


class EndedRun(NamedTuple):
    """A run that a child has ended, with the values to write to its row."""

    run_id: int
    worker: str
    channel: str
    ending: PackedEnding


class Notes:
    """A run's lines that the store does not have, and how it ended; also in a file, in case the child is killed."""

    def __init__(self, path: Path, fleet: Callable[[], FleetRuns]) -> None:
        self._fleet = fleet
        self._file = path.open("wb", buffering=0)
        self._lines: list[PackedLine] = []
        self._write_at = 0.0

    def print(self, *line: Any) -> None:
        """Take a line that a run prints; the store gets it soon."""
        run_id, _, _, text = line
        if not run_id:
            print(text, file=sys.__stderr__)
            return
        if not self._lines:
            self._write_at = time.monotonic() + WRITE_EVERY_S
        self.add_line(PackedLine(*line))
        if len(self._lines) >= WRITE_EVERY_LINES or time.monotonic() >= self._write_at:
            self._write_lines()

    def add_line(self, line: PackedLine) -> None:
        """Take a line that is written to the store with the ending of its run."""
        self._lines.append(line)
        self._append(line)

    def add_ending(self, ended: EndedRun) -> None:
        """Note how a run has ended."""
        self._append(ended)

    def unwritten_lines(self) -> list[PackedLine]:
        return list(self._lines)

    def clear(self) -> None:
        self._lines.clear()
        self._file.seek(0)
        self._file.truncate()

    def _append(self, note: PackedLine | EndedRun) -> None:
        self._file.write(json.dumps([type(note).__name__, *note]).encode() + b"\n")

    def _write_lines(self) -> None:
        try:
            self._fleet().add_lines([line.unpacked() for line in self._lines])
        except StoreUnavailableError:
            self._write_at = time.monotonic() + WRITE_EVERY_S
            return
        self.clear()


def read_notes(path: Path, run_id: int | None) -> tuple[list[PackedLine], EndedRun | None]:
    """What a killed child had not written to the store of a run: lines, and how it ended where it had.

    The last note may be cut short and is ignored then, and so is what a function has written into the file.
    """
    lines: list[PackedLine] = []
    ended: EndedRun | None = None
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError, IndexError):
        for text in path.read_bytes().splitlines():
            kind, *fields = json.loads(text)
            if fields[0] != run_id:
                continue
            if kind == PackedLine.__name__:
                lines.append(PackedLine(*fields))
            else:
                _, worker, channel, ending = fields
                ended = EndedRun(fields[0], worker, channel, PackedEnding(*ending))
    return lines, ended
