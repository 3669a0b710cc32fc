"""UnknownCommits: transactions that may or may not be committed, because the connection broke before the answer.

The next transaction finds out from the store:

- a claim that was committed left runs of this daemon without an outcome, and no executor has them: they begin now;
- results that were recorded have an outcome, and printed lines are in the table: they are not written twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, exists, select

from ..core.run import Ending, Line, Task
from ..core.timestamps import stamp
from ..store.rows import storable
from ..store.schema import lines, runs

#: How many of the runs that one transaction ended are read: either all have an outcome, or none.
_SAMPLE = 100
#: How many ids go into one statement; databases limit its parameters.
_READ_AT_ONCE = 1_000


class UnknownCommits:
    """The claim and the results of a daemon's last transactions, until their commit is known."""

    def __init__(self) -> None:
        #: The tasks of claims that may or may not have been committed.
        self.claimed: list[Task] = []
        #: How many results, and how many lines, are known to be in the store.
        self._recorded = (0, 0)
        #: The same, if the last transaction was committed.
        self._attempted = (0, 0)

    def committed_claims(self, connection: Connection, owner: int) -> list[Task]:
        """The tasks of `claimed` that are in the store as open runs of `owner`."""
        in_store: set[int] = set()
        for start in range(0, len(self.claimed), _READ_AT_ONCE):
            run_ids = [task.run_id for task in self.claimed[start : start + _READ_AT_ONCE]]
            ours = select(runs.c.id).where(runs.c.id.in_(run_ids), runs.c.owner == owner, runs.c.outcome.is_(None))
            in_store.update(connection.execute(ours).scalars())
        return [task for task in self.claimed if task.run_id in in_store]

    def claiming(self, tasks: list[Task]) -> None:
        """Note the tasks of a claim that is about to be committed.

        Those noted before stay until a commit is answered: this claim may have ended some, and not be committed.
        """
        if self.claimed:
            run_ids = {task.run_id for task in tasks}
            tasks = [*tasks, *(task for task in self.claimed if task.run_id not in run_ids)]
        self.claimed = tasks

    def unrecorded(
        self, connection: Connection, owner: int, ended: Sequence[tuple[Task, Ending]], printed: Sequence[Line]
    ) -> tuple[Sequence[tuple[Task, Ending]], Sequence[Line]]:
        """The part of a daemon's results and lines that is not in the store yet, for the transaction that writes it.

        If the last transaction was not answered, both begin with what it tried to write.
        """
        results, printed_then = (slice(*span) for span in zip(self._recorded, self._attempted, strict=True))
        if _are_recorded(connection, owner, ended[results], printed[printed_then]):
            self._recorded = self._attempted
        self._attempted = len(ended), len(printed)
        return ended[self._recorded[0] :], printed[self._recorded[1] :]

    def record_committed(self) -> None:
        """Note that the transaction that wrote the results was answered."""
        self._recorded = self._attempted = 0, 0


def _are_recorded(
    connection: Connection, owner: int, ended: Sequence[tuple[Task, Ending]], printed: Sequence[Line]
) -> bool:
    """Whether the results and lines of one transaction are in the store: all of them are, or none."""
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
