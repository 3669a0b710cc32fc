"""Limits of what a run prints: it is cut into lines of 4,096 characters, of which 600 a minute are kept. Pure."""

from __future__ import annotations

from collections.abc import Callable

#: The specification's limits of a log.
MAX_LINE_LENGTH = 4_096
MAX_LINES_A_MINUTE = 600


def dropped_text(count: int) -> str:
    """The last line of a run of which lines were dropped."""
    return f"… {count} more lines were dropped: a run may print {MAX_LINES_A_MINUTE} a minute"


class LineLimit:
    """The rate limit of the lines of one run; lines over the limit are counted and dropped."""

    __slots__ = ("_count", "_window", "dropped")

    def __init__(self) -> None:
        self._window = 0.0
        self._count = 0
        self.dropped = 0

    @property
    def used(self) -> bool:
        """Whether any line was printed."""
        return self._count > 0

    def allows(self, now: float) -> bool:
        """Whether a line printed at `now`, in monotonic seconds, is kept; else it counts as dropped."""
        if now - self._window >= 60:
            self._window, self._count = now, 0
        self._count += 1
        if self._count <= MAX_LINES_A_MINUTE:
            return True
        self.dropped += 1
        return False


class LineCutter:
    """Cuts a stream of text into lines and calls `emit` with each; buffers one unfinished line of bounded length.

    >>> lines = []
    >>> cutter = LineCutter(lines.append)
    >>> cutter.feed("one\\ntw"); cutter.feed("o\\nthr"); cutter.finish()
    >>> lines
    ['one', 'two', 'thr']
    """

    __slots__ = ("_emit", "_unfinished")

    def __init__(self, emit: Callable[[str], None]) -> None:
        self._emit = emit
        self._unfinished = ""

    def feed(self, text: str) -> None:
        """Read the next piece of the stream."""
        start = 0
        while (end := text.find("\n", start)) >= 0:
            # Only what is kept is copied: a line may have a gigabyte.
            self._emit(self._grown(text[start : min(end, start + MAX_LINE_LENGTH)]).rstrip("\r"))
            self._unfinished = ""
            start = end + 1
        self._unfinished = self._grown(text[start : start + MAX_LINE_LENGTH])

    def finish(self) -> None:
        """Emit a last line that has no line end."""
        if self._unfinished:
            self._emit(self._unfinished)
            self._unfinished = ""

    def _grown(self, piece: str) -> str:
        return (self._unfinished + piece)[:MAX_LINE_LENGTH]
