"""The checks of `scheduler doctor`, one after another: the machine, the settings, the store, functions and workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from ..core.timer import Environment
from ..core.zone_names import zone
from ..errors import SchedulerError, StoreError
from ..formats import display
from ..functions.declarations import idle_options, read_declarations
from ..functions.registry import Registry
from ..project.copied_store import warning_of_copy
from ..project.function_check import missing_functions
from ..project.project import Project, printing_to_stderr
from ..project.running_services import RunningService, running_services, unserved_timers
from ..project.serving_record import outdated_services
from ..project.settings import rules_shown
from ..project.slow_loading import reporting_while_loading
from ..store.database import Store
from ..store.declaration_sync import declaration_faults
from ..store.timers import TimerTable
from . import machine, store_checks
from .alert_checks import check_alerts, check_pings
from .executor_checks import check_workers
from .findings import Finding
from .http_check import check_servers


def examine(project: Project, target: str | None) -> Iterator[Finding]:
    """Run every check; a failing one does not stop the next one."""
    yield machine.check_versions()
    yield _check_settings(project)
    yield _check_rules(project)
    yield machine.check_clock(zone(project.settings.tz))
    yield machine.check_zone_databases(datetime.now(UTC).date())
    if project.store_file is not None:
        yield machine.check_disk(_nearest_folder(project.store_file.parent))
    yield from _guarded("store", _check_store(project))
    services = running_services(project)
    if services or project.settings.port:
        yield from _guarded("server", check_servers(services, project.settings.host, project.settings.port))
    yield from _guarded("environments", _check_environments(project, services))
    yield from _guarded("alerts", check_alerts(project))
    yield from _guarded("pings", check_pings(project))
    yield from _guarded("functions", _check_functions(project, target))
    yield from _guarded("workers", check_workers(project, target))


def _guarded(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings up to the first SchedulerError, and the first line of that error as a finding."""
    try:
        yield from findings
    except SchedulerError as error:
        yield Finding.error(name, str(error).partition("\n")[0].removesuffix(":"))


def _check_settings(project: Project) -> Finding:
    given = [f"{name} from {origin}" for name, origin in project.settings.origins.items()]
    return Finding.ok("settings", ", ".join(given) or "all defaults")


def _check_rules(project: Project) -> Finding:
    text = rules_shown(project.settings)
    is_known = project.settings.default_zone.is_known
    return Finding.ok("rules", text) if is_known else Finding.warning("rules", text)


def _nearest_folder(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists, where it would be created."""
    return next((path for path in (folder, *folder.parents) if path.is_dir()), Path("/"))


def _check_store(project: Project) -> Iterator[Finding]:
    with project.open_store() as store:
        tz, most = zone(project.settings.tz), _max_workers(project)
        yield from store_checks.check_store(store, project.store_file, tz, max_workers=most)
        if copied := warning_of_copy(project):
            yield Finding.warning("copy", copied)


def _max_workers(project: Project) -> int | None:
    """The most runs at a time in a daemon with these settings; None if its executors do not say."""
    executors = {project.settings.for_environment(environment) for environment in Environment}
    most = [dict(each.executor_settings).get("max_workers") for each in executors]
    return sum(count for count in most if count) if all(most) else None


@contextmanager
def _store_or_none(project: Project) -> Iterator[Store | None]:
    """The store; None if it cannot be read, which the check of the store reports."""
    try:
        store = project.open_store()
    except StoreError:
        yield None
        return
    with store:
        yield store


def _check_environments(project: Project, services: Sequence[RunningService]) -> Iterator[Finding]:
    """Check that the running services serve the environments of all enabled timers; no finding if they do."""
    with _store_or_none(project) as store:
        timers = [stored.timer for stored in TimerTable(store).list()] if store and services else []
    if sentences := unserved_timers(services, timers):
        yield Finding.warning("environments", "; ".join(sentences))


def _check_functions(project: Project, target: str | None) -> Iterator[Finding]:
    name = project.required_target_name(target)
    with printing_to_stderr(), reporting_while_loading(name):
        registry = project.load(name).registry
    known = registry.names()
    yield from _check_declarations(project, registry)
    with _store_or_none(project) as store:
        served = [env for env in Environment if project.settings.for_environment(env).runs_what_is_served]
        stored = TimerTable(store).list() if store else []
    if missing := missing_functions(stored, dict.fromkeys(served, (known, name))):
        yield Finding.error("functions", "; ".join(missing))
        return
    if outdated := outdated_services(project):
        yield Finding.warning("functions", "; ".join(outdated))
        return
    unchecked = "" if store else "; no timer was checked against them, because no store was read"
    yield Finding.ok("functions", f"{name}: {', '.join(known) or 'none'}{unchecked}")


def _check_declarations(project: Project, registry: Registry) -> Iterator[Finding]:
    """The declared timers that `scheduler up` would leave out; checked with a store in memory if there is none yet."""
    settings, environment = project.settings, project.environment
    declared = read_declarations(registry, environment, settings.default_zone)
    if not declared.timers and not declared.faults:
        return
    with _store_or_none(project) as opened, nullcontext(opened) if opened else Store("sqlite://") as store:
        faults = declaration_faults(store, declared, environment, now=datetime.now(UTC), quota=settings.max_timers)
    for fault in faults:
        yield Finding.error("declarations", f"{fault}; scheduler up leaves it out, and serves everything else")
    for sentence in (idle := idle_options(declared)):
        yield Finding.warning("declarations", sentence)
    if not faults and not idle:
        yield Finding.ok("declarations", f"{display.number(len(declared.timers), 'timer')} declared with @engine.timer")
