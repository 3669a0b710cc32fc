"""Functions at a remote engine, over real HTTP, each within a total deadline."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from scheduler.core.breaker import Verdict
from scheduler.core.run import Ending, Outcome
from scheduler.errors import ConfigError
from scheduler.executors import Queue
from scheduler.executors.http import HttpExecutor
from tests.scheduler.workers.test_executor import collect, task
from tests.waiting import eventually, slowed


class Remote(BaseHTTPRequestHandler):
    """Answers by the name of the function: a status, or a fault."""

    seen: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        name = self.path.rpartition("/")[2]
        if name.isdigit():
            self.answer(int(name), {"code": 1, "error": "because"})
        elif name == "overran":
            self.answer(503, {"code": 124, "error": "The request timed out on the server."})
        elif name == "drips":
            self.drip()
        elif name == "endless":
            self.answer_endlessly()
        elif name == "hangs_up":
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.answer(200, {"result": "ok"})

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def drip(self) -> None:
        """One byte every tenth of a second: each within a timeout for reading, all of them over the limit."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(100):
            try:
                self.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.1)

    def answer_endlessly(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(10_000):
                self.wfile.write(b"x" * 65_536)
        except OSError:
            pass

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def executor() -> Iterator[HttpExecutor]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Remote)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    executor = HttpExecutor(f"http://127.0.0.1:{server.server_port}/", app_id="the-id", app_key="the-key")
    yield executor
    executor.stop()
    server.shutdown()
    server.server_close()
    thread.join()


def run(executor: HttpExecutor, function: str, **options: object) -> Ending:
    executor.submit([task(function, **options)])  # type: ignore[arg-type]
    return collect(executor, 1).ended[0][1]  # type: ignore[arg-type]


def test_the_function_is_called_as_the_protocol_says(executor: HttpExecutor) -> None:
    """Path, keys, environment, the timer's headers and the parameters as the body."""
    ending = run(executor, "hello", params='{"name": "Ann"}')
    assert (ending.outcome, ending.result) == (Outcome.SUCCEEDED, '{"result": "ok"}')
    path, headers, body = Remote.seen[-1]
    assert path == "/1.1/functions/hello"
    assert json.loads(body) == {"name": "Ann"}
    expected = {
        "x-lc-id": "the-id",
        "x-lc-key": "the-key",
        "x-lc-prod": "1",
        "x-request-id": "r",
        "x-timer-name": "t",
        "x-timer-scheduled-time": "2026-01-01T00:00:00.000Z",
        "x-timer-attempt": "1",
    }
    assert {name: headers.get(name) for name in expected} == expected


def test_a_name_is_quoted_in_the_path(executor: HttpExecutor) -> None:
    """Slashes and question marks are part of the name."""
    run(executor, "a/../b?c#d")
    assert Remote.seen[-1][0] == "/1.1/functions/a%2F..%2Fb%3Fc%23d"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (400, Verdict.NEUTRAL),
        (401, Verdict.FAILURE),
        (403, Verdict.FAILURE),
        (404, Verdict.FAILURE),
        (422, Verdict.NEUTRAL),
        (429, Verdict.FAILURE),
        (500, Verdict.FAILURE),
        (502, Verdict.FAILURE),
        (302, Verdict.NEUTRAL),
    ],
)
def test_the_status_says_whether_the_breaker_counts(executor: HttpExecutor, status: int, verdict: Verdict) -> None:
    """The list of the protocol; a redirect is not followed, it would carry the keys away."""
    ending = run(executor, str(status))
    assert (ending.outcome, ending.verdict) == (Outcome.FAILED, verdict)
    assert str(ending.error).startswith(f"HTTP {status}: ")


def test_the_time_out_of_the_engine_is_a_time_out(executor: HttpExecutor) -> None:
    """503 with code 124."""
    assert run(executor, "overran").outcome is Outcome.TIMED_OUT


def test_a_dripping_answer_is_cut_at_the_total_deadline(executor: HttpExecutor) -> None:
    """Soon after the limit, although bytes arrive all the time."""
    ending = run(executor, "drips", limit_s=0.5)
    assert (ending.outcome, ending.error) == (Outcome.TIMED_OUT, "over its limit of 0.5 s")
    assert ending.started_at is not None
    assert (ending.ended_at - ending.started_at).total_seconds() < slowed(1)


def test_an_endless_answer_is_read_in_part(executor: HttpExecutor) -> None:
    """Its beginning is the result."""
    ending = run(executor, "endless")
    assert ending.outcome is Outcome.SUCCEEDED
    assert len(str(ending.result)) <= 1_000


def test_tasks_that_wait_for_a_slot_are_counted(executor: HttpExecutor) -> None:
    """Until they are called, or their limit is over."""
    narrow = HttpExecutor(executor._url, app_id="the-id", app_key="the-key", max_concurrency=1)
    assert isinstance(narrow, Queue)
    narrow.submit([task("drips", run_id, limit_s=0.5) for run_id in range(3)])
    eventually(lambda: narrow.waiting, lambda seen: seen == 2)
    assert {ending.outcome for _, ending in collect(narrow, 3).ended} == {Outcome.TIMED_OUT}  # type: ignore[arg-type]
    assert narrow.waiting == 0
    narrow.submit([task("hello", run_id) for run_id in range(3)])
    assert {ending.outcome for _, ending in collect(narrow, 3).ended} == {Outcome.SUCCEEDED}  # type: ignore[arg-type]
    assert narrow.waiting == 0
    narrow.stop()


@pytest.mark.parametrize("function", ["hangs_up"])
def test_a_lost_connection_is_a_failure(executor: HttpExecutor, function: str) -> None:
    """With the error's name."""
    ending = run(executor, function)
    assert (ending.outcome, ending.verdict) == (Outcome.FAILED, Verdict.FAILURE)
    assert "Error" in str(ending.error)


def test_an_engine_that_is_not_there_is_a_failure() -> None:
    """At once, not at the limit."""
    executor = HttpExecutor("http://127.0.0.1:1", app_id="i", app_key="k")
    try:
        ending = run(executor, "hello")
    finally:
        executor.stop()
    assert (ending.outcome, ending.verdict) == (Outcome.FAILED, Verdict.FAILURE)
    assert "ConnectError" in str(ending.error)


def test_an_invalid_address_is_refused() -> None:
    """Before anything is called."""
    with pytest.raises(ConfigError, match="as in https"):
        HttpExecutor("example.com", app_id="i", app_key="k")
