"""How late timers fire, how many of their fires are done, and what each costs: every-second timers of a no-op.

    python benchmarks/timers.py [--seconds 5] [--timers 100 1000 10000]

Ours keeps every fire in a durable SQLite store and runs functions in two worker processes; APScheduler 3 keeps its jobs
in memory and runs them in threads of this process. Both in turn, in one run; a goal that is missed is printed as such,
and makes the exit status 1.
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
from scheduler.daemon import Daemon
from scheduler.executors.process import ProcessExecutor
from scheduler.run import Ending, Line, Task
from scheduler.store import Store
from scheduler.timer import Cron, Environment, Timer
from scheduler.timetable import Timetable

NOTHING = (
    "from scheduler.functions import Registry\nfunctions = Registry()\nfunctions.define(lambda: None, name='nothing')\n"
)
#: Timers → the goal for the p99 of the lateness in ms, and for how many times below APScheduler's it is.
GOALS = {100: (3, 4), 1_000: (10, 10), 10_000: (100, 15)}


class Measured(NamedTuple):
    """Lateness in ms, the share of the due fires that were done, and CPU in µs a fire (children included)."""

    p50: float
    p99: float
    done: float
    cpu: float


def ours(timers: int, seconds: int) -> Measured:
    late: list[float] = []

    def listen(ended: list[tuple[Task, Ending]], _: list[Line]) -> None:
        late.extend((ending.started_at - task.fire_time) / timedelta(milliseconds=1) for task, ending in ended)  # type: ignore[operator]

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "nothing_cloud.py").write_text(NOTHING)
        with Store(str(Path(folder) / "store.db")) as store:
            executor = ProcessExecutor(str(Path(folder) / "nothing_cloud.py"), workers=2)
            executor.start()
            trigger = Cron("* * * * * ?", "UTC")
            new = [Timer(name=f"t{n}", function="nothing", trigger=trigger, enabled=True) for n in range(timers)]
            Timetable(store).add(new, now=SystemClock().now() + timedelta(seconds=1), quota=0)
            daemon = Daemon(store, {Environment.PRODUCTION: executor}, listener=listen)
            thread = threading.Thread(target=daemon.run)
            return _measured(late, timers * seconds, lambda: _run_daemon(daemon, thread, seconds))


def _run_daemon(daemon: Daemon, thread: threading.Thread, seconds: int) -> None:
    thread.start()
    time.sleep(seconds + 2)
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
    # What was due within the span; ours goes on for a moment longer.
    counted = sorted(late)[: max(due, 1)] or [float("inf")]
    p99 = counted[min(len(counted) - 1, int(len(counted) * 0.99))]
    return Measured(statistics.median(counted), p99, min(1.0, len(late) / due), cpu_s / max(1, len(late)) * 1e6)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--timers", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--alone", action="store_true", help="measure ours only")
    options = parser.parse_args()
    missed = 0
    print(f"{'timers':>7} {'':12} {'p50 ms':>9} {'p99 ms':>9} {'done':>6} {'CPU a fire':>11}")
    for timers in options.timers:
        mine = ours(timers, options.seconds)
        print(f"{timers:7} {'ours':12} {mine.p50:9.1f} {mine.p99:9.1f} {mine.done:6.0%} {mine.cpu:8.0f} µs")
        if options.alone:
            continue
        theirs = apscheduler(timers, options.seconds)
        print(f"{'':7} {'APScheduler':12} {theirs.p50:9.1f} {theirs.p99:9.1f} {theirs.done:6.0%} {theirs.cpu:8.0f} µs")
        goal_ms, goal_ratio = GOALS.get(timers, (float("inf"), 0))
        for said, is_met in (
            (f"p99 ≤ {goal_ms} ms", mine.p99 <= goal_ms),
            (
                f"p99 ≥ {goal_ratio} × below APScheduler's ({theirs.p99 / mine.p99:.0f} ×)",
                theirs.p99 >= goal_ratio * mine.p99,
            ),
            ("every fire done", mine.done >= 1),
        ):
            if not is_met:
                missed += 1
                print(f"{'':7} MISSED: {said}")
    raise SystemExit(bool(missed))


if __name__ == "__main__":
    main()
