"""The engine behind a real server: the guide's own calls, sites, slow clients and unusual requests."""

from __future__ import annotations

import json
import socket
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import bottle
import flask
import httpx
import pytest

from scheduler.engine import Engine
from tests.scheduler.engine.real_server import serving
from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, WITH_HOOK_KEY, WITH_KEY, WITH_MASTER
from tests.waiting import PATIENCE_S, eventually, slowed

GUIDE_CLOUD = """
from datetime import datetime

from scheduler.engine import Engine
from scheduler.engine import LeanEngineError
from scheduler.engine import cloudfunc

engine = Engine()


@engine.define
def hello(**params):
    if "name" in params:
        return "Hello, {}!".format(params["name"])
    else:
        return "Hello, LeanCloud!"


@engine.define
def averageStars(movie, **params):
    reviews = [4, 5, 3] if movie == "夏洛特烦恼" else []
    if not reviews:
        raise LeanEngineError(404, "no reviews")
    return sum(reviews) / len(reviews)


@engine.define("polite")
def polite_hello(name):
    return cloudfunc.run("hello", name="dear " + name)


@engine.before_save("Review")
def before_review_save(review):
    comment = review.get("comment")
    if not comment:
        raise LeanEngineError(message="No comment provided!")
    if len(comment) > 140:
        review.set("comment", comment[:137] + "...")


@engine.after_save("Comment")
def after_comment_save(comment):
    print(comment.get("post"))


@engine.on_login
def on_login(user):
    print("login:", user)
    if user.get("username") == "noLogin":
        raise LeanEngineError("Forbidden")


@engine.timer("0 0 8 ? * MON", tz="Asia/Shanghai")
@engine.define
def log_timer():
    print("Log in timer.")
"""

GUIDE_WSGI = """
from scheduler.engine import HttpsRedirectMiddleware, init

from app import app
from cloud import engine

init("{app_id}", app_key="{app_key}", master_key="test-master-key", hook_key="test-hook-key")
application = HttpsRedirectMiddleware(engine.wrap(app))
"""

GUIDE_APP = """
from flask import Flask

app = Flask(__name__)


@app.route("/")
def index():
    return "a page"
"""


@pytest.fixture
def guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The base URL of a project as LeanEngine's guide shows it, with our imports."""
    (tmp_path / "cloud.py").write_text(GUIDE_CLOUD)
    (tmp_path / "app.py").write_text(GUIDE_APP)
    (tmp_path / "wsgi.py").write_text(GUIDE_WSGI.format(app_id=APP_ID, app_key=APP_KEY))
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("cloud", "app", "wsgi"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with serving(_loaded(tmp_path / "wsgi.py").application) as url:
        yield url
    for name in ("cloud", "app"):
        sys.modules.pop(name, None)


def _loaded(path: Path) -> ModuleType:
    spec = spec_from_file_location("guide_wsgi", path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


JSON = {"Content-Type": "application/json; charset=utf-8"}


@pytest.mark.parametrize(
    ("path", "fields", "headers", "status", "answer"),
    [
        ("/1.1/functions/hello", {"name": "x"}, WITH_KEY, 200, {"result": "Hello, x!"}),
        ("/1.1/functions/hello", {}, WITH_KEY, 200, {"result": "Hello, LeanCloud!"}),
        ("/1.1/functions/averageStars", {"movie": "夏洛特烦恼"}, WITH_KEY, 200, {"result": 4.0}),
        ("/1.1/functions/averageStars", {"movie": "x"}, WITH_KEY, 404, {"code": 404, "error": "no reviews"}),
        ("/1.1/functions/polite", {"name": "x"}, WITH_KEY, 200, {"result": "Hello, dear x!"}),
        ("/1.1/call/hello", {"name": "x"}, WITH_KEY, 200, {"result": "Hello, x!"}),
        (
            "/1.1/functions/Review/beforeSave",
            {"object": {"comment": "x" * 141}},
            WITH_HOOK_KEY,
            200,
            {"comment": "x" * 137 + "..."},
        ),
        (
            "/1.1/functions/Review/beforeSave",
            {"object": {}},
            WITH_HOOK_KEY,
            400,
            {"code": 1, "error": "No comment provided!"},
        ),
        ("/1.1/functions/Comment/afterSave", {"object": {"post": "p"}}, WITH_HOOK_KEY, 200, {"result": "ok"}),
        (
            "/1.1/functions/_User/onLogin",
            {"object": {"username": "noLogin"}},
            WITH_HOOK_KEY,
            400,
            {"code": 1, "error": "Forbidden"},
        ),
        ("/1.1/functions/hello", {}, {}, 401, {"code": 401, "error": "Unauthorized."}),
    ],
)
def test_the_guides_project_is_served(
    guide: str, path: str, fields: Any, headers: dict[str, str], status: int, answer: dict[str, Any]
) -> None:
    """Its functions and hooks answer the guide's curl calls."""
    response = httpx.post(guide + path, content=json.dumps(fields), headers=headers | JSON, timeout=PATIENCE_S)
    fields = {key: value for key, value in response.json().items() if key != "requestId"}
    assert (response.status_code, fields) == (status, answer)


def test_the_guides_project_keeps_its_pages_and_its_ping(guide: str) -> None:
    """The site answers its paths, the engine those of the platform."""
    assert httpx.get(guide + "/", timeout=PATIENCE_S).text == "a page"
    assert httpx.get(guide + "/__engine/1/ping", timeout=PATIENCE_S).status_code == 200
    names = httpx.get(guide + "/1.1/functions/_ops/metadatas", headers=WITH_MASTER, timeout=PATIENCE_S).json()["result"]
    assert {"hello", "log_timer", "__before_save_for_Review", "__on_login__User"} <= set(names)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS"])
def test_every_method_over_http(method: str) -> None:
    """The server never waits for a body that is not sent."""
    engine = Engine()
    engine.define("f")(lambda: "x" * 100)
    with serving(engine) as url, httpx.Client(base_url=url, headers=WITH_KEY, timeout=PATIENCE_S) as client:
        for _ in range(2):
            response = client.request(method, "/1.1/functions/f")
            assert response.status_code == (204 if method == "OPTIONS" else 200)


def test_flask_and_bottle_under_the_engine() -> None:
    """Sites of two frameworks answer their own paths, forms and errors."""
    one = flask.Flask("one")
    one.add_url_rule("/form", view_func=lambda: flask.request.form["a"], methods=["POST"])
    other = bottle.Bottle()
    other.route("/form", "POST", lambda: bottle.request.forms["a"])
    for app in (one, other):
        engine = Engine(app)
        engine.define("f")(lambda: 1)
        with serving(engine) as url:
            assert httpx.post(url + "/form", data={"a": "b"}, timeout=PATIENCE_S).text == "b"
            assert httpx.get(url + "/nothing", timeout=PATIENCE_S).status_code == 404
            assert httpx.post(url + "/1.1/functions/f", headers=WITH_KEY, timeout=PATIENCE_S).json() == {"result": 1}


def raw(url: str, request: str, *, end: bool = False) -> bytes:
    """The server's answer to some bytes, until it closes the connection or sends nothing for 1 s."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=slowed(1)) as connection:
        connection.sendall(request.encode("latin-1"))
        if end:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except TimeoutError:
            pass
        return received


HEAD = textwrap.dedent(f"""\
    POST /1.1/functions/echo HTTP/1.1
    Host: x
    Connection: close
    X-LC-Id: {APP_ID}
    X-LC-Key: {APP_KEY}
    """)


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        ('Content-Length: 8\n\n{"a": 1}', b"200"),
        ('Transfer-Encoding: chunked\n\n4\n{"a"\n4\n: 1}\n0\n\n', b"200"),
        ("Transfer-Encoding: chunked\n\n0\n\n", b"200"),
        ('Content-Length: 3\n\n{"a', b"400"),
        ("\n", b"200"),
        ("Content-Length: 2\nContent-Length: 3\n\n{}", b"400"),
    ],
)
def test_bodies_on_the_wire(rest: str, status: bytes) -> None:
    """Chunked, missing and broken bodies get an answer, and never a 500."""
    engine = Engine()
    engine.define("echo")(lambda **params: params)
    with serving(engine) as url:
        answer = raw(url, (HEAD + rest).replace("\n", "\r\n"))
    assert answer.split()[1] == status
    assert b"Traceback" not in answer


def test_a_truncated_body_runs_no_function() -> None:
    """A client that disconnects in the middle of its body calls nothing."""
    called: list[Any] = []
    engine = Engine()
    engine.define("echo")(lambda **params: called.append(params))
    with serving(engine) as url:
        raw(url, (HEAD + 'Content-Length: 100\n\n{"a": 1}').replace("\n", "\r\n"), end=True)
        assert httpx.get(url + "/__engine/1/ping", timeout=PATIENCE_S).status_code == 200
    assert called == []


def test_slow_clients_do_not_block_ping() -> None:
    """Three hundred clients that never finish their bodies hold no thread."""
    engine = Engine()
    with serving(engine, threads=2) as url:
        address = urlsplit(url)
        slow = [socket.create_connection((address.hostname or "", address.port or 0)) for _ in range(300)]
        for connection in slow:
            connection.sendall((HEAD + "Content-Length: 1000\n\n{").replace("\n", "\r\n").encode())
        started = time.monotonic()
        assert httpx.get(url + "/__engine/1/ping", timeout=PATIENCE_S).status_code == 200
        assert time.monotonic() - started < slowed(2)
        for connection in slow:
            connection.close()


def test_a_body_of_more_than_20_mb() -> None:
    """A body of exactly 20 MB arrives whole, one byte more is a 413."""
    engine = Engine()
    engine.define("size")(lambda text, **_: len(text))
    size = 20 * 1024 * 1024 - len('{"text":""}')
    with serving(engine) as url:
        for more, status in ((0, 200), (1, 413)):
            body = b'{"text":"' + b"x" * (size + more) + b'"}'
            assert (
                httpx.post(url + "/1.1/functions/size", content=body, headers=WITH_KEY, timeout=PATIENCE_S).status_code
                == status
            )


def test_ping_answers_while_every_function_hangs() -> None:
    """The server has more threads than the engine, so that hung functions never starve ping."""
    engine = Engine(function_limit_s=8.0, max_concurrency=4)
    release = threading.Event()
    engine.define("hangs")(lambda: release.wait(PATIENCE_S))
    statuses: list[int] = []

    def hang(url: str) -> None:
        statuses.append(httpx.post(url + "/1.1/functions/hangs", headers=WITH_KEY, timeout=PATIENCE_S).status_code)

    with serving(engine, threads=6) as url:
        threads = [threading.Thread(target=hang, args=(url,)) for _ in range(12)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(statuses), lambda seen: seen == 8)  # those without a free thread are answered at once
        started = time.monotonic()
        assert [httpx.get(url + "/__engine/1/ping", timeout=PATIENCE_S).status_code for _ in range(5)] == [200] * 5
        assert time.monotonic() - started < slowed(2)
        release.set()
        for thread in threads:
            thread.join()
    assert sorted(statuses) == [200] * 4 + [503] * 8


def test_ping_answers_while_every_page_of_the_site_hangs() -> None:
    """On a thread of its own, which no page uses."""
    release, hanging = threading.Event(), threading.Semaphore(0)

    def site(environ: Any, start_response: Any) -> list[bytes]:
        hanging.release()
        release.wait(PATIENCE_S)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"page"]

    with serving(Engine(site), threads=2) as url:
        pages: list[str] = []
        threads = [
            threading.Thread(target=lambda: pages.append(httpx.get(url, timeout=PATIENCE_S).text)) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        assert all(hanging.acquire(timeout=PATIENCE_S) for _ in range(2))
        assert httpx.get(url + "/__engine/1/ping", timeout=PATIENCE_S).status_code == 200
        answers = raw(url, "GET //__engine/1.1/ping/ HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        assert answers.count(b" 200 OK") == 3
        release.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert pages == ["page"] * 4


def test_a_header_cannot_be_injected() -> None:
    """By Origin, request id or path, the answer gets no further header."""
    engine = Engine()
    with serving(engine) as url:
        request = HEAD.replace("/echo", "/%0d%0aX-Evil:%201") + "Origin: a\rX-Evil: 1\nX-Request-Id: b\rX-Evil: 1\n\n"
        answer = raw(url, request.replace("\n", "\r\n"))
    head = answer.partition(b"\r\n\r\n")[0]
    assert b"X-Evil" not in head
