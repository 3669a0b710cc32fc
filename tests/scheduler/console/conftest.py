"""A console on an empty store, and a browser that reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flask")

from flask import Flask
from flask.testing import FlaskClient
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from werkzeug.test import TestResponse

from quartzcron.calendars import WorkingDays
from scheduler.claims.requested_runs import request_run
from scheduler.console.app import make_app
from scheduler.console.current import EXTENSION
from scheduler.console.tokens import TokenTable
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Cron, Every
from scheduler.functions.descriptions import FunctionDescription
from scheduler.project.settings import read_settings
from scheduler.store.calendars import CalendarTable
from scheduler.store.catalogue import replace_functions
from scheduler.store.database import Store
from scheduler.store.timers import TimerTable

START = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
OWN = {"Sec-Fetch-Site": "same-origin"}
#: A name with everything that addresses and pages have to escape.
HOSTILE = "<script>alert('1')</script>/../~s?&\"#"


class CompiledTemplates(BytecodeCache):
    """Every test makes a console of its own, of the same templates: each is compiled once in a process of tests."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = CompiledTemplates()


class Browser:
    """A client that sends forms as a page of the console does."""

    def __init__(self, app: Flask, **headers: str) -> None:
        self.client: FlaskClient = app.test_client()
        self.headers = {**OWN, **headers}

    def get(self, address: str, **query: str) -> TestResponse:
        return self.client.get(address, query_string=query or None, headers=self.headers, buffered=True)

    def post(self, address: str, **form: Any) -> TestResponse:
        return self.client.post(address, data=form, headers=self.headers, buffered=True)


class Place:
    """A console, its store and its clock."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.now = START
        self.store = Store("sqlite://")
        self.app = make_app(self.store, read_settings(folder, {}, options), now=lambda: self.now)
        self.app.jinja_env.bytecode_cache = TEMPLATES
        self.tokens = TokenTable(self.store)
        self.timers = TimerTable(self.store)

    def wait(self, **time: float) -> None:
        self.now += timedelta(**time)

    def load(self, *names: str, environment: Environment = Environment.PRODUCTION) -> None:
        """Describe these functions, as a process does that has loaded them."""
        replace_functions(self.store, environment, [FunctionDescription(name) for name in names])

    def browser(self, role: str | None = "operator", **headers: str) -> Browser:
        """A browser that is signed in with a role; not signed in if it is None."""
        browser = Browser(self.app, **headers)
        if role is not None:
            name = f"{role} {len(self.tokens.list(now=self.now))}"
            secret = self.tokens.add(name, role, now=self.now)
            assert browser.post("/login", token=secret).status_code == 303
        return browser

    def fill(self) -> None:
        """Two timers, one of them with a hostile name, a run, and a calendar."""
        new_year = WorkingDays(holidays={date(2027, 1, 1): HOSTILE})
        CalendarTable(self.store).add("firm", new_year, now=self.now, source=HOSTILE)
        report = Timer(
            name="report",
            function="send",
            trigger=Cron("0 30 2 ? * MON-FRI", "America/New_York"),
            params={"to": HOSTILE},
            description=HOSTILE,
            tags=["billing", "<b>"],
            enabled=True,
        )
        hostile = Timer(name=HOSTILE, function=HOSTILE, trigger=Every(7), environment=Environment.STAGE)
        self.timers.add([report, hostile], now=self.now)
        replace_functions(self.store, Environment.STAGE, [FunctionDescription(HOSTILE, HOSTILE, HOSTILE, HOSTILE)])
        request_run(self.store, "report", Environment.PRODUCTION, now=self.now)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's cache folder, where the digest of a store elsewhere is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def make_place(tmp_path: Path) -> Iterator[Callable[..., Place]]:
    places: list[Place] = []

    def make(**options: Any) -> Place:
        places.append(Place(tmp_path, **options))
        return places[-1]

    yield make
    for place in places:
        place.app.extensions[EXTENSION].close()
        place.store.close()


@pytest.fixture
def place(make_place: Callable[..., Place]) -> Place:
    return make_place()
