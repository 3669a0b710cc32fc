"""scheduler timers apply: makes the timers of the store equal to a list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click

from ..core.timer import Environment
from ..errors import TimerError, listed
from ..formats import display
from ..formats.changes import described
from ..formats.json import print_json
from ..formats.list_problems import TimerListError
from ..project.project import Project, current_project
from ..store.database import Store
from ..store.statistics import has_live_daemon
from ..store.timer_apply import Applied, Difference, ListEffect, WantedTimer, apply_timers
from .author import by_user
from .options import (
    environment_option,
    json_option,
    list_check_options,
    max_timers_option,
    store_option,
    target_option,
    why_option,
)
from .store_hints import (
    hint_at_daemon,
    opened_or_new,
    warn_of_no_effect,
    warn_of_other_zone,
    warn_of_private_pings,
    warn_of_unserved,
)
from .transfer import function_problems, hint, print_zones, read_list

_SIGNS = {ListEffect.ADDED: ("+", "green"), ListEffect.CHANGED: ("~", "yellow"), ListEffect.REMOVED: ("-", "red")}


@click.command("apply", short_help="Make the timers equal to a CSV or JSON list.")
@click.argument("file", metavar="FILE|-")
@click.option("--prune", is_flag=True, help="Remove the timers that the list lacks.")
@click.option("--dry-run", is_flag=True, help="Print the difference, and change nothing.")
@environment_option
@target_option
@list_check_options
@max_timers_option
@why_option
@store_option
@json_option
def apply_list(*, file: str, prune: bool, dry_run: bool, no_check: bool, as_json: bool, **given: Any) -> None:
    """Make the timers of the store equal to a list, all or nothing; `-` reads the list from stdin.

    The list has the format of `timers import` and `timers export`. A new timer is added; one that differs is edited. An
    attribute that a line lacks gets its default, but a timer stays enabled or disabled unless its line says which.
    --prune removes other timers of the environments that the list names, and of --env (default production); timers that
    functions declare stay.
    """
    project = current_project(store=given["store"], environment=given["environment"], max_timers=given["max_timers"])
    settings = project.settings
    timer_list = read_list(project, file)
    of_functions = (
        [] if no_check else function_problems(project, timer_list.lines, given["target"], given["stage_source"])
    )
    if problems := [*timer_list.problems, *of_functions]:
        text = hint(of_functions, timer_list.lines, given["stage_source"]) if of_functions else ""
        raise TimerError(f"{TimerListError(problems)}{text}") if text else TimerListError(problems)
    wanted = [WantedTimer(line.timer, "enabled" in line.values) for line in timer_list.lines if line.timer]
    environments = {project.environment, *(timer.environment for timer, _ in wanted)} if prune else set()
    by = by_user(given["why"])
    with _opened(project, dry_run=dry_run) as store:
        applied = apply_timers(
            store,
            wanted,
            prune=environments,
            now=datetime.now(UTC),
            quota=settings.max_timers,
            by=by,
            dry_run=dry_run,
        )
        daemon_runs = has_live_daemon(store)
    if print_zones(timer_list.lines):
        warn_of_other_zone(project)
    warn_of_private_pings(project, [timer for timer, _ in wanted])
    warn_of_no_effect([timer for timer, _ in wanted])
    warn_of_unserved(project, [timer for timer, _ in wanted])
    if as_json:
        print_json(_as_object(applied, dry_run=dry_run))
        return
    _print(applied, environments, dry_run=dry_run)
    enabled = any(each.timer.enabled for each in applied.differences)
    hint_at_daemon(is_needed=enabled and not (daemon_runs or dry_run))


@contextmanager
def _opened(project: Project, *, dry_run: bool) -> Iterator[Store]:
    """The project's store; with --dry-run, one in memory if there is none yet."""
    is_missing = project.store_file is not None and not project.store_file.exists()
    if dry_run:
        with Store("sqlite://") if is_missing else project.open_store() as store:
            yield store
    else:
        with opened_or_new(project) as store:
            yield store


def _as_object(applied: Applied, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "differences": [
            {
                "effect": each.effect,
                "name": each.timer.name,
                "environment": each.timer.environment,
                "before": each.change.before,
                "after": each.change.after,
            }
            for each in applied.differences
        ],
        "unchanged": applied.unchanged,
        "declared": [{"name": timer.name, "environment": timer.environment} for timer in applied.declared],
    }


def _print(applied: Applied, pruned: set[Environment], *, dry_run: bool) -> None:
    for each in applied.differences:
        sign, colour = _SIGNS[each.effect]
        click.echo(click.style(f"{sign} {_line(each)}", fg=colour))
    counts = {effect: sum(each.effect is effect for each in applied.differences) for effect in ListEffect}
    parts = [f"{count:,} {effect}" for effect, count in counts.items() if count or (effect != "removed" or pruned)]
    would = "would be: " if dry_run else ""
    click.echo(f"{would}{', '.join(parts)}, {applied.unchanged:,} unchanged")
    if applied.declared:
        names = listed([timer.name for timer in applied.declared])
        click.echo(f"not removed, because functions declare them: {names}", err=True)


def _line(each: Difference) -> str:
    timer = each.timer
    return display.plain(f"{timer.name} in {timer.environment}: {described(each.change)}")
