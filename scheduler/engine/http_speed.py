"""How fast a request has to arrive, and its answer to be read: bounds for stretches of time, and for whole requests.

Lives here: the bounds and their check, a rule without a clock. Never here: what is done with a slow client.
"""

from __future__ import annotations

#: The headers arrive within HEAD_S seconds, however many bytes come meanwhile, and the whole request within WHOLE_S.
HEAD_S, WHOLE_S = 20.0, 300.0
#: In each WINDOW_S seconds of a body, MIN_SPEED bytes per second arrive, and of an answer that waits, as many are
#: read; earlier haste is no credit.
WINDOW_S, MIN_SPEED = 20.0, 500


class Progress:
    """How fast bytes go over a connection, in one direction.

    Only the second look in a row says that they are too slow: a look is taken before more is read and sent, and between
    the two looks, the loop does what it could not do while it stood still.
    """

    __slots__ = ("_size_before", "_window_began", "_would_cut")

    def __init__(self, now: float, size: int = 0) -> None:
        self._window_began = now
        self._size_before = size
        self._would_cut = False

    def is_too_slow(self, now: float, size: int) -> bool:
        """Whether the connection is to be cut when so many bytes have gone over it."""
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
        """Whether a request that has so many bytes is to be cut."""
        if not headers_are_complete:
            return self._is_second_look(now - self._began > HEAD_S)
        return self._is_second_look(now - self._began > WHOLE_S or self._is_slow(now, size))
