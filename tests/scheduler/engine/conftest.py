"""Keys for every test of the engine, and engines that are stopped after their test."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from scheduler.engine import Engine, credentials, init
from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, HOOK_KEY, MASTER_KEY, Client

VARIABLES = ("APP_ID", "APP_KEY", "APP_MASTER_KEY", "APP_HOOK_KEY", "APP_ENV", "APP_PROD", "API_SERVER")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The application has all four keys, and no variable is set."""
    for variable in VARIABLES:
        monkeypatch.delenv(f"LEANCLOUD_{variable}", raising=False)
        monkeypatch.delenv(f"LC_{variable}", raising=False)
    before = credentials._given
    init(APP_ID, APP_KEY, MASTER_KEY, HOOK_KEY)
    yield
    credentials._given = before


@pytest.fixture(autouse=True)
def no_calls_of_earlier_tests(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A function that an earlier test has left hanging may end in any later one; what is logged of it is left out."""

    def is_of_this_test(record: logging.LogRecord) -> bool:
        return "its answer is dropped" not in record.getMessage()

    caplog.handler.addFilter(is_of_this_test)
    yield
    caplog.handler.removeFilter(is_of_this_test)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine without a site, with short limits."""
    engine = Engine(function_limit_s=5.0, hook_limit_s=2.0)
    yield engine
    engine.stop()


@pytest.fixture
def client(engine: Engine) -> Client:
    """A client of that engine that has the application's key."""
    return Client(engine)
