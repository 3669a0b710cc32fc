"""Which children of a pool with threads stand still, judged by several looks at the pool; pure.

A child stands still if it is stopped, if it has been deadlocked since its fork, or if a thread of an earlier function
holds the interpreter. It may do so anywhere: while it has the lock to read a task or to write a result, which stops the
others too; with a task that it has not accepted; or between two tasks, with no lock at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

#: A child stands still that does nothing in this many further looks although a task waits. Not by the clock, because
#: the process that looks may have been stopped, too.
SILENT_LOOKS = 4
#: The same for a child that has not finished a task yet: it may be starting, and waiting for a store that is away.
STARTING_LOOKS = 30


class Look(NamedTuple):
    """A pool at one moment, when all results that children have written are read."""

    #: For each child that is not at work, how many messages it has finished.
    idle: Mapping[int, int]
    #: The messages that no child has accepted.
    untaken: frozenset[int]
    #: The children that have the lock to read a task, and to write a result.
    reader: int | None
    writer: int | None


class Silent(NamedTuple):
    """The children to kill; `with_tasks` if they may have read tasks that wait, or a part of one."""

    pids: frozenset[int]
    with_tasks: bool = True


class SilentChildren:
    """Compares looks. A child that has a lock is judged before those that may wait for it."""

    def __init__(self) -> None:
        self._untaken: frozenset[int] = frozenset()
        #: In how many looks after the first a child was the same: by pid, and by what it has finished.
        self._idle_looks: dict[tuple[int, int], int] = {}
        self._writer: int | None = None
        self._writer_looks = 0

    def after(self, look: Look) -> Silent:
        """The children that stand still by this look and those before it."""
        is_same = look.writer is not None and look.writer == self._writer
        self._writer_looks = self._writer_looks + 1 if is_same else 0
        self._writer = look.writer
        # A task that waited in the last look, too; another one may have come just now.
        before = self._idle_looks if look.untaken & self._untaken else {}
        self._untaken = look.untaken
        idle = look.idle.items() if look.untaken else ()
        self._idle_looks = {key: before.get(key, -1) + 1 for key in idle}
        if look.writer is not None and self._writer_looks >= SILENT_LOOKS:
            return Silent(frozenset({look.writer}), with_tasks=False)
        for (pid, _), looks in self._idle_looks.items():
            # It has begun to read, so it is not starting.
            if pid == look.reader and looks >= SILENT_LOOKS:
                return Silent(frozenset({pid}))
        ripe = [pid for (pid, finished), looks in self._idle_looks.items() if looks >= _most_looks(finished)]
        return Silent(frozenset(ripe))


def _most_looks(finished: int) -> int:
    return SILENT_LOOKS if finished else STARTING_LOOKS
