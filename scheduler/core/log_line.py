"""LogLine: a line that a function printed, with the timer or the call that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a function printed; `timer` is None for a call over HTTP.

    `request_id` is that of the fire time, which all attempts share, or of the client's request.
    """

    at: datetime
    level: str
    text: str
    function: str
    environment: str
    request_id: str
    timer: str | None = None
    run_id: int | None = None

    @property
    def source(self) -> str:
        """The name of the timer, or of the function that was called."""
        return self.timer if self.timer is not None else self.function
