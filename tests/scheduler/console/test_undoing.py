"""Undoing recorded changes: each page shows what it would set, and its button sets that."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("flask")

from scheduler.core.timer import Environment
from scheduler.core.triggers import Cron
from scheduler.store.change_pages import ChangeHistory
from scheduler.store.change_recording import Way

from .conftest import Browser, Place

REPORT = ("report", Environment.PRODUCTION)
SINCE = {"retries": 2, "tags": ["b", "c"], "trigger": Cron("0 0 8 * * ?", "UTC"), "description": "once a day"}


def _last(place: Place) -> int:
    return ChangeHistory(place.store).page().items[0].id


def _undo(place: Place, browser: Browser, change_id: int) -> Any:
    """Open the page that undoes a change, and press its button as it stands."""
    address = f"/changes/{change_id}/undo"
    page = browser.get(address)
    assert page.status_code == 200
    was = page.text.partition('name="was" value="')[2].partition('"')[0]
    return browser.post(address, was=was, why=f"Undoes change {change_id}")


@pytest.fixture
def browser(place: Place) -> Browser:
    place.fill()
    return place.browser()


@pytest.mark.parametrize(
    "change",
    [
        lambda timers, now: timers.edit(*REPORT, SINCE, now=now),
        lambda timers, now: timers.rename("report", "other", now=now),
        lambda timers, now: timers.edit(*REPORT, {"name": "other", "limit_s": 3}, now=now),
        lambda timers, now: timers.disable(*REPORT, now=now),
        lambda timers, now: timers.remove(*REPORT, now=now),
    ],
    ids=["edited", "renamed", "renamed and edited", "disabled", "removed"],
)
def test_a_change_is_undone(place: Place, browser: Browser, change: Any) -> None:
    """The timer is as it was, and that is a change by who has pressed the button; its own undoing does it again."""
    before = place.timers.get(*REPORT).timer
    change(place.timers, place.now)
    changed = {entry.timer.name: entry.timer for entry in place.timers.list(Environment.PRODUCTION)}
    undone = _last(place)
    assert f"/changes/{undone}/undo" in browser.get("/changes").text
    answer = _undo(place, browser, undone)
    assert answer.status_code == 303
    assert place.timers.get(*REPORT).timer == before
    record = ChangeHistory(place.store).page().items[0]
    assert (record.way, record.why) == (Way.CONSOLE, f"Undoes change {undone}")
    if changed:
        assert _undo(place, browser, record.id).status_code == 303
        assert {entry.timer.name: entry.timer for entry in place.timers.list(Environment.PRODUCTION)} == changed


def test_only_what_the_change_has_set_is_set_back(place: Place, browser: Browser) -> None:
    """What others changed afterwards stays, and the page says so where it is the same attribute."""
    place.timers.edit(*REPORT, {"retries": 2}, now=place.now)
    undone = _last(place)
    place.timers.edit(*REPORT, {"limit_s": 7}, now=place.now)
    assert "changed again" not in browser.get(f"/changes/{undone}/undo").text
    place.timers.edit(*REPORT, {"retries": 5}, now=place.now)
    assert "changed again" in browser.get(f"/changes/{undone}/undo").text
    assert _undo(place, browser, undone).status_code == 303
    timer = place.timers.get(*REPORT).timer
    assert (timer.retries, timer.limit_s) == (0, 7)
    assert "Nothing to undo" in browser.get(f"/changes/{undone}/undo").text


def test_a_timer_that_was_changed_since_the_page_was_shown_stays(place: Place, browser: Browser) -> None:
    """The page is shown again, with the values of now."""
    place.timers.edit(*REPORT, {"retries": 2}, now=place.now)
    undone = _last(place)
    was = place.timers.get(*REPORT).revision
    place.timers.edit(*REPORT, {"retries": 5}, now=place.now)
    answer = browser.post(f"/changes/{undone}/undo", was=str(was))
    assert answer.status_code == 409
    assert "changed again" in answer.text
    assert place.timers.get(*REPORT).timer.retries == 5


def test_what_cannot_be_undone_has_no_page(place: Place, browser: Browser) -> None:
    """A run that was requested, a change that is not there, a timer that has gone; nor is there one for a viewer."""
    requested = _last(place)
    for change_id in (requested, 99_999, 2**70):
        assert browser.get(f"/changes/{change_id}/undo").status_code == 404
    place.timers.edit(*REPORT, {"retries": 2}, now=place.now)
    edited = _last(place)
    viewer = place.browser("viewer")
    assert "/undo" not in viewer.get("/changes").text
    assert viewer.post(f"/changes/{edited}/undo", was="1").status_code == 403
    place.timers.remove(*REPORT, now=place.now)
    assert browser.get(f"/changes/{edited}/undo").status_code == 404


def test_a_removed_timer_is_not_added_beside_another_one(place: Place, browser: Browser) -> None:
    """The page says that its name is taken."""
    before = place.timers.get(*REPORT).timer
    place.timers.remove(*REPORT, now=place.now)
    undone = _last(place)
    place.timers.add([before], now=place.now)
    answer = _undo(place, browser, undone)
    assert answer.status_code == 422
    assert "exists already" in answer.text
