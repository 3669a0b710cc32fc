"""The engine behind gunicorn; skipped if that is not installed."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, WITH_KEY
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

CLOUD = f"""
import time
from scheduler.engine import Engine, init

init({APP_ID!r}, {APP_KEY!r})
engine = Engine(function_limit_s=0.5)
engine._execution.pool.run(lambda: None, 1.0, late=lambda: None)
engine.define("echo")(lambda **params: params)
engine.define("hangs")(lambda: time.sleep(1.5))
"""


@pytest.fixture(params=[["--worker-class=sync"], ["--worker-class=gthread", "--threads=4"]])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The base URL of two workers that were forked from a loaded engine."""
    pytest.importorskip("gunicorn")
    (tmp_path / "gunicorn_cloud.py").write_text(CLOUD)
    options = ["--bind=127.0.0.1:0", "--workers=2", "--preload", *request.param]
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "gunicorn", *options, f"--chdir={tmp_path}", "gunicorn_cloud:engine"],
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr
        listening = next(line for line in server.stderr if "Listening at" in line)
        address = re.search(r"http://[\d.:]+", listening)
        assert address
        yield address[0]
        server.terminate()
        server.stderr.read()


def chunks() -> Iterator[bytes]:
    yield b'{"a"'
    yield b": 1}"


def test_calls_behind_gunicorn(url: str) -> None:
    """Plain and chunked bodies, HEAD, limits and keep-alive, from workers forked after the engine was loaded."""
    path = url + "/1.1/functions/"
    with httpx.Client(headers=WITH_KEY, timeout=PATIENCE_S) as client:
        assert client.post(path + "echo", json={"a": 1}).json() == {"result": {"a": 1}}
        assert client.post(path + "echo", content=chunks()).json() == {"result": {"a": 1}}
        assert client.head(path + "echo").status_code == 200
        assert client.post(path + "echo", content=b"{").json()["code"] == 107
        assert client.post(path + "hangs").json()["code"] == 124
        assert client.post(path + "echo", content=b"x" * (20 * 1024 * 1024 + 1)).status_code == 413
        assert client.get(url + "/__engine/1/ping").status_code == 200


@pytest.mark.parametrize(
    ("content_type", "length", "status"),
    [("application/json", 20_000_000, b"401"), ("text/plain", 20_000_000, b"413")],
)
def test_a_stranger_behind_gunicorn_is_refused_before_its_body_comes(
    url: str, content_type: str, length: int, status: bytes
) -> None:
    """By its headers, which is all that the engine reads."""
    address = urlsplit(url)
    lines = (
        "POST /1.1/functions/echo HTTP/1.1",
        "Host: x",
        f"Content-Type: {content_type}",
        f"Content-Length: {length}",
    )
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=PATIENCE_S) as client:
        client.sendall("\r\n".join((*lines, "", "")).encode())
        assert client.recv(100).split()[1] == status
