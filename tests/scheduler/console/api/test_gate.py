"""Who may pass: every route as nobody, viewer and operator; credentials, Host, bodies, headers."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.console.api.gate import known_keys
from scheduler.console.api.problems import KINDS
from scheduler.console.api.routes import DOCUMENT, ROUTES, Route
from scheduler.console.current import API
from scheduler.console.gates import HEADERS
from scheduler.console.roles import Role
from scheduler.errors import StoreUnavailableError

from ..conftest import Browser, Place
from .conftest import CRON, Program


def address_of(route: Route) -> str:
    """An address of a route."""
    rule = re.sub(r"<any.*?>", "production", route.address)
    return rule.replace("<name:name>", "report").replace("<int:run_id>", "1").removeprefix("/")


def test_the_table_of_routes_is_what_the_application_serves(place: Place) -> None:
    """Each endpoint has a row, with its role; besides, there is the document only."""
    api = place.app.extensions[API].app
    served = {rule.endpoint: (rule.methods or set()) - {"HEAD"} for rule in api.url_map.iter_rules()}
    assert served.pop(DOCUMENT) == {"GET"}
    assert served == {route.endpoint: {route.method} for route in ROUTES}


def test_nobody_passes(place: Place) -> None:
    """Without credentials, and with a cookie instead of a token, at no route."""
    place.fill()
    before = place.timers.list()
    browser = place.browser()
    for route in ROUTES:
        answers = [
            Program(place, None).send(route.method, address_of(route)),
            browser.client.open(f"/api/1/{address_of(route)}", method=route.method, headers=browser.headers),
        ]
        for answer in answers:
            assert answer.status_code == 401, (route, answer.text)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert "billing" not in answer.text
    assert place.timers.list() == before


def test_a_viewer_passes_where_a_viewer_may(place: Place) -> None:
    """What an operator may do is refused, and does nothing."""
    place.fill()
    before = place.timers.list()
    viewer = Program(place, "viewer")
    for route in ROUTES:
        answer = viewer.send(route.method, address_of(route))
        assert (answer.status_code == 403) == (route.role is Role.OPERATOR), (route, answer.text)
        assert answer.status_code < 500, (route, answer.text)
    assert place.timers.list() == before


def test_no_route_has_a_fault(place: Place, program: Program) -> None:
    """An operator gets an answer from each, whatever the body lacks."""
    place.fill()
    for route in ROUTES:
        answer = program.send(route.method, address_of(route))
        assert answer.status_code < 500, (route, answer.text)


def test_a_link_is_no_token(place: Place) -> None:
    """It is for browsers, and stays valid."""
    secret = place.tokens.add_link("anna", "operator", now=place.now)
    assert Program(place, None).send("GET", "timers", Authorization=f"Bearer {secret}").status_code == 401
    assert place.tokens.redeem(secret, now=place.now) is not None


def test_a_token_ends(place: Place, program: Program) -> None:
    """When it is removed, and when its time is over."""
    assert program.send("GET", "timers").status_code == 200
    place.tokens.remove("operator", now=place.now)
    assert program.send("GET", "timers").status_code == 401


@pytest.fixture
def master(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LEANCLOUD_APP_ID", "the-id")
    monkeypatch.setenv("LEANCLOUD_APP_KEY", "the-key")
    monkeypatch.setenv("LEANCLOUD_APP_MASTER_KEY", "the-master-key")
    return "the-master-key"


def signature(key: str, at_ms: int) -> str:
    return f"{hashlib.md5(f'{at_ms}{key}'.encode()).hexdigest()},{at_ms},master"


@pytest.mark.usefixtures("master")
@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"X-LC-Id": "the-id", "X-LC-Key": "the-master-key,master"}, True),
        ({"X-LC-Id": "the-id", "X-LC-Sign": "now"}, True),
        ({"X-LC-Id": "the-id", "X-LC-Sign": "old"}, False),
        ({"X-LC-Id": "the-id", "X-LC-Key": "the-key"}, False),
        ({"X-LC-Id": "the-id", "X-LC-Key": "wrong,master"}, False),
        ({"X-LC-Id": "another", "X-LC-Key": "the-master-key,master"}, False),
        ({"X-LC-Id": "the-id"}, False),
    ],
)
def test_the_master_key_is_an_operators(place: Place, headers: dict[str, str], passes: bool) -> None:
    """As LeanCloud's clients send it: the key, or a signature by it that is not old."""
    at_ms = {"now": int(time.time() * 1000), "old": int(time.time() * 1000) - 3_600_000}
    if (sign := headers.get("X-LC-Sign")) is not None:
        headers = {**headers, "X-LC-Sign": signature("the-master-key", at_ms[sign])}
    answer = Program(place, None).send("PUT", "timers/production/a", CRON, **headers)
    assert answer.status_code == (201 if passes else 401), answer.text
    if passes:
        (change,) = Program(place).get("changes?subject=timer")["items"]
        assert (change["author"], change["way"]) == ("master key", "api")


def test_the_master_key_may_stand_in_the_file_of_keys(place: Place) -> None:
    """Where `scheduler up` has generated it; the API generates none."""
    folder = place.app.extensions["scheduler.console"].settings.folder / ".scheduler"
    headers = {"X-LC-Id": "i", "X-LC-Key": "m,master"}
    assert Program(place, None).send("GET", "timers", **headers).status_code == 401
    assert not folder.exists()
    folder.mkdir()
    (folder / "keys.json").write_text('{"LEANCLOUD_APP_ID": "i", "LEANCLOUD_APP_MASTER_KEY": "m"}')
    assert Program(place, None).send("GET", "timers", **headers).status_code == 200
    assert known_keys(folder / "none.json") == {}


def test_who_guesses_is_stopped_and_nobody_else(place: Place, program: Program) -> None:
    """After ten failures of an address in a minute; a valid token still passes."""
    stranger = Program(place, None)
    for number in range(10):
        stranger.refused(401, "GET", "timers", Authorization=f"Bearer {number}")
    answer = stranger.send("GET", "timers", Authorization="Bearer x")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert program.send("GET", "timers").status_code == 200


def test_who_guesses_locks_out_the_master_key_nowhere_else(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not from another address, however many addresses have failed."""
    monkeypatch.setenv("LEANCLOUD_APP_ID", "i")
    monkeypatch.setenv("LEANCLOUD_APP_MASTER_KEY", "m")
    client = place.app.test_client()
    statuses = set()
    for number in range(132):
        peer = {"REMOTE_ADDR": f"192.0.2.{number % 12}"}
        headers = {"X-LC-Id": "i", "X-LC-Key": f"{number},master"}
        statuses.add(client.get("/api/1/timers", headers=headers, environ_base=peer).status_code)
    assert statuses == {401, 429}
    right = {"X-LC-Id": "i", "X-LC-Key": "m,master"}
    at = {number: {"REMOTE_ADDR": f"192.0.2.{number}"} for number in (0, 200)}
    assert client.get("/api/1/timers", headers=right, environ_base=at[0]).status_code == 429
    assert client.get("/api/1/timers", headers=right, environ_base=at[200]).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example"])
def test_a_host_is_an_address_or_a_name_of_ours(make_place: Callable[..., Place], host: str) -> None:
    """As for the pages; the problem names the setting."""
    place = make_place(console_hosts="timers.example")
    program = Program(place)
    assert "console_hosts" in program.refused(403, "GET", "timers", Host=host)["detail"]
    assert program.send("GET", "timers", Host="timers.example").status_code == 200


#: A body, its type, and the status of the answer.
BODIES: list[tuple[Any, str, int]] = [
    ("{", "application/json", 400),
    ('{"limit_s": NaN}', "application/json", 400),
    ('{"limit_s": Infinity}', "application/json", 400),
    ("[" * 100_000, "application/json", 400),
    ('{"params": ' + '{"a":' * 50_000 + "1" + "}" * 50_001, "application/json", 400),
    ('{"limit_s": ' + "9" * 5_000 + "}", "application/json", 400),
    ("[]", "application/json", 422),
    ('"{}"', "application/json", 422),
    ("null", "application/json", 422),
    (b"\xff\xfe", "application/json", 400),
    ("function=f", "application/x-www-form-urlencoded", 415),
    ("{}", "text/plain", 415),
    ("x" * 1_000_001, "application/json", 413),
]


def test_a_body_is_one_json_object(program: Program) -> None:
    """Anything else is refused with what to send instead."""
    for body, type_, status in BODIES:
        program.refused(status, "PUT", "timers/production/a", body, Content_Type=type_)


def test_every_answer_has_the_headers(program: Program) -> None:
    """Those of the pages, and the id of the request."""
    for address in ("timers", "nothing", "openapi.json"):
        headers = program.send("GET", address).headers
        assert {name: headers[name] for name in HEADERS} == HEADERS
        assert headers["Cache-Control"] == "no-store"
        assert re.fullmatch("[0-9a-f]{16}", headers["X-Request-Id"])
        assert "Set-Cookie" not in headers


def test_addresses_and_methods_that_do_not_exist(program: Program) -> None:
    """Are problems, too."""
    assert program.refused(404, "GET", "nothing")["title"] == KINDS["unknown"].title
    answer = program.send("DELETE", "timers")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    program.refused(405, "OPTIONS", "timers")
    program.refused(400, "GET", "timers?q=%00")
    program.refused(400, "GET", "timers/production/a%00b")


def test_a_store_that_is_away_is_reported(place: Place, program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the time after which to try again, and no word of where it is."""

    def fail(*_: object) -> None:
        raise StoreUnavailableError("postgresql://user@secret-host: no answer")

    monkeypatch.setattr(place.store, "reading", fail)
    answer = program.send("GET", "timers")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "secret-host" not in answer.text


def test_the_page_explains_every_problem(place: Place, program: Program) -> None:
    """The type of a problem leads to its row; the page has every operation."""
    problem = program.refused(404, "GET", "timers/production/none")
    assert problem["type"].endswith("../../api#unknown")
    viewer: Browser = place.browser("viewer")
    page = viewer.get("/api").text
    for name in KINDS:
        assert f'id="{name}"' in page
    for route in ROUTES:
        address = re.sub(r"<(?:[^:<]+:)?(\w+)>", r"{\1}", route.address)
        assert f"<code>{route.method} {address}</code>" in page
    assert "<script>" not in page
