"""Who may call."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.engine import Engine, authorization, init
from scheduler.engine.credentials import Credentials, Keys, Level, level, same
from tests.scheduler.engine.wsgi_client import (
    APP_ID,
    APP_KEY,
    HOOK_KEY,
    MASTER_KEY,
    WITH_HOOK_KEY,
    WITH_KEY,
    WITH_MASTER,
    Client,
)

OURS = Keys(APP_ID, APP_KEY, MASTER_KEY, HOOK_KEY)
NO_KEYS = Keys()


def signed(key: str, *, at_ms: int = 1_700_000_000_000, suffix: str = "", upper: bool = False) -> str:
    digest = hashlib.md5(f"{at_ms}{key}".encode()).hexdigest()
    return f"{digest.upper() if upper else digest},{at_ms}{suffix}"


ACCEPTED: list[tuple[dict[str, str], Level]] = [
    ({"X-LC-Id": APP_ID, "X-LC-Key": APP_KEY}, Level.APP),
    ({"X-AVOSCloud-Application-Id": APP_ID, "X-AVOSCloud-Application-Key": APP_KEY}, Level.APP),
    ({"X-Uluru-Application-Id": APP_ID, "X-Uluru-Application-Key": APP_KEY}, Level.APP),
    ({"X-LC-Id": "", "X-Uluru-Application-Id": APP_ID, "X-LC-Key": APP_KEY}, Level.APP),
    ({"X-LC-Id": APP_ID, "X-LC-Sign": signed(APP_KEY)}, Level.APP),
    ({"X-LC-Id": APP_ID, "X-LC-Sign": signed(APP_KEY, upper=True)}, Level.APP),
    ({"X-LC-Id": APP_ID, "X-AVOSCloud-Request-Sign": signed(APP_KEY)}, Level.APP),
    ({"X-LC-Id": APP_ID, "X-LC-Key": f"{MASTER_KEY},master"}, Level.MASTER),
    ({"X-LC-Id": APP_ID, "X-LC-Key": MASTER_KEY}, Level.MASTER),
    ({"X-LC-Id": APP_ID, "X-AVOSCloud-Master-Key": MASTER_KEY}, Level.MASTER),
    ({"X-LC-Id": APP_ID, "X-Uluru-Master-Key": MASTER_KEY}, Level.MASTER),
    ({"X-LC-Id": APP_ID, "X-LC-Sign": signed(MASTER_KEY, suffix=",master")}, Level.MASTER),
    ({"X-LC-Id": APP_ID, "X-LC-Sign": signed(MASTER_KEY)}, Level.MASTER),
]

REFUSED: list[dict[str, str]] = [
    {},
    {"X-LC-Id": APP_ID},
    {"X-LC-Key": APP_KEY},
    {"X-LC-Id": APP_ID, "X-LC-Key": ""},
    {"X-LC-Id": "", "X-LC-Key": APP_KEY},
    {"X-LC-Id": "other", "X-LC-Key": APP_KEY},
    {"X-LC-Id": APP_ID, "X-LC-Key": "wrong"},
    {"X-LC-Id": APP_ID, "X-LC-Key": f"{APP_KEY},master"},
    {"X-LC-Id": APP_ID, "X-LC-Key": f"{MASTER_KEY},master,master"},
    {"X-LC-Id": APP_ID, "X-LC-Key": f"{MASTER_KEY},"},
    {"X-LC-Id": APP_ID, "X-LC-Key": ",master"},
    {"X-LC-Id": APP_ID, "X-LC-Key": "a,b,master"},
    {"X-LC-Id": APP_ID, "X-LC-Key": "None"},
    {"X-LC-Id": APP_ID, "X-LC-Key": APP_KEY.upper()},
    {"X-LC-Id": APP_ID, "X-LC-Key": f" {APP_KEY}"},
    {"X-LC-Id": APP_ID, "X-LC-Key": HOOK_KEY},
    {"X-LC-Id": APP_ID, "X-LC-Hook-Key": HOOK_KEY},
    {"X-LC-Hook-Key": HOOK_KEY},
    {"X-LC-Id": APP_ID, "X-LC-Sign": ""},
    {"X-LC-Id": APP_ID, "X-LC-Sign": "a,b"},
    {"X-LC-Id": APP_ID, "X-LC-Sign": "a,b,master"},
    {"X-LC-Id": APP_ID, "X-LC-Sign": signed(APP_KEY).split(",")[0]},
    {"X-LC-Id": APP_ID, "X-LC-Sign": signed(APP_KEY, suffix=",master")},
    {"X-LC-Id": APP_ID, "X-LC-Sign": signed(APP_KEY, suffix=",")},
    {"X-LC-Id": APP_ID, "X-LC-Sign": signed(MASTER_KEY, suffix=",master,master")},
    {"X-LC-Id": APP_ID, "X-LC-Sign": signed("")},
    {"X-LC-Id": APP_ID, "X-LC-Sign": signed("None")},
    {"X-LC-Id": APP_ID, "X-LC-Sign": signed(APP_KEY).replace("1700", "1701")},
    {"X-LC-Id": APP_ID, "X-LC-Key": "\xff\xfe"},
    {"X-LC-Id": "None", "X-LC-Key": "None"},
    {"X-LC-Id": APP_ID, "X-LC-Session": "token"},
]


@pytest.mark.parametrize(("headers", "proves"), ACCEPTED)
def test_accepted_credentials(engine: Engine, headers: dict[str, str], proves: Level) -> None:
    """The key, the master key or a signature by one of them is accepted; only the master key reads the metadata."""
    engine.define("f")(lambda: 1)
    client = Client(engine, headers)
    assert client.call("f").status == 200
    assert client.get("/1.1/functions/_ops/metadatas").status == (200 if proves is Level.MASTER else 401)


@pytest.mark.parametrize("headers", REFUSED)
@pytest.mark.parametrize(
    "path",
    [
        "/1.1/functions/f",
        "/1.1/functions/unknown",
        "/1.1/call/f",
        "/1.1/functions/_ops/metadatas",
        "/1.1/functions/Todo/beforeSave",
        "/1.1/functions/_messageReceived",
    ],
)
def test_refused_credentials(engine: Engine, headers: dict[str, str], path: str) -> None:
    """Everything that only looks like a credential is a 401, which does not show which names exist."""
    engine.define("f")(lambda: 1)
    engine.define("_messageReceived")(lambda: 1)
    engine.before_save("Todo")(lambda todo: None)
    assert Client(engine, headers).post(path, {"object": {}}).failure == (401, 401, "Unauthorized.")


@pytest.mark.parametrize("path", ["/1.1/functions/Todo/beforeSave", "/1.1/functions/_messageReceived"])
@pytest.mark.parametrize(
    "headers", [WITH_KEY, WITH_MASTER, WITH_KEY | {"X-LC-Hook-Key": ""}, WITH_KEY | {"X-LC-Hook-Key": APP_KEY}]
)
def test_hooks_need_the_hook_key(engine: Engine, path: str, headers: dict[str, str]) -> None:
    """Neither the application's key nor the master key calls a hook."""
    engine.define("_messageReceived")(lambda **_: 1)
    engine.before_save("Todo")(lambda todo: None)
    assert Client(engine, headers).post(path, {"object": {}}).status == 401
    assert Client(engine, WITH_HOOK_KEY).post(path, {"object": {}}).status == 200


@pytest.mark.parametrize(
    "headers",
    [*REFUSED, WITH_KEY, WITH_MASTER, WITH_HOOK_KEY, {"X-LC-Id": "", "X-LC-Key": ""}],
)
@pytest.mark.parametrize("ours", [(None, None, None, None), ("", "", "", ""), (APP_ID, None, "", None)])
def test_a_key_that_is_not_set_matches_nothing(
    engine: Engine, headers: dict[str, str], ours: tuple[str | None, ...]
) -> None:
    """An application without keys refuses every request."""
    init(*ours)
    engine.define("f")(lambda: 1)
    assert Client(engine, headers).call("f").status == 401


def test_missing_keys_are_logged_once(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """Otherwise nothing would explain why every request is a 401."""
    authorization._warn_of_missing_keys.cache_clear()
    engine.define("f")(lambda: 1)
    Client(engine, {}).call("f")
    assert caplog.messages == []
    init(APP_ID)
    for _ in range(2):
        Client(engine).call("f")
    (message,) = caplog.messages
    assert message.startswith("every request is refused, the application has no keys; call init(app_id, app_key)")


def test_auth_can_be_switched_off() -> None:
    """`auth=False` accepts every request, to hooks and metadata too."""
    init()
    engine = Engine(auth=False)
    engine.before_delete("Todo")(lambda todo: None)
    client = Client(engine, headers={})
    assert client.get("/1.1/functions/_ops/metadatas").json == {"result": ["__before_delete_for_Todo"]}
    assert client.post("/1.1/functions/Todo/beforeDelete", {"object": {}}).json == {}


@pytest.mark.parametrize("prefix", ["LEANCLOUD", "LC"])
def test_keys_are_read_from_the_environment_when_used(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """A key that init was not given is read at every request, under the new and the old name."""
    init()
    engine.define("f")(lambda: 1)
    client = Client(engine)
    assert client.call("f").status == 401
    monkeypatch.setenv(f"{prefix}_APP_ID", APP_ID)
    monkeypatch.setenv(f"{prefix}_APP_KEY", APP_KEY)
    assert client.call("f").status == 200
    monkeypatch.setenv("LEANCLOUD_APP_KEY", "another")
    assert client.call("f").status == 401


def test_signatures_age_only_if_asked() -> None:
    """`max_age_s` refuses old and future signatures only."""
    strict = Engine(max_age_s=60)
    strict.define("f")(lambda: 1)
    now_ms = int(time.time() * 1000)
    ages = {0: 200, -30_000: 200, 30_000: 200, -90_000: 401, 90_000: 401}
    for age, status in ages.items():
        headers = {"X-LC-Id": APP_ID, "X-LC-Sign": signed(APP_KEY, at_ms=now_ms + age)}
        assert Client(strict, headers).call("f").status == status
    assert Client(strict, WITH_KEY).call("f").status == 200


BODY = {"_ApplicationId": APP_ID, "_ApplicationKey": APP_KEY, "_SessionToken": "token", "x": 1}


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [
        (BODY, {"Content-Type": "text/plain"}, 200),
        (BODY, {"Content-Type": "text/plain;charset=UTF-8"}, 200),
        (BODY, {"Content-Type": "Text/Plain"}, 200),
        (BODY, {"Content-Type": "application/json"}, 401),
        (BODY | {"_ApplicationKey": "wrong"}, {"Content-Type": "text/plain"}, 401),
        (BODY | {"_ApplicationKey": None, "_MasterKey": MASTER_KEY}, {"Content-Type": "text/plain"}, 200),
        (BODY, {"Content-Type": "text/plain", "X-LC-Id": APP_ID}, 401),
        (BODY | {"_ApplicationKey": {"$ne": ""}}, {"Content-Type": "text/plain"}, 401),
        (BODY | {"_ApplicationKey": "\ud800"}, {"Content-Type": "text/plain"}, 401),
    ],
)
def test_old_browsers_send_credentials_in_the_body(
    engine: Engine, fields: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    """They count only in text/plain and only without any in the headers; the function never gets them."""
    engine.define("f")(lambda **params: [params, engine.current.session_token])
    response = Client(engine, headers).call("f", fields)
    assert response.status == status
    if status == 200:
        assert response.json == {"result": [{"x": 1}, "token"]}


def test_keys_never_reach_a_log_or_an_error(engine: Engine, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Neither our keys nor those of a request are written anywhere."""
    caplog.set_level(logging.DEBUG)
    engine.define("bad")(lambda: 1 / 0)
    engine.define("odd")(object)
    bodies = b""
    for headers in (WITH_HOOK_KEY | {"X-LC-Session": "session-secret"}, WITH_MASTER, {"X-LC-Key": "their-secret"}):
        for path in ("functions/bad", "functions/odd", "functions/none", "functions/Todo/beforeSave", "call/bad"):
            bodies += client.post(f"/1.1/{path}", headers=headers).body
    for secret in (APP_KEY, MASTER_KEY, HOOK_KEY, "session-secret", "their-secret"):
        assert secret not in caplog.text
        assert secret.encode() not in bodies
        assert secret not in repr(OURS)
    assert APP_KEY not in repr(Credentials(APP_ID, APP_KEY))


@given(theirs=st.text(max_size=40))
def test_nothing_equals_an_unset_key(theirs: str) -> None:
    """Nothing matches a key of ours that is None or empty."""
    assert not same(None, theirs)
    assert not same("", theirs)


printable = st.text(st.characters(codec="latin-1"), max_size=60)


def near_misses(key: str) -> st.SearchStrategy[str]:
    return st.sampled_from([key[:-1], key + " ", key.title(), key + ",master", f",{key}", key + "\x00", key * 2])


lookalikes = printable | st.sampled_from([APP_KEY, MASTER_KEY, HOOK_KEY, "None", "null"]).flatmap(near_misses)


@given(key=lookalikes, master=lookalikes, signature=lookalikes)
def test_lookalikes_prove_nothing(key: str, master: str, signature: str) -> None:
    """Random texts and near misses never pass, the one with the master key's proper suffix apart."""
    if key == f"{MASTER_KEY},master":
        key = ""
    theirs = Credentials(APP_ID, key, master, signature, hook=HOOK_KEY)
    assert level(theirs, OURS) is Level.NONE
    assert level(theirs, NO_KEYS) is Level.NONE


def test_json_of_a_refusal_is_exact(engine: Engine) -> None:
    """The body holds code, error and the request id, and nothing about keys."""
    response = Client(engine, {"X-Request-Id": "r-1"}).call("f")
    assert json.loads(response.body) == {"code": 401, "error": "Unauthorized.", "requestId": "r-1"}
