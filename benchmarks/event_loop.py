"""How long an AsyncScheduler keeps the event loop of its program waiting: the longest turn, with many timers.

    python benchmarks/event_loop.py [timers] [seconds]

A turn runs all callbacks that are ready. It is measured by the CPU time of the loop's thread, which other programs of a
busy machine do not lengthen; a collection of garbage that Python happens to do in it is measured apart. The first
figures are those of the loop alone. A missed goal is printed as missed, and makes the exit status 1.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from asyncio import base_events
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scheduler import AsyncScheduler, Every, Timer
from scheduler.functions import Registry

TICK_S = 0.001
GOAL_S = 0.010


class Turns:
    """The CPU times of the turns of a loop, in seconds, without and with the garbage collected in them."""

    def __init__(self) -> None:
        self.own: list[float] = []
        self.all: list[float] = []
        self._collected_s = self._collecting_since = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure all turns of this thread's loop within the block."""
        run = base_events.BaseEventLoop._run_once

        def measured_run(loop: base_events.BaseEventLoop) -> None:
            self._collected_s, begun = 0.0, time.thread_time()
            try:
                run(loop)
            finally:
                used = time.thread_time() - begun
                self.all.append(used)
                self.own.append(used - self._collected_s)

        base_events.BaseEventLoop._run_once = measured_run
        gc.callbacks.append(self._collects)
        try:
            yield
        finally:
            base_events.BaseEventLoop._run_once = run
            gc.callbacks.remove(self._collects)

    def _collects(self, phase: str, _: dict[str, Any]) -> None:
        # In another thread, this does not matter: its time is not that of the loop's thread.
        if phase == "start":
            self._collecting_since = time.thread_time()
        else:
            self._collected_s += max(0.0, time.thread_time() - self._collecting_since)

    def __str__(self) -> str:
        own, everything = sorted(self.own), sorted(self.all)
        p99 = own[int(len(own) * 0.99)]
        return (
            f"{len(own):,} turns, p99 {p99 * 1000:.2f} ms, longest {own[-1] * 1000:.1f} ms of CPU; "
            f"with garbage collected {everything[-1] * 1000:.1f} ms"
        )


async def tick(seconds: float) -> None:
    """What else the program does: a task that sleeps for a millisecond at a time."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        await asyncio.sleep(TICK_S)


async def main(count: int, seconds: float) -> bool:
    functions = Registry()
    called = 0

    @functions.define
    async def work() -> None:
        nonlocal called
        called += 1

    alone, beside = Turns(), Turns()
    with alone.measured():
        await tick(seconds)
    print(f"the loop alone: {alone}")
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncScheduler(str(Path(folder) / "timers.db"), functions, quota=0) as scheduler:
            timers = [
                Timer(name=f"t{number}", function="work", trigger=Every(1), enabled=True) for number in range(count)
            ]
            await scheduler.add(*timers)
            await asyncio.sleep(2)
            called = 0
            with beside.measured():
                await tick(seconds)
            # Before the present turn ends, which then includes the sorting of all times.
            longest_s = max(beside.own)
            print(f"{count:,} every-second timers: {beside}; {called / seconds:,.0f} calls/s")
    if longest_s > GOAL_S:
        print(f"MISSED: no turn takes more than {GOAL_S * 1000:.0f} ms")
    return longest_s <= GOAL_S


if __name__ == "__main__":
    is_met = asyncio.run(main(int((sys.argv[1:] or ["1000"])[0]), float((sys.argv[2:] or ["10"])[0])))
    raise SystemExit(not is_met)
