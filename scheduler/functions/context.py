"""The context of one call: its user, its timer, its deadline.

Lives here: `Call` as a value, and the context variable that holds the call in progress. Never here: running functions.
The code that runs a function (a worker, the engine) sets the variable in a context of that call alone.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class TimerCall:
    """The timer that called a function.

    `scheduled_at` is the fire time, an aware datetime; `attempt` counts from 1; `past_due` is set when the fire time
    was missed and the function runs late (engine protocol § 3).
    """

    name: str
    scheduled_at: datetime
    attempt: int = 1
    past_due: bool = False


@dataclass(slots=True)
class Call:
    """One call of one function, which the function reads as `engine.current`.

    `deadline` is in seconds of `time.monotonic()`, None without a limit; `request_id` is the same from the fire to the
    function's log; `meta` holds at least `remote_address` when the call came over HTTP.
    """

    function: str
    request_id: str
    deadline: float | None = None
    timer: TimerCall | None = None
    user: Any = None
    session_token: str | None = field(default=None, repr=False)
    meta: dict[str, Any] = field(default_factory=dict)


current_call: ContextVar[Call | None] = ContextVar("scheduler.current_call", default=None)
