"""LeanCloud's sample project for Python, moved by the commands of the page: the same files in small, with its pins."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.migration_page import PAGES, blocks, variables
from tests.scheduler.up_process import clean_environ, fetch, up

pytestmark = pytest.mark.slow

SDK_PYTHON = os.environ.get("SDK_OF_LEANCLOUD_PYTHON", "")

REQUIREMENTS = """\
gevent-websocket>=0.9.5,<1.0.0
leancloud>=2.9.1,<3.0.0
Flask>=1.0.0
Flask-Sockets>=0.1,<1.0
markupsafe<=2.0.1
"""
APP = """\
from datetime import datetime

from flask import Flask
from flask_sockets import Sockets

app = Flask(__name__)
sockets = Sockets(app)


@app.route("/")
def index():
    return "index"


@sockets.route("/echo")
def echo(socket):
    while True:
        socket.send(socket.receive())
"""
#: A part of the site that uses the data storage.
TODOS = """
import leancloud
from flask import jsonify

Todo = leancloud.Object.extend("Todo")


@app.route("/todos")
def todos():
    return jsonify(Todo(content="write").dump())
"""
CLOUD = """\
from leancloud import Engine
from leancloud import LeanEngineError

engine = Engine()


@engine.define
def hello(**params):
    return "Hello, {}!".format(params.get("name", "LeanCloud"))


@engine.define
def environment(**params):
    import os

    return [os.environ.get(name) for name in ("LC_APP_ID", "LC_APP_PROD", "LC_APP_ENV", "LEANCLOUD_APP_ENV")]


@engine.before_save("Todo")
def before_todo_save(todo):
    content = todo.get("content")
    if not content:
        raise LeanEngineError("Content cannot be empty!")
    if len(content) >= 240:
        todo.set("content", content[:240] + " ...")
"""
WSGI = """\
from gevent import monkey
monkey.patch_all()

import os

import leancloud
from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler

from app import app
from cloud import engine

APP_ID = os.environ['LEANCLOUD_APP_ID']
APP_KEY = os.environ['LEANCLOUD_APP_KEY']
MASTER_KEY = os.environ['LEANCLOUD_APP_MASTER_KEY']
PORT = int(os.environ['LEANCLOUD_APP_PORT'])

leancloud.init(APP_ID, app_key=APP_KEY, master_key=MASTER_KEY)
leancloud.use_master_key(False)

application = engine.wrap(app)


if __name__ == '__main__':
    app.debug = True
    server = WSGIServer(('localhost', PORT), application, handler_class=WebSocketHandler)
    server.serve_forever()
"""


def write_sample(folder: Path) -> None:
    for name, text in (("requirements.txt", REQUIREMENTS), ("app.py", APP), ("cloud.py", CLOUD), ("wsgi.py", WSGI)):
        (folder / name).write_text(text)


def page_commands() -> list[str]:
    """The commands of the page that make its changes: of requirements.txt, cloud.py and wsgi.py."""
    (block,) = [block for block in blocks(PAGES[0], "sh") if block.startswith("sed ")]
    lines = block.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["requirements.txt", "cloud.py", "wsgi.py"]
    return lines


def without_sockets(folder: Path) -> None:
    """What the page leaves to the reader: the routes of Flask-Sockets."""
    text = (folder / "app.py").read_text()
    text = re.sub(r"@sockets\.route.*?(?=\n\n\n|\Z)", "", text, flags=re.DOTALL)
    (folder / "app.py").write_text(re.sub(r"^.*sockets.*\n", "", text, flags=re.MULTILINE | re.IGNORECASE))


def call(url: str, path: str, fields: Any, **headers: str) -> tuple[int, Any]:
    keys = {"X-LC-Id": "my-app-id", "X-LC-Key": "my-app-key", "X-LC-Hook-Key": "my-hook-key"}
    status, text = fetch(f"{url}/1.1/{path}", keys | headers, json.dumps(fields).encode())
    return status, json.loads(text)


def check(url: str) -> None:
    """The site, a function, the variables of 2016, and a hook with its refusal."""
    assert fetch(url + "/") == (200, "index")
    assert call(url, "functions/hello", {"name": "Ann"}) == (200, {"result": "Hello, Ann!"})
    production = ["my-app-id", "1", "production", "production"]
    assert call(url, "functions/environment", {}) == (200, {"result": production})
    status, refusal = call(url, "functions/Todo/beforeSave", {"object": {"content": ""}})
    assert (status, refusal["error"]) == (400, "Content cannot be empty!")
    answer = call(url, "functions/Todo/beforeSave", {"object": {"content": "x" * 300}})
    assert answer == (200, {"content": "x" * 240 + " ..."})


def test_the_sample_project_moves_by_the_commands_of_the_page(tmp_path: Path) -> None:
    """Requirements without the SDK's pins, and the project is served as on LeanCloud."""
    write_sample(tmp_path)
    for line in page_commands():
        subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=tmp_path, check=True)
    without_sockets(tmp_path)
    assert (tmp_path / "requirements.txt").read_text() == "quartzcron[scheduler]\nFlask>=1.0.0\n"
    with up(tmp_path, "--env", "production", **variables()) as running:
        check(running.url)


def test_as_it_was_the_first_line_to_change_is_named(tmp_path: Path) -> None:
    """Without the changes, the start is refused with the first one to make."""
    write_sample(tmp_path)
    (tmp_path / "wsgi.py").write_text(WSGI.partition("import os")[1] + WSGI.partition("import os")[2])
    command = [sys.executable, "-m", "scheduler", "up", "--port", "0"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=clean_environ() | variables(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert "(line 3: import leancloud); change the line to `from scheduler.engine import …`" in ran.stderr


@pytest.mark.skipif(not SDK_PYTHON, reason="SDK_OF_LEANCLOUD_PYTHON names no Python with the package leancloud")
def test_functions_move_while_data_stays(tmp_path: Path) -> None:
    """Beside the SDK, only the import line of cloud.py and gevent's lines change."""
    write_sample(tmp_path)
    subprocess.run(["bash", "-euo", "pipefail", "-c", page_commands()[1]], cwd=tmp_path, check=True)
    without_sockets(tmp_path)
    with (tmp_path / "app.py").open("a") as file:
        file.write(TODOS)
    lines = WSGI.splitlines(keepends=True)
    (tmp_path / "wsgi.py").write_text("".join(line for line in lines if not re.search("gevent|monkey|WSGIS", line)))
    assert "import leancloud\n" in (tmp_path / "wsgi.py").read_text()
    with up(tmp_path, "--env", "production", python=SDK_PYTHON, **variables()) as running:
        check(running.url)
        status, text = fetch(running.url + "/todos")
        assert (status, json.loads(text)) == (200, {"content": "write"})
