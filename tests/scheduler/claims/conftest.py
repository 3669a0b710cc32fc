"""A second daemon, for the tests of two."""

from collections.abc import Iterator

import pytest

from tests.scheduler.claims.second_daemon import Second
from tests.scheduler.scripted_service import Service, release


@pytest.fixture
def second(service: Service) -> Iterator[Second]:
    service.settle()
    second = Second(service)
    yield second
    release(second.daemon)
