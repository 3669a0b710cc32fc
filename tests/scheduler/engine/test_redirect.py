"""Plain HTTP is redirected to HTTPS, in production only."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.engine import Engine, HttpsRedirectMiddleware
from tests.scheduler.engine.wsgi_client import WITH_MASTER, Client


def site(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"site"]


@pytest.fixture
def client() -> Client:
    """A client of a site behind the middleware."""
    return Client(HttpsRedirectMiddleware(Engine(site)), {"Host": "app.example"})


@pytest.mark.parametrize(
    ("method", "path", "status", "location"),
    [
        ("GET", "/", 301, "https://app.example/"),
        ("HEAD", "/a/b", 301, "https://app.example/a/b"),
        ("GET", "/a?b=c&d=%20e", 301, "https://app.example/a?b=c&d=%20e"),
        ("POST", "/form", 308, "https://app.example/form"),
        ("PUT", "/1.1/functions/f", 308, "https://app.example/1.1/functions/f"),
        ("GET", "/%E4%BD%A0%20%0d%0aX:%201", 301, "https://app.example/%E4%BD%A0%20%0D%0AX:%201"),
        ("GET", "//evil.example/", 301, "https://app.example//evil.example/"),
    ],
)
def test_production_redirects(
    client: Client, monkeypatch: pytest.MonkeyPatch, method: str, path: str, status: int, location: str
) -> None:
    """301 where a browser may repeat, 308 where the method and body must stay."""
    monkeypatch.setenv("LEANCLOUD_APP_ENV", "production")
    response = client.request(method, path)
    assert (response.status, response.headers["location"], response.body) == (status, location, b"")


@pytest.mark.parametrize("environment", [None, "stage", "development"])
def test_other_environments_do_not_redirect(
    client: Client, monkeypatch: pytest.MonkeyPatch, environment: str | None
) -> None:
    """Only production has a load balancer with HTTPS."""
    if environment:
        monkeypatch.setenv("LEANCLOUD_APP_ENV", environment)
    assert client.get("/").body == b"site"


@pytest.mark.parametrize("proto", ["https", "HTTPS", "https, http"])
def test_https_is_not_redirected(client: Client, monkeypatch: pytest.MonkeyPatch, proto: str) -> None:
    """The load balancer names the protocol of the request in X-Forwarded-Proto."""
    monkeypatch.setenv("LEANCLOUD_APP_ENV", "production")
    assert client.get("/", headers={"X-Forwarded-Proto": proto}).body == b"site"


def test_ping_and_metadata_are_exempt(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Monitors and the platform call them over plain HTTP."""
    monkeypatch.setenv("LEANCLOUD_APP_ENV", "production")
    assert client.get("/__engine/1/ping").status == 200
    assert client.get("/1.1/functions/_ops/metadatas", headers=WITH_MASTER).status == 200


@pytest.mark.parametrize("host", ["evil.example/path", "a b", "a, b", "a@b", "a\x0bb", "é", "a:b"])
def test_an_invalid_host_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Only a host name gets into a Location, and the page is not served over plain HTTP instead."""
    monkeypatch.setenv("LEANCLOUD_APP_ENV", "production")
    response = client.get("/", headers={"Host": host})
    assert response.failure == (400, 400, "The Host of the request is invalid.")
    assert "location" not in response.headers
