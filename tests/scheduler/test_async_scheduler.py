"""AsyncScheduler, the service inside an event loop that runs already."""

import asyncio
import inspect
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from scheduler import AsyncScheduler, Cron, Every, Scheduler, Timer
from scheduler.core.run import Outcome
from scheduler.errors import ConfigError, StoreError, TimerError, UnknownFunctionError
from scheduler.functions.context import current_call
from scheduler.functions.registry import Registry
from scheduler.service.timers import ManagedTimers
from scheduler.store.database import Store
from scheduler.store.schema import daemons
from tests.waiting import eventually

NEVER = Cron("0 0 0 1 1 ? 2099", "UTC")


def one_function(function: Any, name: str = "f") -> Registry:
    registry = Registry()
    registry.define(function, name=name)
    return registry


async def ended(scheduler: AsyncScheduler, **attributes: Any) -> Any:
    """A run of a timer with these attributes, when it has ended."""
    await scheduler.add(Timer(name="t", function="f", trigger=NEVER, **attributes))
    return await scheduler.wait(await scheduler.run("t"))


def test_an_async_function_runs_in_the_loop_of_the_program() -> None:
    """With objects of that loop; a plain function runs in a thread."""
    registry = Registry()

    async def main() -> None:
        queue: asyncio.Queue[str] = asyncio.Queue()
        loop, thread = asyncio.get_running_loop(), threading.get_ident()

        @registry.define
        async def put(text: str) -> bool:
            await queue.put(text)
            return asyncio.get_running_loop() is loop and threading.get_ident() == thread

        @registry.define
        def plain() -> bool:
            return threading.get_ident() != thread

        async with AsyncScheduler("sqlite://", registry) as scheduler:
            timers = [
                Timer(name="put", function="put", trigger=NEVER, params={"text": "hi"}),
                Timer(name="plain", function="plain", trigger=NEVER),
            ]
            await scheduler.add(*timers)
            for timer in timers:
                run = await scheduler.wait(await scheduler.run(timer.name))
                assert (run.outcome, run.result) == (Outcome.SUCCEEDED, "true")
            assert await queue.get() == "hi"
            assert [run.timer for run in await scheduler.runs()] == ["plain", "put"]

    asyncio.run(main())


def test_timers_fire_on_schedule() -> None:
    """Until the block is left; then no thread of it is left."""
    fired: list[datetime] = []

    async def main() -> None:
        happened = asyncio.Event()

        async def note() -> None:
            fired.append(datetime.now(UTC))
            happened.set()

        async with AsyncScheduler("sqlite://", one_function(note)) as scheduler:
            await scheduler.add(Timer(name="t", function="f", trigger=Every(1), enabled=True))
            await asyncio.wait_for(happened.wait(), 60)

    asyncio.run(main())
    assert fired
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("scheduler")]


def test_a_function_is_cancelled_at_its_limit() -> None:
    """It sees a CancelledError; one that goes on all the same has timed out, too."""
    seen: list[str] = []

    async def main() -> None:
        gone_on = asyncio.Event()

        async def hang() -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                seen.append("cancelled")
                gone_on.set()
            await asyncio.sleep(0)

        async with AsyncScheduler("sqlite://", one_function(hang)) as scheduler:
            run = await ended(scheduler, limit_s=0.1)
            assert (run.outcome, run.error) == (Outcome.TIMED_OUT, "over its limit of 0.1 s")
            await asyncio.wait_for(gone_on.wait(), 60)

    asyncio.run(main())
    assert seen == ["cancelled"]


def test_a_run_is_cancelled() -> None:
    """Its function sees a CancelledError."""

    async def main() -> None:
        begun, stopped = asyncio.Event(), asyncio.Event()

        async def hang() -> None:
            begun.set()
            try:
                await asyncio.sleep(3600)
            finally:
                stopped.set()

        async with AsyncScheduler("sqlite://", one_function(hang)) as scheduler:
            await scheduler.add(Timer(name="t", function="f", trigger=NEVER, limit_s=600))
            run_id = await scheduler.run("t")
            await asyncio.wait_for(begun.wait(), 60)
            await scheduler.cancel(run_id)
            assert (await scheduler.wait(run_id)).outcome is Outcome.CANCELLED
            await asyncio.wait_for(stopped.wait(), 60)

    asyncio.run(main())


async def fails() -> None:
    raise ValueError("no")


async def leaves() -> None:
    raise SystemExit(3)


async def cancels_itself() -> None:
    raise asyncio.CancelledError


async def yields() -> Any:
    return (number for number in range(3))


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (fails, "ValueError: no"),
        (leaves, "SystemExit: 3"),
        (cancels_itself, "CancelledError"),
        (yields, "the function returned a generator, whose code has not run"),
    ],
)
def test_a_function_that_fails_harms_its_own_run_only(function: Any, error: str) -> None:
    """Whatever it raises: the loop and the scheduler go on."""

    async def main() -> None:
        async with AsyncScheduler("sqlite://", one_function(function)) as scheduler:
            run = await ended(scheduler)
            assert run.outcome is Outcome.FAILED
            assert (run.error or "").startswith(error)
            assert (await scheduler.wait(await scheduler.run("t"))).outcome is Outcome.FAILED

    asyncio.run(main())


@pytest.mark.slow
def test_many_functions_go_on_at_once() -> None:
    """A thousand wait for one event; each ends in one run."""

    async def main() -> None:
        entered, everybody = 0, asyncio.Event()

        async def meet() -> None:
            nonlocal entered
            entered += 1
            if entered == 1_000:
                everybody.set()
            await everybody.wait()

        async with AsyncScheduler("sqlite://", one_function(meet)) as scheduler:
            timer = Timer(name="t", function="f", trigger=NEVER, overlap="allow", limit_s=600)
            timers = [Timer(name=f"t{number}", function="f", trigger=NEVER, limit_s=600) for number in range(1_000)]
            await scheduler.apply([timer, *timers])
            run_ids = [await scheduler.run(timer.name) for timer in timers]
            last = await scheduler.wait(run_ids[-1], timeout_s=120)
            assert last.outcome is Outcome.SUCCEEDED
        assert entered == 1_000

    asyncio.run(main())


def test_stop_waits_for_what_goes_on_and_the_loop_runs_meanwhile(tmp_path: Path) -> None:
    """The function ends in the loop; after the time-out it is cancelled, and its run abandoned."""
    outcomes: list[Any] = []

    async def main(path: str, timeout_s: float | None) -> None:
        begun = asyncio.Event()

        async def work() -> None:
            begun.set()
            await asyncio.sleep(0.3 if timeout_s is None else 3600)

        scheduler = AsyncScheduler(path, one_function(work))
        await scheduler.start()
        await scheduler.add(Timer(name="t", function="f", trigger=NEVER, limit_s=600), why="a test")
        await scheduler.run("t")
        await asyncio.wait_for(begun.wait(), 60)
        await scheduler.stop(timeout_s=timeout_s)

    def outcome_of(path: Path) -> Any:
        reader = Scheduler(str(path), Registry())
        try:
            return reader.runs()[0].outcome
        finally:
            reader.stop()

    for number, timeout_s in enumerate((None, 0.05)):
        path = tmp_path / f"{number}.db"
        asyncio.run(main(str(path), timeout_s))
        outcomes.append(outcome_of(path))
    assert outcomes == [Outcome.SUCCEEDED, Outcome.ABANDONED]


def own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("scheduler")]


@pytest.mark.parametrize("moment", ["_open", "start", "end"])
@pytest.mark.parametrize("how", ["asyncio", "anyio"])
def test_a_start_that_is_cancelled_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, how: str
) -> None:
    """Neither a thread nor a daemon of the store, at whichever moment; the loop does not wait for that."""
    path = str(tmp_path / "s.db")
    entered, may_go_on = threading.Event(), threading.Event()

    def held(method: Any) -> Any:
        def call(*args: Any) -> Any:
            result = method(*args) if moment == "end" else None
            entered.set()
            assert may_go_on.wait(60)
            return result if moment == "end" else method(*args)

        return call

    owner, name = (AsyncScheduler, "_open") if moment == "_open" else (Scheduler, "start")
    monkeypatch.setattr(owner, name, held(getattr(owner, name)))

    async def main() -> None:
        scheduler = AsyncScheduler(path, one_function(fails))
        if how == "asyncio":
            task = asyncio.create_task(scheduler.start())
            await asyncio.to_thread(entered.wait, 60)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            anyio = pytest.importorskip("anyio")
            async with anyio.create_task_group() as group:
                group.start_soon(scheduler.start)
                await asyncio.to_thread(entered.wait, 60)
                group.cancel_scope.cancel()
        may_go_on.set()
        await scheduler.stop()
        with pytest.raises(RuntimeError, match="starts once"):
            await scheduler.start()

    asyncio.run(main())
    eventually(own_threads, lambda names: not names)
    with Store(path) as store, store.reading() as connection:
        assert connection.execute(select(daemons)).all() == []


def test_a_start_that_fails_may_be_tried_again(tmp_path: Path) -> None:
    """As when a server of the store is not there yet."""
    path = tmp_path / "folder" / "s.db"

    async def main() -> None:
        scheduler = AsyncScheduler(str(path), one_function(fails))
        with pytest.raises(StoreError):
            await scheduler.start()
        path.parent.mkdir()
        async with scheduler:
            assert await scheduler.timers() == []

    asyncio.run(main())


def test_a_stop_that_is_cancelled_goes_on_and_may_be_awaited_again(tmp_path: Path) -> None:
    """Once more is harmless, too."""

    async def main() -> None:
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            begun.set()
            await may_end.wait()

        scheduler = AsyncScheduler(str(tmp_path / "s.db"), one_function(work))
        await scheduler.start()
        await scheduler.add(Timer(name="t", function="f", trigger=NEVER, limit_s=600))
        await scheduler.run("t")
        await asyncio.wait_for(begun.wait(), 60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(scheduler.stop(), 0.05)
        may_end.set()
        await scheduler.stop()
        await scheduler.stop()

    asyncio.run(main())
    assert own_threads() == []
    reader = Scheduler(str(tmp_path / "s.db"), Registry())
    assert [run.outcome for run in reader.runs()] == [Outcome.SUCCEEDED]
    reader.stop()


def test_two_in_one_loop_share_a_store(tmp_path: Path) -> None:
    """Each fire time runs once, in one of them."""
    fired: list[datetime] = []

    async def main() -> None:
        async def note() -> None:
            fired.append(current_call.get().timer.scheduled_at)

        path, functions = str(tmp_path / "s.db"), one_function(note)
        async with AsyncScheduler(path, functions) as one, AsyncScheduler(path, functions) as other:
            await one.add(*(Timer(name=f"t{n}", function="f", trigger=Every(1), enabled=True) for n in range(3)))
            async with asyncio.timeout(60):
                while len(fired) < 9:
                    await asyncio.sleep(0.05)
            runs = await other.runs()
        assert len({(run.timer, run.fire_time) for run in runs}) == len(runs)

    asyncio.run(main())
    # Timers that are added together share their fire times.
    assert max(fired.count(fire_time) for fire_time in fired) <= 3


def test_a_loop_that_ends_without_stop_leaves_no_run_open(tmp_path: Path) -> None:
    """Runs that come later have failed, because nothing can run them; the thread of the daemon does not break."""
    path = str(tmp_path / "s.db")

    async def forget() -> AsyncScheduler:
        scheduler = AsyncScheduler(path, one_function(asyncio.sleep, "sleep"))
        await scheduler.start()
        return scheduler

    scheduler = asyncio.run(forget())
    assert scheduler._scheduler is not None
    scheduler._scheduler.add(Timer(name="t", function="sleep", params={"delay": 0}, trigger=NEVER))
    run = scheduler._scheduler.wait(scheduler._scheduler.run("t"))
    assert (run.outcome, run.error) == (Outcome.FAILED, "the event loop of the program is closed")
    scheduler._scheduler.stop()


def test_what_is_refused_is_refused_as_by_a_scheduler() -> None:
    """And before it has started, everything is."""

    async def main() -> None:
        scheduler = AsyncScheduler("sqlite://", one_function(fails))
        with pytest.raises(RuntimeError, match="has not started"):
            await scheduler.timers()
        async with scheduler:
            with pytest.raises(UnknownFunctionError):
                await scheduler.add(Timer(name="t", function="g", trigger=NEVER))
            with pytest.raises(TimerError):
                await scheduler.get("gone")
            with pytest.raises(StoreError, match="no run 7"):
                await scheduler.wait(7)
            with pytest.raises(RuntimeError, match="starts once"):
                await scheduler.start()
        with pytest.raises(ConfigError, match="takes an Engine or a Registry"):
            AsyncScheduler("sqlite://", "cloud.py")

    asyncio.run(main())


def test_it_has_the_methods_of_a_scheduler() -> None:
    """Each to be awaited, with the same parameters."""
    methods = {
        name: method
        for cls in (Scheduler, ManagedTimers)
        for name, method in vars(cls).items()
        if not name.startswith("_") and callable(method)
    }
    for name, method in methods.items():
        mine = getattr(AsyncScheduler, name)
        assert inspect.iscoroutinefunction(mine)
        assert list(inspect.signature(mine).parameters) == list(inspect.signature(method).parameters)
