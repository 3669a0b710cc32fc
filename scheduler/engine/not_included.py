"""The names of LeanCloud's SDK for Python that are not included here, and what to use instead of each.

Lives here: the table, and the errors with the advice. Never here: names that both have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

_PAGE = "docs/migrating-from-leancloud.md, “What is not included”"
_STORAGE = (
    "the data storage is not included: import it from leancloud while LeanCloud is in service (its SDK may be "
    "installed beside this package), and move the data to a database of your own"
)
_OBJECT = f"hooks and RPC get a scheduler.engine.CloudObject, and {_STORAGE}"
_PUSH = "push is not included: call APNs, FCM or the phone makers' services"
_MESSAGING = "instant messaging is not included: use an XMPP, Matrix or MQTT server"
_SMS = "SMS are not included: call your carrier's or cloud's API"
_CLIENT = "remove the line: no call to LeanCloud is made, and cloud.run reaches the server in LEANCLOUD_API_SERVER"
_HOOK = "it is a method of an engine, as in @engine.{}(…)"

#: Names in `from leancloud import …` and `from leancloud.engine import …`.
NOT_IN_ENGINE: dict[str, str] = {
    **dict.fromkeys(("Object", "User", "GeoPoint", "File", "Relation", "ACL", "Role"), _OBJECT),
    **dict.fromkeys(("Query", "FriendshipQuery", "InboxQuery", "Status"), _STORAGE),
    **dict.fromkeys(("acl", "file_", "geo_point", "object_", "operation", "query", "relation", "role"), _STORAGE),
    **dict.fromkeys(("push", "Installation", "Notification"), _PUSH),
    **dict.fromkeys(("Conversation", "Message", "SysMessage", "conversation", "message", "sys_message"), _MESSAGING),
    **dict.fromkeys(("client", "use_master_key", "use_production", "use_region"), _CLIENT),
    **dict.fromkeys(("AuthorizationMiddleware", "CORSMiddleware", "LeanEngineApplication"), "Engine does what it did"),
    "CookieSessionMiddleware": "use the sessions of your web framework, and Engine(fetch_user=…) for session tokens",
    "LeanCloudWarning": "no warning of that class is given; remove the line",
    "errors": "use scheduler.engine.LeanEngineError and scheduler.engine.LeanCloudError",
    "leanengine": "use scheduler.engine.Engine and its methods",
    "user": "use engine.current.user",
    "context": "use engine.current",
    **{name: _HOOK.format(name) for name in ("before_save", "after_save", "before_update", "after_update")},
    **{name: _HOOK.format(name) for name in ("before_delete", "after_delete")},
}

#: Attributes of `cloud`.
NOT_IN_CLOUD: dict[str, str] = {
    **dict.fromkeys(("request_sms_code", "verify_sms_code"), _SMS),
    **dict.fromkeys(
        ("request_captcha", "verify_captcha", "Captcha"), "captchas are not included: use a provider's API"
    ),
    "get_server_time": "use datetime.now(UTC): the functions run on your own server",
    "Error": "use scheduler.engine.LeanEngineError",
}

#: Attributes of `engine`.
NOT_OF_AN_ENGINE: dict[str, str] = {
    "run": "run `scheduler up`, which serves the engine and fires its timers; engine.start() only serves it",
    "app": "the engine is the WSGI application itself",
    "cloud_app": "the engine is the WSGI application itself",
    "origin_app": "keep the app that you gave to Engine(app) or engine.wrap(app)",
    **{name: advice for name, advice in NOT_IN_ENGINE.items() if name[0].isupper()},
}

_ARITHMETIC = "use get and set, as in review.set('likes', review.get('likes', 0) + 1)"
_OF_THE_STORAGE = f"saving, loading and deleting are up to your code, since {_STORAGE}"

#: Attributes of an object or a user.
NOT_OF_AN_OBJECT: dict[str, str] = {
    **dict.fromkeys(("save", "save_all", "destroy", "destroy_all", "fetch", "query", "relation"), _OF_THE_STORAGE),
    **dict.fromkeys(("create", "create_without_data", "extend", "as_class", "is_existed"), _OF_THE_STORAGE),
    **dict.fromkeys(("increment", "add", "add_unique", "remove", "bit_and", "bit_or", "bit_xor"), _ARITHMETIC),
    "created_at": "use get('createdAt')",
    "updated_at": "use get('updatedAt')",
    "is_new": "use id, which is None before the first save",
    "clear": "use unset for each field",
    "attributes": "use dump()",
    "get_acl": "use get('ACL')",
    "set_acl": "use set('ACL', …)",
    "ignore_hook": "use disable_before_hook() and disable_after_hook()",
    "session_token": "use get('sessionToken'), and engine.current.session_token for that of the caller",
    "get_session_token": "use get('sessionToken'), and engine.current.session_token for that of the caller",
    "get_username": "use get('username')",
    "get_email": "use get('email')",
    "get_mobile_phone_number": "use get('mobilePhoneNumber')",
    "is_authenticated": "users and sessions are up to your code: see Engine(fetch_user=…)",
    "get_roles": "users and roles are up to your code: see Engine(fetch_user=…)",
}


def import_error(module: str, table: dict[str, str]) -> Callable[[str], NoReturn]:
    """A module's `__getattr__`: ImportError with advice for a name in the table, else AttributeError.

    `from module import name` would replace an AttributeError with an ImportError without its text.
    """

    def missing(name: str) -> NoReturn:
        if name in table:
            raise ImportError(_text(module, name, table), name=module)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return missing


def attribute_error(instance: Any, name: str) -> AttributeError:
    """The error of an engine that lacks an attribute, with advice for one that LeanCloud's has."""
    return _attribute_error(instance, name, NOT_OF_AN_ENGINE)


def object_error(instance: Any, name: str) -> AttributeError:
    """The error of an object that lacks an attribute, with advice for one that LeanCloud's has."""
    return _attribute_error(instance, name, NOT_OF_AN_OBJECT)


def _attribute_error(instance: Any, name: str, table: dict[str, str]) -> AttributeError:
    owner = type(instance).__name__
    if name in table:
        return AttributeError(_text(owner, name, table), name=name, obj=instance)
    return AttributeError(f"{owner!r} object has no attribute {name!r}", name=name, obj=instance)


def _text(owner: str, name: str, table: dict[str, str]) -> str:
    return f"{owner} has no {name}, which LeanCloud's SDK has; {table[name]} ({_PAGE})"
