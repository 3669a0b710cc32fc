"""What a daemon logs when its store does not answer, and answers again."""

from __future__ import annotations

import logging

import pytest

from scheduler.clock import ManualClock
from scheduler.store.outage import STEADY_S, Outage


@pytest.fixture
def outage(clock: ManualClock) -> Outage:
    return Outage("sqlite://: the store", logging.getLogger("scheduler.daemon"), clock, retry_s=0.5)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_a_store_that_answers_is_no_news(outage: Outage, clock: ManualClock, logged: pytest.LogCaptureFixture) -> None:
    """Nothing is logged, also when the daemon stops."""
    for _ in range(3):
        outage.answered()
        clock.advance(STEADY_S)
    outage.close()
    assert logged.messages == []


def test_an_outage_is_over_when_the_store_has_answered_for_seconds(
    outage: Outage, clock: ManualClock, logged: pytest.LogCaptureFixture
) -> None:
    """A line for its beginning, with the first error, and one for its end."""
    outage.failed("the server is gone")
    clock.advance(60)
    outage.failed("the server is starting")
    outage.answered()
    assert logged.messages == ["the server is gone; trying again every 0.5 s"]
    clock.advance(STEADY_S)
    outage.answered()
    outage.answered()
    assert logged.messages[1:] == ["sqlite://: the store answers again"]


def test_a_store_that_comes_and_goes_is_one_outage(
    outage: Outage, clock: ManualClock, logged: pytest.LogCaptureFixture
) -> None:
    """However long it does so, the log does not grow; whether it answered last is known all the time."""
    for _ in range(1_000):
        outage.failed("refused")
        assert outage.is_on
        clock.advance(1)
        outage.answered()
        assert not outage.is_on
        clock.advance(STEADY_S / 2)
        outage.answered()
    assert len(logged.messages) == 1
    clock.advance(STEADY_S)
    outage.answered()
    outage.failed("refused")
    assert [record.levelname for record in logged.records] == ["ERROR", "INFO", "ERROR"]


def test_a_daemon_that_stops_says_how_it_left_the_store(outage: Outage, logged: pytest.LogCaptureFixture) -> None:
    """It does not wait, and says nothing of a store that still does not answer."""
    outage.failed("refused")
    outage.close()
    assert len(logged.messages) == 1
    outage.answered()
    outage.close()
    assert len(logged.messages) == 2
