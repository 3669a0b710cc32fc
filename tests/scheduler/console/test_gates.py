"""Who may pass: every route as nobody, as a viewer and as an operator; Host, origin, headers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler.console import app, gates
from scheduler.console.app import ROUTES
from scheduler.console.roles import NEEDS, Role
from scheduler.errors import StoreUnavailableError

from .conftest import OWN, Browser, Place

TEMPLATES = sorted((Path(app.__file__).parent / "templates").glob("*.html"))
#: Every route, with an address of it.
ADDRESSES = [
    pytest.param(
        re.sub(r"<int:\w+>", "1", re.sub(r"<any.*?>", "production", rule)).replace("<name:name>", "report"),
        endpoint,
        method,
        id=f"{method}-{endpoint}",
    )
    for rule, endpoint, method, _ in ROUTES
]


def test_the_table_of_roles_has_exactly_the_routes(place: Place) -> None:
    """A route without a row would be nobody's."""
    assert {rule.endpoint for rule in place.app.url_map.iter_rules()} == set(NEEDS)


def test_an_endpoint_without_a_row_is_never_served(place: Place) -> None:
    """It is answered like an unknown address: nobody is sent to sign in, and even an operator gets 404."""
    place.app.add_url_rule("/unlisted", "unlisted", lambda: "served", methods=["GET"])
    for address in ("/unlisted", "/nothing"):
        assert place.browser(None).get(address).status_code == 303
        assert [place.browser(role).get(address).status_code for role in ("viewer", "operator")] == [404, 404]


def test_a_route_has_one_method(place: Place) -> None:
    """So what changes something has an endpoint, and a role, of its own."""
    for rule in place.app.url_map.iter_rules():
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        assert len(methods) == 1, rule


@pytest.mark.parametrize(("address", "endpoint", "method"), ADDRESSES)
def test_a_route_is_open_to_those_whose_it_is(place: Place, address: str, endpoint: str, method: str) -> None:
    """One console for all three, since only the operator, who asks last, changes anything."""
    place.fill()
    before = place.timers.list()
    nobody_passes_but_to_sign_in(place.browser(None), address, endpoint, method)
    assert place.timers.list() == before
    a_viewer_passes_where_a_viewer_may(place.browser("viewer"), address, endpoint, method)
    assert place.timers.list() == before
    an_operator_meets_no_fault(place.browser("operator"), address, method)


def nobody_passes_but_to_sign_in(nobody: Browser, address: str, endpoint: str, method: str) -> None:
    """Everything else leads to the page of signing in, and says nothing."""
    answer = nobody.client.open(address, method=method, headers=OWN)
    if NEEDS[endpoint] is Role.NOBODY:
        assert answer.status_code in (200, 401)
    else:
        assert answer.status_code == 303
        assert "login" in answer.headers["Location"]
    assert "billing" not in answer.text


def a_viewer_passes_where_a_viewer_may(viewer: Browser, address: str, endpoint: str, method: str) -> None:
    """What an operator may do is refused."""
    answer = viewer.client.open(address, method=method, headers=OWN)
    assert (answer.status_code == 403) == (NEEDS[endpoint] is Role.OPERATOR)


def an_operator_meets_no_fault(operator: Browser, address: str, method: str) -> None:
    """There is an answer from each, whatever is missing in the form."""
    answer = operator.client.open(address, method=method, headers=OWN)
    assert answer.status_code < 500


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "http://localhost:3002"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://["}, False),
        ({}, False),
    ],
)
def test_a_form_comes_from_a_page_of_the_console(
    place: Place, method: str, headers: dict[str, str], passes: bool
) -> None:
    """By a header of the browser, or because its origin is the Host; without either, it is refused."""
    place.fill()
    operator = place.browser()
    address = "/timers/production/report/disable"
    answer = operator.client.open(address, method=method, headers=headers)
    assert (answer.status_code != 403) == passes
    assert place.timers.get("report").timer.enabled == (not (passes and method == "POST"))


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("localhost", True),
        ("LOCALHOST:3001", True),
        ("127.0.0.1:3001", True),
        ("[::1]:3001", True),
        ("10.1.2.3", True),
        ("timers.example", True),
        ("timers.example:8080", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_a_host_is_an_address_or_a_name_of_ours(make_place: Callable[..., Place], host: str, passes: bool) -> None:
    """A foreign name that resolves to this machine (DNS rebinding) gets nothing."""
    place = make_place(console_hosts="timers.example")
    answer = place.browser().client.get("/login", headers={"Host": host})
    assert (answer.status_code != 403) == passes
    assert ("console_hosts" in answer.text) == (not passes)


def test_every_answer_has_the_headers(place: Place) -> None:
    """Pages, files, errors and redirects: nothing runs but our files, nothing is kept, nobody frames it."""
    browser = place.browser()
    for address in ("/timers", "/static/console.css", "/nothing", "/", "/login"):
        headers = browser.get(address).headers
        assert {name: headers[name] for name in gates.HEADERS} == gates.HEADERS
        assert headers["Cache-Control"] == "no-store"
    policy = gates.HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_a_file_is_kept_by_browsers_under_the_address_of_its_version(place: Place) -> None:
    """The page names it with a digest, so an old one is never used with a new page."""
    browser = place.browser()
    address = re.search(r'href="\./(static/console\.css\?v=\w+)"', browser.get("/timers").text)
    assert address is not None
    assert "immutable" in browser.get(f"/{address[1]}").headers["Cache-Control"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_trusts_a_text(template: Path) -> None:
    """Nothing is marked as safe, and there is no script or style that our policy would refuse."""
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe|autoescape|<style|<script(?! src=)| style=| on\w+=", text)


def test_a_large_body_is_refused(place: Place) -> None:
    """A form has at most a megabyte."""
    answer = place.browser().post("/timers/new", params="x" * 1_100_000)
    assert answer.status_code == 413


def test_a_store_that_is_away_is_reported(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the time after which to try again, and no word of where it is."""

    browser: Browser = place.browser()

    def fail(*_: object) -> None:
        raise StoreUnavailableError("postgresql://user@secret-host: no answer")

    monkeypatch.setattr(place.store, "reading", fail)
    answer = browser.get("/timers")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "secret-host" not in answer.text
