"""LeanCloud's SDK in one environment with this package, as a team has it whose data stays on LeanCloud for now.

`SDK_OF_LEANCLOUD_PYTHON` names the Python of an environment that was made by the command on the page on moving.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.up_process import Up, clean_environ, fetch, up

PYTHON = os.environ.get("SDK_OF_LEANCLOUD_PYTHON", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="SDK_OF_LEANCLOUD_PYTHON names no Python with the package leancloud"),
]

KEYS = {"LEANCLOUD_APP_ID": "id", "LEANCLOUD_APP_KEY": "key", "LEANCLOUD_APP_MASTER_KEY": "master"}
HEADERS = {"X-LC-Id": "id", "X-LC-Key": "key"}

VALUES = """
import json
from datetime import datetime, timedelta, timezone

import leancloud
from leancloud import Object, User, GeoPoint, File, ACL, Relation, Role
from leancloud.utils import encode as theirs

from scheduler.engine.typed_values import encode as ours

review = Object.extend("Review")(comment="good", at=datetime(2026, 1, 5, 8, tzinfo=timezone(timedelta(hours=8))))
review.id = "r1"
inner = Object.extend("Author").create_without_data("a1")
review.set("author", inner)
user = User()
user.set("username", "ann")
user.id = "u1"
file = File.create_without_data("f1")
file._url = file._successful_url = "https://files.example.com/a.txt"
acl = ACL()
acl.set_public_read_access(True)
values = {
    "object": review, "new object": Object.extend("Review")(), "user": user, "point": GeoPoint(39.9, 116.4),
    "file": file, "acl": acl, "role": Role("admin"), "relation": Relation(review, "likes"),
    "aware": datetime(2026, 1, 5, tzinfo=timezone.utc), "naive": datetime(2026, 1, 5, 12, 30, 15, 123456),
    "list": [review, GeoPoint(1, 2), None, 1.5], "dict": {"a": {"b": user}}, "text": "t", "null": None, "true": True,
}
print(json.dumps({name: [ours(value), theirs(value, dump_objects=True)] for name, value in values.items()}))
"""

CLOUD = """
import leancloud
from scheduler.engine import Engine

leancloud.init("id", app_key="key", master_key="master")
engine = Engine()


@engine.define
def lacks():
    raise leancloud.LeanCloudError(211, "Could not find user.")


@engine.define
def refuses():
    raise leancloud.LeanEngineError(123, "no")


@engine.define
def review(place):
    print("a review at", place)
    found = leancloud.Object.extend("Review").create_without_data("r1")
    found.set("place", leancloud.GeoPoint(place["latitude"], place["longitude"]))
    return {"review": found, "file": leancloud.File.create_without_data("f1")}


@engine.define
def unsaved():
    return leancloud.File("a", b"content")


@engine.before_save("Review")
def before_review(obj):
    obj.set("place", leancloud.GeoPoint(1, 2))
    obj.set("authors", [leancloud.Object.extend("Author").create_without_data("a1")])
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("beside")
    (folder / "cloud.py").write_text(CLOUD)
    with up(folder, python=PYTHON, LEANCLOUD_APP_HOOK_KEY="hook", **KEYS) as running:
        yield running


def call(served: Up, path: str, fields: Any, **headers: str) -> tuple[int, Any]:
    status, text = fetch(f"{served.url}/1.1/{path}", HEADERS | headers, json.dumps(fields).encode())
    answer = json.loads(text)
    answer.pop("requestId", None)
    return status, answer


def test_the_requirements_of_both_hold() -> None:
    """pip finds nothing to complain of, and Flask is one that the SDK can stand beside."""
    checked = subprocess.run([PYTHON, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    gevent = "leancloud 3.0.2 requires gevent, which is not installed.\n"  # from Python 3.12 on, see the page
    assert checked.stdout in ("No broken requirements found.\n", gevent)
    code = "import leancloud, flask, scheduler.engine; print('imported')"
    imported = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False)
    assert imported.stdout == "imported\n", imported.stderr


def test_values_of_the_sdk_are_encoded_as_it_encodes_them(tmp_path: Path) -> None:
    """Objects, users, points, files, rights, relations and instants, also within lists and objects."""
    ran = subprocess.run(
        [PYTHON, "-W", "ignore", "-c", VALUES],
        cwd=tmp_path,
        env=clean_environ() | {"TZ": "Asia/Shanghai"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    pairs = json.loads(ran.stdout)
    assert len(pairs) == 15
    for name, (ours, theirs) in pairs.items():
        assert ours == theirs, name


def test_errors_of_the_sdk_reach_the_client_with_their_code(served: Up) -> None:
    """LeanCloudError, and LeanEngineError where an import line was left as it was."""
    assert call(served, "functions/lacks", {}) == (400, {"code": 211, "error": "Could not find user."})
    assert call(served, "functions/refuses", {}) == (400, {"code": 123, "error": "no"})


def test_an_rpc_returns_objects_of_the_sdk(served: Up) -> None:
    """A plain call refuses them, as it does on LeanCloud."""
    point = {"__type": "GeoPoint", "latitude": 39.9, "longitude": 116.4}
    expected = {
        "review": {"__type": "Object", "className": "Review", "objectId": "r1", "place": point},
        "file": {"__type": "File", "id": "f1", "name": "", "url": None},
    }
    assert call(served, "call/review", {"place": point}) == (200, {"result": expected})
    status, answer = call(served, "functions/review", {"place": point})
    assert (status, answer["code"]) == (500, 1)
    assert "not JSON" in answer["error"]
    status, answer = call(served, "call/unsaved", {})
    assert (status, answer["code"]) == (500, 1)
    assert "unsaved file" in answer["error"]


def test_a_hook_sets_values_of_the_sdk(served: Up) -> None:
    """They are in the object that is saved; another object is a pointer there."""
    answer = call(served, "functions/Review/beforeSave", {"object": {"comment": "c"}}, **{"X-LC-Hook-Key": "hook"})
    place = {"__type": "GeoPoint", "latitude": 1, "longitude": 2}
    author = {"__type": "Pointer", "className": "Author", "objectId": "a1"}
    assert answer == (200, {"comment": "c", "place": place, "authors": [author]})


def test_a_timer_whose_function_the_data_storage_refuses_has_not_failed_for_the_breaker(served: Up) -> None:
    """The run's text has code and message; no traceback is among its lines."""

    def cli(*words: str) -> Any:
        command = [PYTHON, "-m", "scheduler", *words, "--json"]
        ran = subprocess.run(command, cwd=served.folder, capture_output=True, text=True, check=False)
        assert ran.returncode in (0, 1), ran.stderr
        return json.loads(ran.stdout) if ran.stdout else None

    cli("timers", "add", "t", "--function", "lacks", "--every", "86400")
    run = cli("timers", "run", "t", "--wait")
    assert (run["outcome"], "[211] Could not find user." in str(run)) == ("failed", True)
    (timer,) = cli("timers", "list")
    assert (timer["breaker"]["state"], timer["breaker"]["consecutive_failures"]) == ("closed", 0)
