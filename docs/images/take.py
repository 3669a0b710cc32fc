"""Takes the screenshots of the console in this folder: of a project of its own, served by `scheduler up`.

    pip install playwright pillow && python docs/images/take.py [--chromium FILE]

The project's store has a history of three days, made up here; its timers fire while the screenshots are taken.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import insert

from scheduler.console.tokens import TokenTable
from scheduler.core.timer import Environment, Timer
from scheduler.core.timestamps import stamp
from scheduler.core.triggers import Cron, Every
from scheduler.store.change_recording import Author, Way
from scheduler.store.database import Store
from scheduler.store.schema import runs
from scheduler.store.timers import TimerTable

FOLDER = Path(__file__).parent
#: Name, address, language, theme.
SHOTS = (
    ("overview", "", "en", "light"),
    ("timers", "timers", "zh", "light"),
    ("timer", "timers/production/check_stock", "en", "light"),
    ("timeline", "timeline?span=day", "en", "dark"),
    ("statistics", "statistics?span=day", "en", "dark"),
    ("editor", "timers/new?trigger=cron&cron=0+30+2+%3F+*+MON-FRI&tz=America/New_York", "zh", "light"),
)
CLOUD = '''
import random
import time

from scheduler.engine import Engine

engine = Engine()


@engine.define
def sync_orders(shop: str = "main") -> int:
    """Fetch new orders from the shop."""
    time.sleep(random.uniform(0.05, 0.4))
    count = random.randrange(40)
    print(f"{count} new orders from {shop}")
    return count


@engine.define
def send_report(to: str, copies: int = 1) -> dict:
    """Send the report of yesterday to an address."""
    print(f"sending {copies} copies to {to}")
    return {"to": to, "copies": copies}


@engine.define
def check_stock(below: int = 5) -> list:
    """List articles of which fewer than `below` are left."""
    raise ConnectionError("stock.example.com:443: connection refused")


@engine.define
def reconcile(month: str = "") -> None:
    """Compare the invoices of a month with its payments."""


@engine.define
def clean_up(days: int = 30) -> int:
    """Remove files older than some days."""
    return days
'''
SHANGHAI, NEW_YORK = "Asia/Shanghai", "America/New_York"
TIMERS = (
    Timer(name="sync_orders", function="sync_orders", trigger=Every(60), tags=("shop",), enabled=True),
    Timer(
        name="check_stock",
        function="check_stock",
        trigger=Cron("0 */15 * * * ?", SHANGHAI),
        tags=("shop",),
        enabled=True,
    ),
    Timer(
        name="send_report",
        function="send_report",
        trigger=Cron("0 30 2 ? * MON-FRI", NEW_YORK),
        params={"to": "sales@example.com"},
        description="The figures of yesterday, before the office in New York opens.",
        tags=("reports",),
        enabled=True,
    ),
    Timer(name="hourly_totals", function="reconcile", trigger=Cron("0 5 * * * ?", SHANGHAI), enabled=True),
    Timer(
        name="月底对账", function="reconcile", trigger=Cron("0 0 3 L * ?", SHANGHAI), tags=("reports",), enabled=True
    ),
    Timer(name="clean_up", function="clean_up", trigger=Cron("0 0 4 ? * SUN", SHANGHAI), enabled=False),
)
#: The fraction of runs that fail, the median duration in seconds.
HABITS = {"check_stock": (0.25, 0.9), "sync_orders": (0.002, 0.2), "send_report": (0.3, 4.0)}


def main() -> None:
    """Serve the project and take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as link, sync_playwright() as playwright:
        # As root, Chromium has no sandbox.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=options.chromium, args=sandbox)
        take(browser, link)
        browser.close()


def take(browser: Browser, link: str) -> None:
    """Take each screenshot after the page has loaded."""
    page = browser.new_page(viewport={"width": 1280, "height": 800}, timezone_id="Europe/Berlin")
    page.goto(link)
    root, _, _ = link.partition("login")
    for name, address, language, theme in SHOTS:
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        page.goto(f"{root}{address}{'&' if '?' in address else '?'}lang={language}")
        file = FOLDER / f"console-{name}.png"
        page.screenshot(path=file)
        # A page has few colours; with a palette, a file is half as large.
        Image.open(file).convert("RGB").quantize(256).save(file, optimize=True)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A project with a history, served by `scheduler up`; yields a link that signs in."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (folder / "cloud.py").write_text(CLOUD)
    (folder / "scheduler.toml").write_text(f'store = "timers.db"\nconsole_port = {port}\nport = 0\n')
    with Store(folder / "timers.db") as store:
        fill(store)
        by = Author("operator", Way.CONSOLE)
        secret = TokenTable(store).add_link(by.name, "operator", now=datetime.now(UTC), by=by)
        link = f"http://127.0.0.1:{port}/login?token={secret}"
    command = [sys.executable, "-m", "scheduler", "up"]
    with (folder / "up.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            wait_for(port, process)
            yield link
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when the console listens."""
    while process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("scheduler up has ended")


def fill(store: Store) -> None:
    """Timers, and runs of the last three days at their fire times."""
    now = datetime.now(UTC)
    TimerTable(store).add(TIMERS, now=now)
    chance = random.Random(7)
    rows = [row for timer in TIMERS if timer.enabled for row in history(timer, now, chance)]
    rows.sort(key=lambda row: row["fire_at"])
    with store.writing() as connection:
        connection.execute(insert(runs), rows)


def history(timer: Timer, now: datetime, chance: random.Random) -> Iterator[dict[str, Any]]:
    """The rows of the runs of a timer in the last three days."""
    at = now - timedelta(days=3)
    failing, median = HABITS.get(timer.name, (0.0, 0.5))
    while (at := timer.trigger.next_fire(at)) is not None and at < now:
        late = chance.lognormvariate(-5.5, 0.5)
        took = min(median * chance.lognormvariate(0, 0.4), 14)
        outcome = "succeeded" if chance.random() >= failing else chance.choice(["failed", "failed", "timed_out"])
        yield row_of(timer, at, outcome, late, 15.0 if outcome == "timed_out" else took)


def row_of(timer: Timer, at: datetime, outcome: str, late: float, took: float) -> dict[str, Any]:
    """The row of a run that has ended."""
    error = {"failed": "ConnectionError: stock.example.com:443: connection refused", "timed_out": None}.get(outcome)
    return {
        "timer": timer.name,
        "function": timer.function,
        "environment": Environment.PRODUCTION,
        "kind": "scheduled",
        "fire_at": stamp(at),
        "last_fire_at": stamp(at),
        "count": 1,
        "attempt": 1,
        "request_id": f"{stamp(at):016x}",
        "owner": 1,
        "claimed_at": stamp(at),
        "started_at": stamp(at + timedelta(seconds=late)),
        "ended_at": stamp(at + timedelta(seconds=late + took)),
        "outcome": outcome,
        "message": "",
        "error": error,
        "lines_dropped": 0,
    }


if __name__ == "__main__":
    main()
