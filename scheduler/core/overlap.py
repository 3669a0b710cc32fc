"""Overlap policies: what a timer's due fire times do while an earlier run of it is in progress. Pure.

plan_claim decides which of them run, wait, or are only recorded in one claim. It applies the misfire policy first, then
the breaker, then the overlap policy. For a fire time that waits, the breaker decides when it is about to begin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .breaker import Admission, Breaker, admit
from .misfire import Due
from .run import Outcome


class OverlapPolicy(StrEnum):
    """How a fire time is handled while an earlier run of its timer is in progress or waits.

    `skip`: it is recorded as skipped; `allow`: it runs too, up to `max_concurrent` at a time; `queue_one`: one waits;
    `queue_all`: up to 1,000 wait; `cancel_other`: the earlier run is cancelled, and this one begins when it has ended.
    """

    SKIP = "skip"
    ALLOW = "allow"
    QUEUE_ONE = "queue_one"
    QUEUE_ALL = "queue_all"
    CANCEL_OTHER = "cancel_other"


#: The most runs of a timer that wait under `queue_all`; further fire times are skipped.
MAX_QUEUED = 1_000


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to enter, for one fire time or for `count` fire times with the same `outcome`.

    `outcome` is None for a run that begins now, or that waits if `waits`. A run that `cancels` ends the timer's others.
    """

    fire_time: datetime
    last_fire_time: datetime
    count: int = 1
    outcome: Outcome | None = None
    waits: bool = False
    cancels: bool = False


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """The runs that one claim of one timer enters, oldest first, and the state of the timer after it."""

    runs: tuple[NewRun, ...]
    next_fire: datetime | None
    breaker: Breaker
    #: How many of the runs begin or wait.
    entered: int = 0


def plan_claim(
    overlap: OverlapPolicy,
    breaker: Breaker,
    due: Due,
    *,
    open_runs: int,
    max_concurrent: int = 0,
    runs_left: int | None = None,
) -> ClaimPlan:
    """Decide how to handle the due fire times of a timer that has `open_runs` runs begun or waiting.

    At most `max_concurrent` runs are in progress under `allow`, 0 = any number. After `runs_left` more runs the timer
    has no further fire time; None = never.
    """
    runs: list[NewRun] = []
    if due.misfired is not None:
        missed = due.misfired
        runs.append(NewRun(missed.first, missed.last, missed.count, Outcome.MISFIRED))
    has_begun, entered = False, 0
    for fire_time in due.fire_times:
        if entered == runs_left:
            break
        if has_begun and overlap is not OverlapPolicy.ALLOW:
            # These are due together only because the claim is late, not an overlap, so later ones wait.
            runs.append(NewRun(fire_time, fire_time, waits=True))
            entered += 1
            continue
        admitted, admission = admit(breaker, fire_time)
        run = _judge(overlap, fire_time, admission, open_runs, max_concurrent)
        if run.outcome is None:
            entered += 1
            open_runs += run.waits or overlap is OverlapPolicy.ALLOW
        if run.outcome is None and not run.waits:
            breaker, has_begun = admitted, True
        runs.append(run)
    next_fire = None if entered == runs_left else due.next_fire
    return ClaimPlan(_coalesced(runs), next_fire, breaker, entered)


def _judge(
    overlap: OverlapPolicy, fire_time: datetime, admission: Admission, open_runs: int, max_concurrent: int
) -> NewRun:
    if admission is Admission.SHORT_CIRCUIT:
        return NewRun(fire_time, fire_time, outcome=Outcome.SHORT_CIRCUITED)
    if open_runs == 0:
        return NewRun(fire_time, fire_time)
    match overlap:
        case OverlapPolicy.ALLOW if not max_concurrent or open_runs < max_concurrent:
            return NewRun(fire_time, fire_time)
        case OverlapPolicy.CANCEL_OTHER:
            return NewRun(fire_time, fire_time, waits=True, cancels=True)
        case OverlapPolicy.QUEUE_ONE if open_runs == 1:
            return NewRun(fire_time, fire_time, waits=True)
        case OverlapPolicy.QUEUE_ALL if open_runs <= MAX_QUEUED:
            return NewRun(fire_time, fire_time, waits=True)
        case _:
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
