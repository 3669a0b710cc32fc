"""Lateness of timers, the share of their fire times that ran, and the CPU of each: every-second timers of a no-op.

    python benchmarks/timers.py [--seconds 5] [--rounds 3] [--timers 100 1000 10000] [--durability]

Ours records every run in a durable SQLite store and runs functions in two worker processes; APScheduler 3 has its jobs
in memory and runs them in threads of this process. Rounds alternate, and their medians count. A missed goal is printed
as missed, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from scheduler.clock import SystemClock
from scheduler.core.run import Ending, Line, Task
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron
from scheduler.daemon.loop import Daemon
from scheduler.store.database import DURABILITIES, Store
from scheduler.store.timers import TimerTable
from scheduler.workers.executor import ProcessExecutor

NOTHING = (
    "from scheduler.functions import Registry\nfunctions = Registry()\nfunctions.define(lambda: None, name='nothing')\n"
)
#: How long before the first fire time timers are added: adding ten thousand takes two seconds on a busy machine, and a
#: daemon that begins late would be measured catching up.
ADDED_AHEAD_S = 3
#: Timers → the goal for the p99 of the lateness in ms, and for how many times below APScheduler's it is.
GOALS = {100: (3, 4), 1_000: (10, 10), 10_000: (100, 15)}


class Measured(NamedTuple):
    """Lateness in ms, the share of the due fire times that ran, and CPU in µs per run (child processes included)."""

    p50: float
    p99: float
    done: float
    cpu: float


def ours(timers: int, seconds: int, url: str = "", *, durability: str = "power") -> Measured:
    """Measure every-second timers on an empty store: SQLite in a folder of its own, or the store at `url`."""
    late: list[float] = []

    def listen(ended: list[tuple[Task, Ending]], _: list[Line]) -> None:
        late.extend(
            (ending.started_at - task.fire_time) / timedelta(milliseconds=1)
            for task, ending in ended
            if ending.started_at is not None
        )

    with tempfile.TemporaryDirectory() as folder, _store(url, folder, durability) as store:
        executor = ProcessExecutor(functions(folder), workers=2)
        executor.start()
        add_every_second(store, timers)
        daemon = Daemon(store, {Environment.PRODUCTION: executor}, listener=listen)
        thread = threading.Thread(target=daemon.run)
        return _measured(late, timers * seconds, lambda: _run_daemon(daemon, thread, seconds))


def _store(url: str, folder: str, durability: str) -> Store:
    return Store(url or str(Path(folder) / "store.db"), durability=durability)


def functions(folder: str, source: str = NOTHING) -> str:
    """Write functions to a file in a folder, and return its path."""
    path = Path(folder) / "nothing_cloud.py"
    path.write_text(source)
    return str(path)


def add_every_second(store: Store, count: int) -> None:
    """Add that many timers of the same expression, whose first fire time is ADDED_AHEAD_S away."""
    trigger = Cron("* * * * * ?", "UTC")
    new = [Timer(name=f"t{n}", function="nothing", trigger=trigger, enabled=True) for n in range(count)]
    TimerTable(store).add(new, now=SystemClock().now() + timedelta(seconds=ADDED_AHEAD_S), quota=0)


def _run_daemon(daemon: Daemon, thread: threading.Thread, seconds: int) -> None:
    thread.start()
    time.sleep(seconds + ADDED_AHEAD_S + 1)
    daemon.stop()
    thread.join(60)


def apscheduler(timers: int, seconds: int) -> Measured:
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.cron import CronTrigger

    late: list[float] = []
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    end = begin + timedelta(seconds=seconds - 1)
    counters = [itertools.count() for _ in range(timers)]

    def nothing(number: int) -> None:
        late.append((time.time() - begin.timestamp() - next(counters[number])) * 1000)

    scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(20)}, timezone=UTC)
    for number in range(timers):
        trigger = CronTrigger(second="*", start_date=begin, end_date=end, timezone=UTC)
        scheduler.add_job(nothing, trigger, args=[number], misfire_grace_time=60, coalesce=False, max_instances=60)

    def run() -> None:
        scheduler.start()
        time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()) + 2)
        scheduler.shutdown(wait=False)

    return _measured(late, timers * seconds, run)


def _measured(late: list[float], due: int, run: Callable[[], None]) -> Measured:
    before = _cpu_s()
    run()
    cpu_s = _cpu_s() - before
    # Only as many as were due in the time measured; ours runs a moment longer.
    counted = sorted(late)[: max(due, 1)] or [float("inf")]
    p99 = counted[min(len(counted) - 1, int(len(counted) * 0.99))]
    return Measured(statistics.median(counted), p99, min(1.0, len(late) / due), cpu_s / max(1, len(late)) * 1e6)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def compare_durabilities(numbers: list[int], seconds: int, rounds: int) -> None:
    """Print how late timers are on a store that is synced at each commit, and on one that is not, in turn."""
    for timers in numbers:
        measured: dict[str, list[Measured]] = {durability: [] for durability in DURABILITIES}
        for _ in range(rounds):
            for durability, so_far in measured.items():
                so_far.append(ours(timers, seconds, durability=durability))
        for durability, all_rounds in measured.items():
            show(str(timers), durability, median(all_rounds))


def median(rounds: list[Measured]) -> Measured:
    return Measured(*map(statistics.median, zip(*rounds, strict=True)))


def show(label: str, who: str, measured: Measured) -> None:
    p50, p99, done, cpu = measured
    print(f"{label:>7} {who:12} {p50:9.1f} {p99:9.1f} {done:6.0%} {cpu:8.0f} µs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timers", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--alone", action="store_true", help="measure ours only")
    parser.add_argument("--durability", action="store_true", help="compare both values of durability, and nothing else")
    options = parser.parse_args()
    missed = 0
    print(f"{'timers':>7} {'':12} {'p50 ms':>9} {'p99 ms':>9} {'done':>6} {'CPU per run':>11}")
    if options.durability:
        return compare_durabilities(options.timers, options.seconds, options.rounds)
    for timers in options.timers:
        rounds = [
            (ours(timers, options.seconds), None if options.alone else apscheduler(timers, options.seconds))
            for _ in range(options.rounds)
        ]
        mine = median([one for one, _ in rounds])
        show(str(timers), "ours", mine)
        theirs = [other for _, other in rounds if other is not None]
        if theirs:
            show("", "APScheduler", median(theirs))
        ratio = statistics.median(other.p99 / one.p99 for one, other in rounds if other) if theirs else float("inf")
        goal_ms, goal_ratio = GOALS.get(timers, (float("inf"), 0))
        for goal, is_met in (
            (f"p99 ≤ {goal_ms} ms", mine.p99 <= goal_ms),
            (f"p99 ≥ {goal_ratio} × below APScheduler's ({ratio:.0f} ×)", ratio >= goal_ratio),
            ("every fire time ran", mine.done >= 1),
        ):
            if not is_met:
                missed += 1
                print(f"{'':7} MISSED: {goal}")
    raise SystemExit(bool(missed))


if __name__ == "__main__":
    main()
