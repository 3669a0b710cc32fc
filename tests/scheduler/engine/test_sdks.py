"""LeanCloud's own SDKs call the engine: clients that this project did not write.

They need old dependencies, and are therefore installed outside of the project: `SDK_OF_LEANCLOUD_PYTHON` names a
Python with the package `leancloud`, `SDK_OF_LEANCLOUD_NODE` a directory with `node_modules/leancloud-storage`.
Without them the tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.engine import CloudObject, Engine, LeanEngineError
from tests.scheduler.engine.real_server import serving
from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, MASTER_KEY
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

PYTHON = os.environ.get("SDK_OF_LEANCLOUD_PYTHON")
NODE = os.environ.get("SDK_OF_LEANCLOUD_NODE")

PYTHON_CALLS = """
import datetime, json, sys, leancloud
leancloud.init(sys.argv[1], app_key=sys.argv[2], master_key=sys.argv[3])
run, rpc, seen = leancloud.cloud.run, leancloud.cloud.rpc, {}
def attempt(name):
    try:
        return run(name)
    except leancloud.LeanCloudError as error:
        return [error.code, error.error]
seen["run"] = run("hello", name="x")
seen["refused"] = attempt("refuses")
seen["unknown"] = attempt("unknown")[0]
at = datetime.datetime(2026, 1, 5, tzinfo=datetime.timezone.utc)
todo = leancloud.Object.extend("Todo").create_without_data("t")
answer = rpc("later", at=at, todo=todo)
seen["rpc"] = [answer["todo"].id, answer["todo"].get("at") == at, answer["at"] == at]
user = leancloud.User()
user._session_token = "token"
leancloud.User.set_current(user)
seen["session"] = run("who")
leancloud.User.set_current(None)
leancloud.use_master_key(True)
seen["master"] = run("hello", name="m")
leancloud.use_production(False)
seen["stage"] = attempt("hello")
print(json.dumps(seen))
"""

NODE_CALLS = """
const AV = require('leancloud-storage');
const [appId, appKey, masterKey] = process.argv.slice(2);
AV.init({appId, appKey, masterKey, serverURL: process.env.LEANCLOUD_API_SERVER});
const attempt = name => AV.Cloud.run(name).catch(error => [error.code, error.rawMessage]);
(async () => {
  const seen = {};
  seen.run = await AV.Cloud.run('hello', {name: 'x'});
  seen.refused = await attempt('refuses');
  seen.unknown = (await attempt('unknown'))[0];
  const at = new Date('2026-01-05T00:00:00.000Z');
  const answer = await AV.Cloud.rpc('later', {at, todo: AV.Object.createWithoutData('Todo', 't')});
  seen.rpc = [answer.todo.id, +answer.todo.get('at') === +at, +answer.at === +at];
  seen.session = await AV.Cloud.run('who', {}, {sessionToken: 'token'});
  seen.master = await AV.Cloud.run('hello', {name: 'm'}, {useMasterKey: true});
  AV.setProduction(0);
  seen.stage = await attempt('hello');
  console.log(JSON.stringify(seen));
})();
"""

EXPECTED = {
    "run": "hello, x",
    "refused": [123, "no"],
    "unknown": 404,
    "rpc": ["t", True, True],
    "session": ["token", "user of token"],
    "master": "hello, m",
    "stage": [1, "The cloud code isn't deployed for prod 0."],
}


@pytest.fixture
def url() -> Iterator[str]:
    """The base URL of an engine for production."""
    engine = Engine(environment="production", fetch_user=lambda token: f"user of {token}")
    engine.define("hello")(lambda name: f"hello, {name}")
    engine.define("who")(lambda: [engine.current.session_token, engine.current.user])

    @engine.define
    def refuses() -> None:
        raise LeanEngineError(123, "no")

    @engine.define
    def later(at: Any, todo: CloudObject) -> Any:
        return {"at": at, "todo": todo.set("at", at)}

    with serving(engine) as url:
        yield url


def seen_by(command: list[str], url: str, **options: Any) -> Any:
    """The JSON that a script prints which calls the engine with the keys of the tests."""
    ran = subprocess.run(
        [*command, APP_ID, APP_KEY, MASTER_KEY],
        env=os.environ | {"LEANCLOUD_API_SERVER": url},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **options,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.skipif(not PYTHON, reason="SDK_OF_LEANCLOUD_PYTHON names no Python with the package leancloud")
def test_the_python_sdk(url: str) -> None:
    """`cloud.run`, `cloud.rpc`, session tokens, the master key and `use_production`."""
    assert seen_by([PYTHON or "", "-W", "ignore", "-c", PYTHON_CALLS], url) == EXPECTED


@pytest.mark.skipif(not (NODE and shutil.which("node")), reason="SDK_OF_LEANCLOUD_NODE names no leancloud-storage")
def test_the_javascript_sdk(url: str, tmp_path: Path) -> None:
    """`AV.Cloud.run`, `rpc`, session tokens, the master key and `setProduction(0)`."""
    script = tmp_path / "calls.js"
    script.write_text(NODE_CALLS)
    (tmp_path / "node_modules").symlink_to(Path(NODE or "") / "node_modules")
    assert seen_by(["node", "--preserve-symlinks-main", str(script)], url) == EXPECTED
