"""How a function runs: to its end, in the context of its call, until its deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.errors import FunctionTimedOutError, UnfinishedResultError
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


class Awaitable:
    """An object that can be awaited, as those of database drivers."""

    def __await__(self) -> Iterator[None]:
        yield from asyncio.sleep(0).__await__()
        return "awaited"  # type: ignore[return-value]  # what `await` returns


async def returns_a_coroutine() -> Any:
    return double(4)


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (Awaitable, "awaited"),
        (lambda: double(3), 6),
        (returns_a_coroutine, 8),
        (lambda: [[1], {"a": 2}], [[1], {"a": 2}]),
    ],
)
def test_what_a_function_returns_to_be_awaited_is_awaited(function: Any, result: Any) -> None:
    """Whatever its type, and what that returns in turn."""
    assert invoke(function, {}) == result


def yields() -> Any:
    yield RAN.append("a generator")


async def yields_async() -> Any:
    yield RAN.append("an async generator")


#: What has run.
RAN: list[str] = []


@pytest.mark.parametrize(
    ("returned", "kind"),
    [
        (yields, "a generator"),
        (yields_async, "an async generator"),
        (lambda: (RAN.append(word) for word in "ab"), "a generator"),
        (lambda: map(RAN.append, "ab"), "a map"),
        (lambda: filter(RAN.append, "ab"), "a filter"),
        (lambda: [double(1), double(2)], "a list with a coroutine in it"),
        (lambda: {"a": double(1)}, "a dict with a coroutine in it"),
        (lambda: (1, yields()), "a tuple with a generator in it"),
        (lambda: [Awaitable()], "a list with an awaitable in it"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_work_that_has_not_run_is_no_success(returned: Any, kind: str) -> None:
    """The error says what was returned; nothing of it runs."""

    async def returned_by_async() -> Any:
        return returned()

    for function in (returned, returned_by_async):
        with pytest.raises(UnfinishedResultError, match=f"the function returned {kind}, whose code has not run"):
            invoke(function, {})
    assert RAN == []


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
