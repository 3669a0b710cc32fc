"""In a real Chromium: a day's work without a mouse, and pages of one browser that share a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flask")

from scheduler.claims.requested_runs import request_run
from scheduler.console.live import MAX_STREAMS_OF_READER
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.store.timers import TimerTable
from tests.waiting import PATIENCE_S, eventually

from .served import CHROMIUM, Served, launched
from .test_digest import START

api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")]
#: Presses of Tab after which each control of a page has had the focus.
MOST_TABS = 150


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as browser:
        yield browser


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    console = Served(tmp_path, "timers")
    yield console
    console.stop()


@pytest.fixture
def context(browser: Any, console: Served) -> Iterator[Any]:
    """The pages of one browser that is signed in."""
    context = browser.new_context(timezone_id="Europe/Berlin", locale="en-US")
    context.set_default_timeout(PATIENCE_S * 1000)
    page = context.new_page()
    page.goto(console.link)
    page.close()
    yield context
    context.close()


def _tab_to(page: Any, name: str) -> None:
    """Press Tab until the control with this text, label or id has the focus."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and name in (focused.inner_text().strip(), _label(focused), focused.get_attribute("id")):
            return
    raise AssertionError(f"Tab does not reach {name!r}")


def _label(control: Any) -> str:
    found: str = control.evaluate("(one) => one.type === 'radio' ? '' : one.labels?.[0]?.innerText.trim() ?? ''")
    return found


def _press(page: Any, *keys: str, until: str) -> None:
    """Press keys, and wait for the address that they lead to."""
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_url(until)


def test_a_timer_is_made_run_and_removed_without_a_mouse(console: Served, context: Any) -> None:
    """Only with keys: from the overview to the editor, its preview, the new timer, a run of it, and its end."""
    page = context.new_page()
    page.goto(console.url)
    _press(page, "g", "t", until="**/timers")
    _tab_to(page, "New timer")
    _press(page, "Enter", until="**/timers/new*")
    for label, text in [("Name", "by keys"), ("Function", "f"), ("Cron expression", "0 30 2 ? * MON-FRI")]:
        _tab_to(page, label)
        page.keyboard.type(text)
    api.expect(page.locator("#preview .words")).to_contain_text("02:30")
    _tab_to(page, "Save, disabled")
    _press(page, "Enter", until="**/timers/production/by%20keys*")
    _press(page, "e", until="**/edit")
    _tab_to(page, "Description")
    page.keyboard.type("made without a mouse")
    _tab_to(page, "Save")
    _press(page, "Enter", until="**/timers/production/by%20keys*")
    api.expect(page.locator(".description")).to_have_text("made without a mouse")
    _tab_to(page, "Run now")
    page.keyboard.press("Enter")
    page.wait_for_url("**did=requested")
    _press(page, "g", "r", until="**/runs")
    page.keyboard.press("j")
    _press(page, "Enter", until="**/timers/production/by%20keys")
    _tab_to(page, "Remove")
    _press(page, "Enter", until="**/remove")
    _tab_to(page, "typed")
    page.keyboard.type("by keys")
    _tab_to(page, "Remove")
    _press(page, "Enter", until="**did=removed")
    assert TimerTable(console.store).list() == []


def test_rows_are_walked_and_chosen_by_keys(console: Served, context: Any) -> None:
    """j and k move along them, x checks one; `/` goes to the search, and letters typed there are text."""
    names = ["a", "b", "c"]
    TimerTable(console.store).add([Timer(name=name, function="f", trigger=Every(60)) for name in names], now=START)
    page = context.new_page()
    page.goto(f"{console.url}timers")
    focused = page.locator(":focus")
    for key, name in [("j", "a"), ("j", "b"), ("j", "c"), ("j", "c"), ("k", "b")]:
        page.keyboard.press(key)
        api.expect(focused).to_have_text(name)
    page.keyboard.press("x")
    api.expect(page.locator("[value='production:b']")).to_be_checked()
    page.keyboard.press("/")
    page.keyboard.type("gtx?")
    api.expect(page.locator("#search")).to_have_value("gtx?")
    assert page.url.endswith("/timers")


def test_the_keys_are_shown_and_can_be_turned_off(console: Served, context: Any) -> None:
    """`?` shows them, Escape closes that; after they are turned off under Settings, no letter does anything."""
    page = context.new_page()
    page.goto(f"{console.url}settings")
    page.keyboard.press("?")
    api.expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    api.expect(page.locator("#keys")).to_be_hidden()
    page.locator("#keys-on").select_option("off")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**did=kept")
    api.expect(page.locator("#keys-on")).to_have_value("off")
    for key in ("?", "g", "t"):
        page.keyboard.press(key)
    api.expect(page.locator("#keys")).to_be_hidden()
    assert "settings" in page.url


def test_pages_of_one_browser_share_a_stream(console: Served, context: Any) -> None:
    """More pages than a reader may have streams are live; if the one with the stream goes, another one connects."""
    TimerTable(console.store).add([Timer(name="a", function="f", trigger=Every(60))], now=START)
    pages = [context.new_page() for _ in range(MAX_STREAMS_OF_READER + 1)]
    for page in pages:
        page.goto(f"{console.url}runs")
    for page in pages:
        api.expect(page.locator("#live")).to_contain_text("Live")
    assert console.console.live.streams < len(pages) / 2
    request_run(console.store, "a", Environment.PRODUCTION, now=START)
    for page in pages:
        api.expect(page.locator("#rows [data-row]")).to_have_count(1)
    pages.pop(0).close()
    eventually(lambda: console.console.live.streams == 1, between=lambda: pages[0].wait_for_timeout(50))
    request_run(console.store, "a", Environment.PRODUCTION, now=START)
    for page in pages:
        api.expect(page.locator("#newer")).to_be_visible()


def test_an_empty_page_fills_by_itself(console: Served, context: Any) -> None:
    """The steps to the first timer give way to the overview, and the list appears; it empties by itself too."""
    overview, timers = context.new_page(), context.new_page()
    overview.goto(console.url)
    timers.goto(f"{console.url}timers")
    for page in (overview, timers):
        api.expect(page.locator("#live")).to_contain_text("Live")
    table = TimerTable(console.store)
    table.add([Timer(name="a", function="f", trigger=Every(60))], now=START)
    api.expect(overview.locator(".numbers")).to_be_visible()
    api.expect(timers.locator("#rows tbody tr")).to_have_count(1)
    api.expect(timers.locator("#notes .note")).to_be_visible()
    table.remove("a", Environment.PRODUCTION, now=START)
    api.expect(overview.locator(".steps")).to_be_visible()
    api.expect(timers.locator(".empty")).to_be_visible()
