"""TODO-DOC"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ..core.timer import Environment
from ..errors import SchedulerError
from ..formats import display
from ..project.function_check import missing_functions
from ..project.project import Project, printing_to_stderr
from ..store.declarations import declared_timers
from ..store.timers import TimerTable
from . import machine, store_checks
from .findings import Finding, bad, well
from .workers import _workers


def _findings(project: Project, target: str | None) -> Iterator[Finding]:
    tz = display.zone(project.settings.tz)
    yield machine.versions()
    yield _settings(project)
    yield machine.clock(tz)
    yield machine.zones(datetime.now(UTC).date())
    if project.store_file is not None:
        yield machine.disk(_existing(project.store_file.parent))
    yield from _guarded("store", _store(project))
    yield from _guarded("functions", _functions(project, target))
    yield from _guarded("workers", _workers(project, target))


def _guarded(name: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Findings up to the first error of ours, which is one as well."""
    try:
        yield from findings
    except SchedulerError as error:
        yield bad(name, str(error))


def _settings(project: Project) -> Finding:
    given = [f"{name} from {origin}" for name, origin in project.settings.origins.items()]
    return well("settings", ", ".join(given) or "all defaults")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists: where the store would be made."""
    return next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))


def _store(project: Project) -> Iterator[Finding]:
    with project.open_store() as store:
        yield from store_checks.findings(store, project.store_file, display.zone(project.settings.tz))


def _functions(project: Project, target: str | None) -> Iterator[Finding]:
    name = project.required_target_name(target)
    with printing_to_stderr():
        registry = project.load(name).registry
    known = registry.names()
    declared_timers(registry, project.environment, project.settings.tz)
    if project.store_file is None or project.store_file.exists():
        with project.open_store() as store:
            served = [env for env in Environment if project.settings.for_environment(env).runs_what_is_served]
            lost = missing_functions(TimerTable(store).list(), dict.fromkeys(served, (known, name)))
        if lost:
            yield bad("functions", "; ".join(lost))
            return
    yield well("functions", f"{name}: {', '.join(known) or 'none'}")
