"""Transactions whose commit was not answered: the connection broke, and they may have taken place or not.

The store tells, once it answers again: a claim that took place left runs of ours that no executor has, and what was
recorded is there to be read.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, exists, select

from ..core.run import Ending, Line, Task
from ..core.timestamps import stamp
from ..store.rows import storable
from ..store.schema import lines, runs

#: Of many runs that were written together, so many tell whether all were.
_SAMPLE = 100
#: How many ids go into one statement; databases limit the parameters of one.
_READ_AT_ONCE = 1_000


class UnknownCommits:
    """What the last claim and the last record of a daemon would have done, until their answers are known."""

    def __init__(self) -> None:
        #: The tasks of the claim.
        self.claimed: list[Task] = []
        #: How many endings and lines are surely in the store, and up to where the last attempt would have brought it.
        self._sure = (0, 0)
        self._tried = (0, 0)

    def claimed_after_all(self, connection: Connection, owner: int) -> list[Task]:
        """Those tasks of the doubtful claim that are in the store, as runs of `owner` that go on."""
        found: set[int] = set()
        for start in range(0, len(self.claimed), _READ_AT_ONCE):
            run_ids = [task.run_id for task in self.claimed[start : start + _READ_AT_ONCE]]
            ours = select(runs.c.id).where(runs.c.id.in_(run_ids), runs.c.owner == owner, runs.c.outcome.is_(None))
            found.update(connection.execute(ours).scalars())
        return [task for task in self.claimed if task.run_id in found]

    def unrecorded(
        self, connection: Connection, owner: int, ended: Sequence[tuple[Task, Ending]], printed: Sequence[Line]
    ) -> tuple[Sequence[tuple[Task, Ending]], Sequence[Line]]:
        """What of a daemon's endings and lines is not in the store yet, for the transaction that will write it.

        Both begin with those of the attempt before, where that was not answered.
        """
        ends, prints = (slice(*span) for span in zip(self._sure, self._tried, strict=True))
        if _are_recorded(connection, owner, ended[ends], printed[prints]):
            self._sure = self._tried
        self._tried = len(ended), len(printed)
        return ended[self._sure[0] :], printed[self._sure[1] :]

    def recorded(self) -> None:
        """The attempt was answered: it succeeded."""
        self._sure = self._tried = 0, 0


def _are_recorded(
    connection: Connection, owner: int, ended: Sequence[tuple[Task, Ending]], printed: Sequence[Line]
) -> bool:
    """Whether these were written; all of them were, or none."""
    if ended:
        run_ids = [task.run_id for task, _ in ended[:_SAMPLE]]
        written = exists().where(runs.c.id.in_(run_ids), runs.c.owner == owner, runs.c.outcome.is_not(None))
    elif printed:
        line = printed[-1]
        written = exists().where(
            lines.c.run_id == line.run_id, lines.c.at == stamp(line.at), lines.c.text == storable(line.text)
        )
    else:
        return False
    return bool(connection.execute(select(written)).scalar())
