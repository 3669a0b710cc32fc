"""scheduler pause: no daemon claims a timer until the pause ends."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ..core.timer import Environment
from ..core.zone_names import zone
from ..formats import display
from ..formats.json import print_json
from ..formats.pause_text import pause_json, pause_text
from ..project.project import current_project
from ..store.pause_table import PauseTable
from ..store.timer_pages import has_timer_of
from .arguments import parse_instant
from .author import by_user
from .options import end_option, environment_filter, json_option, store_option, tag_filter, why_option


@click.command("pause")
@environment_filter
@tag_filter
@end_option
@why_option
@store_option
@json_option
def command(
    *, environment: str | None, tag: str | None, until: str | None, why: str, store: str | None, as_json: bool
) -> None:
    """Pause all timers of the store, or those of an environment or with a tag: no daemon claims them.

    Runs in progress continue, and `timers run` still runs a timer. When the pause ends, each timer's misfire policy
    decides about missed fire times, unless `resume --skip` ends it. Another pause of the same scope replaces this one.
    """
    project = current_project(store=store)
    end = None if until is None else parse_instant(until, project.settings.tz)
    with project.open_store() as opened:
        of = None if environment is None else Environment(environment)
        by = by_user(why)
        pause = PauseTable(opened).pause(of, tag, now=datetime.now(UTC), until=end, by=by)
        is_empty = pause.tag is not None and not has_timer_of(opened, of, pause.tag)
    tz = zone(project.settings.tz)
    if as_json:
        print_json(pause_json(pause, tz))
    else:
        click.echo(pause_text(pause, tz))
        if is_empty:
            click.echo(f"no timer {'' if of is None else f'of {of} '}has this tag yet")
        click.echo(f"end it with:  {display.command('resume', *_options(environment, tag))}")


def _options(environment: str | None, tag: str | None) -> list[str]:
    return [*(["--env", environment] if environment else []), *(["--tag", tag] if tag else [])]
