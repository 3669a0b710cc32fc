"""Execution: runs a function in a context of its own, in a thread of the pool, within its limit.

Lives here: combining context, deadline and pool. Never here: HTTP, or the choice of the function.
"""

from __future__ import annotations

import contextvars
import functools
import logging
import time
from collections.abc import Callable
from typing import Any

from ..core.deadlines import deadline, left_s
from ..functions.context import Call, current_call
from . import capture, forks
from .failures import unforeseen_text
from .threads import Pool, Work

logger = logging.getLogger(__package__)


class Execution:
    """Runs the calls of one engine: `bounded` in a thread of the pool, `inline` in the thread of the caller."""

    def __init__(self, max_concurrency: int, *, prepare: Callable[[], object]) -> None:
        self.pool = Pool(max_concurrency)
        self._prepare = prepare

    def bounded(self, call: Call, work: Work, limit_s: float) -> Any:
        """The result of `work`; FunctionTimedOutError at its limit or at the deadline of the calling function.

        The work is abandoned then, and is still running in its thread. EngineBusyError at once when no thread is free.
        """
        now = time.monotonic()
        self._set_deadline(call, limit_s, now)
        assert call.deadline is not None
        context = contextvars.copy_context()
        target = functools.partial(context.run, self._guarded, call, work)
        late = functools.partial(_log_late, call, now)
        return self.pool.run(target, left_s(now, call.deadline), late=late)

    def inline(self, call: Call, work: Work, limit_s: float) -> Any:
        """The result of `work`, run in this thread; the limit applies only to coroutines and nested calls."""
        self._set_deadline(call, limit_s, time.monotonic())
        return contextvars.copy_context().run(self._within, call, work)

    def _set_deadline(self, call: Call, limit_s: float, now: float) -> None:
        outer = current_call.get()
        call.deadline = deadline(now, limit_s, enclosing=outer.deadline if outer else None)

    def _within(self, call: Call, work: Work) -> Any:
        self._prepare()
        current_call.set(call)
        return forks.within_process(work)

    def _guarded(self, call: Call, work: Work) -> Any:
        try:
            return capture.run(call, functools.partial(self._within, call, work))
        except Exception:
            raise
        except BaseException as error:  # sys.exit() in a function must end neither the thread nor the server
            ended = RuntimeError(unforeseen_text(error))
            raise ended.with_traceback(error.__traceback__) from None


def _log_late(call: Call, started: float) -> None:
    logger.warning(
        "%r ended %.1f s after it was called, over its limit; its answer is dropped [request %s]",
        call.function,
        time.monotonic() - started,
        call.request_id,
        extra={capture.CALL: (call.function, call.request_id)},
    )
