"""Compares what was due with the rows of the history and with what the functions wrote. Pure.

It asks nothing of the service but the rows themselves: fire times are computed in timetable.py.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from scheduler.core.timer import Delivery
from tests.scheduler.chaos.timetable import ON_WORKING_DAYS, PAUSED, Grid, Phase, Timetable

#: Fire times that do not run, by their policies: what stands in such a row was never begun.
PASSED_OVER = {"misfired", "skipped_overlap", "short_circuited"}
#: How long after a change daemons may still claim what was due before it; they claim a quarter of a second ahead.
SLACK = 1_000_000


class Row(NamedTuple):
    """A row of the history; instants in microseconds since 1970."""

    id: int
    timer: str
    kind: str
    fire_at: int
    last_fire_at: int
    covers: int
    attempt: int
    outcome: str | None
    owner: int | None
    error: str | None = None


class Note(NamedTuple):
    """A line that a function wrote: `word` is begin or end."""

    word: str
    timer: str
    fire_at: int
    attempt: int
    at: int
    pid: int


class Finding(NamedTuple):
    """A rule that does not hold, and for what."""

    rule: str
    timer: str
    fire_at: int
    #: The rows and notes of that fire time.
    evidence: tuple[object, ...] = ()


@dataclass(slots=True)
class Account:
    """How many fire times were due, and what became of them."""

    due: int = 0
    begun: int = 0
    passed_over: int = 0
    findings: list[Finding] = field(default_factory=list)

    def count(self, *rules: str) -> int:
        return sum(finding.rule in rules for finding in self.findings)


TWICE_IN_HISTORY, TWICE_BEGUN = "in two rows", "begun twice"
LOST, NEVER_BEGUN = "due and in no row", "succeeded, but never begun"
DOUBLED_RULES, LOST_RULES = (TWICE_IN_HISTORY, TWICE_BEGUN), (LOST, NEVER_BEGUN)


def compare(
    timetable: Timetable,
    rows: Iterable[Row],
    notes: Iterable[Note],
    *,
    horizon: dict[str, int],
    ahead: int = 0,
    settled: float = inf,
) -> Account:
    """The account of a run that is over: every daemon has ended.

    `horizon` is the instant, for each timer, up to which every fire time must have a row; `ahead` is how far a daemon's
    clock was ahead at most; what was claimed before `settled` must have an outcome.
    """
    return _Comparison(timetable, list(rows), list(notes), ahead, settled).account(horizon)


class _Comparison:
    def __init__(self, timetable: Timetable, rows: list[Row], notes: list[Note], ahead: int, settled: float) -> None:
        self._timetable, self._rows, self._ahead, self._settled = timetable, rows, ahead, settled
        self._phases: dict[str, list[Phase]] = defaultdict(list)
        for phase in timetable.phases:
            self._phases[phase.timer].append(phase)
        self._begun = Counter((note.timer, note.fire_at, note.attempt) for note in notes if note.word == "begin")
        self._ended = {(note.timer, note.fire_at, note.attempt) for note in notes if note.word == "end"}
        self._notes = notes
        self._result = Account(begun=len(self._begun))

    def account(self, horizon: dict[str, int]) -> Account:
        accounted: Counter[tuple[str, int]] = Counter()
        for row in self._rows:
            if row.kind == "scheduled" and row.attempt == 1:
                covered = self._covered(row)
                accounted.update((row.timer, at) for at in covered)
                if row.outcome in PASSED_OVER:
                    self._result.passed_over += len(covered)
        for (timer, at), times in accounted.items():
            if times > 1:
                self._find(TWICE_IN_HISTORY, timer, at)
        self._check_lost(accounted, horizon)
        self._check_begun()
        self._check_rows()
        self._check_requested()
        self._check_cancelled()
        self._check_paused()
        self._check_most_runs()
        return self._result

    def _covered(self, row: Row) -> list[int]:
        """The fire times that a row stands for: of one phase, in which all of them were due."""
        phases = self._phases[row.timer]
        if row.timer == ON_WORKING_DAYS and phases:
            # What was due and not claimed before a change is counted by the calendar as it is then.
            phases = [*phases, Phase(row.timer, Grid(1), phases[0].since, phases[0].settled)]
        candidates = [self._allowed(phase, row.fire_at - 1, row.last_fire_at) for phase in phases]
        fitting = [fires for fires in candidates if fires[:1] == [row.fire_at] and fires[-1] == row.last_fire_at]
        if not fitting:
            self._find("in a row, but never due", row.timer, row.fire_at)
            return [row.fire_at]
        exact = [fires for fires in fitting if len(fires) == row.covers]
        if not exact:
            self._find(f"in a row that counts {row.covers} instead of {len(fitting[0])}", row.timer, row.fire_at)
        return (exact or fitting)[0]

    def _allowed(self, phase: Phase, after: int, until: int) -> list[int]:
        """The fire times of a phase in (after, until] that a daemon may have claimed."""
        last = until if phase.ended is None else min(until, phase.ended + SLACK + self._ahead)
        return phase.grid.between(max(after, phase.since), last)

    def _check_lost(self, accounted: Counter[tuple[str, int]], horizon: dict[str, int]) -> None:
        for phase in self._timetable.phases:
            if not phase.is_certain:
                continue
            begin = phase.settled + SLACK + self._ahead
            if phase.ending is None:
                due = phase.grid.between(begin, horizon[phase.timer])
            else:
                # What was not claimed yet when the timer was changed is due no more; but there is no gap before that.
                due = phase.grid.between(begin, phase.ending)
                while due and not accounted[phase.timer, due[-1]]:
                    due.pop()
            self._result.due += len(due)
            for at in due:
                if not accounted[phase.timer, at]:
                    self._find(LOST, phase.timer, at)

    def _check_begun(self) -> None:
        known = {(row.timer, row.fire_at, row.attempt) for row in self._rows if row.outcome not in PASSED_OVER}
        of_fire_time: Counter[tuple[str, int]] = Counter()
        for (timer, at, attempt), times in self._begun.items():
            of_fire_time[timer, at] += times
            if (timer, at, attempt) not in known:
                self._find("begun without a row", timer, at)
            if times > 1:
                self._find(TWICE_BEGUN, timer, at)
        for (timer, at), times in of_fire_time.items():
            if times > 1 and self._timetable.deliveries[timer] is Delivery.AT_MOST_ONCE:
                self._find(TWICE_BEGUN, timer, at)

    def _check_rows(self) -> None:
        abandoned = {(row.timer, row.fire_at, row.attempt) for row in self._rows if row.outcome == "abandoned"}
        for row in self._rows:
            key = (row.timer, row.fire_at, row.attempt)
            if row.outcome == "succeeded" and key not in self._begun:
                self._find(NEVER_BEGUN, row.timer, row.fire_at)
            elif row.outcome == "succeeded" and key not in self._ended:
                self._find("succeeded, but never ended", row.timer, row.fire_at)
            if row.outcome is None and row.owner is not None and row.fire_at < self._settled:
                self._find("still claimed, although every daemon has ended", row.timer, row.fire_at)
            if row.attempt > 1 and (row.timer, row.fire_at, row.attempt - 1) not in abandoned:
                self._find("tried again, although it was not abandoned", row.timer, row.fire_at)

    def _check_requested(self) -> None:
        entered = Counter(row.timer for row in self._rows if row.kind == "manual" and row.attempt == 1)
        for timer in {*entered, *self._timetable.requested}:
            least = self._timetable.requested.get(timer, 0)
            most = least + self._timetable.perhaps_requested.get(timer, 0)
            if not least <= entered[timer] <= most:
                self._find(f"requested {least} to {most} times, but entered {entered[timer]} times", timer, 0)

    def _check_cancelled(self) -> None:
        """What was cancelled never begins afterwards, and nothing follows it; nothing else is cancelled."""
        cancelled = self._timetable.cancelled
        rows = {row.id: row for row in self._rows}
        for row in self._rows:
            if row.outcome == "cancelled" and row.id not in cancelled.keys() | self._timetable.perhaps_cancelled:
                self._find("cancelled, although nobody asked for that", row.timer, row.fire_at)
        attempts = {(row.timer, row.fire_at, row.attempt) for row in self._rows}
        for run_id, has_ended in cancelled.items():
            if (run := rows.get(run_id)) is None:
                self._find(f"run {run_id} was cancelled, and is in no row", "", 0)
                continue
            if has_ended and (run.outcome != "cancelled" or self._begun[run.timer, run.fire_at, run.attempt]):
                self._find("cancelled while it waited, and begun", run.timer, run.fire_at)
            if (run.timer, run.fire_at, run.attempt + 1) in attempts:
                self._find("cancelled, and tried again", run.timer, run.fire_at)

    def _check_paused(self) -> None:
        """What falls into a pause does not begin before its end."""
        for settled, ending in self._timetable.paused:
            for note in self._notes:
                is_within = settled + SLACK + self._ahead < note.fire_at < ending
                if is_within and note.timer in PAUSED and note.word == "begin" and note.at < ending:
                    self._find("begun while it was paused", note.timer, note.fire_at)

    def _check_most_runs(self) -> None:
        """A timer with a bound has no more scheduled runs than that, and exactly so many when it is finished."""
        runs = Counter(
            row.timer
            for row in self._rows
            if row.kind == "scheduled" and row.attempt == 1 and row.outcome not in PASSED_OVER
        )
        for timer, most in self._timetable.most_runs.items():
            if runs[timer] > most or (timer in self._timetable.finished and runs[timer] != most):
                self._find(f"has {runs[timer]} runs, and is to have {most}", timer, 0)

    def _find(self, rule: str, timer: str, at: int) -> None:
        self._result.findings.append(Finding(rule, timer, at, tuple(self._evidence(timer, at))))

    def _evidence(self, timer: str, at: int) -> Iterator[object]:
        yield from (row for row in self._rows if row.timer == timer and row.fire_at <= at <= row.last_fire_at)
        yield from (note for note in self._notes if (note.timer, note.fire_at) == (timer, at))
