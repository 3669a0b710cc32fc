"""scheduler resume: ends pauses."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ..core.timer import Environment
from ..core.zone_names import zone
from ..formats.json import print_json
from ..formats.pause_text import pause_json
from ..project.project import current_project
from ..store.pause_table import PauseTable
from .author import by_user
from .options import environment_filter, json_option, store_option, tag_filter, why_option


@click.command("resume")
@environment_filter
@tag_filter
@click.option("--skip", is_flag=True, help="Record missed fire times as misfired, whatever the misfire policies.")
@why_option
@store_option
@json_option
def command(
    *, environment: str | None, tag: str | None, skip: bool, why: str, store: str | None, as_json: bool
) -> None:
    """End the pause of the same --env and --tag; without both, end all pauses.

    Each timer's misfire policy now decides about missed fire times. Timers that another pause covers stay paused.
    """
    project = current_project(store=store)
    with project.open_store() as opened:
        of = None if environment is None else Environment(environment)
        by = by_user(why)
        ended = PauseTable(opened).resume(of, tag, now=datetime.now(UTC), skip=skip, by=by)
    if as_json:
        tz = zone(project.settings.tz)
        print_json([pause_json(pause, tz) for pause in ended])
    else:
        for pause in ended:
            click.echo(f"{pause.scope} is no longer paused")
