"""Tokens, links and sessions: how long they hold, and that the store keeps none of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from scheduler.console.roles import Role
from scheduler.console.sign_in_limits import SignInLimits
from scheduler.console.tokens import TokenTable
from scheduler.errors import ConfigError
from scheduler.store.change_pages import ChangeFilter, ChangeHistory
from scheduler.store.change_recording import Subject
from scheduler.store.database import Store
from scheduler.store.schema import console_tokens

from .conftest import Place

NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=9, seconds=59)


def test_a_token_holds_until_it_is_removed(store: Store) -> None:
    """And its owner may do what its role says."""
    tokens = TokenTable(store)
    secret = tokens.add("anna", "viewer", now=NOW)
    token = tokens.redeem(secret, now=NOW + timedelta(days=4_000))
    assert token is not None
    assert (token.name, token.role, token.kind) == ("anna", Role.VIEWER, "token")
    assert tokens.remove("anna", now=NOW) == 1
    assert tokens.redeem(secret, now=NOW) is None
    assert tokens.get(token.id, now=NOW) is None


def test_a_token_expires(store: Store) -> None:
    """At the end of its days, whatever a session says."""
    tokens = TokenTable(store)
    token = tokens.redeem(tokens.add("anna", "operator", now=NOW, lasts=timedelta(days=1)), now=NOW)
    assert token is not None
    assert tokens.get(token.id, now=NOW + timedelta(hours=23)) == token
    assert tokens.get(token.id, now=NOW + timedelta(days=1)) is None
    assert tokens.list(now=NOW + timedelta(days=1)) == []


def test_a_link_holds_once(store: Store) -> None:
    """It becomes a session, which nobody can begin again."""
    tokens = TokenTable(store)
    secret = tokens.add_link("ann@host", "operator", now=NOW)
    session = tokens.redeem(secret, now=LATER)
    assert session is not None
    assert (session.kind, session.role) == ("session", Role.OPERATOR)
    assert tokens.redeem(secret, now=LATER) is None
    assert tokens.get(session.id, now=NOW + timedelta(days=29)) == session
    assert tokens.get(session.id, now=NOW + timedelta(days=31)) is None


def test_a_link_holds_for_ten_minutes(store: Store) -> None:
    """Then it is as if it had never been."""
    tokens = TokenTable(store)
    secret = tokens.add_link("ann@host", "operator", now=NOW)
    assert tokens.redeem(secret, now=NOW + timedelta(minutes=10)) is None


def test_a_link_is_no_session(store: Store) -> None:
    """Its id in a cookie opens nothing."""
    tokens = TokenTable(store)
    tokens.add_link("ann@host", "operator", now=NOW)
    (link,) = tokens.list(now=NOW)
    assert tokens.get(link.id, now=NOW) is None


def test_the_store_keeps_digests(store: Store) -> None:
    """A reader of the store cannot sign in with its contents."""
    tokens = TokenTable(store)
    secret = tokens.add("anna", "operator", now=NOW)
    with store.reading() as connection:
        (row,) = connection.execute(select(console_tokens)).all()
    assert secret not in str(row)
    assert tokens.redeem(row.digest, now=NOW) is None


def test_names_of_tokens_are_taken_once(store: Store) -> None:
    """So `rm` ends what its reader means."""
    tokens = TokenTable(store)
    tokens.add("anna", "viewer", now=NOW)
    with pytest.raises(ConfigError, match="already"):
        tokens.add("anna", "operator", now=NOW)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 101, "\u202e"])
def test_a_name_is_printable(store: Store, name: str) -> None:
    """It is shown on pages, terminals and in the record of changes."""
    with pytest.raises(ConfigError, match="printable"):
        TokenTable(store).add(name, "viewer", now=NOW)


def test_tokens_are_on_record(store: Store) -> None:
    """Who made and who removed one, and never the token."""
    tokens = TokenTable(store)
    secret = tokens.add("anna", "viewer", now=NOW)
    tokens.remove("anna", now=NOW)
    records = ChangeHistory(store).page(ChangeFilter(subject=Subject.TOKEN)).items
    assert [(record.action, record.name) for record in records] == [("removed", "anna"), ("added", "anna")]
    assert secret not in str(records)


# In a browser


def test_a_link_signs_in_and_leaves_the_address(place: Place) -> None:
    """The answer is a redirect to an address without the token, and a cookie that scripts do not see."""
    browser = place.browser(None)
    secret = place.tokens.add_link("ann@host", "operator", now=place.now)
    answer = browser.get("/login", token=secret)
    assert answer.status_code == 303
    assert secret not in answer.headers["Location"]
    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path" not in cookie
    assert browser.get("/timers").status_code == 200
    assert place.browser(None).get("/login", token=secret).status_code == 401


def test_a_session_ends_with_its_token(place: Place) -> None:
    """At the next request."""
    browser = place.browser("viewer")
    assert browser.get("/timers").status_code == 200
    (token,) = place.tokens.list(now=place.now)
    place.tokens.remove(token.name, now=place.now)
    assert browser.get("/timers").status_code == 303


def test_signing_out_ends_a_session(place: Place) -> None:
    """Its cookie opens nothing, even if it was copied before."""
    browser = place.browser(None)
    browser.get("/login", token=place.tokens.add_link("ann@host", "operator", now=place.now))
    kept = browser.client.get_cookie(place.app.extensions["scheduler.console"].cookie)
    assert kept is not None
    browser.post("/logout")
    assert browser.get("/timers").status_code == 303
    browser.client.set_cookie(kept.key, kept.value)
    assert browser.get("/timers").status_code == 303


@pytest.mark.parametrize("forged", ["", "1", "1.2.3", "x" * 500, "9" * 30, "-1.a.b", "1.AAAA.BBBB", "٣.a.b"])
def test_a_forged_cookie_opens_nothing(place: Place, forged: str) -> None:
    """Whatever it is."""
    browser = place.browser(None)
    browser.client.set_cookie(place.app.extensions["scheduler.console"].cookie, forged)
    assert browser.get("/timers").status_code == 303


def test_a_cookie_is_of_one_token(place: Place) -> None:
    """A viewer who writes the id of an operator into the own cookie is nobody."""
    place.browser("operator")
    viewer = place.browser("viewer")
    name = place.app.extensions["scheduler.console"].cookie
    operator = next(token for token in place.tokens.list(now=place.now) if token.role is Role.OPERATOR)
    cookie = viewer.client.get_cookie(name)
    assert cookie is not None
    viewer.client.set_cookie(name, f"{operator.id}.{cookie.value.partition('.')[2]}")
    assert viewer.get("/timers").status_code == 303


def test_guessing_is_slow(place: Place) -> None:
    """After ten failures of an address in a minute, further ones have to wait; a valid secret never has to."""
    browser = place.browser(None)
    secret = place.tokens.add("anna", "operator", now=place.now)
    link = place.tokens.add_link("ben", "viewer", now=place.now)
    for _ in range(10):
        assert browser.post("/login", token="wrong").status_code == 401
    answer = browser.post("/login", token="wrong")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert browser.post("/login", token=secret).status_code == 303
    assert browser.get("/login", token=link).status_code == 303


def test_who_goes_on_guessing_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten failures a minute, sixty an hour; each address, and each network of IPv6, for itself."""
    now = NOW.timestamp()
    monkeypatch.setattr("time.time", lambda: now)
    limits = SignInLimits()
    waits = []
    for _ in range(7):
        for _ in range(12):
            limits.failed("2001:db8::1")
        waits.append(limits.wait_s("2001:db8::ffff"))
        now += 61
    assert all(0 < wait <= 60 for wait in waits[:5])
    assert all(3_000 < wait <= 3_600 for wait in waits[5:])
    assert limits.wait_s("2001:db8:0:1::1") == limits.wait_s("192.0.2.1") == 0


@pytest.mark.parametrize(
    ("given", "leads_to"),
    [
        ("/runs?outcome=failed", "./runs?outcome=failed"),
        ("/timers/production/a~sb", "./timers/production/a~sb"),
        ("https://evil.example/", "./"),
        ("//evil.example/timers", "./"),
        ("/\\evil.example", "./"),
        ("javascript:alert(1)", "./"),
        ("/login?next=/login", "./"),
        ("/logout", "./"),
        ("", "./"),
    ],
)
def test_signing_in_leads_to_a_page_of_ours(place: Place, given: str, leads_to: str) -> None:
    """To the page that was asked for, and never elsewhere."""
    secret = place.tokens.add("anna", "operator", now=place.now)
    answer = place.browser(None).post("/login", token=secret, next=given)
    assert answer.headers["Location"] == leads_to
