"""How long an AsyncScheduler keeps the event loop of its program waiting: the longest stall, with many timers.

    python benchmarks/event_loop.py [timers] [seconds]

A task of the loop sleeps for a millisecond at a time, and notes how much later than that it wakes, and how much CPU
time the thread of the loop has used meanwhile, which other programs of a busy machine do not lengthen. The first
figures are those of the loop alone, on the same machine at the same time of day.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from scheduler import AsyncScheduler, Every, Timer
from scheduler.functions import Registry

TICK_S = 0.001


async def stalls(seconds: float) -> tuple[list[float], list[float]]:
    """How much later than it wanted to, each time, a task woke; and the CPU time of the loop's thread in between."""
    late: list[float] = []
    used: list[float] = []
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        cpu = time.thread_time()
        await asyncio.sleep(TICK_S)
        used.append(time.thread_time() - cpu)
        late.append(time.perf_counter() - begun - TICK_S)
    return late, used


def shown(stalls: tuple[list[float], list[float]]) -> str:
    late, used = map(sorted, stalls)
    return f"{_percentiles(late)}; CPU of the loop {_percentiles(used)}"


def _percentiles(seconds: list[float]) -> str:
    p99 = seconds[int(len(seconds) * 0.99)]
    return (
        f"p50 {seconds[len(seconds) // 2] * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, longest {seconds[-1] * 1000:.1f} ms"
    )


async def main(count: int, seconds: float) -> None:
    functions = Registry()
    called = 0

    @functions.define
    async def tick() -> None:
        nonlocal called
        called += 1

    print(f"the loop alone        {shown(await stalls(seconds))}")
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncScheduler(str(Path(folder) / "timers.db"), functions, quota=0) as scheduler:
            timers = [
                Timer(name=f"t{number}", function="tick", trigger=Every(1), enabled=True) for number in range(count)
            ]
            await scheduler.add(*timers)
            await asyncio.sleep(2)
            called = 0
            late = await stalls(seconds)
            print(f"{count:,} every-second timers {shown(late)}; {called / seconds:,.0f} calls/s")


if __name__ == "__main__":
    asyncio.run(main(int((sys.argv[1:] or ["1000"])[0]), float((sys.argv[2:] or ["10"])[0])))
