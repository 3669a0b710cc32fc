"""What `scheduler up` says at its start: where everything is, and a call that works at once."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from ..engine.credentials import Keys
from ..errors import ArgumentError
from ..formats import display
from ..functions.binding import bind
from ..functions.registry import Registry
from ..project.project import Project
from ..store.timers import StoredTimer

#: Names that need no quotes inside the double quotes of a shell.
_HARMLESS = re.compile(r"[\w.:/+=,@-]*", re.ASCII)
_MOST_SHOWN = 12
_INDENT = " " * 13


def base_url(host: str, port: int) -> str:
    """The address at which a program on this machine reaches the server."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def curl(url: str, keys: Keys, function: str) -> str:
    """A call of a function in the form of LeanEngine's guide, to be copied into a shell."""
    return _curl(url, keys, _header("X-LC-Key", keys.app_key or ""), function)


def curl_without_key(url: str, keys: Keys, function: str) -> str:
    """The same for a log, which others may read: the shell puts the key in."""
    return _curl(url, keys, '"X-LC-Key: $LEANCLOUD_APP_KEY"', function)


def _curl(url: str, keys: Keys, key_header: str, function: str) -> str:
    words = [
        "curl -X POST",
        f"-H {_header('X-LC-Id', keys.app_id or '')}",
        f"-H {key_header}",
        f"-H {_header('Content-Type', 'application/json')}",
        "-d '{}'",
        shlex.quote(f"{url}/1.1/functions/{quote(function, safe='')}"),
    ]
    return " ".join(words)


def _header(name: str, value: str) -> str:
    text = f"{name}: {value}"
    return f'"{text}"' if _HARMLESS.fullmatch(value) else shlex.quote(text)


def example_function(registry: Registry) -> str | None:
    """The function that the example calls: one that needs no parameters, if possible `hello`."""
    names = [name for name in registry.names() if _needs_nothing(registry, name)] or registry.names()
    return "hello" if "hello" in names else next(iter(names), None)


def _needs_nothing(registry: Registry, name: str) -> bool:
    try:
        bind(registry.get(name), {})
    except ArgumentError:
        return False
    return True


def stage_facts(project: Project, folder: Path, port: int, *, starts: bool) -> dict[str, Any]:
    """Where the preview is."""
    return {
        "stage": base_url(project.settings.host, port),
        "stage_source": str(folder) if starts else f"{folder}, which does not start",
    }


def facts(project: Project, *, target: str, url: str, store: str, keys_from: str, registry: Registry) -> dict[str, Any]:
    """Where everything is, as the banner shows it and --json prints it."""
    settings = project.settings
    return {
        "url": url,
        "target": target,
        "functions": registry.names(),
        "hooks": [f"{event} of {class_name}" for class_name, event in registry.hook_names()],
        "store": store,
        "keys": keys_from,
        "environment": settings.environment,
        "tz": settings.tz,
        "log_level": settings.log_level,
    }


def print_banner(stated: dict[str, Any], entries: Sequence[StoredTimer], call: str | None, default_tz: str) -> None:
    """The facts, the timers, and the call."""
    for name, value in stated.items():
        shown = _listed(value) if isinstance(value, list) else str(value)
        click.echo(f"{_label(name)}{display.plain(shown)}")
    enabled = sum(entry.timer.enabled for entry in entries)
    click.echo(f"{_label('timers')}{len(entries)}, {enabled} of them enabled")
    for entry in entries[:_MOST_SHOWN]:
        click.echo(f"{_INDENT}{display.plain(_timer_line(entry, default_tz))}")
    if (more := len(entries) - _MOST_SHOWN) > 0:
        click.echo(f"{_INDENT}and {more} more")
    if call:
        click.echo(f"\nCall a function:\n\n{call}\n")
    else:
        click.echo("\nThere is no function yet; write one under @engine.define and start again.\n")


def _label(name: str) -> str:
    return click.style(name.replace("_", " ").ljust(len(_INDENT)), bold=True)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return (", ".join(names[:_MOST_SHOWN]) or "none") + more


def _timer_line(entry: StoredTimer, default_tz: str) -> str:
    timer = entry.timer
    next_fire = display.instant(entry.next_fire, display.zone_of(timer, default_tz))
    state = f"next at {next_fire}" if timer.enabled else "disabled"
    return f"{timer.name} ({timer.environment}): {timer.function}, {timer.schedule}, {state}"
