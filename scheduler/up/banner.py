"""The banner of `scheduler up`: addresses, timers, and a command that calls a function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ..errors import listed
from ..formats import display

if TYPE_CHECKING:
    from ..store.stored_timer import StoredTimer

_MAX_LISTED = 12
_INDENT = " " * 13


def timers_shown(stored: Sequence[StoredTimer], default_tz: str) -> dict[str, Any]:
    """The timers in the banner, as JSON values."""
    return {
        "count": len(stored),
        "enabled": sum(entry.timer.enabled for entry in stored),
        "lines": [_timer_line(entry, default_tz) for entry in stored[:_MAX_LISTED]],
    }


def print_banner(facts: dict[str, Any], timers: dict[str, Any], call: str | None, key: str = "") -> None:
    """Print the banner; `call` is a shell command, None if there is no function; `key` says where its key is."""
    for name, value in facts.items():
        shown = listed(value, _MAX_LISTED) or "none" if isinstance(value, list) else str(value)
        click.echo(f"{_label(name)}{display.plain(shown)}")
    click.echo(f"{_label('timers')}{timers['count']}, {timers['enabled']} of them enabled")
    for line in timers["lines"]:
        click.echo(f"{_INDENT}{display.plain(line)}")
    if (more := timers["count"] - len(timers["lines"])) > 0:
        click.echo(f"{_INDENT}and {more} more")
    if call:
        click.echo(f"\nCall a function{key}:\n\n{call}\n")
    else:
        click.echo("\nNo function is defined yet; define one with @engine.define and start again.\n")


def _label(name: str) -> str:
    return click.style(name.replace("_", " ").ljust(len(_INDENT)), bold=True)


def _timer_line(entry: StoredTimer, default_tz: str) -> str:
    timer = entry.timer
    next_fire = display.instant(entry.next_fire, display.zone_of(timer, default_tz))
    state = f"next at {next_fire}" if entry.next_fire is not None else entry.state
    return f"{timer.name} ({timer.environment}): {timer.function}, {timer.schedule}, {state}"
