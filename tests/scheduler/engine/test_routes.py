"""The paths that the engine answers."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from scheduler.engine import Engine
from scheduler.engine.routes import match, refusal
from tests.scheduler.engine.wsgi_client import Client


@pytest.mark.parametrize(
    ("path", "answer", "names"),
    [
        *[
            (f"{prefix}/{version}/{path}", answer, names)
            for prefix, version in itertools.product(("", "/__engine", "//", "///__engine"), ("1", "1.1"))
            for path, answer, names in (
                ("functions/hello", "function", ("hello",)),
                ("call/hello", "rpc", ("hello",)),
                ("functions/_ops/metadatas", "metadatas", ()),
                ("functions/Todo/beforeSave", "hook", ("Todo", "beforeSave")),
                ("functions/onVerified/sms", "hook", ("onVerified", "sms")),
                ("functions/_messageReceived", "function", ("_messageReceived",)),
            )
        ],
        ("/__engine/1/ping", "ping", ()),
        ("/__engine/1/ping/", "ping", ()),
        ("/__engine/1.1/ping", "ping", ()),
        ("/__engine/1.1/ping/", "ping", ()),
    ],
)
def test_the_engine_answers_its_paths(path: str, answer: str, names: tuple[str, ...]) -> None:
    """With and without prefix, in both versions, whatever the number of leading slashes."""
    matched = match(path)
    assert matched is not None
    assert (matched.endpoint.name, matched.names) == (answer, names)


OF_THE_SITE = [
    "",
    "/",
    "/1",
    "/1.1",
    "/1.1/",
    "/1.1/functionsX",
    "/1.1/functionsX/hello",
    "/1.1/pages/functions",
    "/1.2/functions/hello",
    "/1.10/functions/hello",
    "/functions/hello",
    "/x/1.1/functions/hello",
    "/1/users",
    "/1/classes/Todo",
    "/users",
    "/__engineX/1/ping",
    "/%",
    "/%zz/%e4%bd",
]
REFUSED = [
    "/1.1/functions",
    "/1.1/functions/",
    "//1.1/functions",
    "/1/functions",
    "/1.1/functions/hello/",
    "/1.1/functions//hello",
    "/1.1//functions/hello",
    "/1.1//functions//hello",
    "/1.1/functions/a/b/c",
    "/1.1/call",
    "/1.1/call/",
    "/1.1/call/a/b",
    "/1/call/",
    "/1.1/ping",
    "/1.1/Functions/hello",
    "/1.1/FUNCTIONS/hello",
    "/__ENGINE/1.1/functions/hello",
    "/__engine",
    "/__engine/",
    "/__engine/ping",
    "/__engine/1.1",
    "/__engine//1.1/functions/hello",
    "/__engine/1/pingX",
    "/__engine/1/ping//",
    "/1.1/./functions/hello",
    "/./1.1/functions/hello",
    "/x/../1.1/functions/hello",
    "/../1.1/functions/hello",
    "/1.1/x/../functions/hello",
    "/1.1/functions;v=1/hello",
    "/1.1;v=1/functions/hello",
    "/1.1\\functions\\hello",
    "\\1.1\\functions\\hello",
    "/1.1 /functions/hello",
    "/1.1/functions /hello",
    "/ 1.1/functions/hello",
    "/1.1/functions\t/hello",
    "/1.1/functions\0/hello",
    "/1.1/functions\xa0/hello",
    "/1.1%2Ffunctions%2Fhello",
    "/1.1/%66unctions/hello",
    "/1.1/%2566unctions/hello",
    "/1.1/%252e%252e/1.1/functions/hello",
    "/1.1/functions?/hello",
]


@pytest.mark.parametrize("path", OF_THE_SITE)
def test_every_other_path_is_the_sites(path: str) -> None:
    """Whole segments are compared, so that similar paths belong to the site."""
    assert (match(path), refusal(path)) == (None, None)


@pytest.mark.parametrize("path", REFUSED)
def test_what_begins_like_an_engine_path_never_reaches_the_site(path: str) -> None:
    """A site that answers every path would have a client take an unknown function for a success."""
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path}
    started: list[str] = []
    (body,) = Engine(_reached)(environ, lambda status, headers: started.append(status) or _no_write)  # type: ignore[func-returns-value]
    assert started == ["404 Not Found"]
    assert json.loads(body)["error"] == "Not found: functions are called at /1.1/functions/NAME."
    assert Engine(_reached).body_limit(environ) == 0


@pytest.mark.parametrize(
    "path", ["classes/Todo", "users", "login", "roles/1", "files", "push", "installations", "Classes/Todo", "batch"]
)
def test_the_data_storage_is_not_here(path: str) -> None:
    """A 404 says so, and no client takes a page of the site for its objects; a page of another origin reads it."""
    client = Client(Engine(_reached))
    sentence = "Not found: the data storage of LeanCloud is not here; this engine serves functions and hooks."
    assert client.post(f"/1.1/{path}").failure == (404, 404, sentence)
    preflight = client.request("OPTIONS", f"/1.1/{path}", headers={"Origin": "https://shop.example"})
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, "https://shop.example")


def _reached(environ: Any, start_response: Any) -> Any:
    raise AssertionError(f"the site got {environ['PATH_INFO']}")


def _no_write(_: bytes) -> None:
    raise AssertionError


def test_a_name_in_the_path_is_utf_8() -> None:
    """A function may have a Chinese name."""
    engine = Engine()
    engine.define("你好")(lambda: "在")
    assert Client(engine).post("/1.1/functions/%E4%BD%A0%E5%A5%BD").json == {"result": "在"}
    assert Client(engine).post("/1.1/functions/%FF%FE").status == 404


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
def test_every_documented_method_calls_a_function(engine: Engine, client: Client, method: str) -> None:
    """GET, PUT and DELETE behave like POST; a query string changes nothing."""
    engine.define("add")(lambda a, b: a + b)
    response = client.request(method, "/1.1/functions/add?c=3", {"a": 1, "b": 2})
    assert (response.status, response.json) == (200, {"result": 3})


def test_head_is_get_without_a_body(engine: Engine, client: Client) -> None:
    """The headers are those of the GET."""
    engine.define("one")(lambda: 1)
    response = client.request("HEAD", "/1.1/functions/one")
    assert (response.status, response.body) == (200, b"")
    assert response.headers["content-length"] == str(len(client.get("/1.1/functions/one").body))


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "CONNECT", "get"])
def test_other_methods_are_refused(engine: Engine, method: str) -> None:
    """A 405 lists the allowed methods."""
    from scheduler.engine.endpoints import answer

    environ = {"REQUEST_METHOD": method, "PATH_INFO": "/1.1/functions/x"}
    matched = match("/1.1/functions/x")
    assert matched
    reply = answer(engine._parts, matched, environ)
    assert reply.status.startswith("405")
    assert ("Allow", "PUT, GET, POST, DELETE, OPTIONS") in reply.headers


def test_ping_needs_no_credentials(engine: Engine) -> None:
    """It names the version of Python and ours."""
    response = Client(engine, headers={}).get("/__engine/1/ping")
    assert response.status == 200
    assert sorted(response.json) == ["runtime", "version"]
    assert response.json["runtime"].startswith("cpython-3.")


def test_without_a_site_other_paths_are_404_in_json(engine: Engine) -> None:
    """Never an empty answer."""
    response = Client(engine, headers={}).get("/about")
    assert response.failure == (404, 404, "Not found.")


def test_the_site_gets_its_requests_unchanged() -> None:
    """The wrapped app gets the same environ, and its answer passes through."""
    seen = []

    def site(environ, start_response):  # type: ignore[no-untyped-def]
        seen.append(environ["PATH_INFO"])
        start_response("418 I'm a teapot", [("Content-Type", "text/plain")])
        return [b"short and stout"]

    response = Client(Engine(site)).get("//1.1/functionsX?a=b")
    assert (response.status, response.body, seen) == (418, b"short and stout", ["//1.1/functionsX"])
