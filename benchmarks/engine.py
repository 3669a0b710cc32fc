"""The cost of the engine above a bare WSGI app: CPU per call in process, and latency behind a real server.

    python benchmarks/engine.py

Interleaved rounds on one core, medians of all rounds; compared with Flask with one JSON route, and with
functions-framework if it is installed. The goal is at most 60 µs of CPU per call above the bare app, and no more than
Flask with one route. A missed goal is printed as missed, and makes the exit status 1.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import io
import json
import logging
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import flask

from scheduler.engine import Engine, init
from scheduler.engine.http_server import Capacity, EngineServer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

GOAL_US = 60.0
ROUNDS, CALLS, REQUESTS, CLIENTS = 9, 3_000, 400, 4
BODY = b'{"name": "x"}'


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """The least that any adapter does: read JSON, call, answer JSON."""
    name = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))["name"]
    body = json.dumps({"result": f"hello, {name}"}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def engine() -> Engine:
    """An engine with a function, the same as async, and a hook, over the bare app."""
    engine = Engine(bare)
    engine.define("hello")(lambda name: f"hello, {name}")
    engine.before_save("Todo")(lambda _: None)

    @engine.define("async")
    async def hello(name: str) -> str:
        return f"hello, {name}"

    return engine


def one_route() -> flask.Flask:
    """The same in Flask, without credentials and limits."""
    app = flask.Flask("one_route")
    app.add_url_rule("/hello", view_func=lambda: {"result": f"hello, {flask.request.json['name']}"}, methods=["POST"])
    return app


FUNCTION = """
import flask

def hello(request):
    return flask.jsonify(result=f"hello, {request.json['name']}")
"""


def functions_framework() -> WSGIApplication | None:
    """The same under Google's functions-framework, None if that is not installed."""
    if importlib.util.find_spec("functions_framework") is None:
        return None
    from functions_framework import create_app

    with tempfile.NamedTemporaryFile("w", suffix=".py") as source:
        source.write(FUNCTION)
        source.flush()
        app: WSGIApplication = create_app("hello", source.name, "http")
    return app


def environ(path: str, body: bytes) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": "localhost",
        "HTTP_X_LC_ID": "id",
        "HTTP_X_LC_KEY": "key",
        "HTTP_X_LC_HOOK_KEY": "hook",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }


def cpu_us(app: WSGIApplication, path: str, body: bytes, calls: int) -> float:
    """Microseconds of CPU per call, of all threads of this process."""
    environs = [environ(path, body) for _ in range(calls)]
    statuses: list[str] = []
    started = time.process_time()
    for one in environs:
        b"".join(app(one, lambda status, *_: statuses.append(status)))
    spent = time.process_time() - started
    assert set(statuses) == {"200 OK"}, set(statuses)
    return spent / calls * 1e6


HEADERS = {"Content-Type": "application/json", "X-LC-Id": "id", "X-LC-Key": "key"}


def latency_us(url: str, path: str) -> float:
    """The median of the microseconds of one request over a persistent connection."""
    taken = []
    with contextlib.closing(_connection(url)) as connection:
        for _ in range(REQUESTS):
            started = time.perf_counter()
            _request(connection, path)
            taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e6


def requests_a_second(url: str, path: str) -> float:
    """The throughput of CLIENTS clients, each in a thread with a persistent connection."""
    each = REQUESTS // CLIENTS

    def client() -> None:
        with contextlib.closing(_connection(url)) as connection:
            for _ in range(each):
                _request(connection, path)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return each * CLIENTS / (time.perf_counter() - started)


def _connection(url: str) -> http.client.HTTPConnection:
    address = urlsplit(url)
    return http.client.HTTPConnection(address.hostname or "", address.port)


def _request(connection: http.client.HTTPConnection, path: str) -> None:
    connection.request("POST", path, BODY, HEADERS)
    response = connection.getresponse()
    response.read()
    assert response.status == 200, response.status


def medians(measures: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Take every measure once per round, so that a slow moment of the machine affects all of them."""
    values: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            values[name].append(measure())
    return {name: statistics.median(each) for name, each in values.items()}


def in_process(served: Engine) -> dict[str, float]:
    flask_app: WSGIApplication = one_route()
    google = functions_framework()
    hook = b'{"object": {"title": "x"}}'
    framework = {"functions-framework": lambda: cpu_us(google, "/", BODY, CALLS)} if google else {}
    return medians(
        {
            "bare WSGI app": lambda: cpu_us(bare, "/", BODY, CALLS),
            "the bare app under the engine": lambda: cpu_us(served, "/", BODY, CALLS),
            "function": lambda: cpu_us(served, "/1.1/functions/hello", BODY, CALLS),
            "function by RPC": lambda: cpu_us(served, "/1.1/call/hello", BODY, CALLS),
            "before-save hook": lambda: cpu_us(served, "/1.1/functions/Todo/beforeSave", hook, CALLS),
            "async function": lambda: cpu_us(served, "/1.1/functions/async", BODY, CALLS // 10),
            "Flask, one route": lambda: cpu_us(flask_app, "/hello", BODY, CALLS),
            **framework,
        },
        ROUNDS,
    )


def over_http(served: Engine) -> tuple[dict[str, float], dict[str, float]]:
    """Latency, and requests per second, each behind waitress; clients and server share the core."""
    apps: dict[str, tuple[WSGIApplication, str]] = {
        "bare WSGI app": (bare, "/"),
        "function": (served, "/1.1/functions/hello"),
        "Flask, one route": (one_route(), "/hello"),
    }
    if google := functions_framework():
        apps["functions-framework"] = (google, "/")
    with contextlib.ExitStack() as stack:
        addresses = {}
        for name, (app, path) in apps.items():
            server = EngineServer(app, host="127.0.0.1", port=0, capacity=Capacity(CLIENTS))
            threading.Thread(target=server.serve, daemon=True).start()
            stack.callback(server.stop)
            addresses[name] = server.url, path
        return (
            medians({name: partial(latency_us, *address) for name, address in addresses.items()}, ROUNDS),
            medians({name: partial(requests_a_second, *address) for name, address in addresses.items()}, ROUNDS),
        )


def table(title: str, unit: str, values: dict[str, float]) -> None:
    least = values["bare WSGI app"]
    print(f"{title:<48}{unit:>8}{'above bare':>12}")
    for name, value in values.items():
        print(f"  {name:<46}{value:>8.1f}{value - least:>12.1f}")
    print()


def judged(goal: str, value: float, most: float) -> bool:
    """Print and return whether a goal is reached."""
    reached = value <= most
    print(f"goal: {goal}: {value:.1f} µs of at most {most:.1f}, {'reached' if reached else 'MISSED'}")
    return reached


def main() -> int:
    logging.disable(logging.WARNING)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    init("id", "key", "master", "hook")
    served = engine()
    cpu = in_process(served)
    table("CPU per call, in process, one core", "µs", cpu)
    latency, rate = over_http(served)
    table("latency per request behind waitress, one core", "µs", latency)
    table(f"requests per second of {CLIENTS} clients, one core", "1/s", rate)
    reached = [
        judged("CPU per call above the bare app", cpu["function"] - cpu["bare WSGI app"], GOAL_US),
        judged("CPU per call, no more than Flask with one route", cpu["function"], cpu["Flask, one route"]),
    ]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
