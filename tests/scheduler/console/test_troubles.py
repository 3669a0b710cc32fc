"""What the console says of troubles: alerts, the check-up, the icon, and a store that does not answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

pytest.importorskip("flask")

from scheduler.console.alarm import is_alarmed
from scheduler.console.rendering import ALARM, PART
from scheduler.core.alerts import AlertEvent, AlertRule, AlertRules, Cause
from scheduler.core.timer import Environment
from scheduler.core.timestamps import stamp
from scheduler.errors import StoreUnavailableError
from scheduler.store.alert_queue import AlertQueue
from scheduler.store.alert_recording import write_alerts
from scheduler.store.schema import timers

from .conftest import HOSTILE, Place

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RULE = AlertRule(
    name="team",
    webhook="https://ops.example.com/hooks/secret-path",
    secret=SECRET,
    timers=("rep*",),
    on=("failed", "timed_out", "finished"),
)


def alert(place: Place, *causes: Cause, subject: str = "report") -> None:
    """Write alerts as a daemon does."""
    place.store.alerts = AlertRules([RULE])
    with place.store.writing() as connection:
        events = [AlertEvent(cause, place.now, subject, "production", 1, HOSTILE) for cause in causes]
        write_alerts(connection, events)


def test_alerts_are_shown_with_their_delivery(make_place: Callable[..., Place]) -> None:
    """The rules without their secrets; each alert with its count, and why it was not delivered."""
    place = make_place(alerts=[RULE.as_values()])
    browser = place.browser("viewer")
    assert "There has been no alert yet" in browser.get("/alerts").text
    place.fill()
    alert(place, Cause.FAILED, Cause.TIMED_OUT)
    queue = AlertQueue(place.store)
    (taken,) = queue.take({"team"}, place.now)
    queue.failed(taken, place.now, "the target answered 500")
    page = browser.get("/alerts").text
    for part in ("ops.example.com", "2 times", "waiting", "the target answered 500", "Not delivered since", "Run 1"):
        assert part in page
    for page_of in ("/alerts", "/settings"):
        shown = browser.get(page_of).text
        assert "secret-path" not in shown
        assert SECRET not in shown
    assert HOSTILE not in page
    assert "1 alert could not be delivered." in browser.get("/").text


def test_alerts_have_pages(place: Place) -> None:
    """Fifty each, the latest first."""
    for _ in range(51):
        alert(place, Cause.FINISHED)
    browser = place.browser("viewer")
    first = browser.get("/alerts").text
    assert 'href="./alerts?before=2"' in first
    assert browser.get("/alerts", before="2").text.count('class="when"') == 1


def test_without_a_rule_the_page_says_how_to_add_one(place: Place) -> None:
    """Since nobody is told of failures then."""
    assert "[[alerts]]" in place.browser().get("/alerts").text


def test_the_check_up_says_what_it_has_found(place: Place) -> None:
    """To operators, because it writes to the store to see whether that works."""
    page = place.browser().get("/checkup").text
    for part in ("clock", "store", "scheduler doctor"):
        assert part in page
    assert place.browser("viewer").get("/checkup").status_code == 403


def test_the_icon_is_red_while_something_is_wrong(place: Place) -> None:
    """A timer is overdue, or a breaker is open; a live page hears of it with its parts."""
    place.fill()
    browser = place.browser("viewer")
    assert "static/icon.svg?" in browser.get("/runs").text.partition("data-no")[0]
    place.wait(days=8)
    assert is_alarmed(place.store, place.now)
    assert "static/alarm.svg?" in browser.get("/runs").text.partition("data-no")[0]
    part = browser.client.get("/runs", headers={PART: "1"})
    assert part.headers[ALARM] == "yes"
    place.timers.disable("report", Environment.PRODUCTION, now=place.now)
    assert browser.client.get("/runs", headers={PART: "1"}).headers[ALARM] == "no"
    with place.store.writing() as connection:
        connection.execute(timers.update().values(breaker_state="open", opened_at=stamp(place.now)))
    assert is_alarmed(place.store, place.now - timedelta(days=8))


def test_a_store_that_goes_away_while_a_page_is_made_is_answered(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of the error needs no query."""
    browser = place.browser()

    def fail(*_: object) -> None:
        raise StoreUnavailableError("no answer")

    monkeypatch.setattr("scheduler.console.rendering.is_alarmed", fail)
    assert "static/alarm.svg?" in browser.get("/runs").text.partition("data-no")[0]
