"""The Python interface of the engine."""

from __future__ import annotations

import logging
import socket
import threading
from typing import Any

import httpx
import pytest

import scheduler.engine
from scheduler.core.attributes import ATTRIBUTES
from scheduler.core.trigger_kinds import TRIGGERS, trigger_options
from scheduler.engine import Engine, LeanEngineError, RequestIdFilter, cloudfunc
from scheduler.engine.declaration_options import TimerOptions
from scheduler.engine.environment import variable
from scheduler.errors import ArgumentError, DuplicateFunctionError, UnknownFunctionError
from tests.scheduler.engine.wsgi_client import WITH_KEY, Client
from tests.waiting import PATIENCE_S


def site(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"site"]


def test_exported_names() -> None:
    """The names that a cloud.py imports."""
    assert sorted(scheduler.engine.__all__) == [
        "CloudObject",
        "Engine",
        "HttpsRedirectMiddleware",
        "LeanCloudError",
        "LeanEngineError",
        "RequestIdFilter",
        "cloud",
        "cloudfunc",
        "init",
    ]
    assert all(hasattr(scheduler.engine, name) for name in scheduler.engine.__all__)
    assert Engine.LeanEngineError is LeanEngineError


def test_define_with_and_without_a_name(engine: Engine) -> None:
    """Both forms return the function, and a name is taken once."""

    @engine.define
    def one() -> int:
        return 1

    @engine.define("zwei")
    def two() -> int:
        return 2

    assert (one(), two(), engine.registry.names()) == (1, 2, ["one", "zwei"])
    with pytest.raises(RuntimeError, match="defined twice"):
        engine.define("one")(two)


def test_wrap_puts_a_site_under_an_engine_once() -> None:
    """A second site is a RuntimeError."""
    engine = Engine()
    assert engine.wrap(site) is engine
    assert Client(engine).get("/").body == b"site"
    with pytest.raises(RuntimeError, match="wraps an app already"):
        engine.wrap(site)
    with pytest.raises(RuntimeError):
        Engine(site).wrap(site)


def test_register_takes_over_another_engine(engine: Engine, client: Client) -> None:
    """Functions, hooks and timers of a module's own engine; a name in both is a RuntimeError."""
    module = Engine()
    module.define("f")(lambda: module.current.function)
    module.before_save("T")(lambda _: None)
    module.timer(every=60)(len)
    engine.register(module)
    assert client.call("f").json == {"result": "f"}
    assert engine.registry.names() == ["f", "len"]
    assert [timer.function for timer in engine.registry.timers] == ["len"]
    with pytest.raises(DuplicateFunctionError):
        engine.register(module)


@pytest.mark.parametrize(
    ("decorator", "message"),
    [
        ("before_save", r'@engine.before_save\("Review"\)'),
        ("after_delete", r'@engine.after_delete\("Review"\)'),
        ("timer", r'@engine.timer\("0 0 8 \? \* MON"\) or @engine.timer\(every=60\)'),
        ("register", "expects an Engine, got function"),
    ],
)
def test_a_decorator_without_its_brackets_is_refused(engine: Engine, decorator: str, message: str) -> None:
    """It would take the function for its argument and define nothing."""

    def function() -> None:
        raise AssertionError("never called")

    with pytest.raises(TypeError, match=message):
        getattr(engine, decorator)(function)


def test_timers_are_declared_as_data(engine: Engine) -> None:
    """The decorator keeps expression and options, and returns the function."""

    @engine.timer("0 0 8 ? * MON", tz="Asia/Shanghai")
    @engine.define
    def report() -> str:
        return "done"

    (timer,) = engine.registry.timers
    assert (timer.function, timer.schedule, timer.options) == ("report", "0 0 8 ? * MON", {"tz": "Asia/Shanghai"})
    assert report() == "done"


def test_call_does_what_a_request_would(engine: Engine) -> None:
    """For unit tests: arguments are bound and coerced, a context is set, exceptions are the function's own."""

    @engine.define
    async def hello(name: str, times: int = 1) -> Any:
        if name == "":
            raise LeanEngineError(123, "who?")
        return [name * times, engine.current.function, engine.current.left_s is not None]

    assert engine.call("hello", name="x", times="2") == ["xx", "hello", True]
    assert engine.current.function is None
    with pytest.raises(LeanEngineError, match=r"who\?"):
        engine.call("hello", name="")
    with pytest.raises(ArgumentError, match="missing argument 'name'"):
        engine.call("hello")
    with pytest.raises(UnknownFunctionError, match="known functions: hello"):
        engine.call("helo")


def test_start_serves_until_stop(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """On LEANCLOUD_APP_PORT, for a program without a server; calls in the process still work after the stop."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setenv("LEANCLOUD_APP_PORT", str(free.getsockname()[1]))
    engine.define("f")(lambda: 1)
    thread = threading.Thread(target=engine.start, kwargs={"host": "127.0.0.1"})
    thread.start()
    try:
        url = f"http://127.0.0.1:{variable('APP_PORT')}/1.1/functions/f"
        transport = httpx.HTTPTransport(retries=5)
        with httpx.Client(transport=transport, timeout=PATIENCE_S) as client:
            assert client.post(url, headers=WITH_KEY).json() == {"result": 1}
    finally:
        engine.stop()
        thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert Client(engine).call("f").status == 200


def test_the_request_id_is_in_log_lines(engine: Engine, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """A filter adds it to each record that a function logs."""
    caplog.handler.addFilter(RequestIdFilter())
    log = logging.getLogger("a.cloud.function")
    engine.define("f")(lambda: log.warning("hello"))
    client.call("f", headers=WITH_KEY | {"X-Request-Id": "r-9"})
    log.warning("outside")
    assert [vars(record)["request_id"] for record in caplog.records] == ["r-9", "-"]


def test_an_engine_needs_a_thread() -> None:
    """One that could run nothing is refused when it is made."""
    with pytest.raises(ValueError, match="needs at least 1 thread, got 0"):
        Engine(max_concurrency=0)


def test_the_newest_engine_is_the_default() -> None:
    """`cloudfunc.run` calls its functions, unless another engine runs the calling function."""
    older, newer = Engine(), Engine()
    for engine, name in ((older, "older"), (newer, "newer")):
        engine.define("who")(lambda name=name: name)
        engine.define("ask")(lambda: cloudfunc.run("who"))
    assert cloudfunc.run("who") == "newer"
    assert Client(older).call("ask").json == {"result": "older"}
    sub = Engine()
    sub.define("sub")(lambda: 1)
    newer.register(sub)
    assert cloudfunc.run("who") == "newer"


def test_type_checkers_know_the_options_of_a_declared_timer() -> None:
    """Those of the built-in triggers, and every attribute but the function."""
    triggers = {option.name for option in trigger_options(list(TRIGGERS.values()))} - {"cron"}
    assert set(TimerOptions.__annotations__) == triggers | {attribute.name for attribute in ATTRIBUTES} - {"function"}
