"""scheduler doctor: whether everything that a timer needs is well, thing by thing."""

from __future__ import annotations

import secrets
import select
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from ..core.run import Ending, Kind, Task
from ..core.timer import Environment
from ..doctor import machine, store_checks
from ..doctor.findings import Finding, State, bad, well
from ..errors import ConfigError, SchedulerError
from ..formats import display
from ..project.project import Place, here, json_option, printing_to_stderr, store_option
from ..project.settings import Deployment
from ..store.declarations import declared_timers
from ..store.timers import Timetable
from ..up import banner
from ..workers.executor import ProcessExecutor

_SIGNS = {State.WELL: "ok", State.WARNING: "!", State.BAD: "!!"}
_ANSWER_WITHIN_S = 10.0


@click.command("doctor")
@click.option(
    "--target", metavar="CLOUD.PY", help="What holds the functions; the folder's wsgi.py or cloud.py unless set."
)
@store_option
@json_option
def command(*, target: str | None, store: str | None, as_json: bool) -> None:
    """Look whether everything that a timer needs is well; exit status 1 if something is not, warnings apart."""
    place = here(store=store)
    findings = list(_findings(place, target))
    if as_json:
        shown = [
            {"name": one.name, "ok": one.state is not State.BAD, "state": one.state, "text": one.text}
            for one in findings
        ]
        display.print_json(shown)
    else:
        display.print_table(("", "WHAT", "HOW IT IS"), ((_SIGNS[one.state], one.name, one.text) for one in findings))
    raise SystemExit(1 if any(one.state is State.BAD for one in findings) else 0)


def _findings(place: Place, target: str | None) -> Iterator[Finding]:
    tz = display.zone(place.config.tz)
    yield machine.versions()
    yield _settings(place)
    yield machine.clock(tz)
    yield machine.zones(datetime.now(UTC).date())
    if place.store_file is not None:
        yield machine.disk(_existing(place.store_file.parent))
    yield from _guarded("store", _store(place))
    yield from _guarded("functions", _functions(place, target))
    yield from _guarded("workers", _workers(place, target))


def _guarded(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Findings up to the first error of ours, which is one as well."""
    try:
        yield from findings
    except SchedulerError as error:
        yield bad(name, str(error))


def _settings(place: Place) -> Finding:
    given = [f"{name} from {origin}" for name, origin in place.config.origins.items()]
    return well("settings", ", ".join(given) or "all defaults")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists: where the store would be made."""
    return next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))


def _store(place: Place) -> Iterator[Finding]:
    with place.store() as store:
        yield from store_checks.findings(store, place.store_file, display.zone(place.config.tz))


def _functions(place: Place, target: str | None) -> Iterator[Finding]:
    name = place.needed_target_name(target)
    with printing_to_stderr():
        registry = place.load(name).registry
    known = registry.names()
    declared_timers(registry, place.environment, place.config.tz)
    if place.store_file is None or place.store_file.exists():
        with place.store() as store:
            here = [env for env in Environment if place.config.deployment(env).runs_what_is_served]
            lost = banner.lost_timers(Timetable(store).list(), dict.fromkeys(here, (known, name)))
        if lost:
            yield bad("functions", "; ".join(lost))
            return
    yield well("functions", f"{name}: {', '.join(known) or 'none'}")


def _workers(place: Place, target: str | None) -> Iterator[Finding]:
    """Look whether that can be reached which runs the functions of timers, in every environment."""
    served = [place.deployed] if place.deployed else list(Environment)
    for deployment in dict.fromkeys(place.config.deployment(environment) for environment in served):
        yield from _LOOKS[deployment.executor](place, target, deployment)


def _processes(place: Place, target: str | None, deployment: Deployment) -> Iterator[Finding]:
    """Start a worker as the daemon does, and have it answer a call; of a function that nobody has, so nothing runs."""
    executor = ProcessExecutor(deployment.target or place.needed_target_name(target), workers=1)
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
        yield bad("workers", f"a worker started, but to a call it answered {what} within {_ANSWER_WITHIN_S:g} s")
        return
    yield well(
        "workers",
        f"one started and loaded the functions in {display.seconds(started_s)}, answered a call in "
        f"{display.seconds(answered_s)}; {place.config.workers} are kept ready, at most {place.config.max_workers}",
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


def _threads(place: Place, _target: str | None, _deployment: Deployment) -> Iterator[Finding]:
    yield well("workers", f"at most {place.config.max_workers} threads; a function that hangs is not killed")


def _remote_engine(_place: Place, _target: str | None, deployment: Deployment) -> Iterator[Finding]:
    import httpx

    address = f"{(deployment.remote_engine or '').rstrip('/')}/__engine/1/ping"
    try:
        httpx.get(address, timeout=5, trust_env=False).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigError(f"{address}: the remote engine does not answer ({error})") from error
    yield well("workers", f"{deployment.remote_engine} answers")


def _fleet(place: Place, _target: str | None, _deployment: Deployment) -> Iterator[Finding]:
    from ..fleet.broker import celery_app, check

    with place.store() as store:
        check(celery_app(place.config.broker, store))
    yield well("workers", f"the broker {place.config.broker.partition('://')[0]}:// answers")


_LOOKS: dict[str, Callable[[Place, str | None, Deployment], Iterator[Finding]]] = {
    "process": _processes,
    "thread": _threads,
    "http": _remote_engine,
    "celery": _fleet,
}
