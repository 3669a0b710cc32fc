"""Notes of a child process: the lines and the ending of a run, until the store has them.

A file holds them too, so that the main process can read them when the child is killed.
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

#: How often, or after how many lines, lines are written to the store during a run.
WRITE_EVERY_S, WRITE_EVERY_LINES = 1.0, 100


class UnwrittenEnding(NamedTuple):
    """The ending of a run in a child, with the values to write to its row."""

    run_id: int
    worker: str
    channel: str
    ending: PackedEnding


class Notes:
    """The lines of a run that the store does not have, and its ending; also in a file, in case the child is killed."""

    def __init__(self, path: Path, fleet: Callable[[], FleetRuns]) -> None:
        self._fleet, self._path = fleet, path
        self._file = path.open("wb", buffering=0)
        self._lines: list[PackedLine] = []
        self._write_at = 0.0

    def print(self, *line: Any) -> None:
        """Add a line that a run prints, and soon write it to the store."""
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
        """Add a line that is written to the store together with the ending of its run."""
        self._lines.append(line)
        self._append(line)

    def add_ending(self, ended: UnwrittenEnding) -> None:
        """Add the ending of a run."""
        self._append(ended)

    def leave(self, run_id: int) -> None:
        """Leave the notes of a run that has ended to the main process, and begin new ones."""
        self._file.close()
        self._path.rename(_left(self._path, run_id))
        self._file = self._path.open("wb", buffering=0)
        self._lines.clear()

    def unwritten_lines(self) -> list[PackedLine]:
        return list(self._lines)

    def clear(self) -> None:
        self._lines.clear()
        self._file.seek(0)
        self._file.truncate()

    def _append(self, note: PackedLine | UnwrittenEnding) -> None:
        self._file.write(json.dumps([type(note).__name__, *note]).encode() + b"\n")

    def _write_lines(self) -> None:
        try:
            self._fleet().add_lines([line.unpacked() for line in self._lines])
        except StoreUnavailableError:
            self._write_at = time.monotonic() + WRITE_EVERY_S
            return
        self.clear()


def remove_left(path: Path, run_id: int) -> None:
    """Remove the notes of a run that a child has left, when the store has them."""
    _left(path, run_id).unlink(missing_ok=True)


def _left(path: Path, run_id: int) -> Path:
    return path.with_name(f"{path.name}-{run_id}")


def read_notes(path: Path, run_id: int | None) -> tuple[list[PackedLine], UnwrittenEnding | None]:
    """The lines of a run that a child had not written to the store, and the ending if there was one.

    Ignores a last note that is incomplete, and anything that a function has written into the file.
    """
    if run_id is not None and (left := _left(path, run_id)).exists():
        path = left
    lines: list[PackedLine] = []
    ended: UnwrittenEnding | None = None
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError, IndexError):
        for text in path.read_bytes().splitlines():
            kind, *fields = json.loads(text)
            if fields[0] != run_id:
                continue
            if kind == PackedLine.__name__:
                lines.append(PackedLine(*fields))
            else:
                _, worker, channel, ending = fields
                ended = UnwrittenEnding(fields[0], worker, channel, PackedEnding(*ending))
    return lines, ended
