"""TODO-DOC"""

from __future__ import annotations

import secrets
import select
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from ..core.run import Ending, Kind, Task
from ..core.timer import Environment
from ..errors import ConfigError
from ..formats import display
from ..project.project import Project
from ..project.settings import EnvironmentSettings
from ..workers.executor import ProcessExecutor
from .findings import Finding

_ANSWER_WITHIN_S = 10.0


def check_workers(project: Project, target: str | None) -> Iterator[Finding]:
    """Whether the executor of every environment that is served can run functions."""
    served = [project.only_environment] if project.only_environment else list(Environment)
    for deployment in dict.fromkeys(project.settings.for_environment(environment) for environment in served):
        yield from _LOOKS[deployment.executor](project, target, deployment)


def _processes(project: Project, target: str | None, deployment: EnvironmentSettings) -> Iterator[Finding]:
    """Start a worker as the daemon does, and have it answer a call; of a function that nobody has, so nothing runs."""
    executor = ProcessExecutor(deployment.target or project.required_target_name(target), workers=1)
    nobody = f"doctor {secrets.token_hex(8)}"
    began = time.perf_counter()
    try:
        executor.start()
        started_s = time.perf_counter() - began
        began = time.perf_counter()
        ending = _call(executor, nobody)
        answered_s = time.perf_counter() - began
    finally:
        executor.stop()
    if ending is None or nobody not in (ending.error or ""):
        what = "nothing" if ending is None else f"{ending.outcome}, {ending.error}"
        yield Finding.error(
            "workers", f"a worker started, but to a call it answered {what} within {_ANSWER_WITHIN_S:g} s"
        )
        return
    settings = project.settings
    yield Finding.ok(
        "workers",
        f"one started and loaded the functions in {display.seconds(started_s)}, answered a call in "
        f"{display.seconds(answered_s)}; {settings.workers} are kept ready, at most {settings.max_workers}",
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


def _threads(project: Project, _target: str | None, _deployment: EnvironmentSettings) -> Iterator[Finding]:
    yield Finding.ok("workers", f"at most {project.settings.max_workers} threads; a function that hangs is not killed")


def _remote_engine(_place: Project, _target: str | None, deployment: EnvironmentSettings) -> Iterator[Finding]:
    import httpx

    address = f"{(deployment.remote_engine or '').rstrip('/')}/__engine/1/ping"
    try:
        httpx.get(address, timeout=5, trust_env=False).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigError(f"{address}: the remote engine does not answer ({error})") from error
    yield Finding.ok("workers", f"{deployment.remote_engine} answers")


def _fleet(project: Project, _target: str | None, _deployment: EnvironmentSettings) -> Iterator[Finding]:
    from ..fleet.broker import celery_app, check

    with project.open_store() as store:
        check(celery_app(project.settings.broker, store))
    yield Finding.ok("workers", f"the broker {project.settings.broker.partition('://')[0]}:// answers")


_LOOKS: dict[str, Callable[[Project, str | None, EnvironmentSettings], Iterator[Finding]]] = {
    "process": _processes,
    "thread": _threads,
    "http": _remote_engine,
    "celery": _fleet,
}
