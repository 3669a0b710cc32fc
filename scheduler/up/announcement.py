"""The announcement of `scheduler up` when it is ready: addresses, timers, and warnings.

Lives here: the reports of the processes, and combining them. A report consists of JSON values, because it may come from
another process.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from ..console.installed import how_to_install, is_installed
from ..core.timer import Environment
from ..engine.credentials import Keys, our_keys
from ..formats.json import print_json_line
from ..functions.descriptions import described
from ..functions.source_snapshot import current
from ..project.copied_store import note_place, warning_of_copy
from ..project.function_check import missing_functions
from ..project.keys import KEYS_FILE
from ..project.project import Project
from ..project.settings import rules_shown
from .banner import print_banner, timers_shown
from .example_call import curl, curl_without_key, example_function
from .log_setup import json_handler
from .options import UpOptions
from .sockets import Sockets, local_url

if TYPE_CHECKING:
    from ..functions.loading import Target
    from ..store.database import Store

log = logging.getLogger("scheduler.up")

Report = Mapping[str, Any]


def report_of_functions(loaded: Target, keys_from: str, declared: dict[str, Any]) -> dict[str, Any]:
    """The report of the process that has loaded the functions, with the timers that they declare."""
    registry, keys = loaded.registry, our_keys()
    return {
        "target": loaded.name,
        "functions": registry.names(),
        "catalogue": described(registry),
        "hooks": [f"{event} of {class_name}" for class_name, event in registry.hook_names()],
        "keys": keys_from,
        "app_id": keys.app_id,
        "app_key": keys.app_key,
        "hook_key": keys.hook_key,
        "example": example_function(registry),
        "declared": declared,
        "sources": snapshot.loaded() if (snapshot := current()) else {},
    }


def report_of_timers(options: UpOptions, project: Project, store: Store, functions: Report) -> dict[str, Any]:
    """The report of the process that fires timers; `functions` is the other report, with the preview's functions."""
    from ..store.timers import TimerTable

    stored = TimerTable(store).list(None if options.has_preview else project.only_environment)
    known = _known_functions(options, project, functions)
    note_place(project)
    copied = warning_of_copy(project)
    return {
        "store": str(store),
        "timers": timers_shown(stored, project.settings.tz),
        "warnings": [*([copied] if copied else []), *missing_functions(stored, known)],
        "console_link": _console_link(options, store),
    }


def _console_link(options: UpOptions, store: Store) -> str | None:
    """An address that signs its reader in; on a terminal or for a program only, and not for each new version."""
    if options.console_url is None or options.has_store or not (options.as_json or sys.stdout.isatty()):
        return None
    from ..console.tokens import new_link

    return new_link(store, options.console_url, "operator", now=datetime.now(UTC))


def _known_functions(
    options: UpOptions, project: Project, functions: Report
) -> dict[Environment, tuple[list[str], str]]:
    """The functions and the target of each environment whose functions are served here."""
    served = functions["functions"], functions["target"]
    known = {
        environment: served
        for environment in Environment
        if project.settings.for_environment(environment).runs_what_is_served
    }
    if source := options.preview_source(project):
        known[Environment.STAGE] = functions["preview_functions"] or [], f"the stage's {source.target}"
    return known


def announce(options: UpOptions, sockets: Sockets, functions: Report, timers: Report) -> None:
    """Print the banner, or its JSON."""
    project = options.project()
    url = local_url(project.settings.host, sockets.live.getsockname()[1])
    facts = _facts(options, project, sockets, functions, timers)
    call = _call(url, functions, as_json=options.as_json)
    if options.as_json:
        print_json_line({**facts, "call": call})
    else:
        print_banner(facts | {"keys": _keys_shown(facts["keys"])}, timers["timers"], call, _where_key_is(facts["keys"]))


def _keys_shown(source: str) -> str:
    """The origin of the keys, with a warning about generated ones: other machines and later containers lack them."""
    if not source.endswith(KEYS_FILE):
        return source
    return f"{source}, made for this folder; other machines that serve the same clients need a copy of it"


def _where_key_is(source: str) -> str:
    """Where a reader finds the key that the call in a log lacks; empty on a terminal, whose call has it."""
    if sys.stdout.isatty() or not source.endswith(KEYS_FILE):
        return ""
    return f", with the LEANCLOUD_APP_KEY that {source} has"


def warn(timers: Report) -> None:
    """Print the warnings."""
    for warning in timers["warnings"]:
        if json_handler():
            log.warning("%s", warning)
        else:
            click.echo(f"Warning: {warning}", err=True)


def _facts(options: UpOptions, project: Project, sockets: Sockets, functions: Report, timers: Report) -> dict[str, Any]:
    settings = project.settings
    facts = {
        "url": local_url(settings.host, sockets.live.getsockname()[1]),
        **_console(options, project, timers),
        "target": functions["target"],
        "functions": functions["functions"],
        "hooks": functions["hooks"],
        "store": timers["store"],
        "keys": functions["keys"],
        "environment": settings.environment,
        "rules": settings.rules if options.as_json else rules_shown(settings),
        "tz": settings.tz,
        "log_level": settings.log_level,
    }
    source = options.preview_source(project)
    if source and sockets.stage:
        starts = functions["preview_functions"] is not None
        facts["stage"] = local_url(settings.host, sockets.stage.getsockname()[1])
        facts["stage_source"] = str(source.folder) if starts else f"{source.folder}, which does not start"
    if sockets.metrics:
        host, port = sockets.metrics.getsockname()[:2]
        facts["metrics"] = f"{local_url(host, port)}/metrics"
    return facts


def _console(options: UpOptions, project: Project, timers: Report) -> dict[str, str]:
    """Where the console is, with a link that signs its reader in; or how to get it."""
    if options.console_url is not None:
        return {"console": timers.get("console_link") or options.console_url}
    if project.settings.console and not options.as_json and not is_installed():
        return {"console": f"not installed; {how_to_install()}"}
    return {}


def _call(url: str, functions: Report, *, as_json: bool) -> str | None:
    """A call of a function as a line for the shell; with the key only on a terminal or for a program, not in a log."""
    if functions["example"] is None:
        return None
    form = curl if as_json or sys.stdout.isatty() else curl_without_key
    return form(url, Keys(functions["app_id"], functions["app_key"]), functions["example"])
