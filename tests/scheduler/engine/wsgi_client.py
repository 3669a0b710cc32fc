"""A client that calls a WSGI app in this process, as strictly as wsgiref.validate allows."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

APP_ID, APP_KEY, MASTER_KEY, HOOK_KEY = "test-app-id", "test-app-key", "test-master-key", "test-hook-key"
WITH_KEY = {"X-LC-Id": APP_ID, "X-LC-Key": APP_KEY}
WITH_MASTER = {"X-LC-Id": APP_ID, "X-LC-Key": f"{MASTER_KEY},master"}
WITH_HOOK_KEY = {**WITH_KEY, "X-LC-Hook-Key": HOOK_KEY}


class Response:
    """An answer: status, headers by lower-case name, body."""

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = int(status.split(maxsplit=1)[0])
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def failure(self) -> tuple[int, int, str]:
        """Status, code and text of an error."""
        return self.status, self.json["code"], self.json["error"]


class Client:
    """Calls one app; `headers` are sent with every request."""

    def __init__(self, app: Any, headers: dict[str, str] | None = None) -> None:
        self.app = validator(app)
        self.headers = WITH_KEY if headers is None else headers

    def request(
        self,
        method: str,
        path: str,
        fields: Any = None,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        **environ: Any,
    ) -> Response:
        """Send JSON `fields`, or a raw `body`; `headers` replace those of the client."""
        content = body if body is not None else (b"" if fields is None else json.dumps(fields).encode())
        started: list[tuple[str, list[tuple[str, str]]]] = []
        iterable = self.app(
            _environ(method, path, content, self.headers if headers is None else headers, environ),
            lambda status, headers, exc_info=None: started.append((status, headers)) or _no_write,
        )
        try:
            answered = b"".join(iterable)
        finally:
            iterable.close()
        assert len(started) == 1, "start_response is called exactly once"
        return Response(*started[0], answered)

    def post(self, path: str, fields: Any = None, **options: Any) -> Response:
        return self.request("POST", path, fields, **options)

    def get(self, path: str, **options: Any) -> Response:
        return self.request("GET", path, **options)

    def call(self, name: str, fields: Any = None, **options: Any) -> Response:
        """Call a function as the guide does."""
        return self.post(f"/1.1/functions/{name}", fields, **options)


def _environ(method: str, path: str, body: bytes, headers: dict[str, str], more: dict[str, Any]) -> dict[str, Any]:
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "SCRIPT_NAME": "",
        "QUERY_STRING": query,
        "REMOTE_ADDR": "192.0.2.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    setup_testing_defaults(environ)
    return environ | more


def _no_write(_: bytes) -> None:
    raise AssertionError("the engine never uses the write callable")
