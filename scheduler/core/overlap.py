"""plan_claim: which due fire times of a timer run, wait, or are only recorded in one claim. Pure.

It applies the misfire policy first, then the breaker, then the overlap policy. For a fire time that waits, the breaker
decides when it is about to begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .breaker import Admission, Breaker, admit
from .misfire import Due
from .run import Outcome


class OverlapPolicy(StrEnum):
    """How a fire time is handled while an earlier run of its timer is still open."""

    SKIP = "skip"
    ALLOW = "allow"
    QUEUE_ONE = "queue_one"


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to enter, for one fire time or for `count` fire times with the same `outcome`.

    `outcome` is None for a run that begins now, or that waits if `waits`.
    """

    fire_time: datetime
    last_fire_time: datetime
    count: int = 1
    outcome: Outcome | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """The runs that one claim of one timer enters, oldest first, and the state of the timer after it."""

    runs: tuple[NewRun, ...]
    next_fire: datetime | None
    breaker: Breaker


def plan_claim(overlap: OverlapPolicy, breaker: Breaker, due: Due, *, open_runs: int) -> ClaimPlan:
    """Decide how to handle the due fire times of a timer that has `open_runs` runs begun or waiting."""
    runs: list[NewRun] = []
    if due.misfired is not None:
        missed = due.misfired
        runs.append(NewRun(missed.first, missed.last, missed.count, Outcome.MISFIRED))
    has_begun = False
    for fire_time in due.fire_times:
        if has_begun and overlap is not OverlapPolicy.ALLOW:
            # They are due together only because the claim is late, which is not an overlap, so later ones wait.
            runs.append(NewRun(fire_time, fire_time, waits=True))
            continue
        admitted, admission = admit(breaker, fire_time)
        run = _judge(overlap, fire_time, admission, open_runs)
        if run.outcome is None and not run.waits:
            breaker, has_begun = admitted, True
        elif run.waits:
            open_runs += 1
        runs.append(run)
    return ClaimPlan(_coalesced(runs), due.next_fire, breaker)


def _judge(overlap: OverlapPolicy, fire_time: datetime, admission: Admission, open_runs: int) -> NewRun:
    if admission is Admission.SHORT_CIRCUIT:
        return NewRun(fire_time, fire_time, outcome=Outcome.SHORT_CIRCUITED)
    if open_runs == 0 or overlap is OverlapPolicy.ALLOW:
        return NewRun(fire_time, fire_time)
    if overlap is OverlapPolicy.QUEUE_ONE and open_runs == 1:
        return NewRun(fire_time, fire_time, waits=True)
    return NewRun(fire_time, fire_time, outcome=Outcome.SKIPPED_OVERLAP)


def _coalesced(runs: list[NewRun]) -> tuple[NewRun, ...]:
    """Merge neighbours with the same outcome into one run that counts them."""
    merged: list[NewRun] = []
    for run in runs:
        last = merged[-1] if merged else None
        if last is not None and run.outcome is not None and last.outcome is run.outcome:
            merged[-1] = NewRun(last.fire_time, run.last_fire_time, last.count + run.count, run.outcome)
        else:
            merged.append(run)
    return tuple(merged)
