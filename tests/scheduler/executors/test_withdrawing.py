"""Executors that begin no more tasks, and return those that have not begun: in threads, processes and over HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scheduler.core.run import Outcome, Task
from scheduler.executors.http import HttpExecutor
from scheduler.executors.thread import ThreadExecutor
from scheduler.functions import Registry
from scheduler.workers.executor import ProcessExecutor
from tests.scheduler.workers.test_executor import collect, task
from tests.waiting import eventually

FUNCTIONS = """
import pathlib, time
from scheduler.functions import Registry

registry = Registry()


@registry.define
def waits(until):
    while not pathlib.Path(until).exists():
        time.sleep(0.01)


@registry.define
def fast():
    pass
"""


class Waiting(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        until = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["until"]
        _wait_for(until)
        self.send_response(200)
        self.send_header("Content-Length", "15")
        self.end_headers()
        self.wfile.write(b'{"result":null}')

    def log_message(self, *_: object) -> None:
        pass


def _wait_for(until: str) -> None:
    while not Path(until).exists():
        time.sleep(0.01)


@contextmanager
def in_threads(_: Path) -> Iterator[Any]:
    registry = Registry()

    @registry.define
    def waits(until: str) -> None:
        _wait_for(until)

    yield ThreadExecutor(registry, max_workers=1)


@contextmanager
def in_processes(folder: Path) -> Iterator[Any]:
    (folder / "functions.py").write_text(FUNCTIONS)
    executor = ProcessExecutor(str(folder / "functions.py"), workers=1, max_workers=1)
    executor.start()
    yield executor


@contextmanager
def over_http(_: Path) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Waiting)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield HttpExecutor(f"http://127.0.0.1:{server.server_port}", app_id="a", app_key="k", max_concurrency=1)
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("started", [in_threads, in_processes, over_http])
def test_what_has_not_begun_is_returned_and_never_begins(started: Any, tmp_path: Path) -> None:
    """Whatever is submitted behind it; the task in progress ends and is reported."""
    until = tmp_path / "until"
    tasks = [task("waits", number, params=json.dumps({"until": str(until)}), limit_s=60) for number in range(1, 6)]
    with started(tmp_path) as executor:
        executor.submit(tasks)
        eventually(lambda: (executor.collect(), executor.begun)[1], lambda begun: begun == 1)
        withdrawn: list[Task] = []
        eventually(lambda: (withdrawn.extend(executor.withdraw()), len(withdrawn))[1], lambda count: count == 4)
        assert executor.begun == 1
        until.touch()
        ((ended, ending),) = collect(executor, 1).ended
        assert ending.outcome is Outcome.SUCCEEDED
        assert sorted([ended.run_id, *(each.run_id for each in withdrawn)]) == [1, 2, 3, 4, 5]
        assert executor.begun == 0
        executor.stop()


def test_of_a_chunk_of_fast_tasks_each_has_ended_or_comes_back(tmp_path: Path) -> None:
    """Whenever the worker is interrupted, and never both."""
    with in_processes(tmp_path) as executor:
        ended: list[int] = []
        number = 0
        for _ in range(30):  # so that it is known to be fast
            number += 1
            executor.submit([task("fast", number)])
            ended += [each.run_id for each, _ in collect(executor, 1).ended]
        executor.submit([task("fast", number + 1 + more) for more in range(2_000)])
        back: list[int] = []

        def look() -> int:
            back.extend(each.run_id for each in executor.withdraw())
            ended.extend(each.run_id for each, _ in executor.collect().endings())
            return len(ended) + len(back)

        eventually(look, lambda count: count >= number + 2_000)
        assert sorted(ended + back) == list(range(1, number + 2_001))
        executor.stop()
