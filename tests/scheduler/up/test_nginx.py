"""nginx in front of the service, by the block of the page on deployment, with TLS."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scheduler.core.deadlines import FUNCTION_LIMIT_S
from scheduler.engine.body import LIMIT_BYTES
from tests.scheduler.broker_servers import free_port
from tests.scheduler.migration_page import deployment_files, files, variables
from tests.scheduler.up_process import up
from tests.waiting import PATIENCE_S, eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="there is no nginx or openssl"),
]

#: Added to the cloud.py of the page: a function that returns what it sees of its caller.
MORE = """

@engine.define
def seen(text="", **params):
    current = engine.current
    return {
        "address": current.meta["remote_address"],
        "session": current.session_token,
        "timer": current.timer and current.timer.name,
        "request": current.request_id,
        "length": len(text),
        "params": params,
    }


@engine.define("你好")
def named():
    return "你好"
"""
WSGI = """
from scheduler.engine import HttpsRedirectMiddleware

application = HttpsRedirectMiddleware(application)
"""
MAIN = """
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{server}
}}
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the page's project, behind nginx, with the app's keys."""
    project, folder = tmp_path_factory.mktemp("shop"), tmp_path_factory.mktemp("nginx")
    for name in ("cloud.py", "wsgi.py", "app.py"):
        (project / name).write_text(files()[name] + {"cloud.py": MORE, "wsgi.py": WSGI}.get(name, ""))
    with up(project, "--env", "production", **variables()) as running, _nginx(folder, running.url) as url:
        headers = {"X-LC-Id": "my-app-id", "X-LC-Key": "my-app-key"}
        verified = ssl.create_default_context(cafile=str(folder / "shop.pem"))
        with httpx.Client(base_url=url, headers=headers, verify=verified, timeout=PATIENCE_S) as client:
            yield client


class _nginx:
    """nginx with the page's block, a generated certificate and a free port."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self._folder = folder
        _make_certificate(folder)
        self._port = free_port()
        server = deployment_files()["shop.conf"]
        for before, after in (
            ("listen 443 ssl;", f"listen 127.0.0.1:{self._port} ssl;"),
            ("/etc/ssl/", f"{folder}/"),
            ("http://127.0.0.1:3000", upstream),
        ):
            assert before in server
            server = server.replace(before, after)
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, server=server))

    def __enter__(self) -> str:
        words = ["nginx", "-e", str(self._folder / "error.log"), "-c", str(self._folder / "nginx.conf")]
        self._process = subprocess.Popen(words)
        eventually(self._listens)
        return f"https://127.0.0.1:{self._port}"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self._folder / "error.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def _make_certificate(folder: Path) -> None:
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1"]
    words += ["-keyout", str(folder / "shop.key"), "-out", str(folder / "shop.pem")]
    subprocess.run(words, check=True, capture_output=True)


def call(client: httpx.Client, name: str, fields: Any = None, **headers: str) -> Any:
    return client.post(f"/1.1/functions/{name}", json=fields or {}, headers=headers).json()


def test_functions_and_pages_are_reached(client: httpx.Client) -> None:
    """Also names that need escaping; TLS ends in nginx, so nothing is redirected."""
    assert call(client, "hello", {"name": "Ann"}) == {"result": "hello, Ann"}
    assert call(client, "你好") == {"result": "你好"}
    assert client.get("/").text == "a page"
    assert client.get("/__engine/1/ping").status_code == client.head("/__engine/1/ping").status_code == 200
    assert client.post(f"{client.base_url}//1.1/functions/hello").json() == {"result": "hello, world"}


def test_a_client_cannot_choose_its_address_or_pose_as_a_timer(client: httpx.Client) -> None:
    """nginx sets the address and drops the headers of timers; session and request id pass."""
    pretended = {"X-Real-IP": "203.0.113.9", "X-Forwarded-For": "203.0.113.9"}
    pretended |= {"X-Timer-Name": "nightly", "X-Timer-Scheduled-Time": "2026-01-05T00:00:00Z"}
    seen = call(client, "seen", {"a": 1}, **pretended, **{"X-LC-Session": "token", "X-Request-Id": "r-1"})["result"]
    assert seen == {
        "address": "127.0.0.1",
        "session": "token",
        "timer": None,
        "request": "r-1",
        "length": 0,
        "params": {"a": 1},
    }


def test_errors_arrive_as_they_were_sent(client: httpx.Client) -> None:
    """With their status, in JSON, open to pages of other origins."""
    origin = {"Origin": "https://www.example.com"}
    for path, headers, status in (
        ("/1.1/functions/hello", {"X-LC-Key": "wrong"}, 401),
        ("/1.1/functions/nothing", {}, 404),
        ("/1.1/functions/hello", {"X-LC-Prod": "0"}, 400),
    ):
        answer = client.post(path, headers=origin | headers)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, origin["Origin"])
        assert {"code", "error"} <= answer.json().keys()
    assert client.options("/1.1/functions/hello", headers=origin).status_code == 204


def test_the_largest_body_passes_and_a_larger_one_is_refused_by_the_engine(client: httpx.Client) -> None:
    """20 MB to the byte; nginx passes somewhat more, so that the refusal is JSON."""
    room = LIMIT_BYTES - len('{"text":""}')
    for size, status in ((room, 200), (room + 1, 413), (room + 5_000_000, 413)):
        answer = client.post("/1.1/functions/seen", content=b'{"text":"' + b"x" * size + b'"}')
        assert answer.status_code == status
        assert answer.json()["code"] == 413 if status == 413 else answer.json()["result"]["length"] == size


def test_nginx_waits_longer_than_a_function_may_take() -> None:
    """Otherwise the client would get a bad gateway instead of code 124."""
    (line,) = [line for line in deployment_files()["shop.conf"].splitlines() if "proxy_read_timeout" in line]
    assert int(line.split()[1].removesuffix("s;")) > FUNCTION_LIMIT_S


def test_a_chunked_body_passes(client: httpx.Client) -> None:
    """nginx reads it completely first."""

    def pieces() -> Iterator[bytes]:
        text = json.dumps({"name": "Ann"}).encode()
        for position in range(len(text)):
            yield text[position : position + 1]

    assert client.post("/1.1/functions/hello", content=pieces()).json() == {"result": "hello, Ann"}
