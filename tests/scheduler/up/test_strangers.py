"""What strangers reach beside the engine: the metrics, the log on a terminal, a user's own app around the engine."""

from __future__ import annotations

import json
import logging
from types import ModuleType
from typing import Any

import pytest

from scheduler.core.zone_names import zone
from scheduler.engine import Engine
from scheduler.engine.request import FORM_LIMIT_BYTES
from scheduler.functions.loading import Target
from scheduler.metrics import Metrics
from scheduler.up.application import application
from scheduler.up.log_setup import JsonFormatter, TextFormatter
from scheduler.up.metrics_endpoint import metrics_app
from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, WITH_KEY, Client

SHANGHAI = zone("Asia/Shanghai")
FORGED = "/boom\x1b[31m\nFORGED \x9b0m\r\u2028\u202e\x07end"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9100", 200),
        ("localhost", 200),
        ("[::1]:9100", 200),
        ("scheduler:9100", 200),
        ("Metrics.Shop.example:9100", 200),
        ("evil.example", 403),
        ("evil.example:9100", 403),
        ("127.0.0.1.evil.example", 403),
        ("1.2.3.4.5", 403),
        ("a, b", 403),
    ],
)
def test_the_metrics_are_read_by_a_name_of_this_machine(host: str, status: int) -> None:
    """A page in a browser can have a name of its own resolved to this machine, and would read them."""
    client = Client(metrics_app(Metrics(), "metrics.shop.example"), {"Host": host})
    assert client.get("/metrics").status == status


def record(**about: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "waitress", "levelname": "ERROR", "created": 0.0, **about})


def test_a_log_on_a_terminal_escapes_what_strangers_send() -> None:
    """In the message, in a traceback, in the name of the logger; no line of theirs looks like a record."""
    error = ValueError(FORGED)
    shown = TextFormatter(SHANGHAI).format(
        record(name="w\x1b[2J", msg="while serving %s", args=(FORGED,), exc_info=(ValueError, error, None))
    )
    first, *others = shown.split("\n")
    assert first.endswith("ERROR  w\\x1b[2J: while serving /boom\\x1b[31m")
    assert others
    assert all(line.startswith("    ") for line in others)
    assert all(character.isprintable() for line in shown.split("\n") for character in line)


def test_a_log_of_json_controls_no_terminal() -> None:
    """And is the same text for a program."""
    shown = JsonFormatter(SHANGHAI).format(record(msg=FORGED))
    assert shown.isprintable()
    assert json.loads(shown)["message"] == FORGED


def test_a_users_own_app_around_the_engine_has_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger sends as little as a form may have: enough for an app that adds the credentials itself."""
    monkeypatch.setenv("LEANCLOUD_APP_ID", APP_ID)
    monkeypatch.setenv("LEANCLOUD_APP_KEY", APP_KEY)
    engine = Engine()
    engine.define("hello")(lambda: "hello")

    def own(environ: Any, start_response: Any) -> Any:
        environ["seen"] = True
        return engine(environ, start_response)

    module = ModuleType("wsgi")
    module.application = own  # type: ignore[attr-defined]
    app = application(Target("wsgi.py", module, engine, engine.registry))
    assert Client(app).post("/1.1/functions/hello").json == {"result": "hello"}
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/1.1/functions/hello"}
    known = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in WITH_KEY.items()}
    assert (app.body_limit(environ), app.body_limit(environ | known)) == (FORM_LIMIT_BYTES, engine.max_body_bytes)
