"""Limits of printed lines: at most 4,096 characters a line, and 600 lines a minute for each run. Pure."""

from __future__ import annotations

from collections.abc import Callable

#: The specification's limits of a log.
MAX_LINE_LENGTH = 4_096
MAX_LINES_A_MINUTE = 600


def dropped_text(count: int) -> str:
    """The last line of a run whose output exceeded the limit."""
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


#: RESERVED_LINES of the lines a minute that all calls share are reserved: each function may print FIRST_LINES of them
#: after others have used up the rest.
RESERVED_LINES, FIRST_LINES = 100, 20
#: The most functions that are counted separately in a minute.
_MOST_FUNCTIONS = 1_000


class SharedLineLimit:
    """The rate limit of the lines of all calls, which no function can use up alone; counts dropped lines."""

    __slots__ = ("_by_function", "_count", "_dropped", "_window")

    def __init__(self) -> None:
        self._window = 0.0
        self._count = 0
        self._by_function: dict[str, int] = {}
        self._dropped: dict[str, int] = {}

    def allows(self, now: float, function: str) -> bool:
        """Whether a line that a function printed at `now`, in monotonic seconds, is kept; else it counts as dropped."""
        if now - self._window >= 60:
            self._window, self._count = now, 0
            self._by_function.clear()
        if self._is_allowed(function):
            self._count += 1
            return True
        self.add_dropped(function, 1)
        return False

    def _is_allowed(self, function: str) -> bool:
        printed = self._by_function.get(function, 0)
        if printed or len(self._by_function) < _MOST_FUNCTIONS:
            self._by_function[function] = printed + 1
        if self._count < MAX_LINES_A_MINUTE - RESERVED_LINES:
            return True
        is_known = function in self._by_function
        return is_known and printed < FIRST_LINES and self._count < MAX_LINES_A_MINUTE

    def add_dropped(self, function: str, count: int) -> None:
        """Count lines that were dropped elsewhere."""
        if function in self._dropped or len(self._dropped) < _MOST_FUNCTIONS:
            self._dropped[function] = self._dropped.get(function, 0) + count

    def take_dropped(self) -> dict[str, int]:
        """The number of dropped lines of each function since the last call."""
        taken, self._dropped = self._dropped, {}
        return taken


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
            # Copy only the part that is kept, because a line may have a gigabyte.
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
