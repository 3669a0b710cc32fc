"""invoke: binds the arguments of a function and calls it; runs an `async def` in an event loop of its own.

Lives here: `invoke`, and running coroutines until the deadline of the call. Never here: HTTP, processes, other limits;
only the caller can stop a function that is not async, if at all.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from ..core.deadlines import left_s
from ..errors import FunctionTimedOutError
from .binding import bind
from .context import current_call
from .unfinished import FINISHED, check_finished, is_awaitable


def invoke(function: Callable[..., Any], params: Mapping[str, Any]) -> Any:
    """Call a function with keyword arguments and return its result; an `async def` runs to completion.

    Arguments are bound before the call: ArgumentError names the one that is missing, superfluous or of the wrong
    type, and is never raised for an error inside the function.
    """
    return run(function, bind(function, params))


def run(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call a function with bound arguments; an awaitable result runs to its end, or until the deadline.

    UnfinishedResultError if it returns work that cannot be awaited: its code would never run, yet count as a success.
    """
    result = function(**arguments)
    return result if result is None or type(result) in FINISHED else finished(result)


async def invoke_async(function: Callable[..., Any], params: Mapping[str, Any]) -> Any:
    """Call a function within a running loop, and await what it returns; as `invoke`, but without a deadline."""
    result = function(**bind(function, params))
    for _ in range(_MOST_AWAITED):
        if not is_awaitable(result):
            break
        result = await result
    if not (result is None or type(result) in FINISHED):
        check_finished(result)
    return result


def complete(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in an event loop of its own, even if the calling thread already runs one.

    At the deadline of the call in progress it is cancelled: FunctionTimedOutError.
    """
    import asyncio  # takes longer to import than everything else here, and most functions are not async

    call = current_call.get()
    bounded = _until(call.deadline if call else None, coroutine)
    if _loop_is_running():
        return _in_thread(functools.partial(asyncio.run, bounded))
    return asyncio.run(bounded)


def finished(result: Any) -> Any:
    """The result, awaited if it is awaitable; UnfinishedResultError if it contains work that never ran."""
    for _ in range(_MOST_AWAITED):
        if not is_awaitable(result):
            break
        result = complete(result if inspect.iscoroutine(result) else _awaited(result))
    check_finished(result)
    return result


#: How often an awaited result may be another awaitable.
_MOST_AWAITED = 10


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _loop_is_running() -> bool:
    # A separate function, so that this RuntimeError is not the context of an error in the coroutine.
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _until(
    deadline: float | None, coroutine: Coroutine[Any, Any, Any], *, monotonic: Callable[[], float] = time.monotonic
) -> Any:
    import asyncio

    # The name was bound when this module was loaded, because a function may replace the clock in the module `time`.
    limit_s = None if deadline is None else left_s(monotonic(), deadline)
    try:
        async with asyncio.timeout(limit_s) as scope:
            return await coroutine
    except TimeoutError:
        if scope.expired():
            raise FunctionTimedOutError from None
        raise


def _in_thread(work: Callable[[], Any]) -> Any:
    """The result of `work` in a thread of its own, with the context of this one."""
    outcome: list[Callable[[], Any]] = []
    context = contextvars.copy_context()

    def target() -> None:
        try:
            result = context.run(work)
            outcome.append(lambda: result)
        except BaseException as error:
            outcome.append(functools.partial(_raise, error))

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join()
    return outcome[0]()


def _raise(error: BaseException) -> None:
    raise error
