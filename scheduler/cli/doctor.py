"""scheduler doctor: whether everything that a timer needs is well, thing by thing."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import click

from ..errors import SchedulerError, TargetError
from ..executors.process import ProcessExecutor
from ..timer import Environment
from . import banner, show
from .daemons import alive
from .place import Place, here, json_option, printing_to_stderr, store_option


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, whether it is well, and what there is to say of it."""

    name: str
    is_well: bool
    text: str


@click.command("doctor")
@click.option(
    "--target", metavar="CLOUD.PY", help="What holds the functions; the folder's wsgi.py or cloud.py unless set."
)
@store_option
@json_option
def command(*, target: str | None, store: str | None, as_json: bool) -> None:
    """Look whether everything that a timer needs is well; exit status 1 if something is not."""
    place = here(store=store)
    findings = list(_findings(place, target))
    if as_json:
        show.print_json([{"name": f.name, "ok": f.is_well, "text": f.text} for f in findings])
    else:
        show.print_table(("", "WHAT", "HOW IT IS"), (("ok" if f.is_well else "!!", f.name, f.text) for f in findings))
    raise SystemExit(0 if all(finding.is_well for finding in findings) else 1)


def _findings(place: Place, target: str | None) -> Iterator[Finding]:
    yield Finding("versions", True, f"quartzcron {version('quartzcron')}, Python {platform.python_version()}")
    yield _checked("settings", lambda: _settings(place))
    yield _checked("clock", lambda: _clock(place))
    yield _checked("zones", _zones)
    yield _checked("store", lambda: _store(place))
    yield _checked("functions", lambda: _functions(place, target))
    yield _checked("workers", lambda: _workers(place, target))


def _checked(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look())
    except SchedulerError as error:
        return Finding(name, False, str(error))


def _settings(place: Place) -> str:
    given = [f"{name} from {origin}" for name, origin in place.config.origins.items()]
    return ", ".join(given) or "all defaults"


def _clock(place: Place) -> str:
    return f"{show.instant(datetime.now(UTC), show.zone(place.config.tz))} ({place.config.tz})"


def _zones() -> str:
    import pytz

    return f"time zone database {getattr(pytz, 'OLSON_VERSION', 'unknown')}, pytz {version('pytz')}"


def _store(place: Place) -> str:
    from ..timetable import Timetable

    with place.store() as store:
        entries = Timetable(store).list()
        enabled = sum(entry.timer.enabled for entry in entries)
        daemon = "a daemon runs" if alive(store) else "no daemon runs"
        return f"{store}: {len(entries)} timers, {enabled} enabled; {daemon}"


def _functions(place: Place, target: str | None) -> str:
    from ..timetable import Timetable

    name = place.needed_target_name(target)
    with printing_to_stderr():
        known = place.load(name).registry.names()
    if place.store_file is None or place.store_file.exists():
        with place.store() as store:
            lost = banner.lost_timers(Timetable(store).list(), dict.fromkeys(Environment, (known, name)))
        if lost:
            raise TargetError("; ".join(lost))
    return f"{name}: {', '.join(known) or 'none'}"


def _workers(place: Place, target: str | None) -> str:
    executor = ProcessExecutor(place.needed_target_name(target), workers=1)
    try:
        executor.start()
    finally:
        executor.stop()
    return f"start with {sys.executable}"
