"""Hints of commands on their store: that it is new, and that no daemon runs on it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

import click

from ..core.timer import Timer
from ..core.without_effect import without_effect
from ..formats import display
from ..project.project import Project
from ..project.running_services import other_zone, running_services, unserved_timers
from ..store.database import Store


@contextlib.contextmanager
def opened_or_new(project: Project) -> Iterator[Store]:
    """The project's store; at the end of the block, a new one is reported, so that a wrong folder is noticed."""
    path = project.store_file
    # Not Path.exists(), which raises an error of its own in a folder that is closed to this user.
    is_new = path is not None and not os.path.lexists(path)
    with project.open_or_create_store() as store:
        yield store
    if is_new:
        click.echo(f"there was no store here; made a new one: {path}", err=True)


def warn_of_private_pings(project: Project, timers: Iterable[Timer]) -> None:
    """Warn of timers whose pings no daemon with these settings sends, because their addresses are private."""
    pinging = [timer for timer in timers if timer.ping_url is not None]
    if not pinging or project.settings.ping_private:
        return
    from ..alerts.private_addresses import unsent_ping  # slow to import, and few timers need it

    for timer in pinging:
        if reason := unsent_ping(timer.ping_url):
            click.echo(f"Warning: {display.plain(timer.name)}: {reason}", err=True)


#: The most warnings of one kind; a list may have thousands of timers.
_MOST_WARNINGS = 10


def warn_of_no_effect(timers: Iterable[Timer]) -> None:
    """Warn of attributes that do nothing beside the others of their timer."""
    sentences = [f"{display.plain(timer.name)}: {each}" for timer in timers for each in without_effect(timer)]
    for sentence in sentences[:_MOST_WARNINGS]:
        click.echo(f"Warning: {sentence}", err=True)
    if len(sentences) > _MOST_WARNINGS:
        click.echo(f"Warning: {len(sentences) - _MOST_WARNINGS:,} more attributes have no effect", err=True)


def warn_of_unserved(project: Project, timers: Iterable[Timer]) -> None:
    """Warn of enabled timers whose environment the running `scheduler up` of this folder does not serve."""
    for sentence in unserved_timers(running_services(project), [*timers]):
        click.echo(f"Warning: {sentence}", err=True)


def warn_of_other_zone(project: Project) -> None:
    """Warn that the zone that this command has assumed is not the one that a running service assumes."""
    if sentence := other_zone(running_services(project), project):
        click.echo(f"Warning: {sentence}", err=True)


def hint_at_daemon(*, is_needed: bool) -> None:
    """Print how to start a daemon on stderr, if one is needed."""
    if is_needed:
        click.echo(f"no daemon runs on this store; start one with:  {display.command('up')}", err=True)
