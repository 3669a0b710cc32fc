"""How a call ends, row by row of the protocol's table."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.engine import Engine, LeanCloudError, LeanEngineError
from scheduler.engine.failures import failure_of
from scheduler.errors import ArgumentError
from tests.scheduler.engine.wsgi_client import WITH_HOOK_KEY, Client
from tests.waiting import PATIENCE_S, eventually


class SDK:
    """The name that another package has."""

    class LeanCloudError(Exception):
        code, error = 211, "Could not find user."

    class LeanEngineError(Exception):
        code, message, status = 123, "no", 422


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class UnprintableExit(BaseException):
    def __str__(self) -> str:
        raise SystemExit


RAISED: list[tuple[BaseException, int, int, str]] = [
    (LeanEngineError(123, "m"), 400, 123, "m"),
    (LeanEngineError("m"), 400, 1, "m"),
    (LeanEngineError(ValueError("m")), 400, 1, "m"),
    (LeanEngineError({"n": 1}), 400, 1, "{'n': 1}"),
    (LeanEngineError(message="m"), 400, 1, "m"),
    (LeanEngineError(404, "m"), 404, 404, "m"),
    (LeanEngineError(503, "m"), 503, 503, "m"),
    (LeanEngineError(status=422, code=777, message="x"), 422, 777, "x"),
    (LeanEngineError(status=204, code=1, message="a status without a body"), 400, 1, "a status without a body"),
    (LeanEngineError(status=99999, code=1, message="no status"), 400, 1, "no status"),
    (LeanEngineError(status=599, code=1, message="x"), 599, 1, "x"),
    (LeanCloudError(211, "m"), 400, 211, "m"),
    (SDK.LeanCloudError(), 400, 211, "Could not find user."),
    (SDK.LeanEngineError(), 422, 123, "no"),
    (ValueError("oh no"), 500, 1, "oh no"),
    (ValueError("坏了\r\nX-Evil: 1"), 500, 1, "坏了\r\nX-Evil: 1"),
    (KeyError("k"), 500, 1, "'k'"),
    (AssertionError(), 500, 1, "AssertionError"),
    (ArgumentError("inside"), 500, 1, "inside"),
    (
        TypeError("f() missing 1 required positional argument: 'x'"),
        500,
        1,
        "f() missing 1 required positional argument: 'x'",
    ),
    (SystemExit(3), 500, 1, "the function ended by SystemExit: 3"),
    (GeneratorExit(), 500, 1, "the function ended by GeneratorExit"),
    (Unprintable(), 500, 1, "unprintable Unprintable"),
    (UnprintableExit(), 500, 1, "the function ended by UnprintableExit: unprintable UnprintableExit"),
]


@pytest.mark.parametrize(("error", "status", "code", "text"), RAISED)
def test_exceptions_of_a_function(
    engine: Engine, client: Client, error: BaseException, status: int, code: int, text: str
) -> None:
    """Status, code and text are those of the table, at both endpoints."""

    @engine.define
    def fails() -> None:
        raise error

    assert client.call("fails").failure == (status, code, text)
    assert client.post("/1.1/call/fails").failure == (status, code, text)


@pytest.mark.parametrize(
    ("result", "body"),
    [
        (None, None),
        ("x", "x"),
        ([1, {"a": None}], [1, {"a": None}]),
        ("你好", "你好"),
        ("\ud800", "\ud800"),
        ((1, 2), [1, 2]),
        ({1: 2}, {"1": 2}),
        (0.5, 0.5),
    ],
)
def test_results_of_a_function(engine: Engine, client: Client, result: Any, body: Any) -> None:
    """A result is JSON under `result`, null when nothing is returned."""
    engine.define("f")(lambda: result)
    response = client.call("f")
    assert (response.status, response.json) == (200, {"result": body})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(response.body))


circular: list[Any] = []
circular.append(circular)


@pytest.mark.parametrize(
    "result",
    [float("nan"), float("inf"), [float("-inf")], object(), {1, 2}, datetime.now(UTC), circular, {(1, 2): 3}, b"x"],
)
def test_a_result_that_is_not_json(engine: Engine, client: Client, result: Any) -> None:
    """It is a 500 that says so, and NaN is never sent."""
    engine.define("f")(lambda: result)
    status, code, text = client.call("f").failure
    assert (status, code) == (500, 1)
    assert text.startswith("The result is not JSON: ")


def test_a_deep_result_is_not_json(engine: Engine, client: Client) -> None:
    """A result that is nested too deep is a 500, not a crash."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    engine.define("f")(lambda: deep)
    for path in ("functions", "call"):
        assert client.post(f"/1.1/{path}/f").failure[:2] == (500, 1)


@pytest.mark.parametrize("name", ["none", "beforeSave", "__before_save_for_Todo", "_ops", "onLogin", "%00", "..", "*"])
def test_an_unknown_function(engine: Engine, client: Client, name: str) -> None:
    """It is a 404 with code 404; a hook is not a function, and the error does not list the others."""
    engine.define("secret")(lambda: None)
    engine.before_save("Todo")(lambda todo: None)
    status, code, text = client.call(name).failure
    assert (status, code) == (404, 404)
    assert text.endswith("not found.")
    assert "secret" not in text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "missing argument 'name'; the function takes age, name"),
        ({"name": "x", "nmae": 1}, "superfluous argument 'nmae'; the function takes age, name"),
        ({"name": "x", "age": "old"}, "argument 'age' must be a whole number, not 'old'"),
    ],
)
def test_wrong_arguments(engine: Engine, client: Client, fields: dict[str, Any], text: str) -> None:
    """The argument is named, and the function does not run."""

    @engine.define
    def hello(name: str, age: int = 0) -> None:
        pytest.fail("never called")

    assert client.call("hello", fields).failure == (400, 1, text)


def test_a_type_error_inside_is_not_a_wrong_argument(
    engine: Engine, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Arguments are bound before the call."""

    @engine.define
    def outer() -> None:
        inner()  # type: ignore[call-arg]

    def inner(x: int) -> None: ...

    assert client.call("outer").status == 500


def test_fields_that_start_with_an_underscore_are_dropped(engine: Engine, client: Client) -> None:
    """Except `__type`."""
    engine.define("f")(lambda **params: params)
    assert client.call("f", {"_x": 1, "__y": 2, "__type": "T", "z": 3}).json == {"result": {"__type": "T", "z": 3}}


def test_the_traceback_goes_only_to_the_log(engine: Engine, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets the text and the request id, under which the log has the rest."""
    engine.define("f")(lambda: 1 / 0)
    response = client.call("f", headers=client.headers | {"X-Request-Id": "req-7"})
    assert json.loads(response.body) == {"code": 1, "error": "division by zero", "requestId": "req-7"}
    (record,) = caplog.records
    assert record.getMessage() == "'f' failed [request req-7]"
    assert "ZeroDivisionError" in caplog.text


def test_a_refusal_by_the_function_is_no_log_entry(
    engine: Engine, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """LeanEngineError is an answer."""

    @engine.define
    def refuses() -> None:
        raise LeanEngineError(1, "no")

    client.call("refuses")
    assert caplog.records == []


def test_errors_can_be_hidden() -> None:
    """`expose_errors=False` hides unexpected exceptions only."""
    engine = Engine(expose_errors=False)
    engine.define("f")(lambda: {}["secret"])

    @engine.define
    def refuses() -> None:
        raise LeanEngineError(123, "m")

    client = Client(engine)
    assert client.call("f").failure == (500, 141, "The cloud function failed.")
    assert client.call("refuses").failure == (400, 123, "m")


def test_over_the_limit() -> None:
    """The caller gets 503 and code 124 in time; the function may go on, and its end is only logged."""
    engine = Engine(function_limit_s=0.05, hook_limit_s=0.05)
    release = threading.Event()
    engine.define("hangs")(lambda: release.wait(PATIENCE_S))
    engine.before_save("Todo")(lambda todo: release.wait(PATIENCE_S))
    client = Client(engine)
    assert client.call("hangs").failure == (503, 124, "The request timed out on the server.")
    hook = client.post("/1.1/functions/Todo/beforeSave", {"object": {}}, headers=WITH_HOOK_KEY)
    assert hook.failure == (503, 124, "The request timed out on the server.")
    release.set()


def test_an_async_function_over_the_limit_is_cancelled() -> None:
    """Its thread is free again at once."""
    engine = Engine(function_limit_s=0.05, max_concurrency=1)
    ended: list[str] = []

    @engine.define
    async def hangs() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    client = Client(engine)
    for _ in range(2):
        assert client.call("hangs").failure == (503, 124, "The request timed out on the server.")
        eventually(lambda: engine._execution.pool._idle)
    assert ended == ["cancelled"] * 2


def test_no_worker_free() -> None:
    """With all threads busy, also with abandoned calls, the answer comes at once; ping is always answered."""
    engine = Engine(function_limit_s=0.05, max_concurrency=2)
    release = threading.Event()
    engine.define("hangs")(lambda: release.wait(PATIENCE_S))
    engine.define("f")(lambda: 1)
    client = Client(engine)
    assert [client.call("hangs").status for _ in range(2)] == [503, 503]
    assert client.call("f").failure == (503, 1, "No worker is free; try again.")
    assert client.get("/__engine/1/ping").status == 200
    release.set()
    eventually(lambda: client.call("f").status, lambda seen: seen == 200)


def test_codes_that_are_no_numbers() -> None:
    """A code that is not a number counts as 1."""
    error = LeanEngineError(1, "m")
    error.code = "x"  # type: ignore[assignment]
    assert failure_of(error)[:3] == (400, 1, "m")


@pytest.mark.parametrize("given", ["r 1", "r\n1", "x" * 200, "<script>", "é"])
def test_an_unsafe_request_id_is_replaced(engine: Engine, client: Client, given: str) -> None:
    """One that could forge a log line or a header is not used."""
    engine.define("f")(lambda: engine.current.request_id)
    response = client.call("f", headers=client.headers | {"X-Request-Id": given.replace("\n", "\x0b")})
    assert len(response.json["result"]) == 24
    assert response.headers["x-request-id"] == response.json["result"]
