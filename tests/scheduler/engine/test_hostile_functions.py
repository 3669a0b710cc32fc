"""Functions whose results and exceptions do harm when they are converted or compared: the engine answers in time."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from scheduler.engine import Engine, LeanEngineError, capture, failures
from scheduler.engine.typed_values import CloudObject
from scheduler.functions import error_records
from tests.scheduler.engine.real_server import serving
from tests.scheduler.engine.wsgi_client import WITH_HOOK_KEY, WITH_KEY, Client
from tests.waiting import PATIENCE_S, slowed

LIMIT_S = 0.5
TIMED_OUT = (503, 124, "The request timed out on the server.")


def hang(*_: object) -> Any:
    time.sleep(5)


def leave(*_: object) -> Any:
    raise SystemExit(7)


def fail(*_: object) -> Any:
    raise RuntimeError("no")


class Text(str):
    """Its own methods hang; str() of an exception may return it."""

    __slots__ = ()
    __getitem__ = __len__ = __str__ = __repr__ = encode = __format__ = hang
    __hash__ = str.__hash__


class Number(int):
    __int__ = __index__ = __repr__ = __str__ = __eq__ = hang
    __hash__ = int.__hash__


def error(name: str, method: Callable[..., Any], base: type[BaseException] = Exception) -> BaseException:
    """An exception of which one method or property is as given."""
    value = method if name.startswith("__") else property(method, lambda *_: None)
    return type("Hostile", (base,), {name: value})()


def raising(raised: BaseException) -> Callable[[], Any]:
    def function() -> Any:
        raise raised

    return function


def returning(result: object) -> Callable[[], Any]:
    return lambda: result


class HostileDict(dict[str, Any]):
    __iter__ = items = keys = hang


class HostileList(list[Any]):
    __iter__ = hang


class HostileObject(CloudObject):
    dump = hang


HANGS = {
    "__str__ of an exception": raising(error("__str__", hang)),
    "__str__ of SystemExit": raising(error("__str__", hang, SystemExit)),
    "code of an error": raising(error("code", hang, LeanEngineError)),
    "status of an error": raising(error("status", hang, LeanEngineError)),
    "__class__ of an exception": raising(error("__class__", hang)),
    "code that is a number": raising(LeanEngineError(Number(5), "m")),
    "items of a dictionary": returning(HostileDict(a=1)),
    "repr of a key": returning({Number(5): 1}),
    "an object in a list": returning([HostileObject("A")]),
}


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(function_limit_s=LIMIT_S, hook_limit_s=LIMIT_S)
    yield engine
    engine.stop()


@pytest.mark.parametrize("kind", HANGS)
@pytest.mark.parametrize("endpoint", ["functions", "call"])
def test_what_hangs_hangs_within_the_limit(engine: Engine, kind: str, endpoint: str) -> None:
    """The caller gets the time-out, or what could be found out without calling the object's code."""
    engine.define("f")(HANGS[kind])
    began = time.monotonic()
    answer = Client(engine).post(f"/1.1/{endpoint}/f")
    assert time.monotonic() - began < slowed(4)
    assert answer.status in (200, 400, 500) or answer.failure == TIMED_OUT


@pytest.mark.parametrize("kind", ["__str__ of an exception", "__str__ of SystemExit", "items of a dictionary"])
def test_a_hook_is_limited_in_the_same_way(engine: Engine, kind: str) -> None:
    """Its object, too, is only looked at where the hook ran."""
    engine.on_login(lambda user: HANGS[kind]())
    engine.on_auth_data(lambda data: HANGS[kind]())
    client = Client(engine, WITH_HOOK_KEY)
    assert client.post("/1.1/functions/_User/onAuthData", {"authData": {}}).failure == TIMED_OUT
    if kind != "items of a dictionary":
        assert client.post("/1.1/functions/_User/onLogin", {"object": {}}).failure == TIMED_OUT


def test_the_object_of_a_hook_may_be_replaced_by_a_hostile_one(engine: Engine) -> None:
    """A field of it that hangs when it is encoded."""
    engine.before_save("Todo")(lambda todo: todo.set("a", HostileDict(a=1)) and None)
    answer = Client(engine, WITH_HOOK_KEY).post("/1.1/functions/Todo/beforeSave", {"object": {}})
    assert answer.failure == TIMED_OUT


@pytest.mark.parametrize("method", [fail, leave])
@pytest.mark.parametrize("name", ["__str__", "__class__", "code", "error", "status", "message"])
@pytest.mark.parametrize("base", [Exception, SystemExit, LeanEngineError])
def test_an_exception_that_cannot_be_asked_is_a_failure_like_any_other(
    engine: Engine, name: str, base: type[BaseException], method: Callable[..., Any]
) -> None:
    """Whether asking raises or exits: the answer comes, and the next call too."""
    raised = error(name, method, base)
    engine.define("f")(raising(raised))
    engine.define("g")(lambda: 1)
    answer = Client(engine).call("f")
    assert answer.status in (400, 500)
    assert isinstance(answer.json["error"], str)
    assert Client(engine).call("g").json == {"result": 1}


def test_a_large_text_of_an_exception_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """In the answer and in the log."""
    engine = Engine(function_limit_s=slowed(20.0))
    engine.define("f")(raising(ValueError("x" * 50_000_000)))
    text = Client(engine).call("f").json["error"]
    assert (len(text), text[-2:]) == (failures.MAX_TEXT + 1, "x…")
    assert 1_000 < len(caplog.text) < 2 * error_records.MAX_TRACEBACK
    engine.stop()


def test_a_failure_has_no_methods_of_the_user() -> None:
    """`str()` returns what `__str__` does, also of a class of its own; none of its methods is called later."""
    failed = failures.failure_of(error("__str__", lambda _: Text("hello")))
    assert (type(failed.error), failed.error) == (str, "hello")


def test_a_chain_of_exceptions_is_logged_up_to_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    """Twenty thousand causes would be megabytes."""
    engine = Engine(function_limit_s=slowed(20.0))

    @engine.define
    def f() -> None:
        last = ValueError(0)
        for number in range(20_000):
            following = ValueError(number)
            following.__cause__, last = last, following
        raise last

    assert Client(engine).call("f").status == 500
    assert 1_000 < len(caplog.text) < 2 * error_records.MAX_TRACEBACK
    engine.stop()


def test_no_handler_of_logs_waits_for_a_text_that_hangs(engine: Engine) -> None:
    """A handler formats under its lock, which every thread that logs would wait for."""
    engine.define("f")(raising(error("__str__", hang)))
    client = Client(engine)
    assert client.call("f").failure == TIMED_OUT
    began = time.monotonic()
    logging.getLogger("scheduler.engine").error("another line")
    assert time.monotonic() - began < slowed(4)


@pytest.mark.slow
def test_what_a_function_logs_is_formatted_under_no_lock(engine: Engine) -> None:
    """One logs an object whose text hangs; another one is answered, and its line is captured."""
    logger = logging.getLogger("user")
    engine.define("hangs")(lambda: logger.error("%s", error("__str__", hang)))
    engine.define("logs")(lambda: logger.error("a line"))
    engine.define("breaks")(lambda: logger.error("%s", error("__str__", fail)))
    lines: list[capture.CapturedLine] = []
    root, handlers = logging.getLogger(), logging.getLogger().handlers
    root.handlers = []  # pytest's own handlers format under their lock
    try:
        with capture.capturing(lines.append):
            client = Client(engine)
            assert client.call("hangs").failure == TIMED_OUT
            assert client.call("logs").json == {"result": None}
            assert client.call("breaks").status == 200
    finally:
        root.handlers = handlers
    assert [line.text for line in lines if line.function == "logs"] == ["a line"]


def test_the_threads_of_a_server_outlive_all_of_it(engine: Engine) -> None:
    """Of two, none is lost to a hanging text, and ping answers meanwhile."""
    engine.define("f")(raising(error("__str__", hang)))
    engine.define("g")(lambda: 1)
    with serving(engine, threads=2) as url, httpx.Client(headers=WITH_KEY, timeout=PATIENCE_S) as client:
        for _ in range(3):
            assert client.post(f"{url}/1.1/functions/f").status_code == 503
        assert client.post(f"{url}/1.1/functions/g").json() == {"result": 1}
        assert client.get(f"{url}/__engine/1/ping").status_code == 200


def test_calls_that_call_themselves_end(engine: Engine) -> None:
    """By recursion in one thread, and with the engine's own call."""
    engine.define("deep")(lambda: engine.call("deep"))
    answer = Client(engine).call("deep")
    assert answer.status in (500, 503)
    assert json.loads(answer.body)["code"] in (1, 124)


def test_a_large_result_is_answered(engine: Engine) -> None:
    """Two hundred thousand objects, or ten megabytes of text."""
    whole = Engine(function_limit_s=slowed(20.0))
    whole.define("objects")(lambda: [{"a": n} for n in range(200_000)])
    whole.define("text")(lambda: "x" * 10_000_000)
    assert len(Client(whole).call("objects").json["result"]) == 200_000
    assert len(Client(whole).call("text").json["result"]) == 10_000_000
    whole.stop()
