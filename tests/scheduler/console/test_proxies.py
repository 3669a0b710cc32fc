"""Trusted proxies: what they say counts, what anybody else says does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flask")

from werkzeug.test import TestResponse

from scheduler.errors import ConfigError
from scheduler.project.settings import read_settings
from scheduler.store.change_pages import ChangeHistory

from .conftest import OWN, Place

PROXY, STRANGER = "10.0.0.1", "192.0.2.7"
SETTINGS = {"console_proxies": "10.0.0.0/8", "console_user_header": "X-Remote-User", "console_operators": "Anna"}


def ask(place: Place, address: str, peer: str, method: str = "GET", **headers: str) -> TestResponse:
    sent = {**OWN, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return place.app.test_client().open(
        address, method=method, headers=sent, environ_base={"REMOTE_ADDR": peer}, buffered=True
    )


def test_a_user_that_a_trusted_proxy_names_needs_no_token(make_place: Callable[..., Place]) -> None:
    """It is a viewer, or an operator if the setting names it, and the author of its changes."""
    place = make_place(**SETTINGS)
    place.fill()
    assert "anna" in ask(place, "/timers", PROXY, X_Remote_User="anna").text
    assert ask(place, "/timers", PROXY, X_Remote_User="vera").status_code == 200
    report = "/timers/production/report/disable"
    assert ask(place, report, PROXY, "POST", X_Remote_User="vera").status_code == 403
    assert ask(place, report, PROXY, "POST", X_Remote_User="anna").status_code == 303
    assert ChangeHistory(place.store).page().items[0].author == "anna"


@pytest.mark.parametrize("settings", [SETTINGS, {**SETTINGS, "console_proxies": ""}, {}])
def test_nobody_else_can_name_a_user(make_place: Callable[..., Place], settings: dict[str, Any]) -> None:
    """Not from another address, and not where no header is set."""
    place = make_place(**settings)
    peer = STRANGER if settings.get("console_proxies") else PROXY
    headers = {"X_Remote_User": "anna", "X_Forwarded_For": PROXY}
    assert ask(place, "/timers", peer, **headers).status_code == 303


def test_a_cookie_is_secure_behind_a_proxy_with_https(make_place: Callable[..., Place]) -> None:
    """Where the proxy is trusted."""
    place = make_place(**SETTINGS)
    for peer, is_secure in ((PROXY, True), (STRANGER, False)):
        token = place.tokens.add(f"t {peer}", "viewer", now=place.now)
        sent = {**OWN, "X-Forwarded-Proto": "https"}
        answer = place.app.test_client().post(
            "/login", data={"token": token}, headers=sent, environ_base={"REMOTE_ADDR": peer}
        )
        assert ("Secure" in answer.headers["Set-Cookie"]) is is_secure


def test_failed_attempts_are_counted_by_the_address_that_the_proxy_saw(make_place: Callable[..., Place]) -> None:
    """The last one that is no trusted proxy; those before it are anybody's claim."""
    place = make_place(**SETTINGS)
    for number in range(11):
        chain = f"198.51.100.{number}, {STRANGER}, 10.1.2.3"
        last = ask(place, "/login?token=x", PROXY, X_Forwarded_For=chain)
    assert last.status_code == 429
    assert ask(place, "/login?token=x", PROXY, X_Forwarded_For="198.51.100.1").status_code == 401


def test_a_proxy_is_an_address_or_a_network(tmp_path: Path) -> None:
    """A name is refused when the settings are read."""
    with pytest.raises(ConfigError, match="expected addresses or networks"):
        read_settings(tmp_path, {}, {"console_proxies": "proxy.example"})
