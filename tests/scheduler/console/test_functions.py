"""The page of a function, and calls from it: who may, what is sent, what is recorded, and what the answers become."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Thread
from typing import Any

import pytest

pytest.importorskip("flask")

from scheduler.console import engine_calls
from scheduler.console.current import EXTENSION
from scheduler.console.signatures import parse_signature, typed_params
from scheduler.core.timer import Environment, Timer
from scheduler.core.triggers import Every
from scheduler.functions.descriptions import FunctionDescription
from scheduler.project.settings import read_settings
from scheduler.store.catalogue import replace_functions
from scheduler.store.change_pages import ChangeFilter, ChangeHistory, ChangeRecord
from scheduler.store.change_recording import Subject

from .conftest import HOSTILE, Place

PAGE = "/functions/production/send"


class Engine:
    """An engine that answers as a test says, and keeps what it was sent."""

    def __init__(self) -> None:
        self.status, self.body = 200, b'{"result": null}'
        self.received: list[tuple[str, Mapping[str, str], Any]] = []
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                engine.received.append((self.path, dict(self.headers), json.loads(body)))
                self.send_response(engine.status)
                self.send_header("X-Request-Id", "abc")
                self.end_headers()
                self.wfile.write(engine.body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


@pytest.fixture
def called(place: Place, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A console whose functions an engine serves: `send`, with two parameters."""
    monkeypatch.setenv("LEANCLOUD_APP_ID", "the id")
    monkeypatch.setenv("LEANCLOUD_APP_KEY", "the key")
    replace_functions(
        place.store,
        Environment.PRODUCTION,
        [FunctionDescription("send", "(to: str, copies: int = 1)", "Send it.", "cloud.py:3")],
    )
    engines = engine_calls.engines_of(place.app.extensions[EXTENSION].settings, {"production": engine.url})
    place.app.extensions[EXTENSION].engines.update(engines)
    return place


def calls_of(place: Place) -> list[ChangeRecord]:
    """The recorded calls."""
    return list(ChangeHistory(place.store).page(ChangeFilter(subject=Subject.FUNCTION)).items)


def test_a_function_has_a_page(called: Place) -> None:
    """With its description, a field for each parameter, its timers and its runs."""
    called.fill()
    called.timers.add([Timer(name="weekly", function="send", trigger=Every(60))], now=called.now)
    page = called.browser().get(PAGE).text
    assert "send(to: str, copies: int = 1)" in page
    assert "Send it." in page
    assert 'name="param-to" value="" autocomplete="off" spellcheck="false" required' in page
    assert 'name="param-copies" value="" autocomplete="off" spellcheck="false" placeholder="1"' in page
    assert all(f">{name}</a>" in page for name in ("weekly", "report"))
    assert 'href="../../runs/1"' in page


def test_a_call_is_sent_and_recorded(called: Place, engine: Engine) -> None:
    """With the keys of the application, and the types that the signature names; its answer is on the page."""
    engine.body = json.dumps({"result": {"to": HOSTILE}}).encode()
    page = called.browser().post(PAGE, **{"param-to": "7", "param-copies": "2", "why": "a try"}).text
    ((path, headers, params),) = engine.received
    assert path == "/1.1/functions/send"
    assert params == {"to": "7", "copies": 2}
    assert (headers["X-LC-Id"], headers["X-LC-Key"], headers["X-LC-Prod"]) == ("the id", "the key", "1")
    assert "&lt;script&gt;alert" in page
    assert "<script>alert" not in page
    assert 'href="../../logs?request_id=abc"' in page
    (record,) = calls_of(called)
    assert (record.subject, record.action, record.name) == ("function", "called", "send")
    assert (record.after, record.why, record.author) == ({"params": params}, "a try", "operator 0")
    changes = called.browser().get("/changes").text
    assert "<strong>called</strong>" in changes
    assert 'href="./functions/production/send"' in changes


@pytest.mark.parametrize(
    ("status", "body", "shown"),
    [
        (400, b'{"code": 1, "error": "no such address"}', "no such address"),
        (401, b'{"code": 401, "error": "Unauthorized."}', "Unauthorized."),
        (503, b"busy", "busy"),
        (502, b"", "status 502"),
        (200, b"not JSON", "not JSON"),
    ],
)
def test_an_error_is_shown(called: Place, engine: Engine, status: int, body: bytes, shown: str) -> None:
    """The words of the function or of the engine."""
    engine.status, engine.body = status, body
    page = called.browser().post(PAGE, **{"param-to": "x"}).text
    assert f'<p class="wrong">{shown} ' in page


def test_a_long_answer_is_cut(called: Place, engine: Engine) -> None:
    """Without holding all of it."""
    engine.body = b'{"result": "' + b"x" * 1_000_000 + b'"}'
    page = called.browser().post(PAGE, **{"param-to": "x"}).text
    assert "Only the beginning is shown." in page
    assert len(page) < engine_calls.MAX_ANSWER + 20_000


def test_an_engine_that_is_away_is_an_error(called: Place, engine: Engine) -> None:
    """And the attempt is on record."""
    called.app.extensions[EXTENSION].engines[Environment.PRODUCTION] = "http://127.0.0.1:1"
    assert "the engine does not answer" in called.browser().post(PAGE, **{"param-to": "x"}).text
    assert len(calls_of(called)) == 1


def test_a_call_that_cannot_be_sent_is_refused(called: Place, engine: Engine) -> None:
    """Parameters that are no JSON object, no engine, a function that no process has loaded: nothing is recorded."""
    browser = called.browser()
    assert browser.post(PAGE, params="[1]").status_code == 422
    assert browser.post(PAGE, params="{").status_code == 422
    assert browser.post("/functions/stage/send").status_code == 404
    called.app.extensions[EXTENSION].engines.clear()
    assert "no engine is known" in browser.post(PAGE, **{"param-to": "x"}).text
    assert "scheduler up serves the console" in browser.get(PAGE).text
    assert (engine.received, calls_of(called)) == ([], [])


def test_chinese_pages_say_in_chinese_why_there_is_no_answer(
    called: Place, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But what a function says stays as it is, even if it says the same."""
    engines, browser = called.app.extensions[EXTENSION].engines, called.browser()
    browser.get(PAGE, lang="zh")
    engine.status, engine.body = 400, b'{"code": 1, "error": "the engine does not answer (x)"}'
    assert "the engine does not answer (x)" in browser.post(PAGE, **{"param-to": "x"}).text
    engines[Environment.PRODUCTION] = "http://127.0.0.1:1"
    assert "引擎没有应答（ConnectError）" in browser.post(PAGE, **{"param-to": "x"}).text
    monkeypatch.setattr(engine_calls, "_MOST", 0)
    monkeypatch.setattr(engine_calls, "_slots", BoundedSemaphore(0))
    assert "已有 0 个调用正在进行" in browser.post(PAGE, **{"param-to": "x"}).text
    engines.clear()
    assert "找不到为 production 环境提供云函数的引擎" in browser.post(PAGE, **{"param-to": "x"}).text


def test_a_viewer_calls_nothing(called: Place, engine: Engine) -> None:
    """Neither does a form of another site, nor anybody who is not signed in."""
    viewer = called.browser("viewer")
    assert '<form method="post" action="../../functions' not in viewer.get(PAGE).text
    assert viewer.post(PAGE, **{"param-to": "x"}).status_code == 403
    foreign = called.browser()
    foreign.headers = {"Sec-Fetch-Site": "cross-site"}
    assert foreign.post(PAGE, **{"param-to": "x"}).status_code == 403
    assert called.browser(None).post(PAGE).status_code == 303
    assert engine.received == []


def test_parameters_of_calls_are_hidden_with_the_others(
    make_place: Callable[..., Place], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From viewers, by console_hide: on the page of changes, and in the API."""
    place = make_place(console_hide=["params"])
    place.load("send")
    place.app.extensions[EXTENSION].engines[Environment.PRODUCTION] = engine.url
    place.browser().post(PAGE, params='{"to": "a secret"}')
    assert "a secret" in place.browser().get("/changes").text
    assert "a secret" not in place.browser("viewer").get("/changes").text
    secret = place.tokens.add("reader", "viewer", now=place.now)
    answer = place.app.test_client().get("/api/1/changes", headers={"Authorization": f"Bearer {secret}"})
    assert "a secret" not in answer.text
    assert "called" in answer.text


def test_too_many_calls_at_a_time_are_refused(called: Place, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds a thread of the console."""
    for _ in range(4):
        assert engine_calls._slots.acquire(blocking=False)
    try:
        assert "in progress already" in called.browser().post(PAGE, **{"param-to": "x"}).text
    finally:
        engine_calls._slots.release(4)
    assert engine.received == []


def test_the_api_calls_a_function(called: Place, engine: Engine) -> None:
    """With the result as JSON; only for operators, and only functions that are known."""
    engine.body = b'{"result": [1, {"a": null}]}'
    secret = called.tokens.add("robot", "operator", now=called.now)
    client, headers = called.app.test_client(), {"Authorization": f"Bearer {secret}"}
    answer = client.post(f"/api/1{PAGE}/call", json={"params": {"to": "x"}, "why": "a try"}, headers=headers)
    assert answer.status_code == 200
    assert answer.json["succeeded"] is True
    assert answer.json["result"] == [1, {"a": None}]
    assert answer.json["request_id"] == "abc"
    (record,) = calls_of(called)
    assert (record.way, record.author) == ("api", "robot")
    assert client.post("/api/1/functions/stage/send/call", json={}, headers=headers).status_code == 404
    viewer = {"Authorization": f"Bearer {called.tokens.add('reader', 'viewer', now=called.now)}"}
    assert client.post(f"/api/1{PAGE}/call", json={}, headers=viewer).status_code == 403


@pytest.mark.parametrize(
    ("text", "names", "takes_others"),
    [
        ("()", [], True),
        ("(…)", [], True),
        ("(a, b: int = 1, *, c='x, y')", ["a", "b", "c"], False),
        ("(a, **more)", ["a"], True),
        ("(*all)", [], True),
        ("(a=…, b: dict[str, int] = …)", ["a", "b"], False),
        ("): import os; (", [], True),
        ("(a" * 500, [], True),
        ("(a: list[int], and a cut…", [], True),
    ],
)
def test_signatures_are_read(text: str, names: list[str], takes_others: bool) -> None:
    """What cannot be read takes any parameters."""
    signature = parse_signature(text)
    assert [parameter.name for parameter in signature.parameters] == names
    assert signature.takes_others is takes_others


def test_typed_values_have_the_types_of_json() -> None:
    """But a parameter of type str gets the text as it is."""
    signature = parse_signature("(a, b: str, c: int = 1)")
    assert typed_params(signature, {"a": "[1]", "b": "[1]", "c": " "}) == {"a": [1], "b": "[1]"}
    assert typed_params(signature, {"a": "x y", "b": "", "c": "1e3"}) == {"a": "x y", "c": 1000.0}


def test_the_engines_of_a_project_are_known(tmp_path: Any) -> None:
    """The one that `up` serves, and remote ones where the executor is http."""
    served = {"production": "http://127.0.0.1:3000", "stage": "http://127.0.0.1:3010"}
    plain = read_settings(tmp_path, {}, {})
    assert engine_calls.engines_of(plain, served) == served
    assert engine_calls.engines_of(plain, {}) == {}
    remote = read_settings(
        tmp_path, {}, {"production_executor": "http", "production_remote_engine": "https://a.example/"}
    )
    assert engine_calls.engines_of(remote, served) == {**served, "production": "https://a.example"}
