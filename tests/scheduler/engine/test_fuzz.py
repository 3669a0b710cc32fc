"""Random requests: the engine answers JSON, and shows no traceback."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.engine import Engine
from scheduler.engine.routes import match
from tests.example_counts import examples
from tests.scheduler.engine.wsgi_client import Client
from tests.strategies import request_bodies, request_headers, request_methods, request_paths


@pytest.fixture(scope="module")
def engine() -> Engine:
    """An engine with a function, hooks, and a site that is plain text."""

    def site(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"site"]

    engine = Engine(site, fetch_user=lambda token: token)
    engine.define("echo")(lambda **params: params)
    engine.define("_messageReceived")(lambda **params: params)
    engine.define("fails")(lambda **params: 1 / 0)
    engine.before_save("Todo")(lambda todo: None)
    engine.after_save("Todo")(lambda todo: 1 / 0)
    engine.on_auth_data(lambda auth_data: None)
    return engine


EXPECTED_ERRORS = ("division by zero", "The result is not JSON: ")


@settings(
    max_examples=examples(600),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=request_methods,
    path=request_paths,
    headers=request_headers,
    body=request_bodies,
    length=st.none() | st.integers(-1, 50),
)
def test_every_answer_is_json_without_a_traceback(
    engine: Engine, method: str, path: str, headers: dict[str, str], body: bytes, length: int | None
) -> None:
    """Any method, path, header and body: JSON with its length, and no 500 but the function's own."""
    more = {} if length is None or length < 0 else {"CONTENT_LENGTH": str(length)}
    response = Client(engine, headers).request(method, path, body=body, **more)
    if response.body == b"site" or response.status == 204:
        return
    assert response.headers["content-type"] == "application/json"
    if method != "HEAD":
        assert response.headers["content-length"] == str(len(response.body))
        assert isinstance(json.loads(response.body, parse_constant=pytest.fail), dict)
    assert b"Traceback" not in response.body
    if response.status == 500 and method != "HEAD":
        assert response.json["error"].startswith(EXPECTED_ERRORS)


@given(st.text(max_size=30) | st.lists(st.sampled_from(["1.1", "functions", "a", "", "/"])).map("/".join))
def test_every_path_is_the_engines_or_the_sites(path: str) -> None:
    """Matching never fails, and a matching path is below a version."""
    matched = match(path)
    assert matched is None or path.lstrip("/").startswith(("1/", "1.1/", "__engine/1"))
