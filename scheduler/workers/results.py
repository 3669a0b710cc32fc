"""Results: endings and lines that workers have reported, until the daemon collects them; how long functions take."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from ..core.breaker import Verdict
from ..core.log_limits import dropped_text
from ..core.run import Ending, Line, Outcome, Task
from ..executors import PlainSuccesses, Report
from .protocol import PackedEnding
from .worker import BREACH, WorkerProcess

log = logging.getLogger("scheduler.executor")


class Results:
    """The results of one pool."""

    def __init__(self) -> None:
        self._report = Report()
        #: How long functions usually take, by name.
        self.typical_s: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._report)

    def taken(self) -> Report:
        """Return and forget the results since the last call."""
        report, self._report = self._report, Report()
        return report

    def read(self, worker: WorkerProcess) -> None:
        """Read the messages of a worker; ProtocolError for one that no worker sends."""
        for ended in worker.results():
            if worker.breached_by:
                self._end_breached(worker, ended)
            elif isinstance(ended, PlainSuccesses):
                self._end_plainly(ended)
            else:
                task, packed = ended
                self.end(task, packed.unpacked(), packed.took_s)
        self.take_lines(worker)

    def _end_plainly(self, ended: PlainSuccesses) -> None:
        for task, (started_at, ended_at) in zip(*ended, strict=True):
            self._learn_duration(task, (ended_at - started_at) / 1_000_000)
        self._report.plain_successes.append(ended)

    def _end_breached(self, worker: WorkerProcess, ended: PlainSuccesses | tuple[Task, PackedEnding]) -> None:
        """End runs of a worker to whose descriptors a function wrote: the run of that function fails."""
        endings = ended.endings() if isinstance(ended, PlainSuccesses) else [(ended[0], ended[1].unpacked())]
        for task, ending in endings:
            is_blamed = task.run_id == worker.breached_by and ending.outcome is Outcome.SUCCEEDED
            failed = ending._replace(outcome=Outcome.FAILED, verdict=Verdict.FAILURE, error=BREACH, result=None)
            self.end(task, failed if is_blamed else ending, 0.0)

    def end(self, task: Task, ending: Ending, took_s: float) -> None:
        """Add the ending of a run."""
        self._learn_duration(task, took_s)
        self._report.ended.append((task, ending))
        if ending.lines_dropped:
            text = dropped_text(ending.lines_dropped)
            self._report.lines.append(Line(task.run_id, ending.ended_at, "warning", text))

    def end_with_worker(self, worker: WorkerProcess, ending: Ending, took_s: float) -> None:
        """End the current task of a worker that is dead, with the lines that it printed."""
        worker.read_raw_output()
        self.take_lines(worker)
        task, dropped = worker.end_current()
        self.end(task, ending._replace(lines_dropped=dropped), took_s)

    def end_unbegun(self, tasks: Iterable[Task], ending: Ending) -> None:
        """Add the same ending for several tasks that no worker has begun."""
        self._report.ended += [(task, ending) for task in tasks]

    def _learn_duration(self, task: Task, took_s: float) -> None:
        # One slow run outweighs several fast ones: a task behind a slow one waits longer than in a chunk of its own.
        self.typical_s[task.function] = (took_s + self.typical_s.get(task.function, took_s)) / 2

    def runs_for(self, task: Task, running_s: float) -> None:
        """Note that a run has taken `running_s` so far and is still running."""
        self.typical_s[task.function] = max(running_s, self.typical_s.get(task.function, 0.0))

    def take_lines(self, worker: WorkerProcess) -> None:
        """Take the lines of a worker: those of a run go to the history, others to the log."""
        for line in worker.lines.taken():
            if line.run_id:
                self._report.lines.append(line)
            else:
                log.info("worker %d: %s", worker.pid, line.text)
