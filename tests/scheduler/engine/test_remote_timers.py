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
from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, HOOK_KEY, WITH_HOOK_KEY, WITH_KEY, WITH_MASTER, Client
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
        executor = HttpExecutor(url, app_id=APP_ID, app_key=APP_KEY, hook_key=HOOK_KEY)
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


OF_A_TIMER = {"X-Timer-Name": "nightly", "X-Timer-Scheduled-Time": "2026-01-05T00:00:00Z"}
OF_A_RUN = "0123456789abcdef"


@pytest.fixture
def seen() -> list[tuple[TimerCall | None, str]]:
    """The timers and request ids that the function of `client` has seen."""
    return []


@pytest.fixture
def client(engine: Engine, seen: list[tuple[TimerCall | None, str]]) -> Client:
    """A client of an engine whose function notes who calls it."""
    engine.define("note")(lambda: seen.append((engine.current.timer, engine.current.request_id)))
    return Client(engine)


@pytest.mark.parametrize(
    ("credentials", "is_believed"), [(WITH_KEY, False), (WITH_HOOK_KEY, True), (WITH_MASTER, True)]
)
def test_only_the_master_and_the_hook_key_speak_for_a_timer(
    client: Client, seen: list[tuple[TimerCall | None, str]], credentials: dict[str, str], *, is_believed: bool
) -> None:
    """The app key is in every browser: its owner poses as no timer, and puts no lines under the id of a run."""
    headers = {**credentials, **OF_A_TIMER, "X-Request-Id": OF_A_RUN}
    answered = client.post("/1.1/functions/note", headers=headers)
    ((timer, request_id),) = seen
    assert (timer == TimerCall("nightly", EIGHT), request_id == OF_A_RUN) == (is_believed, is_believed)
    assert answered.headers["x-request-id"] == request_id


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Timer-Name": "a%0ab"},
        {"X-Timer-Name": "a%1b[31m"},
        {"X-Timer-Name": "%20"},
        {"X-Timer-Name": "x" * 300},
        {"X-Timer-Name": "a%E2%80%AEb"},
        {"X-Timer-Attempt": "0"},
        {"X-Timer-Attempt": "-99999999999"},
        {"X-Timer-Attempt": "1_0"},
        {"X-Timer-Attempt": "9" * 5000},
        {"X-Timer-Scheduled-Time": "yesterday"},
    ],
)
def test_a_timer_that_cannot_exist_is_none(
    client: Client, seen: list[tuple[TimerCall | None, str]], headers: dict[str, str]
) -> None:
    """Whoever sends it."""
    client.post("/1.1/functions/note", headers={**WITH_HOOK_KEY, **OF_A_TIMER, **headers})
    assert [timer for timer, _ in seen] == [None]


def test_a_client_chooses_other_ids(client: Client, seen: list[tuple[TimerCall | None, str]]) -> None:
    """Only those that look like a run's are replaced."""
    for given in ("r-1", "0123456789abcdef0", OF_A_RUN.upper()):
        client.post("/1.1/functions/note", headers={**WITH_KEY, "X-Request-Id": given})
    assert [request_id for _, request_id in seen[:2]] == ["r-1", "0123456789abcdef0"]
    assert seen[2][1] != OF_A_RUN.upper()
