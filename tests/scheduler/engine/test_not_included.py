"""Names of LeanCloud's SDK that have no counterpart: one error each, which says what to use."""

from __future__ import annotations

import copy
import pickle

import pytest

import scheduler.engine
from scheduler.engine import CloudObject, Engine, cloud
from scheduler.engine.not_included import NOT_IN_CLOUD, NOT_IN_ENGINE, NOT_OF_AN_ENGINE, NOT_OF_AN_OBJECT

#: The public names of `leancloud` 3.0.2, in its `__all__` or not.
OF_THE_SDK = [
    "ACL",
    "Conversation",
    "Engine",
    "File",
    "FriendshipQuery",
    "GeoPoint",
    "HttpsRedirectMiddleware",
    "InboxQuery",
    "Installation",
    "LeanCloudError",
    "LeanCloudWarning",
    "LeanEngineError",
    "Message",
    "Object",
    "Query",
    "Relation",
    "Role",
    "Status",
    "SysMessage",
    "User",
    "client",
    "cloud",
    "init",
    "push",
    "use_master_key",
    "use_production",
    "use_region",
]
#: Those of its `leancloud.engine`, and the public attributes of its Engine.
OF_ITS_ENGINE = [
    "AuthorizationMiddleware",
    "CORSMiddleware",
    "CookieSessionMiddleware",
    "HttpsRedirectMiddleware",
    "LeanEngineApplication",
    "LeanEngineError",
    "after_delete",
    "after_save",
    "after_update",
    "before_delete",
    "before_save",
    "before_update",
    "context",
    "current",
    "leanengine",
    "user",
]
OF_AN_ENGINE = [
    "after_delete",
    "after_save",
    "after_update",
    "app",
    "before_delete",
    "before_save",
    "before_update",
    "cloud_app",
    "current",
    "define",
    "on_auth_data",
    "on_bigquery",
    "on_insight",
    "on_login",
    "on_verified",
    "origin_app",
    "register",
    "run",
    "start",
    "stop",
    "wrap",
]
OF_AN_OBJECT = [
    "add",
    "add_unique",
    "as_class",
    "bit_and",
    "bit_or",
    "bit_xor",
    "clear",
    "create",
    "create_without_data",
    "created_at",
    "destroy",
    "destroy_all",
    "disable_after_hook",
    "disable_before_hook",
    "dump",
    "extend",
    "fetch",
    "get",
    "get_acl",
    "has",
    "id",
    "ignore_hook",
    "increment",
    "is_existed",
    "is_new",
    "query",
    "relation",
    "remove",
    "save",
    "save_all",
    "set",
    "set_acl",
    "unset",
    "updated_at",
    "updated_keys",
]
OF_CLOUD = [
    "Error",
    "Captcha",
    "get_server_time",
    "request_captcha",
    "request_sms_code",
    "rpc",
    "run",
    "verify_captcha",
    "verify_sms_code",
]


@pytest.mark.parametrize("name", sorted({*OF_THE_SDK, *OF_ITS_ENGINE}))
def test_an_import_of_each_name_works_or_says_what_to_use(name: str) -> None:
    """As in `from scheduler.engine import Query`."""
    line = f"from scheduler.engine import {name}"
    if name in NOT_IN_ENGINE:
        with pytest.raises(ImportError, match=f"scheduler.engine has no {name}, which LeanCloud's SDK has; "):
            exec(line)
        assert name not in scheduler.engine.__all__
    else:
        exec(line)


@pytest.mark.parametrize("name", OF_CLOUD)
def test_so_does_each_name_of_cloud(name: str) -> None:
    """As in `cloud.request_sms_code(…)`."""
    if name in NOT_IN_CLOUD:
        with pytest.raises(ImportError, match=f"has no {name}, which LeanCloud's SDK has; "):
            getattr(cloud, name)
    else:
        assert getattr(cloud, name)


@pytest.mark.parametrize("name", OF_AN_ENGINE)
def test_so_does_each_attribute_of_an_engine(name: str) -> None:
    """`hasattr` still answers: the error is an AttributeError."""
    engine = Engine()
    if name in NOT_OF_AN_ENGINE:
        with pytest.raises(AttributeError, match=f"Engine has no {name}, which LeanCloud's SDK has; "):
            getattr(engine, name)
        assert not hasattr(engine, name)
    else:
        assert hasattr(engine, name)


@pytest.mark.parametrize("name", OF_AN_OBJECT)
def test_so_does_each_attribute_of_an_object(name: str) -> None:
    """Those of `leancloud.Object`, which hooks got on LeanCloud."""
    review = CloudObject("Review", {"objectId": "r1"})
    if name in NOT_OF_AN_OBJECT:
        with pytest.raises(AttributeError, match=f"CloudObject has no {name}, which LeanCloud's SDK has; "):
            getattr(review, name)
    else:
        assert hasattr(review, name)


def test_an_object_is_copied_and_pickled() -> None:
    """Although it answers for attributes that it lacks."""
    review = CloudObject("Review", {"tags": ["a"]})
    assert copy.deepcopy(review) == pickle.loads(pickle.dumps(review)) == review


def test_other_names_are_missing_as_usual() -> None:
    """With the errors of Python, from which no text is taken."""
    with pytest.raises(ImportError, match=r"cannot import name 'Qurey' from 'scheduler\.engine'"):
        exec("from scheduler.engine import Qurey")
    with pytest.raises(AttributeError, match=r"module 'scheduler\.engine' has no attribute 'Qurey'"):
        _ = scheduler.engine.Qurey
    with pytest.raises(AttributeError, match="'Engine' object has no attribute 'defne'"):
        _ = Engine().defne  # type: ignore[attr-defined]
