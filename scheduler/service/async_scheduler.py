"""AsyncScheduler, the timer service inside an event loop that is already running: `async def` functions run in it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from ..clock import SystemClock
from ..core.run import Run
from ..core.timer import Environment
from ..errors import ConfigError, StoreError
from ..executors.event_loop import LoopExecutor
from ..functions.loading import registry_of
from ..functions.registry import Registry
from ..store.database import Store
from .scheduler import Scheduler

#: How often `wait` reads a run, the first time and later; the pause doubles.
_FIRST_POLL_S, _LAST_POLL_S = 0.02, 0.25
#: How long the runs of a start that was cancelled may continue.
_LAST_S = 10.0
#: The most calls of the store at a time; further ones wait.
_THREADS = 4

P = ParamSpec("P")
R = TypeVar("R")


def _off_loop(
    method: Callable[Concatenate[Scheduler, P], R],
) -> Callable[Concatenate[AsyncScheduler, P], Coroutine[Any, Any, R]]:
    """The method of Scheduler that does the same, in a thread."""

    @wraps(method)
    async def call(self: AsyncScheduler, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._in_thread(partial(method, self._started(), *args, **kwargs))

    return call


class AsyncScheduler:
    """Timers that fire inside an event loop, from `start` (or `async with`) until `stop`.

    `async def` functions run as tasks of the loop that starts it, and are cancelled at their limit; other functions run
    in threads. The store is used in threads only, so the loop never waits for it. `store` is a path, an address, or a
    Store; `functions` is an Engine or a Registry; `options` are those of Scheduler. It has the methods of Scheduler,
    each to be awaited: `await scheduler.add(…)`. A `listener` is called in a thread.

    >>> from scheduler.functions import Registry
    >>> from scheduler.timer import Every, Timer
    >>> functions = Registry()
    >>> @functions.define
    ... async def hello(name="world"):
    ...     return f"hello, {name}"
    >>> async def main():
    ...     async with AsyncScheduler("sqlite://", functions) as scheduler:
    ...         await scheduler.add(Timer(name="greeting", function="hello", trigger=Every(60), enabled=True))
    ...         return (await scheduler.wait(await scheduler.run("greeting"))).result
    >>> asyncio.run(main())
    '"hello, world"'
    """

    def __init__(self, store: Store | str | os.PathLike[str], functions: Registry | Any, **options: Any) -> None:
        if isinstance(functions, str) or options.get("executors") is not None:
            raise ConfigError("an AsyncScheduler takes an Engine or a Registry; a Scheduler starts worker processes")
        self._store = store
        self._registry = registry_of(functions)
        self._options = options
        self._scheduler: Scheduler | None = None
        self._is_starting = self._has_stopped = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="scheduler-store")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the store, and start to fire; RuntimeError for a second start, also after `stop`.

        If it is cancelled, what it has started is stopped again. After another error it may be called again.
        """
        if self._is_starting or self._scheduler is not None:
            raise RuntimeError("an AsyncScheduler starts once; make another one")
        self._is_starting = True
        opening = self._threads.submit(self._open_and_start, asyncio.get_running_loop())
        try:
            self._scheduler = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            # Its thread goes on, and nobody else knows what it starts.
            self._threads.submit(_stop_started, opening)
            self._threads.shutdown(wait=False)
            raise
        except BaseException:
            self._is_starting = False
            raise

    async def stop(self, *, timeout_s: float | None = None) -> None:
        """Start no more runs, wait for the current ones, and release all resources; the loop is not blocked meanwhile.

        After `timeout_s` seconds the current runs are cancelled, and recorded as abandoned. If it is cancelled, a
        thread goes on with it, and it may be awaited again.
        """
        if self._has_stopped:
            return
        if self._scheduler is not None:
            await self._in_thread(partial(self._scheduler.stop, timeout_s=timeout_s))
        self._has_stopped = True
        await asyncio.to_thread(self._threads.shutdown)

    add = _off_loop(Scheduler.add)
    apply = _off_loop(Scheduler.apply)
    synchronise = _off_loop(Scheduler.synchronise)
    timers = _off_loop(Scheduler.timers)
    get = _off_loop(Scheduler.get)
    next_fires = _off_loop(Scheduler.next_fires)
    edit = _off_loop(Scheduler.edit)
    rename = _off_loop(Scheduler.rename)
    copy = _off_loop(Scheduler.copy)
    enable = _off_loop(Scheduler.enable)
    disable = _off_loop(Scheduler.disable)
    remove = _off_loop(Scheduler.remove)
    pause = _off_loop(Scheduler.pause)
    resume = _off_loop(Scheduler.resume)
    pauses = _off_loop(Scheduler.pauses)
    run = _off_loop(Scheduler.run)
    again = _off_loop(Scheduler.again)
    cancel = _off_loop(Scheduler.cancel)
    runs = _off_loop(Scheduler.runs)
    backfill = _off_loop(Scheduler.backfill)

    async def wait(self, run_id: int, *, timeout_s: float = 60.0) -> Run:
        """Wait until a run has ended, and return it; TimeoutError after `timeout_s`, StoreError for an unknown id."""
        history, pause_s = self._started().history, _FIRST_POLL_S
        async with asyncio.timeout(timeout_s):
            while True:
                run = await self._in_thread(partial(history.run, run_id))
                if run is None:
                    raise StoreError(f"no run {run_id} in the store; `run` returns the id of one")
                if run.outcome is not None:
                    return run
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LAST_POLL_S)

    def _open_and_start(self, loop: asyncio.AbstractEventLoop) -> Scheduler:
        scheduler = self._open(loop)
        try:
            scheduler.start()
        except BaseException:
            scheduler.stop(timeout_s=_LAST_S)
            raise
        return scheduler

    def _open(self, loop: asyncio.AbstractEventLoop) -> Scheduler:
        clock = self._options.get("clock") or SystemClock()
        executor = LoopExecutor(self._registry, loop, clock=clock)
        options = {**self._options, "clock": clock, "executors": dict.fromkeys(Environment, executor)}
        try:
            scheduler = Scheduler(self._store, **options)
        except BaseException:
            executor.stop()
            raise
        scheduler._registry = self._registry
        return scheduler

    def _started(self) -> Scheduler:
        if self._scheduler is None:
            raise RuntimeError("the AsyncScheduler has not started; use `async with`, or await its start()")
        return self._scheduler

    async def _in_thread(self, call: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _stop_started(opening: Future[Scheduler]) -> None:
    """Stop the scheduler that a cancelled start has started, if it has."""
    with contextlib.suppress(Exception, CancelledError):
        opening.result().stop(timeout_s=_LAST_S)
