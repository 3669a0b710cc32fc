"""The problems that a daemon logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from scheduler.clock import ManualClock
from scheduler.daemon.health import LONG_WAIT_S, Health
from scheduler.store.database import Store


@pytest.fixture
def health(clock: ManualClock) -> Iterator[Health]:
    with Store("sqlite://") as store:
        yield Health(store, clock, retry_s=0.5)


def test_runs_that_wait_for_long_are_logged_once_and_so_is_the_end(
    health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    """Not those that wait for a moment."""
    caplog.set_level(logging.INFO)
    health.runs_wait(9, LONG_WAIT_S / 2)
    assert caplog.messages == []
    for more in range(3):
        health.runs_wait(7 + more, LONG_WAIT_S + more)
    assert caplog.messages == ["no worker is free: 7 runs wait, the oldest for 10 s; are there enough workers?"]
    health.runs_wait(1, LONG_WAIT_S * 0.7)
    health.runs_wait(0, 0.0)
    health.runs_wait(0, 0.0)
    assert caplog.messages[1:] == ["runs begin in time again"]
