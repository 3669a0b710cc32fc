"""What one claim does to one timer: which fire times run, wait, or are only accounted for. Pure.

The order of judgement: misfire policy, then breaker, then overlap policy. A fire time that waits is judged by the
breaker when its turn comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .breaker import Admission, Breaker, admit
from .misfire import Due
from .run import Outcome
from .timer import OverlapPolicy


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """Fire times that share a fate: `outcome` None means that it runs, or waits for its turn where `waits`."""

    fire_time: datetime
    last_fire_time: datetime
    count: int = 1
    outcome: Outcome | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """The entries of one claim of one timer, oldest first, and the timer's state afterwards."""

    entries: tuple[PlannedRun, ...]
    next_fire: datetime | None
    breaker: Breaker


def plan(overlap: OverlapPolicy, breaker: Breaker, found: Due, *, open_runs: int) -> Admitted:
    """Judge what is due of a timer of that policy that has `open_runs` runs going on or waiting."""
    entries: list[PlannedRun] = []
    if found.misfired is not None:
        missed = found.misfired
        entries.append(PlannedRun(missed.first, missed.last, missed.count, Outcome.MISFIRED))
    begun = False
    for fire_time in found.fire_times:
        if begun and overlap is not OverlapPolicy.ALLOW:
            # The claim came late for all but the first, which is no overlap: they take their turns.
            entries.append(PlannedRun(fire_time, fire_time, waits=True))
            continue
        admitted, admission = admit(breaker, fire_time)
        entry = _judge(overlap, fire_time, admission, open_runs)
        if entry.outcome is None and not entry.waits:
            breaker, begun = admitted, True
        elif entry.waits:
            open_runs += 1
        entries.append(entry)
    return Admitted(_coalesced(entries), found.next_fire, breaker)


def _judge(overlap: OverlapPolicy, fire_time: datetime, admission: Admission, open_runs: int) -> PlannedRun:
    if admission is Admission.SHORT_CIRCUIT:
        return PlannedRun(fire_time, fire_time, outcome=Outcome.SHORT_CIRCUITED)
    if open_runs == 0 or overlap is OverlapPolicy.ALLOW:
        return PlannedRun(fire_time, fire_time)
    if overlap is OverlapPolicy.QUEUE_ONE and open_runs == 1:
        return PlannedRun(fire_time, fire_time, waits=True)
    return PlannedRun(fire_time, fire_time, outcome=Outcome.SKIPPED_OVERLAP)


def _coalesced(entries: list[PlannedRun]) -> tuple[PlannedRun, ...]:
    """Neighbours of the same outcome become one entry that counts them."""
    merged: list[PlannedRun] = []
    for entry in entries:
        last = merged[-1] if merged else None
        if last is not None and entry.outcome is not None and last.outcome is entry.outcome:
            merged[-1] = PlannedRun(last.fire_time, entry.last_fire_time, last.count + entry.count, entry.outcome)
        else:
            merged.append(entry)
    return tuple(merged)
