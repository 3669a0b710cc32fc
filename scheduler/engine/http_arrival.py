"""How fast a request has to arrive: bounds for its headers, for each stretch of time, and for the whole.

Lives here: the bounds and their check, a rule without a clock. Never here: what is done with a slow request.
"""

from __future__ import annotations

#: The headers arrive within HEAD_S seconds, however many bytes come meanwhile, and the whole request within WHOLE_S.
HEAD_S, WHOLE_S = 20.0, 300.0
#: In each WINDOW_S seconds of a body, MIN_SPEED bytes per second arrive; earlier haste is no credit.
WINDOW_S, MIN_SPEED = 20.0, 500


class Arrival:
    """The progress of one request."""

    __slots__ = ("_size_before", "_window_began", "_would_cut", "began")

    def __init__(self, now: float) -> None:
        self.began = self._window_began = now
        self._size_before = 0
        self._would_cut = False

    def is_too_slow(self, now: float, size: int, *, headers_are_complete: bool) -> bool:
        """Whether a request of `size` bytes so far is to be cut, by a look that is taken before more is read.

        Only the second look in a row says so: between the two, the loop reads what has arrived while it stood still.
        """
        if not self._is_overdue(now, size, headers_are_complete=headers_are_complete):
            self._would_cut = False
            return False
        was_overdue, self._would_cut = self._would_cut, True
        return was_overdue

    def _is_overdue(self, now: float, size: int, *, headers_are_complete: bool) -> bool:
        if now - self.began > (WHOLE_S if headers_are_complete else HEAD_S):
            return True
        if now - self._window_began <= WINDOW_S or not headers_are_complete:
            return False
        if size - self._size_before < MIN_SPEED * WINDOW_S:
            return True
        self._window_began, self._size_before = now, size
        return False
