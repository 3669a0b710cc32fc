"""The cost of a run by the number of timers, and by the number of daemons: a virtual clock with a real store.

    python benchmarks/simulation.py [--timers 1000 10000 100000 1000000] [--daemons 1 2 4 8 16] [--plot FILE.svg]

Timers fire once a minute, spread over its seconds, for two virtual minutes; the functions take no time, so only the
service is measured: claiming, accounting, recording. Timers are varied on SQLite with one daemon, daemons on PostgreSQL
(from a wheel of the test extra) with 10,000 timers, one after the other in one process: their total work is measured,
however processors would share it. A plot needs matplotlib.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from scheduler.clock import ManualClock
from scheduler.core.breaker import Verdict
from scheduler.core.run import Ending, Outcome, Task
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron
from scheduler.daemon.loop import Daemon
from scheduler.executors import Report
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable

ROOT = Path(__file__).parent.parent
START = datetime(2026, 1, 1, tzinfo=UTC)
VIRTUAL_S = 120
#: Timers that are added at a time, so that the new timers take little memory.
PORTION = 20_000


class NoOpExecutor:
    """An executor whose functions take no time."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._report = Report()

    def submit(self, tasks: Sequence[Task]) -> None:
        now = self._clock.now()
        ending = Ending(outcome=Outcome.SUCCEEDED, verdict=Verdict.GOOD, started_at=now, ended_at=now)
        self._report.ended += [(task, ending) for task in tasks]

    def collect(self) -> Report:
        report, self._report = self._report, Report()
        return report

    def filenos(self) -> list[int]:
        return []

    def next_check(self) -> float | None:
        return 0.0 if self._report.ended else None

    def stop(self) -> None:
        pass


class Cost(NamedTuple):
    """CPU in µs per run, and the longest virtual second in ms of real time, for a number of timers or daemons."""

    number: int
    cpu_us: float
    longest_ms: float


def simulate(url: str, timers: int, daemons: int) -> Cost:
    clock = ManualClock(START)
    with Store(url) as store:
        add(store, timers)
        fleet = [Daemon(store, {Environment.PRODUCTION: NoOpExecutor(clock)}, clock=clock) for _ in range(daemons)]
        for daemon in fleet:
            _settle([daemon])
        began, longest = time.process_time(), 0.0
        for _ in range(VIRTUAL_S):
            clock.advance(1)
            at = time.perf_counter()
            _settle(fleet)
            longest = max(longest, time.perf_counter() - at)
        spent = time.process_time() - began
        for daemon in fleet:
            daemon.close()
    fires = timers * VIRTUAL_S // 60
    return Cost(timers, spent / fires * 1e6, longest * 1000)


def add(store: Store, count: int) -> None:
    for first in range(0, count, PORTION):
        new = [
            Timer(name=f"t{n}", function="f", trigger=Cron(f"{n % 60} * * * * ?", "UTC"), enabled=True)
            for n in range(first, min(first + PORTION, count))
        ]
        TimerTable(store).add(new, now=START, quota=0)


def _settle(fleet: list[Daemon]) -> None:
    """Let each daemon take turns until none has anything to do at this instant."""
    busy = fleet
    while busy:
        busy = [daemon for daemon in busy if daemon.step() == 0]


def by_timers(numbers: list[int]) -> list[Cost]:
    costs = []
    for timers in numbers:
        with tempfile.TemporaryDirectory() as folder:
            costs.append(simulate(str(Path(folder) / "store.db"), timers, 1))
        _show("timers", costs[-1])
    return costs


def by_daemons(numbers: list[int]) -> list[Cost]:
    sys.path.insert(0, str(ROOT))
    from tests.scheduler.postgres_server import postgres_server

    costs = []
    with postgres_server() as server:
        for daemons in numbers:
            with server.database() as url:
                costs.append(simulate(url, 10_000, daemons)._replace(number=daemons))
            _show("daemons", costs[-1])
    return costs


def _show(unit: str, cost: Cost) -> None:
    number, cpu_us, longest_ms = cost
    print(f"{number:9,} {unit:8} {cpu_us:8.1f} µs per run {longest_ms:10.1f} ms for the longest second", flush=True)


def plot(timers: list[Cost], daemons: list[Cost], path: str) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.4))
    for axis, costs, label in zip(axes, (timers, daemons), ("timers, SQLite", "daemons, PostgreSQL"), strict=True):
        axis.plot([cost.number for cost in costs], [cost.cpu_us for cost in costs], marker="o", color="#1f5fa8")
        axis.set_xscale("log")
        axis.set_ylim(bottom=0)
        axis.set_xlabel(label)
        axis.set_ylabel("CPU per run, µs")
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timers", type=int, nargs="*", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--daemons", type=int, nargs="*", default=[1, 2, 4, 8, 16])
    parser.add_argument("--plot", metavar="FILE.svg")
    options = parser.parse_args()
    timers, daemons = by_timers(options.timers), by_daemons(options.daemons)
    if options.plot:
        plot(timers, daemons, options.plot)


if __name__ == "__main__":
    main()
