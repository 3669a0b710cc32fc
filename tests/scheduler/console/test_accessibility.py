"""axe-core finds nothing on any page, in both languages and themes, wide and narrow; and no page is cut off.

AXE_CORE names the file axe.min.js of the package axe-core from npm. It is put in through the debugger, because the
pages let no other script run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flask")

from scheduler.core.run import Outcome
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.functions.descriptions import FunctionDescription
from scheduler.store.catalogue import replace_functions
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable
from tests.waiting import PATIENCE_S

from .served import CHROMIUM, Served, launched
from .test_digest import START, add_runs, ending, run_values

pytest.importorskip("playwright.sync_api")
AXE = Path(os.environ.get("AXE_CORE", "/nowhere"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
    pytest.mark.skipif(not AXE.is_file(), reason="no axe-core here; AXE_CORE names its axe.min.js"),
]
PAGES = [
    "",
    "timers",
    "timers/new",
    "timers/new?trigger=cron&cron=0+75+8+*+*+MON",
    "timers/production/a",
    "timers/production/a/edit",
    "timers/production/a/run",
    "timers/production/a/backfill?start=2026-11-30+08:00&end=2026-11-30+09:00",
    "timers/production/a/remove",
    "timers/import",
    "timeline",
    "runs",
    "runs/1",
    "logs",
    "functions",
    "instances",
    "statistics",
    "calendars",
    "pauses",
    "alerts",
    "checkup",
    "changes",
    "changes/5/undo",
    "settings",
    "nothing",
]


def fill(store: Store) -> None:
    """Timers with each outcome in their history."""
    every = [Every(60), Cron("0 0 8 ? * MON-FRI", "America/New_York"), Every(7)]
    timers = [Timer(name=name, function="f", trigger=every[n], enabled=n < 2) for n, name in enumerate("abc")]
    TimerTable(store).add(timers, now=START)
    TimerTable(store).edit("c", Environment.PRODUCTION, {"retries": 2, "tags": ["a", "b"]}, now=START)
    replace_functions(store, Environment.PRODUCTION, [FunctionDescription("g", "(to: str)", "Send it.", "cloud.py:3")])
    numbers = range(-60, 0)
    outcomes = [list(Outcome)[n % len(Outcome)] for n in numbers]
    add_runs(
        store, *(run_values(n, "abc"[n % 3], **ending(n, of, 900)) for n, of in zip(numbers, outcomes, strict=True))
    )
    add_runs(store, run_values(0, "a"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Served]]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    consoles = []

    def served(name: str) -> Served:
        consoles.append(Served(tmp_path, name))
        return consoles[-1]

    yield served
    for console in consoles:
        console.stop()


@pytest.mark.parametrize(
    ("locale", "theme", "width"), [("en-US", "light", 1280), ("zh-CN", "dark", 390), ("en-US", "dark", 1280)]
)
def test_axe_finds_nothing(browser: Any, serve: Callable[[str], Served], locale: str, theme: str, width: int) -> None:
    """On pages with runs of every outcome."""
    console = serve("full")
    fill(console.store)
    page = _page(browser, console, locale=locale, color_scheme=theme, viewport={"width": width, "height": 800})
    found = {address: _violations(page, f"{console.url}{address}") for address in PAGES}
    assert {address: faults for address, faults in found.items() if faults} == {}


def test_axe_finds_nothing_while_there_is_nothing(browser: Any, serve: Callable[[str], Served]) -> None:
    """On the pages of an empty store."""
    console = serve("empty")
    page = _page(browser, console, locale="en-US")
    empty = [address for address in PAGES if "production" not in address]
    found = {address: _violations(page, f"{console.url}{address}") for address in empty}
    assert {address: faults for address, faults in found.items() if faults} == {}


def _page(browser: Any, console: Served, **options: Any) -> Any:
    page = browser.new_context(timezone_id="Europe/Berlin", **options).new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    page.goto(console.link)
    return page


def _violations(page: Any, address: str) -> list[str]:
    page.goto(address)
    debugger = page.context.new_cdp_session(page)
    debugger.send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    # Without the option, axe describes every node that passes, too.
    asked = {
        "expression": "axe.run({resultTypes: ['violations']}).then(({violations}) => JSON.stringify("
        "violations.map((rule) => `${rule.id}: ${rule.nodes[0].html.slice(0, 200)}`)))",
        "awaitPromise": True,
        "returnByValue": True,
    }
    found: list[str] = json.loads(debugger.send("Runtime.evaluate", asked)["result"]["value"])
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [*found, *([f"{wide} px too wide"] if wide > 0 else [])]
