"""Live pages: the watcher, its streams, and parts that ask for themselves again."""

from __future__ import annotations

import re
import threading

import pytest

pytest.importorskip("flask")

from scheduler.claims.requested_runs import request_run
from scheduler.console.live import MAX_STREAMS, MAX_STREAMS_OF_READER, Live, TooManyStreamsError
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable
from tests.waiting import PATIENCE_S, eventually

from .conftest import START, Place

PART = {"Scheduler-Part": "1"}


def test_a_subscriber_hears_what_has_changed(store: Store) -> None:
    """The topic of a run that was requested, and that of a timer that was added; nothing else."""
    live = Live(store)
    with live.subscribed() as subscription:
        assert subscription.wait(0.05) == set()
        table = TimerTable(store)
        table.add([Timer(name="a", function="f", trigger=Every(60))], now=START)
        assert subscription.wait(PATIENCE_S) == {"changes"}
        request_run(store, "a", Environment.PRODUCTION, now=START)
        assert subscription.wait(PATIENCE_S) == {"runs"}
    live.close()


def test_nobody_looks_at_the_store_while_nobody_is_subscribed() -> None:
    """The watcher's thread ends with the last stream, and starts with the next one."""
    with Store("sqlite://") as store:
        live = Live(store)
        for _ in range(2):
            with live.subscribed():
                assert _watchers()
            eventually(lambda: not _watchers())
        live.close()


def _watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "live"]


def test_there_are_at_most_as_many_streams_as_threads(place: Place) -> None:
    """The next one gets 503, and may come back when one has left."""
    browsers = [place.browser() for _ in range(MAX_STREAMS // MAX_STREAMS_OF_READER)]
    open_ones = [
        browser.client.get("/live", headers=browser.headers)
        for browser in browsers
        for _ in range(MAX_STREAMS_OF_READER)
    ]
    browser = browsers[-1]
    assert {answer.status_code for answer in open_ones} == {200}
    refused = browser.get("/live")
    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    open_ones.pop().close()
    open_ones.append(browser.client.get("/live", headers=browser.headers))
    assert open_ones[-1].status_code == 200
    with pytest.raises(TooManyStreamsError), place.app.extensions["scheduler.console"].live.subscribed():
        pass
    for answer in open_ones:
        answer.close()


def test_one_reader_does_not_hold_all_streams(place: Place) -> None:
    """Another one still gets some."""
    browser, other = place.browser(), place.browser()
    open_ones = [browser.client.get("/live", headers=browser.headers) for _ in range(MAX_STREAMS_OF_READER)]
    assert browser.get("/live").status_code == 503
    open_ones.append(other.client.get("/live", headers=other.headers))
    assert {answer.status_code for answer in open_ones} == {200}
    for answer in open_ones:
        answer.close()


def test_a_part_of_a_timer_follows_its_failure(place: Place) -> None:
    """Its state, the breaker with the last error, and the buttons that fit them are in live parts of its page."""
    place.fill()
    browser = place.browser()
    report = "/timers/production/report"
    first = browser.client.get(report, headers={**browser.headers, **PART})
    place.timers.disable("report", Environment.PRODUCTION, now=place.now)
    changed = browser.client.get(
        report, headers={**browser.headers, **PART, "If-None-Match": first.headers["ETag"]}
    ).get_data(as_text=True)
    part = re.search(r'id="head" data-live="[^"]*changes[^"]*">(.*?)<div id="now"', changed, re.DOTALL)
    assert part
    assert "report/enable" in part[1]
    assert "report/disable" in first.get_data(as_text=True)
    assert 'class="state off"' in part[1]


def test_a_stream_has_names_of_topics_only(place: Place) -> None:
    """It begins by saying that it is connected, and proxies are asked not to keep it back."""
    place.fill()
    browser = place.browser()
    answer = browser.client.get("/live", headers=browser.headers)
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    events = answer.iter_encoded()
    assert b"data: connected\n\n" in next(events)
    place.timers.add([Timer(name="new", function="f", trigger=Every(60))], now=place.now)
    assert next(events) == b"data: changes\n\n"
    answer.close()


@pytest.mark.parametrize("address", ["/", "/timers", "/timers/production/report", "/runs", "/instances", "/changes"])
def test_a_part_is_sent_again_only_when_it_has_changed(place: Place, address: str) -> None:
    """It has the same content as the page, without what is around it."""
    place.fill()
    place.wait(minutes=1)
    browser = place.browser()
    whole = browser.get(address)
    first = browser.client.get(address, headers={**browser.headers, **PART})
    assert "<nav" in whole.text
    assert "<nav" not in first.text
    parts = re.findall(r'id="(\w+)" data-live="', first.text)
    assert parts
    assert all(f'id="{part}" data-live=' in whole.text for part in parts)
    asking = {**browser.headers, **PART, "If-None-Match": first.headers["ETag"]}
    place.wait(seconds=1)
    assert browser.client.get(address, headers=asking).status_code == 304
    place.timers.remove("report", Environment.PRODUCTION, now=place.now)
    request_run(place.store, place.timers.list()[0].timer.name, Environment.STAGE, now=place.now)
    changed = browser.client.get(address, headers=asking)
    assert changed.status_code == (404 if "report" in address else 200)
