"""The functions of `scheduler demo`: one takes readings, one reports on them, one never ends, one fails.

Written like any cloud.py; no function uses the network. Files are in the folder SCHEDULER_DEMO_FOLDER.
"""

from __future__ import annotations

import csv
import os
import shutil
import time
from pathlib import Path

from ..engine import Engine

engine = Engine()


def _readings() -> Path:
    return Path(os.environ["SCHEDULER_DEMO_FOLDER"]) / "readings.csv"


@engine.define
def take_reading(disk: str = "/") -> int:
    """Append the free megabytes of a disk to a file, and return them."""
    free = shutil.disk_usage(disk).free // 1_000_000
    with _readings().open("a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow([round(time.time(), 3), free])
    print(f"{free} MB free on {disk}")
    return free


@engine.define
def write_report() -> str:
    """Summarise the readings so far in a file."""
    path = _readings()
    with path.open(newline="", encoding="utf-8") if path.exists() else Path(os.devnull).open(encoding="utf-8") as file:
        free = [int(row[1]) for row in csv.reader(file)]
    summary = f"{len(free)} readings" + (f", {min(free)} to {max(free)} MB free" if free else "")
    path.with_name("report.txt").write_text(summary + "\n", encoding="utf-8")
    print(summary)
    return summary


@engine.define
def find_primes(below: int = 10**12) -> list[int]:
    """Search for primes in the slowest way, far beyond any time limit."""
    print(f"searching for primes below {below}")
    return [n for n in range(2, below) if all(n % d for d in range(2, n))]


@engine.define
def send_invoice(customer: str = "nobody") -> None:
    """Fail on data that it does not expect."""
    prices = {"alice": 12.5}
    print(f"invoice for {customer}: {prices[customer]:.2f}")
