"""PoolSize: how many workers a pool should have. `now` is in monotonic seconds throughout."""

from __future__ import annotations

#: After how long one surplus worker is stopped, and after how much longer the next.
SURPLUS_S, NEXT_S = 30.0, 1.0


class PoolSize:
    """Keeps `workers` free, up to `most` in all, however many hang; stops a surplus worker after SURPLUS_S."""

    def __init__(self, workers: int, most: int) -> None:
        self.workers = workers
        self._most = most
        self._surplus_since: float | None = None
        self._grow_after = 0.0

    def delay_growth(self, until: float) -> None:
        """Start no worker before `until`."""
        self._grow_after = until

    def may_grow(self, count: int, now: float) -> bool:
        """Whether a pool of `count` workers may have one more."""
        return count < self._most and now >= self._grow_after

    def change(self, count: int, *, starting: int, held_up: int, now: float) -> int:
        """How many workers to start, or -1 to stop one.

        The pool has `count` workers; `starting` of them have not loaded the functions yet; `held_up` are blocked by a
        function, or will be by the tasks that wait.
        """
        wanted = min(self.workers + held_up, self._most)
        if count <= wanted:
            self._surplus_since = None
            # At most double the pool at a time: starting a worker costs as much as a hundred runs.
            affordable = max(self.workers, count) - starting
            return max(0, min(wanted - count, affordable)) if self.may_grow(count, now) else 0
        if self._surplus_since is None:
            self._surplus_since = now
        return -1 if now - self._surplus_since >= SURPLUS_S else 0

    def tried_to_shrink(self, now: float) -> None:
        """Note that one worker was stopped, or that none was idle."""
        self._surplus_since = now - SURPLUS_S + NEXT_S

    def next_change_s(self, count: int, *, is_waited_for: bool, now: float) -> float | None:
        """Seconds until the result of `change` may differ without any event; None = never."""
        if self._surplus_since is not None:
            return max(0.0, self._surplus_since + SURPLUS_S - now)
        return max(0.0, self._grow_after - now) if is_waited_for and not count else None
