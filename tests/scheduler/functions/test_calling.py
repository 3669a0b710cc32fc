"""How a function runs: to its end, in the context of its call, until its deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from scheduler.errors import FunctionTimedOutError
from scheduler.functions.calling import invoke
from scheduler.functions.context import Call, current_call


async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


def test_an_async_function_runs_to_completion() -> None:
    """The caller gets the result, not a coroutine."""
    assert invoke(double, {"x": "21"}) == 42


def test_an_async_function_can_be_called_from_an_async_function() -> None:
    """Though a loop runs in the calling thread; the context is passed on."""

    async def asks() -> Any:
        return invoke(double, {"x": 1}), invoke(named, {})

    async def named() -> str | None:
        call = current_call.get()
        return call.function if call else None

    token = current_call.set(Call("asks", "r"))
    try:
        assert invoke(asks, {}) == (2, "asks")
    finally:
        current_call.reset(token)


def test_an_async_function_raises_into_the_async_function_that_called_it() -> None:
    """Though another thread runs its loop."""

    async def fails() -> None:
        raise KeyError("mine")

    async def asks() -> Any:
        return invoke(fails, {})

    with pytest.raises(KeyError, match="mine"):
        invoke(asks, {})


def test_an_async_function_is_cancelled_at_its_deadline() -> None:
    """The deadline in the context ends it; a TimeoutError that it raises itself is passed on."""

    async def hangs() -> None:
        await asyncio.sleep(60)

    async def raises() -> None:
        raise TimeoutError("mine")

    token = current_call.set(Call("hangs", "r", deadline=time.monotonic() + 0.05))
    try:
        with pytest.raises(FunctionTimedOutError):
            invoke(hangs, {})
        current_call.set(Call("raises", "r", deadline=time.monotonic() + 5))
        with pytest.raises(TimeoutError, match="mine"):
            invoke(raises, {})
    finally:
        current_call.reset(token)


def test_no_call_is_in_progress_outside_one() -> None:
    """The context is empty, in every thread."""
    seen: list[Call | None] = []
    thread = threading.Thread(target=lambda: seen.append(current_call.get()))
    thread.start()
    thread.join()
    assert [current_call.get(), *seen] == [None, None]


def test_the_session_token_is_not_shown() -> None:
    """A call can be logged without its session token."""
    assert "secret" not in repr(Call("f", "r", session_token="secret"))
