"""scheduler next: when an expression fires."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ..core.triggers import Cron
from ..formats import display
from ..formats.json import print_json
from ..project.project import current_project
from .arguments import moment
from .options import json_option


@click.command("next")
@click.argument("expression")
@click.option("--tz", metavar="ZONE", help="The time zone; Asia/Shanghai unless set.")
@click.option("--dst", type=click.Choice(("vixie", "quartz")), default="vixie", help="What gaps and overlaps do.")
@click.option("-n", "--count", default=5, type=click.IntRange(1, 10_000), help="How many; 5 unless set.")
@click.option("--from", "start", metavar="INSTANT", help="Count from here, as in 2026-01-05T08:00:00+08:00.")
@json_option
def command(*, expression: str, tz: str | None, dst: str, count: int, start: str | None, as_json: bool) -> None:
    """Show when a Quartz expression fires next."""
    settings = current_project(tz=tz).settings
    cron = Cron(expression, settings.tz, dst)
    zone = display.zone(settings.tz)
    after = moment(start, settings.tz) if start is not None else datetime.now(UTC)
    fires = _fires(cron, after.astimezone(zone), count)
    if as_json:
        print_json([fire.isoformat() for fire in fires])
        return
    for fire in fires:
        click.echo(display.instant(fire, zone) + fire.strftime("  %a"))
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
