"""AsyncScheduler in the lifespan of a FastAPI app, served by uvicorn as users start it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from scheduler import Scheduler
from scheduler.core.run import Outcome
from scheduler.functions import Registry
from tests.scheduler.broker_servers import free_port
from tests.waiting import PATIENCE_S, eventually, slowed

pytestmark = pytest.mark.slow

APP = """
import asyncio
from contextlib import asynccontextmanager
from fastapi import FastAPI
from scheduler import AsyncScheduler, Every, Timer
from scheduler.functions import Registry

functions = Registry()
scheduler = AsyncScheduler("timers.db", functions)
loops = set()


@functions.define
async def tick():
    await asyncio.sleep(0.05)
    loops.add(id(asyncio.get_running_loop()))


@asynccontextmanager
async def lifespan(app):
    async with scheduler:
        await scheduler.apply([Timer(name="tick", function="tick", trigger=Every(1), enabled=True)])
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/runs")
async def runs():
    found = await scheduler.runs("tick")
    own = loops == {id(asyncio.get_running_loop())}
    return {"outcomes": [run.outcome for run in found], "own_loop": own}
"""


def get(port: int) -> Any:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/runs", timeout=PATIENCE_S) as answer:
            return json.load(answer)
    except OSError:
        return {"outcomes": []}


@pytest.mark.parametrize("workers", [1, 2])
def test_timers_fire_in_the_loop_of_the_app(tmp_path: Path, workers: int) -> None:
    """Once each, in one worker or several; after SIGTERM no run is open, and the processes have ended."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    (tmp_path / "app.py").write_text(APP)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--workers", str(workers)]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        seen = eventually(lambda: get(port), lambda answer: answer["outcomes"].count("succeeded") >= 3)
        assert workers > 1 or seen["own_loop"]
        begun = time.monotonic()
        server.send_signal(signal.SIGTERM)
        server.wait(slowed(60))
        assert time.monotonic() - begun < slowed(30)
    finally:
        server.kill()
        server.wait()
    reader = Scheduler(str(tmp_path / "timers.db"), Registry())
    runs = reader.runs("tick")
    reader.stop()
    # On a busy machine a run may last longer than the second until the next.
    assert {run.outcome for run in runs} <= {Outcome.SUCCEEDED, Outcome.SKIPPED_OVERLAP, Outcome.MISFIRED}
    assert len({run.fire_time for run in runs}) == len(runs)
