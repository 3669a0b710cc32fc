"""A timer whose function runs on a remote engine: over real HTTP, from the fire to the function's context."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.core.run import Kind, Outcome, Task
from scheduler.engine import Engine, cloudfunc
from scheduler.engine.capture import CapturedLine, capturing
from scheduler.executors.http import HttpExecutor
from scheduler.functions.context import Call, TimerCall, current_call
from tests.scheduler.engine.real_server import serving
from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY
from tests.waiting import eventually

EIGHT = datetime(2026, 1, 5, tzinfo=UTC)


def task(function: str) -> Task:
    return Task(
        run_id=1,
        timer_id=1,
        timer="周报 100%",
        function=function,
        environment="production",
        params='{"n": 1}',
        limit_s=5.0,
        kind=Kind.SCHEDULED,
        fire_time=EIGHT,
        attempt=2,
        request_id="fire-1",
        past_due=True,
    )


def test_a_function_on_a_remote_engine_gets_its_timer() -> None:
    """Name, fire time, attempt, whether it is past due; and its lines have the request id of the fire."""
    engine, seen, lines = Engine(), [], list[CapturedLine]()

    @engine.define
    def report(n: int) -> str:
        seen.append((n, engine.current.timer, engine.current.request_id))
        print("reporting")
        return "done"

    with serving(engine) as url, capturing(lines.append):
        executor = HttpExecutor(url, app_id=APP_ID, app_key=APP_KEY)
        executor.submit([task("report")])
        ended = eventually(lambda: executor.collect().ended)
        executor.stop()
    ((_, ending),) = ended
    assert ending.outcome is Outcome.SUCCEEDED
    assert seen == [(1, TimerCall("周报 100%", EIGHT, 2, past_due=True), "fire-1")]
    assert [(line.text, line.request_id) for line in lines] == [("reporting", "fire-1")]


def test_the_timer_is_passed_to_remote_calls_of_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remote function gets it as if the timer had called it."""
    engine = Engine()
    seen: list[Any] = []
    engine.define("remote")(lambda: seen.append(engine.current.timer))
    timer = TimerCall("周报", EIGHT, 3, past_due=True)
    token = current_call.set(Call("local", "fire-2", timer=timer))
    try:
        with serving(engine) as url:
            monkeypatch.setenv("LEANCLOUD_API_SERVER", url)
            cloudfunc.run.remote("remote")
    finally:
        current_call.reset(token)
    assert seen == [timer]
