"""What `scheduler up` announces when it is ready: the facts, to its parent process and to its user, and warnings."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import Any

import click

from ..core.timer import Environment
from ..engine.credentials import our_keys
from ..formats.json import print_json_line
from ..functions.loading import Target
from ..project.function_check import missing_functions
from ..project.preview_sources import PreviewSource
from ..project.project import Project
from ..store.database import Store
from ..store.timers import TimerTable
from .banner import print_banner
from .example_call import curl, curl_without_key, example_function
from .handover import Handover
from .log_setup import json_handler
from .preview import Preview
from .sockets import Sockets

log = logging.getLogger("scheduler.up")


@dataclass(frozen=True, slots=True)
class Started:
    """What has been started, and where; `preview` and `preview_source` are both None where there is no preview."""

    project: Project
    loaded: Target
    store: Store
    sockets: Sockets
    keys_from: str
    preview: Preview | None
    preview_source: PreviewSource | None


def announce(started: Started, handover: Handover | None, *, as_json: bool) -> None:
    """Report ready to the parent, print the banner or its JSON unless an earlier process has, and print warnings."""
    stored = TimerTable(started.store).list(None if started.preview else started.project.only_environment)
    facts = _facts(started)
    if handover:
        handover.report_ready(facts)
    if handover is None or not handover.again:
        call = _call(started, as_json=as_json)
        if as_json:
            print_json_line({**facts, "call": call})
        else:
            print_banner(facts, stored, call, started.project.settings.tz)
    for warning in missing_functions(stored, _known_functions(started)):
        if json_handler():
            log.warning("%s", warning)
        else:
            click.echo(f"Warning: {warning}", err=True)


def _facts(started: Started) -> dict[str, Any]:
    settings, registry = started.project.settings, started.loaded.registry
    facts = {
        "url": _live_url(started),
        "target": started.loaded.name,
        "functions": registry.names(),
        "hooks": [f"{event} of {class_name}" for class_name, event in registry.hook_names()],
        "store": str(started.store),
        "keys": started.keys_from,
        "environment": settings.environment,
        "tz": settings.tz,
        "log_level": settings.log_level,
    }
    _, stage, metrics = started.sockets
    if started.preview and started.preview_source and stage:
        folder = str(started.preview_source.folder)
        facts["stage"] = _url(settings.host, stage.getsockname()[1])
        facts["stage_source"] = folder if started.preview.functions is not None else f"{folder}, which does not start"
    if metrics:
        host, port = metrics.getsockname()[:2]
        facts["metrics"] = f"{_url(host, port)}/metrics"
    return facts


def _call(started: Started, *, as_json: bool) -> str | None:
    """A call of a function as a line for the shell; with the key only on a terminal or for a program, not in a log."""
    function = example_function(started.loaded.registry)
    if function is None:
        return None
    form = curl if as_json or sys.stdout.isatty() else curl_without_key
    return form(_live_url(started), our_keys(), function)


def _live_url(started: Started) -> str:
    return _url(started.project.settings.host, started.sockets.live.getsockname()[1])


def _url(host: str, port: int) -> str:
    """The address at which a program on this machine reaches the server."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _known_functions(started: Started) -> dict[Environment, tuple[list[str], str]]:
    """The functions and the target of each environment whose functions are served here."""
    served = started.loaded.registry.names(), started.loaded.name
    settings = started.project.settings
    known = {
        environment: served for environment in Environment if settings.for_environment(environment).runs_what_is_served
    }
    if started.preview and started.preview_source:
        known[Environment.STAGE] = started.preview.functions or [], f"the stage's {started.preview_source.target}"
    return known
