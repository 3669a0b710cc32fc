"""The call in progress, as a function reads it."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.engine import Engine, LeanCloudError
from scheduler.errors import ConfigError
from scheduler.functions.context import TimerCall
from tests.scheduler.engine.wsgi_client import WITH_HOOK_KEY, WITH_KEY, Client
from tests.waiting import PATIENCE_S


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({}, "192.0.2.1"),
        ({"X-Forwarded-For": "198.51.100.7 , 10.0.0.1"}, "198.51.100.7"),
        ({"X-Forwarded-For": "198.51.100.7", "X-Real-IP": "203.0.113.9"}, "203.0.113.9"),
    ],
)
def test_the_remote_address(engine: Engine, client: Client, headers: dict[str, str], address: str) -> None:
    """X-Real-IP, else the first of X-Forwarded-For, else the peer."""
    engine.define("f")(lambda: engine.current.meta["remote_address"])
    assert client.call("f", headers=WITH_KEY | headers).json == {"result": address}


@pytest.mark.parametrize("header", ["X-LC-Session", "X-AVOSCloud-Session-Token", "X-Uluru-Session-Token"])
def test_the_session_and_its_user(header: str) -> None:
    """`fetch_user` makes a user of the token; both names of the user are the same."""
    engine = Engine(fetch_user=lambda token: {"name": token.upper()})
    engine.define("f")(lambda: [engine.current.session_token, engine.current.user, engine.current_user])
    client = Client(engine)
    user = {"name": "TOKEN"}
    assert client.call("f", headers=WITH_KEY | {header: "token"}).json == {"result": ["token", user, user]}
    assert client.call("f").json == {"result": [None, None, None]}


@pytest.mark.parametrize("fetch_user", [None, False])
def test_without_fetch_user_there_is_no_user(fetch_user: Any) -> None:
    """The token is set nevertheless."""
    engine = Engine(fetch_user=fetch_user)
    engine.define("f")(lambda: [engine.current.session_token, engine.current.user])
    assert Client(engine).call("f", headers=WITH_KEY | {"X-LC-Session": "t"}).json == {"result": ["t", None]}


def test_an_error_of_fetch_user_is_passed_to_the_caller() -> None:
    """With its code; the function is not called."""

    def fetch_user(token: str) -> Any:
        raise LeanCloudError(211, "Could not find user.")

    engine = Engine(fetch_user=fetch_user)
    engine.define("f")(lambda: pytest.fail("never called"))
    response = Client(engine).call("f", headers=WITH_KEY | {"X-LC-Session": "t"})
    assert response.failure == (400, 211, "Could not find user.")


def test_fetch_user_must_be_a_function() -> None:
    """The engine has no LeanCloud server that it could ask."""
    with pytest.raises(ConfigError, match="give a function from token to user"):
        Engine(fetch_user=True)


EIGHT = datetime(2026, 1, 5, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "timer"),
    [
        ({}, None),
        ({"X-Timer-Name": "t", "X-Timer-Scheduled-Time": "2026-01-05T00:00:00Z"}, TimerCall("t", EIGHT, 1)),
        (
            {"X-Timer-Name": "t", "X-Timer-Scheduled-Time": "2026-01-05T08:00:00+08:00", "X-Timer-Attempt": "2"},
            TimerCall("t", EIGHT, 2),
        ),
        ({"X-Timer-Name": "t", "X-Timer-Scheduled-Time": "2026-01-05T00:00:00"}, TimerCall("t", EIGHT, 1)),
        (
            {"X-Timer-Name": "周报".encode().decode("latin-1"), "X-Timer-Scheduled-Time": "2026-01-05T00:00Z"},
            TimerCall("周报", EIGHT, 1),
        ),
        (
            {"X-Timer-Name": "%E5%91%A8%E6%8A%A5", "X-Timer-Scheduled-Time": "2026-01-05T00:00Z"},
            TimerCall("周报", EIGHT, 1),
        ),
        (
            {"X-Timer-Name": "t", "X-Timer-Scheduled-Time": "2026-01-05T00:00Z", "X-Timer-Past-Due": "true"},
            TimerCall("t", EIGHT, 1, past_due=True),
        ),
        ({"X-Timer-Name": "t"}, None),
        ({"X-Timer-Name": "t", "X-Timer-Scheduled-Time": "soon"}, None),
        ({"X-Timer-Name": "t", "X-Timer-Scheduled-Time": "2026-01-05T00:00:00Z", "X-Timer-Attempt": "x"}, None),
    ],
)
def test_the_timer_of_a_call(engine: Engine, client: Client, headers: dict[str, str], timer: TimerCall | None) -> None:
    """It is in the headers, never in the body; an invalid header counts as none."""
    seen: list[Any] = []
    engine.define("f")(lambda: seen.append(engine.current.timer))
    client.call("f", headers=WITH_HOOK_KEY | headers)
    assert seen == [timer]


def test_outside_a_call_everything_is_empty(engine: Engine, client: Client) -> None:
    """Before and after, in the thread that served."""
    current = engine.current
    engine.define("f")(lambda: None)
    for _ in range(2):
        assert [current.user, current.session_token, current.timer, current.request_id, current.function] == [None] * 5
        assert (current.meta, current.left_s, engine.current_user) == ({}, None, None)
        client.call("f", headers=WITH_KEY | {"X-LC-Session": "t"})


def test_the_time_left(engine: Engine, client: Client) -> None:
    """A function has its limit, a hook its own."""
    seen: list[float] = []
    engine.define("f")(lambda: seen.append(engine.current.left_s or 0))
    engine.after_save("T")(lambda _: seen.append(engine.current.left_s or 0))
    client.call("f")
    client.post("/1.1/functions/T/afterSave", {"object": {}}, headers=WITH_HOOK_KEY)
    assert 4 < seen[0] <= 5
    assert 1 < seen[1] <= 2


def test_a_hook_called_by_a_function_has_the_time_left_of_it() -> None:
    """min(own limit, time left of the caller), so that the caller is answered in time."""
    engine = Engine(function_limit_s=1.0, hook_limit_s=3.0)
    inner = Client(engine, WITH_HOOK_KEY)
    seen: list[float] = []
    engine.after_save("T")(lambda _: seen.append(engine.current.left_s or 0))
    engine.define("f")(lambda: inner.post("/1.1/functions/T/afterSave", {"object": {}}).status)
    assert Client(engine).call("f").json == {"result": 200}
    assert 0 < seen[0] <= 1


def test_a_thousand_sessions_never_mix() -> None:
    """Each concurrent call, async ones included, sees its own session from its first line to its last."""
    engine = Engine(fetch_user=lambda token: f"user of {token}", max_concurrency=128)
    gate = threading.Barrier(100)

    @engine.define
    def sync(n: int) -> Any:
        gate.wait(PATIENCE_S)
        return [n, engine.current.session_token, engine.current.user, engine.current.request_id]

    @engine.define("async")
    async def concurrent(n: int) -> Any:
        before = engine.current.session_token
        await asyncio.sleep(0)
        return [n, before, engine.current.user, engine.current.request_id]

    client = Client(engine)
    answers: dict[int, Any] = {}

    def session(first: int) -> None:
        for n in range(first, 1000, 100):
            headers = WITH_KEY | {"X-LC-Session": f"s{n}", "X-Request-Id": f"r{n}"}
            answers[n] = client.call("sync" if n < 500 else "async", {"n": n}, headers=headers).json

    threads = [threading.Thread(target=session, args=(first,)) for first in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: {"result": [n, f"s{n}", f"user of s{n}", f"r{n}"]} for n in range(1000)}


def test_context_variables_of_a_function_end_with_its_call(engine: Engine, client: Client) -> None:
    """A variable that one call sets is unset in the next call in the same thread."""
    from contextvars import ContextVar

    left: ContextVar[str | None] = ContextVar("left", default=None)

    @engine.define
    def f() -> Any:
        value = left.get()
        left.set("behind")
        return value

    assert [client.call("f").json for _ in range(3)] == [{"result": None}] * 3
