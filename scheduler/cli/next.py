"""scheduler next: when an expression fires."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ..errors import TimerError
from ..timer import Cron
from . import show
from .place import here, json_option


@click.command("next")
@click.argument("expression")
@click.option("--tz", metavar="ZONE", help="The time zone; Asia/Shanghai unless set.")
@click.option("--dst", type=click.Choice(("vixie", "quartz")), default="vixie", help="What gaps and overlaps do.")
@click.option("-n", "--count", default=5, type=click.IntRange(1, 10_000), help="How many; 5 unless set.")
@click.option("--from", "start", metavar="INSTANT", help="Count from here, as in 2026-01-05T08:00:00+08:00.")
@json_option
def command(*, expression: str, tz: str | None, dst: str, count: int, start: str | None, as_json: bool) -> None:
    """Show when a Quartz expression fires next."""
    config = here(tz=tz).config
    cron = Cron(expression, config.tz, dst)
    zone = show.zone(config.tz)
    fires = _fires(cron, _start(start, config.tz).astimezone(zone), count)
    if as_json:
        show.print_json([fire.isoformat() for fire in fires])
        return
    for fire in fires:
        click.echo(show.instant(fire, zone) + fire.strftime("  %a"))
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


def _start(text: str | None, tz: str) -> datetime:
    """The instant to count from; one without offset is a wall time of the zone."""
    if text is None:
        return datetime.now(UTC)
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        raise TimerError(f"{text!r} is no instant; write one as in 2026-01-05T08:00:00+08:00") from None
    if start.tzinfo is not None:
        return start
    from pytz import timezone

    return timezone(tz).localize(start)
