"""Hooks: the arguments and the answer of each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.engine import CloudObject, Engine, LeanEngineError
from scheduler.engine.hooks import EVENTS, REALTIME
from tests.scheduler.engine.wsgi_client import WITH_HOOK_KEY, WITH_MASTER, Client


@pytest.fixture
def client(engine: Engine) -> Client:
    """A client that has the hook key."""
    return Client(engine, WITH_HOOK_KEY)


def test_before_save_answers_with_the_changed_object(engine: Engine, client: Client) -> None:
    """The object is bare JSON; typed values and the marks of hooks come back as they were."""

    @engine.before_save("Review")
    def shorten(review: CloudObject) -> None:
        review.set("comment", review.get("comment")[:3])

    given = {
        "comment": "too long",
        "at": {"__type": "Date", "iso": "2026-01-05T08:00:00.000Z"},
        "author": {"__type": "Pointer", "className": "_User", "objectId": "u1"},
        "where": {"__type": "GeoPoint", "latitude": 1, "longitude": 2},
        "__before": "1,a",
        "__after": "2,b",
        "__ignore_hooks": ["afterSave"],
    }
    response = client.post("/1.1/functions/Review/beforeSave", {"object": given})
    assert (response.status, response.json) == (200, given | {"comment": "too"})


def test_before_update_gets_the_names_of_the_changed_fields(engine: Engine, client: Client) -> None:
    """`_updatedKeys` becomes `updated_keys` and does not come back."""

    @engine.before_update("Review")
    def check(review: CloudObject) -> None:
        review.set("seen", review.updated_keys)

    response = client.post("/1.1/functions/Review/beforeUpdate", {"object": {"a": 1, "_updatedKeys": ["a"]}})
    assert response.json == {"a": 1, "seen": ["a"]}


@pytest.mark.parametrize(
    ("decorate", "path", "answer"),
    [
        (lambda e: e.before_delete("T"), "T/beforeDelete", {}),
        (lambda e: e.after_save("T"), "T/afterSave", {"result": "ok"}),
        (lambda e: e.after_update("T"), "T/afterUpdate", {"result": "ok"}),
        (lambda e: e.after_delete("T"), "T/afterDelete", {"result": "ok"}),
        (lambda e: e.on_verified("sms"), "onVerified/sms", {"result": "T1"}),
        (lambda e: e.on_verified("email"), "onVerified/email", {"result": "T1"}),
        (lambda e: e.on_login, "_User/onLogin", {"result": "T1"}),
        (lambda e: e.on_login(), "_User/onLogin", {"result": "T1"}),
    ],
)
@pytest.mark.parametrize(
    "prefix", ["/1/functions", "/1.1/functions", "/__engine/1/functions", "/__engine/1.1/functions"]
)
def test_answers_of_the_hooks_of_objects(
    engine: Engine, client: Client, decorate: Callable[[Engine], Any], path: str, answer: Any, prefix: str
) -> None:
    """Each gets the object and answers as the platform expects; decorating returns the function."""

    def hook(thing: CloudObject) -> str | None:
        return thing.id

    assert decorate(engine)(hook) is hook
    response = client.post(f"{prefix}/{path}", {"object": {"objectId": "T1"}})
    assert (response.status, response.json) == (200, answer)


@pytest.mark.parametrize(
    "event", [event for event in EVENTS if event.name != "on_verified"], ids=lambda event: event.name
)
def test_a_refusing_hook_is_an_error(engine: Engine, client: Client, event: Any) -> None:
    """LeanEngineError becomes code and error at status 400, whatever the hook."""

    def refuse(*_: Any) -> None:
        raise LeanEngineError(123, "no")

    class_name, action = ("T" if part == "*" else part for part in event.path)
    engine.registry.define_hook(refuse, class_name, event.name)
    body = {"object": {}, "authData": {}, "status": "OK"}
    assert client.post(f"/1.1/functions/{class_name}/{action}", body).failure == (400, 123, "no")


def test_a_failed_after_hook_is_logged(engine: Engine, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """The caller treats the save as done, so only the log has the failure; a refusing before-hook is no failure."""

    @engine.after_save("T")
    @engine.before_save("T")
    def refuse(_: Any) -> None:
        raise LeanEngineError(1, "no")

    client.post("/1.1/functions/T/beforeSave", {"object": {}})
    assert caplog.records == []
    client.post("/1.1/functions/T/afterSave", {"object": {}})
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "__after_save_for_T" in record.getMessage()


@pytest.mark.parametrize("event", ["on_login", "on_auth_data"])
def test_a_hook_of_users_takes_no_class(engine: Engine, event: str) -> None:
    """It has one already."""
    with pytest.raises(TypeError, match=f"@engine.{event} takes no arguments"):
        getattr(engine, event)("_User")


def test_auth_data_comes_back(engine: Engine, client: Client) -> None:
    """The hook's result replaces the authData; without a result the authData is answered as the hook changed it."""
    answers: list[Any] = [None, {"b": 2}]

    @engine.on_auth_data
    def check(auth_data: dict[str, Any]) -> Any:
        auth_data["seen"] = True
        return answers.pop(0)

    path, body = "/1.1/functions/_User/onAuthData", {"authData": {"a": 1}}
    assert client.post(path, body).json == {"result": {"a": 1, "seen": True}}
    assert client.post(path, body).json == {"result": {"b": 2}}


@pytest.mark.parametrize("decorator", ["on_insight", "on_bigquery"])
@pytest.mark.parametrize(("status", "ok"), [("OK", True), ("ERROR", False)])
def test_an_analysis_that_ended(engine: Engine, client: Client, status: str, ok: bool, decorator: str) -> None:
    """`on_insight('end')`, in version 1 of the SDK `on_bigquery`, is called with success and data."""
    getattr(engine, decorator)("end")(lambda ok, data: [ok, data["id"]])
    response = client.post("/1.1/functions/BigQuery/onComplete", {"id": "j", "status": status, "message": "m"})
    assert response.json == {"result": [ok, "j"]}


@pytest.mark.parametrize("name", sorted(REALTIME))
def test_realtime_hooks_are_functions_by_name(engine: Engine, client: Client, name: str) -> None:
    """They are called at the functions endpoint with keyword arguments, but are no functions in the registry."""

    def hook(**params: Any) -> Any:
        return params

    hook.__name__ = name
    engine.define(hook)
    assert client.call(name, {"convId": "c", "_x": 1}).json == {"result": {"convId": "c"}}
    assert name not in engine.registry


@pytest.mark.parametrize(
    "path", ["T/beforeSave", "T/beforeFoo", "onVerified/fax", "_User/onLogout", "BigQuery/onStart", "_User/onLogin"]
)
def test_unknown_hooks(client: Client, path: str) -> None:
    """No such event and no such hook are both 404."""
    assert client.post(f"/1.1/functions/{path}", {"object": {}}).failure[:2] == (404, 404)


@pytest.mark.parametrize(
    "body", [{}, {"object": None}, {"object": []}, {"object": {"at": {"__type": "Date", "iso": "x"}}}]
)
def test_a_hook_needs_its_object(engine: Engine, client: Client, body: Any) -> None:
    """A body without a valid object is malformed."""
    engine.before_save("T")(lambda thing: None)
    assert client.post("/1.1/functions/T/beforeSave", body).failure[:2] == (400, 107)


def test_the_user_of_a_hook_is_in_its_body(engine: Engine, client: Client) -> None:
    """`engine.current.user` is an object of `_User`, or None, and sets the session token."""
    seen: list[Any] = []
    engine.after_save("T")(lambda thing: seen.extend([engine.current_user, engine.current.session_token]))
    user = {"objectId": "u", "username": "x", "sessionToken": "token"}
    client.post("/1.1/functions/T/afterSave", {"object": {}, "user": user})
    client.post("/1.1/functions/T/afterSave", {"object": {}})
    assert [seen[0].id, seen[0].get("username"), *seen[1:]] == ["u", "x", "token", None, None]
    assert engine.current.user is None


def test_metadatas_list_functions_and_hooks(engine: Engine) -> None:
    """Hooks have their system names."""
    nothing: Callable[..., None] = lambda *_: None  # noqa: E731
    engine.define("hello")(nothing)
    engine.define("_messageReceived")(nothing)
    for decorate in (engine.before_save, engine.after_save, engine.before_update, engine.after_update):
        decorate("Todo")(nothing)
    for decorate in (engine.before_delete, engine.after_delete):
        decorate("Todo")(nothing)
    engine.on_verified("sms")(nothing)
    engine.on_verified("email")(nothing)
    engine.on_login(nothing)
    engine.on_auth_data(nothing)
    engine.on_insight("end")(nothing)
    response = Client(engine, WITH_MASTER).get("/1.1/functions/_ops/metadatas")
    assert set(response.json["result"]) == {
        "hello",
        "_messageReceived",
        "__before_save_for_Todo",
        "__after_save_for_Todo",
        "__before_update_for_Todo",
        "__after_update_for_Todo",
        "__before_delete_for_Todo",
        "__after_delete_for_Todo",
        "__on_verified_sms",
        "__on_verified_email",
        "__on_login__User",
        "__on_authdata__User",
        "__on_complete_bigquery_job",
    }


def test_a_hook_may_be_async(engine: Engine, client: Client) -> None:
    """Hooks run to completion as functions do."""

    @engine.before_save("T")
    async def hook(thing: CloudObject) -> None:
        thing.set("a", 1)

    assert client.post("/1.1/functions/T/beforeSave", {"object": {}}).json == {"a": 1}


def test_invalid_hooks_are_refused(engine: Engine) -> None:
    """A second hook for an event and unknown kinds are RuntimeErrors when they are defined."""
    engine.before_save("T")(len)
    for define in (
        lambda: engine.before_save("T")(len),
        lambda: engine.on_verified("fax"),
        lambda: engine.on_insight("start"),
    ):
        with pytest.raises(RuntimeError):
            define()


def test_an_object_of_a_hook() -> None:
    """Get, set, has, id, dump and the switches for other hooks."""
    todo = CloudObject("Todo", {"objectId": "t", "a": None})
    todo.set("b", 1).set({"c": 2, "d": 3}).unset("d").unset("e")
    assert [todo.id, todo.get("a"), todo.get("x", 9), todo.has("a"), todo.has("b")] == ["t", None, 9, False, True]
    todo.disable_before_hook()
    todo.disable_after_hook()
    todo.disable_after_hook()
    assert todo.dump() == {
        "objectId": "t",
        "a": None,
        "b": 1,
        "c": 2,
        "__ignore_hooks": ["beforeSave", "beforeUpdate", "beforeDelete", "afterSave", "afterUpdate", "afterDelete"],
    }
    assert repr(todo) == "<CloudObject Todo t>"
    assert repr(CloudObject("Todo")) == "<CloudObject Todo (new)>"
    assert todo != CloudObject("Todo")
    assert todo != 1
