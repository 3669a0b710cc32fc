"""A store in memory, a clock that the test moves, and a daemon between them."""

from collections.abc import Iterator

import pytest

from scheduler.clock import ManualClock
from scheduler.store import Store

from .doubles import START, Service


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store("sqlite://") as store:
        yield store


@pytest.fixture
def service(store: Store, clock: ManualClock) -> Iterator[Service]:
    service = Service(store, clock)
    yield service
    service.kill()
