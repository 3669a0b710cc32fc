"""Measures the console: reading a long history into the digest, and the pages, at many timers and runs.

    python benchmarks/console.py [--timers 10000] [--runs 1000000] [--store URL [--cache FOLDER]]

Prints the time to read the history once, the median time and CPU time of each page with the number of its queries, and
the size of the digest. An empty store is filled, another one is used as it is; without --store it is a SQLite file in a
temporary folder. With --cache, the digest is kept for the next time.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert, select

from scheduler.console.app import make_app
from scheduler.console.current import EXTENSION
from scheduler.console.tokens import TokenTable
from scheduler.core.timer import Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Cron
from scheduler.project.settings import read_settings
from scheduler.store.database import Store
from scheduler.store.schema import runs
from scheduler.store.timers import TimerTable

PAGES = (
    "/",
    "/timers",
    "/timers?text=00777",
    "/timers/production/t-00777",
    "/timeline",
    "/runs",
    "/runs?outcome=failed",
    "/logs",
    "/functions",
    "/instances",
    "/statistics?span=day",
    "/statistics?span=month",
    "/changes",
    "/alerts",
    "/timers/preview?trigger=cron&cron=0+30+2+%3F+*+MON-FRI&tz=America/New_York",
)
OWN = {"Sec-Fetch-Site": "same-origin"}
_PORTION = 20_000


def main() -> None:
    """Fill a store, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timers", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--store")
    parser.add_argument("--cache")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = options.cache or folder
        with Store(options.store or f"{folder}/store.db", durability="process") as store:
            fill(store, options.timers, options.runs)
            measure(store, Path(folder), options.rounds)


def fill(store: Store, timers: int, count: int) -> None:
    """Add timers, and runs of the last thirty days, one in fifty of which failed."""
    with store.reading() as connection:
        if connection.execute(select(runs.c.id).limit(1)).first() is not None:
            return
    now = datetime.now(UTC)
    table = [
        Timer(
            name=f"t-{n:05}",
            function=f"f{n % 40}",
            trigger=Cron(f"{n % 60} {n // 60 % 60} * * * ?", "UTC"),
            enabled=True,
        )
        for n in range(timers)
    ]
    TimerTable(store).add(table, now=now)
    first, step = stamp(now - timedelta(days=30)), 30 * 86_400_000_000 // count
    for start in range(0, count, _PORTION):
        rows = [_row(n, first + n * step, timers) for n in range(start, min(start + _PORTION, count))]
        with store.writing() as connection:
            connection.execute(insert(runs), rows)


def _row(number: int, at: int, timers: int) -> dict[str, Any]:
    failed = number % 50 == 0
    return {
        "timer": f"t-{number % timers:05}",
        "function": f"f{number % timers % 40}",
        "environment": "production",
        "kind": "scheduled",
        "fire_at": at,
        "last_fire_at": at,
        "count": 1,
        "attempt": 1,
        "request_id": f"{number:016x}",
        "owner": 1,
        "claimed_at": at,
        "started_at": at + 3_000,
        "ended_at": at + 3_000 + number % 1_000 * 1_000,
        "outcome": "failed" if failed else "succeeded",
        "message": "",
        "error": "ValueError: no" if failed else None,
        "lines_dropped": 0,
    }


def measure(store: Store, folder: Path, rounds: int) -> None:
    """Print the figures."""
    app = make_app(store, read_settings(folder, {}, {}))
    digest = app.extensions[EXTENSION].digest
    began, used = time.perf_counter(), time.process_time()
    while digest.step():
        pass
    took, used = time.perf_counter() - began, time.process_time() - used
    size = digest._file.path.stat().st_size / 1e6
    print(f"the history read once: {took:.1f} s, of which {used:.1f} s CPU; {size:.0f} MB")
    client = app.test_client()
    secret = TokenTable(store).add(f"benchmark {os.getpid()}", "operator", now=datetime.now(UTC))
    assert client.post("/login", data={"token": secret}, headers=OWN).status_code == 303
    queries: list[str] = []
    event.listen(store._engine, "before_cursor_execute", lambda _, __, statement, *___: queries.append(statement))
    for page in PAGES:
        times, cpu, length = [], [], 0
        for _ in range(rounds):
            queries.clear()
            began, used = time.perf_counter(), time.process_time()
            answer = client.get(page, headers=OWN)
            length = len(answer.data)
            times.append((time.perf_counter() - began) * 1000)
            cpu.append((time.process_time() - used) * 1000)
            assert answer.status_code == 200, page
        usual, busy = statistics.median(times), statistics.median(cpu)
        sizes = f"{busy:6.1f} ms CPU, {length / 1000:6.1f} kB, {len(queries):2} queries"
        print(f"{page:40.40} {usual:7.1f} ms, {sizes}")
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")
    app.extensions[EXTENSION].close()


if __name__ == "__main__":
    main()
