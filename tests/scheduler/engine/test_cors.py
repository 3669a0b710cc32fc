"""Pages of other origins may call the engine."""

from __future__ import annotations

import pytest

from scheduler.engine import Engine
from tests.scheduler.engine.wsgi_client import Client

PATHS = ["/1.1/functions/f", "/__engine/1/call/f", "/1/functions/T/beforeSave", "/__engine/1/ping"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("origin", "allowed"), [("https://app.example", "https://app.example"), (None, "*")])
def test_preflight(engine: Engine, path: str, origin: str | None, allowed: str) -> None:
    """OPTIONS needs no credentials and names what is allowed; it has no body, hence no type."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-lc-id"}
    headers = asked | ({"Origin": origin} if origin else {})
    response = Client(engine, headers).request("OPTIONS", path)
    assert (response.status, response.body) == (204, b"")
    assert response.headers["access-control-allow-origin"] == allowed
    assert response.headers["access-control-allow-methods"] == "PUT, GET, POST, DELETE, OPTIONS"
    assert response.headers["access-control-max-age"] == "86400"
    assert "content-type" not in response.headers


def test_every_header_of_the_protocol_is_allowed(engine: Engine) -> None:
    """Those of LeanCloud, and of its older names."""
    response = Client(engine, {}).request("OPTIONS", "/1.1/functions/f")
    old = ["Application-Id", "Application-Key", "Application-Production", "Client-Version", "Session-Token"]
    assert set(response.headers["access-control-allow-headers"].split(", ")) == {
        "Content-Type",
        *(f"X-LC-{name}" for name in ("Id", "Key", "Sign", "Session", "Prod", "UA", "Hook-Key")),
        *(f"X-{vendor}-{name}" for vendor in ("AVOSCloud", "Uluru") for name in [*old, "Request-sign", "Super-Key"]),
        "X-Requested-With",
    }


@pytest.mark.parametrize("name", ["f", "fails", "unknown"])
def test_results_and_errors_name_the_origin(engine: Engine, client: Client, name: str) -> None:
    """A browser may read both, and a cache keeps them apart."""
    engine.define("f")(lambda: 1)
    engine.define("fails")(lambda: 1 / 0)
    assert client.call(name).headers["access-control-allow-origin"] == "*"
    response = client.call(name, headers=client.headers | {"Origin": "https://a.example"})
    assert response.headers["access-control-allow-origin"] == "https://a.example"
    assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", ["", "a b", "é", "x" * 3000])
def test_an_invalid_origin_is_not_echoed(engine: Engine, origin: str) -> None:
    """Only an origin gets into a header."""
    response = Client(engine, {"Origin": origin}).request("OPTIONS", "/1.1/functions/f")
    assert response.headers["access-control-allow-origin"] == "*"


def test_the_site_answers_options_for_its_own_paths() -> None:
    """The engine answers the preflight for the engine's paths only."""

    def site(environ, start_response):  # type: ignore[no-untyped-def]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"mine"]

    assert Client(Engine(site)).request("OPTIONS", "/about").body == b"mine"
