"""scheduler runs show: everything about one run: how it went, what led to it, what it led to, and its last lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

import click

from ..core.run import Run
from ..errors import RunError
from ..formats import display
from ..formats.json import line_json, print_json, run_json
from ..formats.lines import line_of_run, print_line
from ..formats.run_zones import RunZones
from ..project.project import current_project
from ..store.runs import RunHistory
from .options import json_option, store_option

_INDENT = 13


@click.command("show", short_help="Show everything about one run.")
@click.argument("run_id", metavar="RUN", type=click.IntRange(1, 2**63 - 1))
@click.option("-n", "count", default=20, type=click.IntRange(1, 1_000), help="Lines shown (default 20).")
@store_option
@json_option
def show_run(*, run_id: int, count: int, store: str | None, as_json: bool) -> None:
    """Show a run, the run that led to it, the runs to which it led, and the last lines that its function printed.

    RUN is its number in `scheduler runs`.
    """
    project = current_project(store=store)
    with project.open_store() as opened:
        history = RunHistory(opened)
        run = history.run(run_id)
        if run is None:
            raise RunError(f"no run {run_id} in the store; scheduler runs lists them", run_id=run_id)
        cause = None if run.cause_id is None else history.run(run.cause_id)
        led_to = history.led_to(run_id)
        lines = [line_of_run(line, run) for line in history.lines(run_id)[-count:]]
        tz = RunZones(opened, project.settings.tz).of(run)
    if as_json:
        of_cause = None if cause is None else run_json(cause, tz)
        led = [run_json(each, tz) for each in led_to]
        print_json({**run_json(run, tz), "cause": of_cause, "led_to": led, "lines": [line_json(x, tz) for x in lines]})
        return
    for label, text in _lines(run, cause, led_to, tz):
        click.echo(f"{click.style(label.ljust(_INDENT), bold=True)}{display.plain(text)}")
    if lines:
        click.echo()
    for line in lines:
        print_line(line, tz, as_json=False)


def _lines(run: Run, cause: Run | None, led_to: Sequence[Run], tz: tzinfo) -> Iterator[tuple[str, str]]:
    """The lines about a run with their labels; an empty label continues the previous line."""
    yield "run", f"{run.id} of {run.timer}, {run.environment}, {run.kind}"
    yield "calls", f"{run.function}{f' with {run.own_params}' if run.own_params else ''}"
    yield "fire time", display.instant(run.fire_time, tz)
    if run.count > 1:
        yield "", f"and {run.count - 1} more until {display.instant(run.last_fire_time, tz)}"
    if run.attempt > 1:
        yield "attempt", str(run.attempt)
    if run.started_at is not None:
        late = f", {display.seconds(run.lateness_s)} late"
        yield "began", f"{display.instant(run.started_at, tz)}{late}"
    if run.ended_at is not None:
        took = "" if run.duration_s is None else f", after {display.seconds(run.duration_s)}"
        yield "ended", f"{display.instant(run.ended_at, tz)}{took}"
    yield "outcome", str(run.outcome or "none yet")
    for label, part in (("message", run.message), ("error", run.error), ("result", run.result)):
        for number, line in enumerate((part or "").splitlines()):
            yield "" if number else label, line
    if run.retry_at is not None:
        yield "tried again", display.instant(run.retry_at, tz)
    if run.cause_id is not None:
        yield "after", f"run {run.cause_id}" + (", which is no longer kept" if cause is None else f" of {cause.timer}")
    for number, each in enumerate(led_to):
        yield "" if number else "led to", f"run {each.id} of {each.timer}: {each.outcome or 'none yet'}"
    yield "request id", run.request_id
