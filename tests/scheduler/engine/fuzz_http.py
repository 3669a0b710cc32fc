"""schemathesis against the engine behind a real server: a program, not a test.

    python tests/scheduler/engine/fuzz_http.py --seconds 60

It writes the endpoints as an OpenAPI document, serves an engine on 127.0.0.1, and has schemathesis (`pip install
schemathesis`, or --program PATH) send valid and invalid requests. Every answer must be JSON of the documented shape,
never a 5xx, and without credentials a 401. The exit status is that of schemathesis; an error in the engine's log counts
as a failure, too.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from scheduler.engine import Engine, init
from scheduler.engine.hooks import REALTIME
from tests.scheduler.engine.real_server import serving
from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, HOOK_KEY, MASTER_KEY

PREFIXES = ("/1.1", "/1", "/__engine/1.1", "/__engine/1")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
ERROR = {
    "type": "object",
    "required": ["code", "error", "requestId"],
    "properties": {"code": {"type": "integer"}, "error": {"type": "string"}, "requestId": {"type": "string"}},
}
RESULT = {"type": "object", "required": ["result"], "properties": {"result": {}}}
OBJECT = {"type": "object"}
PARAMETERS = [
    {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
    for name in (
        *("X-LC-Session", "X-LC-Prod", "X-LC-Sign", "X-Uluru-Session-Token", "X-AVOSCloud-Application-Production"),
        *("X-Request-Id", "X-Real-IP", "X-Forwarded-For", "Origin"),
        *("X-Timer-Name", "X-Timer-Scheduled-Time", "X-Timer-Attempt", "X-Timer-Past-Due"),
    )
]
TYPED = {
    "anyOf": [
        {"type": "object", "properties": {"__type": {"enum": ["Date"]}, "iso": {"type": "string"}}},
        {"type": "object", "properties": {"__type": {"enum": ["Bytes"]}, "base64": {"type": "string"}}},
        {
            "type": "object",
            "properties": {"__type": {"enum": ["Object", "Pointer", "GeoPoint", "File"]}, "className": {}},
        },
        {},
    ]
}


def operation(body: Any, answer: Any) -> dict[str, Any]:
    """A POST with a JSON body."""
    answers = {"200": answer} | dict.fromkeys(("400", "401", "404", "405", "413"), ERROR)
    return {
        "post": {
            "parameters": PARAMETERS,
            "requestBody": {"content": {"application/json": {"schema": body}}},
            "responses": {
                status: {"description": status, "content": {"application/json": {"schema": schema}}}
                for status, schema in answers.items()
            },
        }
    }


def document() -> dict[str, Any]:
    """The endpoints that take bodies, under each prefix, as OpenAPI."""
    anything = {"type": "object", "additionalProperties": True}
    hooked = {"type": "object", "properties": {"object": anything, "user": anything}}
    typed = {"type": "object", "additionalProperties": TYPED}
    paths: dict[str, Any] = {}
    for prefix in PREFIXES:
        functions = f"{prefix}/functions"
        paths |= {
            f"{functions}/echo": operation(anything, RESULT),
            f"{functions}/typed": operation(anything, RESULT),
            f"{functions}/_messageReceived": operation(anything, RESULT),
            f"{prefix}/call/echo": operation(typed, RESULT),
            f"{functions}/Todo/beforeSave": operation(hooked, OBJECT),
            f"{functions}/Todo/beforeUpdate": operation(hooked, OBJECT),
            f"{functions}/Todo/beforeDelete": operation(hooked, OBJECT),
            f"{functions}/Todo/afterSave": operation(hooked, RESULT),
            f"{functions}/onVerified/sms": operation(hooked, RESULT),
            f"{functions}/_User/onLogin": operation(hooked, OBJECT),
            f"{functions}/_User/onAuthData": operation({"type": "object", "properties": {"authData": {}}}, RESULT),
            f"{functions}/BigQuery/onComplete": operation(anything, RESULT),
        }
    headers = {"AppId": "X-LC-Id", "AppKey": "X-LC-Key"}
    return {
        "openapi": "3.0.3",
        "info": {"title": "LeanEngine's protocol", "version": "1.1"},
        "paths": paths,
        "components": {
            "securitySchemes": {name: {"type": "apiKey", "in": "header", "name": h} for name, h in headers.items()}
        },
        "security": [{name: [] for name in headers}],
    }


def engine() -> Engine:
    """An engine with a function or hook for each endpoint; none of them fails by itself."""
    engine = Engine(fetch_user=lambda token: token)
    engine.define("echo")(lambda **params: params)
    assert "_messageReceived" in REALTIME
    engine.define("_messageReceived")(lambda **params: params)

    @engine.define
    def typed(n: int = 0, x: float = 0.0, text: str = "", yes: bool = False) -> Any:
        return [n, x, text, yes]

    for decorator in (engine.before_save, engine.before_update, engine.before_delete, engine.after_save):
        decorator("Todo")(lambda _: None)
    engine.on_verified("sms")(lambda _: None)
    engine.on_login(lambda _: None)
    engine.on_auth_data(lambda data: data)
    engine.on_insight("end")(lambda ok, data: [ok, data])
    return engine


class LoggedErrors(logging.Handler):
    """Collects the errors in the engine's log."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", default=shutil.which("schemathesis"), help="the command schemathesis")
    options = parser.parse_args()
    if not options.program:
        parser.error("schemathesis is not installed; pip install schemathesis, or name it with --program")
    errors = LoggedErrors()
    logging.getLogger("scheduler.engine").addHandler(errors)
    init(APP_ID, APP_KEY, MASTER_KEY, HOOK_KEY)
    with tempfile.TemporaryDirectory() as folder, serving(engine(), threads=68) as url:
        schema = Path(folder, "openapi.json")
        schema.write_text(json.dumps(document()))
        keys = [f"X-LC-Id: {APP_ID}", f"X-LC-Key: {APP_KEY}", f"X-LC-Hook-Key: {HOOK_KEY}"]
        words = [options.program, "run", str(schema), "--url", url, "--checks", ",".join(CHECKS)]
        words += ["--max-time", str(options.seconds), "--phases", "coverage,fuzzing", "--seed", str(options.seed)]
        words += ["--request-timeout", "10"]
        words += [word for key in keys for word in ("-H", key)]
        status = subprocess.run(words, cwd=folder, check=False).returncode
    for text in errors.texts[:5]:
        print(text, file=sys.stderr)
    return status or bool(errors.texts)


if __name__ == "__main__":
    sys.exit(main())
