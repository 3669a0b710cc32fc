"""scheduler next: the next fire times of an expression."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ..core.triggers import Cron
from ..core.zone_names import zone
from ..default_rules import DEFAULT_TZ_HELP
from ..formats import display
from ..formats.json import print_json
from ..project.project import current_project
from .arguments import parse_instant
from .options import json_option


@click.command("next")
@click.argument("expression")
@click.option("--tz", metavar="ZONE", help=f"Time zone ({DEFAULT_TZ_HELP}).")
@click.option(
    "--dst", type=click.Choice(("vixie", "quartz")), default="vixie", help="Rule for clock changes (default vixie)."
)
@click.option(
    "-n", "--count", metavar="N", default=5, type=click.IntRange(1, 10_000), help="Fire times to show (default 5)."
)
@click.option(
    "--from",
    "start",
    metavar="TIME",
    help="Begin after this time, as in 2026-01-05 or 'monday 9:00' (default now).",
)
@json_option
def command(*, expression: str, tz: str | None, dst: str, count: int, start: str | None, as_json: bool) -> None:
    """Show the next fire times of a Quartz expression, as in '0 0 8 ? * MON'."""
    settings = current_project(tz=tz).settings
    cron = Cron(expression, settings.tz, dst)
    shown_in = zone(settings.tz)
    after = parse_instant(start, settings.tz) if start is not None else datetime.now(UTC)
    fires = _fires(cron, after.astimezone(shown_in), count)
    if settings.default_zone.whose:
        click.echo(f"in {settings.default_zone}", err=True)
    if as_json:
        print_json([fire.isoformat() for fire in fires])
        return
    for fire in fires:
        click.echo(display.instant(fire, shown_in) + fire.strftime("  %a"))
    if not fires:
        click.echo(f"{cron} never fires again", err=True)
        raise SystemExit(1)


def _fires(cron: Cron, after: datetime, count: int) -> list[datetime]:
    fires: list[datetime] = []
    fire = cron.next_fire(after)
    while fire is not None and len(fires) < count:
        fires.append(fire)
        fire = cron.next_fire(fire)
    return fires
