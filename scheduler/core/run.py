"""Run, one attempt to run one fire time; Task, Ending and Outcome. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from ..errors import FAILED, SHORT_CIRCUITED, TIMED_OUT
from .breaker import Verdict


class Outcome(StrEnum):
    """How a run ended; every due fire time ends with exactly one of these."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    SHORT_CIRCUITED = "short_circuited"
    MISFIRED = "misfired"
    SKIPPED_OVERLAP = "skipped_overlap"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"


class Kind(StrEnum):
    """Why a run takes place."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    BACKFILL = "backfill"
    CHAINED = "chained"
    ON_ENABLE = "on_enable"
    ON_START = "on_start"


#: The message of a run with each outcome, unless its executor gives another one.
MESSAGES: dict[Outcome, str] = {
    Outcome.SUCCEEDED: "",
    Outcome.FAILED: FAILED,
    Outcome.TIMED_OUT: TIMED_OUT,
    Outcome.SHORT_CIRCUITED: SHORT_CIRCUITED,
    Outcome.MISFIRED: "missed: no daemon was running, or it was too busy, or the timer was paused",
    Outcome.SKIPPED_OVERLAP: "skipped: the last run of this timer was still in progress, or waiting for a free worker",
    Outcome.ABANDONED: "abandoned: the daemon stopped before the run ended, so it is unknown how far the function came",
    Outcome.CANCELLED: "cancelled on request",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt to run one fire time, or a row that stands for `count` fire times of the same outcome.

    All instants are UTC. `outcome` is None while the run is in progress or waits. `message` is the fixed text of the
    outcome, `error` the particular error, `result` the beginning of what the function returned. A failed run that is
    tried again has `retry_at`, the instant at which the next attempt is due. That attempt is a run of its own with the
    same fire time and request id, and has the same instant as `due_at`. The outcome of a fire time is that of its last
    attempt. `cancel_requested_at` is the instant of a request to end it at once.
    """

    id: int
    timer_id: int | None
    timer: str
    function: str
    environment: str
    kind: Kind
    fire_time: datetime
    last_fire_time: datetime
    count: int
    attempt: int
    request_id: str
    claimed_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    message: str = ""
    error: str | None = None
    result: str | None = None
    lines_dropped: int = 0
    due_at: datetime | None = None
    retry_at: datetime | None = None
    #: Whether a daemon has claimed it; without an outcome, it is running or about to begin.
    is_claimed: bool = False
    cancel_requested_at: datetime | None = None
    #: The parameters of a requested run that has its own, as JSON; None for those of its timer.
    own_params: str | None = None
    #: The run that led to it, because its timer follows the timer of that run.
    cause_id: int | None = None

    def __setstate__(self, values: Sequence[Any]) -> None:
        """Unpickle: a pickle of an earlier version lacks the attributes that were added since, at the end."""
        for attribute, value in zip(fields(self), values, strict=False):
            object.__setattr__(self, attribute.name, value)
        for attribute in fields(self)[len(values) :]:
            object.__setattr__(self, attribute.name, attribute.default)

    @property
    def lateness_s(self) -> float | None:
        """Seconds from the fire time to the start, None for a run that never started."""
        return None if self.started_at is None else (self.started_at - self.fire_time).total_seconds()

    @property
    def duration_s(self) -> float | None:
        """Seconds from the start to the end, None unless it has both."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


class Task(NamedTuple):
    """The values that an executor needs to run a function; `params` is a JSON object as text."""

    run_id: int
    timer_id: int | None
    timer: str
    function: str
    environment: str
    params: str
    limit_s: float
    kind: Kind
    fire_time: datetime
    attempt: int
    request_id: str
    past_due: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One line that a run printed; `level` is a name of the logging module in lower case."""

    run_id: int
    at: datetime
    level: str
    text: str


class Ending(NamedTuple):
    """The ending of a run in its executor, and its verdict for the breaker."""

    outcome: Outcome
    verdict: Verdict
    ended_at: datetime
    started_at: datetime | None = None
    error: str | None = None
    result: str | None = None
    lines_dropped: int = 0
    message: str | None = None

    @property
    def text(self) -> str:
        """The message of the run."""
        return MESSAGES[self.outcome] if self.message is None else self.message
