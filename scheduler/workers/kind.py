"""The executor kind `process`: how a pool of worker processes is made, and checked."""

from __future__ import annotations

import secrets
import select
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from ..core.run import Ending, Kind, Task
from ..core.timer import Environment
from ..errors import TargetError
from ..executors.kinds import Deployment
from .executor import ProcessExecutor

_ANSWER_WITHIN_S = 10.0


def make(deployment: Deployment) -> ProcessExecutor:
    """The pool; its workers start with `start`."""
    return ProcessExecutor(
        deployment.target(),
        workers=deployment.settings["workers"],
        max_workers=deployment.settings["max_workers"],
        load_timeout_s=deployment.settings["load_timeout_s"],
        worker_max_runs=deployment.settings["worker_max_runs"],
        worker_max_mb=deployment.settings["worker_max_mb"],
        environ=deployment.environ,
        folder=deployment.folder,
    )


def check(deployment: Deployment) -> Iterator[str]:
    """Start a worker as the daemon does, and have it answer a call of a function that does not exist."""
    executor = ProcessExecutor(deployment.target(), workers=1, load_timeout_s=deployment.settings["load_timeout_s"])
    function = f"doctor {secrets.token_hex(8)}"
    began = time.perf_counter()
    try:
        executor.start()
        started_s = time.perf_counter() - began
        began = time.perf_counter()
        ending = _call(executor, function)
        answered_s = time.perf_counter() - began
    finally:
        executor.stop()
    if ending is None or function not in (ending.error or ""):
        answer = "nothing" if ending is None else f"{ending.outcome}, {ending.error}"
        raise TargetError(f"a worker started, but answered a call with {answer} within {_ANSWER_WITHIN_S:g} s")
    workers, max_workers = deployment.settings["workers"], deployment.settings["max_workers"]
    yield (
        f"one started and loaded the functions in {_span(started_s)}, answered a call in {_span(answered_s)}; "
        f"{workers} are kept ready, at most {max_workers}"
    )


def _call(executor: ProcessExecutor, function: str) -> Ending | None:
    now = datetime.now(UTC)
    executor.submit(
        [Task(0, None, "", function, Environment.PRODUCTION, "{}", _ANSWER_WITHIN_S, Kind.MANUAL, now, 1, "", False)]
    )
    give_up_at = time.monotonic() + _ANSWER_WITHIN_S
    while time.monotonic() < give_up_at:
        select.select(executor.filenos(), [], [], executor.next_check() or 0.1)
        for _, ending in executor.collect().ended:
            return ending
    return None


def _span(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
