"""The minimum speed at which a request arrives and its answer is read, and the longest time of a request.

Lives here: the bounds and their check, a rule without a clock. Never here: closing connections.
"""

from __future__ import annotations

#: The headers arrive within HEAD_S seconds, however many bytes come meanwhile, and the whole request within WHOLE_S.
HEAD_S, WHOLE_S = 20.0, 300.0
#: In each WINDOW_S seconds, at least MIN_SPEED bytes per second of a body arrive, and of a waiting answer are read;
#: bytes of an earlier window do not count.
WINDOW_S, MIN_SPEED = 20.0, 500


class Progress:
    """The speed of a connection in one direction.

    It is too slow only after two failed checks in a row: a check precedes reading and sending, so that between the two,
    the loop can catch up if it was suspended.
    """

    __slots__ = ("_size_before", "_window_began", "_would_cut")

    def __init__(self, now: float, size: int = 0) -> None:
        self._window_began = now
        self._size_before = size
        self._would_cut = False

    def is_too_slow(self, now: float, size: int) -> bool:
        """Whether to close a connection that has transferred `size` bytes."""
        return self._is_second_look(self._is_slow(now, size))

    def _is_slow(self, now: float, size: int) -> bool:
        if now - self._window_began <= WINDOW_S:
            return False
        if size - self._size_before < MIN_SPEED * WINDOW_S:
            return True
        self._window_began, self._size_before = now, size
        return False

    def _is_second_look(self, overdue: bool) -> bool:
        was_overdue, self._would_cut = self._would_cut, overdue
        return overdue and was_overdue


class Arrival(Progress):
    """The progress of one request."""

    __slots__ = ("_began",)

    def __init__(self, now: float) -> None:
        super().__init__(now)
        self._began = now

    def is_late(self, now: float, size: int, *, headers_are_complete: bool) -> bool:
        """Whether to close the connection of a request after `size` bytes of it have arrived."""
        if not headers_are_complete:
            return self._is_second_look(now - self._began > HEAD_S)
        return self._is_second_look(now - self._began > WHOLE_S or self._is_slow(now, size))
