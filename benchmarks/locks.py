"""How long changes of thousands of timers lock a store, and how long they take.

    python benchmarks/locks.py [--timers 10000] [--store postgresql://…]

Prints for each change the processor time of the transaction that writes, in which no daemon can claim from a SQLite
file, and that of the whole change. A missed goal is printed as missed, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from quartzcron.calendars import WorkingDays
from scheduler.core.timer import Timer
from scheduler.core.triggers import Cron
from scheduler.store.calendars import CalendarTable
from scheduler.store.change_recording import Author, Way
from scheduler.store.database import Store
from scheduler.store.pause_table import PauseTable
from scheduler.store.timer_apply import apply_timers
from scheduler.store.timer_pages import TimerKey
from scheduler.store.timers import TimerTable
from scheduler.store.timers_at_once import BulkAction, change_timers

#: The goals for 10,000 timers, in seconds of processor time: locked, and in all.
LOCKED_S, TOTAL_S = 0.25, 1.5
BY = Author("benchmark", Way.LIBRARY)


class Watched:
    """A store that measures its transactions that write."""

    def __init__(self, store: Store) -> None:
        self.locked_s = 0.0
        self._original = store.writing
        store.writing = self._writing  # type: ignore[method-assign]

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._original() as connection:
            began = time.thread_time()
            yield connection
            self.locked_s = max(self.locked_s, time.thread_time() - began)


def changes(store: Store, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """The changes to measure, each of which needs those before it."""
    now, table = datetime.now(UTC), TimerTable(store)
    new = [Timer(name=f"t{n}", function="f", trigger=Cron(f"{n % 60} {n // 60 % 60} 3 * * ?")) for n in range(count)]
    keys = [TimerKey("production", timer.name) for timer in new]
    CalendarTable(store).add("firm", WorkingDays(), now=now)
    same = [replace(timer, enabled=True) for timer in new]
    on_days = [replace(timer, calendar="firm", retries=1) for timer in same]
    yield "add", lambda: table.add(new, now=now, quota=0)
    for action in (BulkAction.ENABLE, BulkAction.RESET, BulkAction.RUN):
        yield action.value, lambda action=action: change_timers(store, keys, action, now=now, by=BY)  # type: ignore[misc]
    yield "apply, nothing differs", lambda: apply_timers(store, same, now=now, quota=0)
    yield "apply, all differ", lambda: apply_timers(store, on_days, now=now, quota=0)
    yield "change a calendar", lambda: CalendarTable(store).change("firm", WorkingDays(holidays=[now.date()]), now=now)
    yield "pause", lambda: PauseTable(store).pause(now=now)
    yield "resume", lambda: PauseTable(store).resume(now=now)
    for action in (BulkAction.DISABLE, BulkAction.REMOVE):
        yield action.value, lambda action=action: change_timers(store, keys, action, now=now, by=BY)  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timers", type=int, default=10_000)
    parser.add_argument("--store", default="", help="the address of an empty store; by default a SQLite file")
    options = parser.parse_args()
    missed = False
    print(f"{options.timers:,} timers {'':14} {'locked':>8} {'in all':>8}")
    with tempfile.TemporaryDirectory() as folder, Store(options.store or str(Path(folder) / "store.db")) as store:
        watched = Watched(store)
        for name, change in changes(store, options.timers):
            watched.locked_s, began = 0.0, time.thread_time()
            change()
            total_s = time.thread_time() - began
            is_missed = options.timers <= 10_000 and (watched.locked_s > LOCKED_S or total_s > TOTAL_S)
            missed |= is_missed
            print(f"{name:26} {watched.locked_s:6.2f} s {total_s:6.2f} s{'  MISSED' if is_missed else ''}")
    raise SystemExit(missed)


if __name__ == "__main__":
    main()
