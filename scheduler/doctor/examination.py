"""TODO-DOC"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ..core.timer import Environment
from ..errors import SchedulerError
from ..formats import display
from ..project.function_check import lost_timers
from ..project.project import Project, printing_to_stderr
from ..store.declarations import declared_timers
from ..store.timers import TimerTable
from . import machine, store_checks
from .findings import Finding, bad, well
from .workers import _workers


def _findings(place: Project, target: str | None) -> Iterator[Finding]:
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


def _settings(place: Project) -> Finding:
    given = [f"{name} from {origin}" for name, origin in place.config.origins.items()]
    return well("settings", ", ".join(given) or "all defaults")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that exists: where the store would be made."""
    return next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))


def _store(place: Project) -> Iterator[Finding]:
    with place.store() as store:
        yield from store_checks.findings(store, place.store_file, display.zone(place.config.tz))


def _functions(place: Project, target: str | None) -> Iterator[Finding]:
    name = place.needed_target_name(target)
    with printing_to_stderr():
        registry = place.load(name).registry
    known = registry.names()
    declared_timers(registry, place.environment, place.config.tz)
    if place.store_file is None or place.store_file.exists():
        with place.store() as store:
            here = [env for env in Environment if place.config.deployment(env).runs_what_is_served]
            lost = lost_timers(TimerTable(store).list(), dict.fromkeys(here, (known, name)))
        if lost:
            yield bad("functions", "; ".join(lost))
            return
    yield well("functions", f"{name}: {', '.join(known) or 'none'}")
