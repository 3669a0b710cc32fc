"""Processor time of claiming a timer whose fires are further limited, compared with that of a plain expression.

    python benchmarks/triggers.py [--timers 2000] [--rounds 7] [--plain]

Each round claims the same second of every store, the plain one first and last; the median of the ratios within the
rounds counts. A missed goal is printed as missed, and makes the exit status 1. With --plain it prints the shortest time
of a plain timer only, so that two versions can be compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import delete

from scheduler.claims.claims import Claims
from scheduler.claims.leases import Lease
from scheduler.core.timer import Timer
from scheduler.core.triggers import Cron
from scheduler.store.database import Store
from scheduler.store.schema import runs
from scheduler.store.timers import TimerTable

#: A Thursday.
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
#: A goal of the design: at most so many times the claim of a plain timer.
GOAL = 2.0
SECOND = Cron("* * * * * ?", "UTC")


class Claimed:
    """A store of timers that fire every second, and a daemon's claims of them."""

    def __init__(self, timers: int, **options: Any) -> None:
        self.store, self.now = Store("sqlite://"), START
        if "calendar" in options:
            from quartzcron.calendars import WorkingDays
            from scheduler.store.calendars import CalendarTable

            CalendarTable(self.store).add("firm", WorkingDays(holidays=[date(2026, 1, 2)]), now=START)
        values = {"trigger": SECOND, "overlap": "allow", "enabled": True, **options}
        new = [Timer(name=f"t{number}", function="f", **values) for number in range(timers)]
        TimerTable(self.store).add(new, now=START, quota=0)
        lease = Lease(self.store)
        lease.register(self.now, 0)
        self.claims, self.timers = Claims(self.store, lease), timers
        self.claim()

    def claim(self) -> float:
        """µs of processor time for each timer of one claim of all that are due."""
        self.now += timedelta(seconds=1)
        began = time.process_time()
        tasks = self.claims.claim(self.now, limit=self.timers).tasks
        took = (time.process_time() - began) / self.timers * 1e6
        assert len(tasks) == self.timers
        with self.store.writing() as connection:
            connection.execute(delete(runs))
        return took


def limited() -> dict[str, dict[str, Any]]:
    """The options of timers whose fires are those of a plain one in the seconds that are measured."""
    from scheduler.core.any_of import AnyOf

    several = AnyOf(SECOND, Cron("0 0 8 * * ?", "UTC"), Cron("0 30 9 ? * MON-FRI", "UTC"))
    return {
        "window": {"starts_at": START, "ends_at": START + timedelta(days=30)},
        "calendar": {"calendar": "firm", "roll": "preceding"},
        "AnyOf of three": {"trigger": several},
        "AnyOf, calendar and window": {"trigger": several, "calendar": "firm", "starts_at": START},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timers", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--plain", action="store_true", help="measure plain timers only")
    options = parser.parse_args()
    plain = Claimed(options.timers)
    if options.plain:
        print(f"{min(plain.claim() for _ in range(options.rounds)):.2f}")
        return
    others = {name: Claimed(options.timers, **values) for name, values in limited().items()}
    times: dict[str, list[float]] = {name: [] for name in others}
    ratios: dict[str, list[float]] = {name: [] for name in others}
    of_plain = []
    for _ in range(options.rounds):
        for name, claimed in others.items():
            before, took, after = plain.claim(), claimed.claim(), plain.claim()
            of_plain += [before, after]
            times[name].append(took)
            ratios[name].append(took / ((before + after) / 2))
    print(f"{'plain':28} {statistics.median(of_plain):6.2f} µs")
    missed = 0
    for name, each in ratios.items():
        ratio = statistics.median(each)
        missed += ratio > GOAL
        said = "" if ratio <= GOAL else f"  MISSED: at most {GOAL:g} ×"
        print(f"{name:28} {statistics.median(times[name]):6.2f} µs  {ratio:4.2f} ×{said}")
    raise SystemExit(bool(missed))


if __name__ == "__main__":
    main()
