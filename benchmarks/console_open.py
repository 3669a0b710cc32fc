"""Measures whether timers fire later while people look at the console, in pairs of spans of one `scheduler up`.

    python benchmarks/console_open.py [--timers 100] [--pages 4] [--span 10] [--pairs 6]

Timers fire every second. In every other span, so many pages are open, as browsers have them: each has a stream, and
asks for its parts when something has changed. Prints p50 and p99 of the lateness with and without them, and the medians
of the ratios within each pair; a missed goal is printed as missed, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from sqlalchemy import select

from scheduler.console.tokens import TokenTable
from scheduler.core.timer import Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Every
from scheduler.store.database import Store
from scheduler.store.schema import runs
from scheduler.store.timers import TimerTable

CLOUD = """
from scheduler.engine import Engine

engine = Engine()


@engine.define
def nothing() -> None:
    pass
"""
PAGES = ("/", "/timers", "/runs", "/timeline")
#: The most that the lateness may grow while the console is open.
GOAL = 1.05
_TIMEOUT_S = 60.0


def main() -> int:
    """Start the service, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timers", type=int, default=100)
    parser.add_argument("--pages", type=int, default=4)
    parser.add_argument("--span", type=float, default=10.0, help="Seconds of a span.")
    parser.add_argument("--pairs", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, service(Path(folder), options.timers) as port:
        store = Store(Path(folder) / ".scheduler" / "store.db")
        cookie = sign_in(store, port)
        pairs = []
        for _ in range(options.pairs):
            closed = lateness(store, options.span)
            with pages(port, cookie, options.pages):
                pairs.append((closed, lateness(store, options.span)))
        store.close()
    return report(pairs)


@contextmanager
def service(folder: Path, timers: int) -> Iterator[int]:
    """A `scheduler up` with timers that fire every second; yields the port of its console."""
    (folder / "cloud.py").write_text(CLOUD)
    (folder / "scheduler.toml").write_text("console_port = 0\n")
    data = folder / ".scheduler"
    data.mkdir(mode=0o700)
    with Store(data / "store.db") as store:
        every_second = [Timer(name=f"t{n}", function="nothing", trigger=Every(1), enabled=True) for n in range(timers)]
        TimerTable(store).add(every_second, now=datetime.now(UTC))
    words = [sys.executable, "-m", "scheduler", "up", "--port", "0", "--json"]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        facts = json.loads(process.stdout.readline())
        yield urlsplit(facts["console"]).port or 0
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=_TIMEOUT_S)


def sign_in(store: Store, port: int) -> str:
    """The cookie of a viewer."""
    token = TokenTable(store).add(f"benchmark {os.getpid()}", "viewer", now=datetime.now(UTC))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    headers = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/login", urlencode({"token": token}), headers)
    cookie = connection.getresponse().getheader("Set-Cookie") or ""
    connection.close()
    return cookie.partition(";")[0]


def lateness(store: Store, span_s: float) -> list[float]:
    """The latenesses of the runs that begin in a span from now on, in milliseconds."""
    begin = stamp(datetime.now(UTC))
    time.sleep(span_s)
    end = stamp(datetime.now(UTC))
    time.sleep(2.0)  # until they are recorded
    late = select(runs.c.started_at - runs.c.fire_at).where(runs.c.fire_at >= begin, runs.c.fire_at < end)
    with store.reading() as connection:
        return [value / 1000 for value in connection.execute(late.where(runs.c.started_at.is_not(None))).scalars()]


@contextmanager
def pages(port: int, cookie: str, count: int) -> Iterator[None]:
    """So many pages of browsers."""
    is_over = threading.Event()
    readers = [
        threading.Thread(target=look, args=(port, cookie, PAGES[number % len(PAGES)], is_over), daemon=True)
        for number in range(count)
    ]
    for reader in readers:
        reader.start()
    yield
    is_over.set()
    for reader in readers:
        reader.join(_TIMEOUT_S)


def look(port: int, cookie: str, page: str, is_over: threading.Event) -> None:
    """A page: reads its stream, and asks for its parts at most once a second."""
    stream = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    with suppress(OSError, http.client.HTTPException):
        stream.request("GET", "/live", headers={"Cookie": cookie})
        events = stream.getresponse()
        while not is_over.is_set() and events.readline():
            asking.request("GET", page, headers={"Cookie": cookie, "Scheduler-Part": "1"})
            asking.getresponse().read()
            is_over.wait(1.0)
    stream.close()
    asking.close()


def report(pairs: list[tuple[list[float], list[float]]]) -> int:
    """Print the figures; returns the exit status."""
    is_missed = False
    for percent in (50, 99):
        found = [tuple(statistics.quantiles(late, n=100)[percent - 1] for late in pair) for pair in pairs]
        closed, opened = (statistics.median(values) for values in zip(*found, strict=True))
        ratio = statistics.median(after / before for before, after in found)
        is_missed |= ratio > GOAL
        mark = "" if ratio <= GOAL else ", missed"
        print(f"p{percent}: {closed:.2f} ms closed, {opened:.2f} ms open; ÷ {ratio:.2f}, goal ≤ {GOAL}{mark}")
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
