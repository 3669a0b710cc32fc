"""The table of hooks: the path of each, its arguments, and its answer.

Lives here: the events, their system names, and the meaning of their bodies. Never here: the functions, which the
registry contains by (class, event).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .failures import MALFORMED, NOT_FOUND, RefusedError
from .typed_values import CloudObject, decode_fields

#: The body of a request.
JsonObject = Mapping[str, Any]
Arguments = tuple[Any, ...]


class HookEvent(NamedTuple):
    """One row: path below /functions, system name, arguments from the body, answer from arguments and result.

    `*` in the path and `{}` in the system name stand for the class, or for the kind in `on_verified`.
    """

    name: str
    path: tuple[str, str]
    system_name: str
    arguments: Callable[[str, JsonObject], Arguments]
    answer: Callable[[Arguments, Any], Any]
    logs_refusals: bool = False


def _object(class_name: str, fields: JsonObject) -> Arguments:
    received = _dictionary(fields, "object")
    updated = received.get("_updatedKeys")
    values = decode_fields({key: value for key, value in received.items() if key != "_updatedKeys"})
    return (CloudObject(class_name, values, updated_keys=updated if isinstance(updated, list) else ()),)


def _user(_: str, fields: JsonObject) -> Arguments:
    return _object("_User", fields)


def _auth_data(_: str, fields: JsonObject) -> Arguments:
    return (_dictionary(fields, "authData"),)


def _job(_: str, fields: JsonObject) -> Arguments:
    return fields.get("status") == "OK", dict(fields)


def _dictionary(fields: JsonObject, name: str) -> dict[str, Any]:
    value = fields.get(name)
    if not isinstance(value, dict):
        raise RefusedError(MALFORMED)
    return value


def _changed_object(arguments: Arguments, _: Any) -> Any:
    return arguments[0].dump()


def _nothing(_: Arguments, __: Any) -> Any:
    return {}


def _ok(_: Arguments, __: Any) -> Any:
    return {"result": "ok"}


def _result(_: Arguments, result: Any) -> Any:
    return {"result": result}


def _result_or_argument(arguments: Arguments, result: Any) -> Any:
    return {"result": arguments[0] if result is None else result}


EVENTS = (
    HookEvent("before_save", ("*", "beforeSave"), "__before_save_for_{}", _object, _changed_object),
    HookEvent("after_save", ("*", "afterSave"), "__after_save_for_{}", _object, _ok, True),
    HookEvent("before_update", ("*", "beforeUpdate"), "__before_update_for_{}", _object, _changed_object),
    HookEvent("after_update", ("*", "afterUpdate"), "__after_update_for_{}", _object, _ok, True),
    HookEvent("before_delete", ("*", "beforeDelete"), "__before_delete_for_{}", _object, _nothing),
    HookEvent("after_delete", ("*", "afterDelete"), "__after_delete_for_{}", _object, _ok, True),
    HookEvent("on_verified", ("onVerified", "*"), "__on_verified_{}", _user, _result),
    HookEvent("on_login", ("_User", "onLogin"), "__on_login__User", _user, _result),
    HookEvent("on_auth_data", ("_User", "onAuthData"), "__on_authdata__User", _auth_data, _result_or_argument),
    HookEvent("on_complete", ("BigQuery", "onComplete"), "__on_complete_bigquery_job", _job, _result),
)

VERIFIED_KINDS = ("sms", "email")

#: Hooks of the realtime service: called by these names at the functions endpoint, but with the hook key.
REALTIME = frozenset(
    {
        "_messageReceived",
        "_receiversOffline",
        "_messageSent",
        "_messageUpdate",
        "_conversationStart",
        "_conversationStarted",
        "_conversationAdd",
        "_conversationAdded",
        "_conversationRemove",
        "_conversationRemoved",
        "_conversationUpdate",
        "_clientOnline",
        "_clientOffline",
        "_rtmClientSign",
    }
)
REALTIME_CLASS = "realtime"

_BY_PATH = {event.path: event for event in EVENTS}
_BY_NAME = {event.name: event for event in EVENTS}


def event_at(first: str, second: str) -> tuple[HookEvent, str]:
    """The event at a path below /functions, and its class; RefusedError for an unknown event."""
    for path, class_name in (((first, second), first), (("*", second), first), ((first, "*"), second)):
        if event := _BY_PATH.get(path):
            return event, class_name
    raise RefusedError(NOT_FOUND)


def system_name(class_name: str, event: str) -> str:
    """The name of a hook in `_ops/metadatas`, as in `__before_save_for_Todo`."""
    return event if class_name == REALTIME_CLASS else _BY_NAME[event].system_name.format(class_name)


def user_of(fields: JsonObject) -> CloudObject | None:
    """The user in the body of a hook, None without one."""
    user = fields.get("user")
    return CloudObject("_User", decode_fields(user)) if isinstance(user, dict) else None
