"""Current: the call in progress for a function, `engine.current`.

Lives here: a view of the context variable, empty outside a call. Never here: setting it.
"""

from __future__ import annotations

import time
from typing import Any

from ..core.deadlines import left_s
from ..functions.context import TimerCall, current_call


class Current:
    """The call in progress, safe under threads and async functions; every attribute is empty outside a call (§ 3)."""

    __slots__ = ()

    @property
    def user(self) -> Any:
        """The user in a hook's body, or the result of `fetch_user` for the session token; else None."""
        call = current_call.get()
        return call.user if call else None

    @property
    def session_token(self) -> str | None:
        """The session token of the caller, None without one."""
        call = current_call.get()
        return call.session_token if call else None

    @property
    def meta(self) -> dict[str, Any]:
        """Further facts about the call: `remote_address` when it came over HTTP."""
        call = current_call.get()
        return call.meta if call else {}

    @property
    def timer(self) -> TimerCall | None:
        """The timer that made the call, None if a client made it."""
        call = current_call.get()
        return call.timer if call else None

    @property
    def request_id(self) -> str | None:
        """The id of this call in log lines, error bodies and the timer's run record."""
        call = current_call.get()
        return call.request_id if call else None

    @property
    def function(self) -> str | None:
        """The name under which the function was called."""
        call = current_call.get()
        return call.function if call else None

    @property
    def left_s(self) -> float | None:
        """The seconds until this call is over its limit, None without a limit."""
        call = current_call.get()
        if call is None or call.deadline is None:
            return None
        return left_s(time.monotonic(), call.deadline)
