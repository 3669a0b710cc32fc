"""PoolSize: how many workers a pool should have. `now` is a reading in monotonic seconds throughout."""

from __future__ import annotations

#: How long a pool must have had more workers than it wants before one is let go, and then the next.
SURPLUS_S, NEXT_S = 30.0, 1.0


class PoolSize:
    """As many workers free as were asked for, whatever hangs, up to `most`; and no more than that for long."""

    def __init__(self, workers: int, most: int) -> None:
        self.workers = workers
        self._most = most
        self._surplus_since: float | None = None
        self._hire_after = 0.0

    def put_off(self, until: float) -> None:
        """Hire nobody before that."""
        self._hire_after = until

    def may_hire(self, count: int, now: float) -> bool:
        """Whether a pool of so many workers may have one more."""
        return count < self._most and now >= self._hire_after

    def change(self, count: int, *, starting: int, held_up: int, now: float) -> int:
        """By how many workers to change a pool: some more, one less, or none.

        It has `count` workers, of which `starting` have not loaded the functions yet; `held_up` are blocked by a
        function, or will be by what waits.
        """
        wanted = min(self.workers + held_up, self._most)
        if count <= wanted:
            self._surplus_since = None
            # At most a doubling at a time: starting a worker costs what a hundred runs cost.
            affordable = max(self.workers, count) - starting
            return max(0, min(wanted - count, affordable)) if self.may_hire(count, now) else 0
        if self._surplus_since is None:
            self._surplus_since = now
        return -1 if now - self._surplus_since >= SURPLUS_S else 0

    def tried_to_let_go(self, now: float) -> None:
        """One worker has been let go, or none was idle."""
        self._surplus_since = now - SURPLUS_S + NEXT_S

    def next_change_s(self, count: int, *, is_waited_for: bool, now: float) -> float | None:
        """Seconds until a pool of so many workers may have to change, though nothing happens."""
        if self._surplus_since is not None:
            return max(0.0, self._surplus_since + SURPLUS_S - now)
        return max(0.0, self._hire_after - now) if is_waited_for and not count else None
