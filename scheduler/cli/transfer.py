"""scheduler timers import and export: many timers at once, all or none."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..errors import DuplicateTimerError, FunctionError, TargetError, TimerError
from ..timer import Environment, Timer
from ..timetable import Timetable
from . import show, timerlist
from .daemons import alive
from .functions import Functions, functions_at_hand
from .place import Place, environment_filter, environment_option, here, json_option, store_option
from .timerlist import Listed, Problem, TimerListError


@click.command("import")
@click.argument("file", metavar="FILE|-")
@environment_option
@click.option("--enable", is_flag=True, help="Set every timer going, whatever its line says.")
@click.option("--dry-run", is_flag=True, help="Look whether the list can be taken, and keep nothing.")
@click.option("--target", metavar="CLOUD.PY", help="Where functions are looked up; the folder's cloud.py unless set.")
@click.option("--no-check", is_flag=True, help="Do not look whether there are such functions.")
@click.option("--max-timers", type=int, metavar="N", help="Timers an environment may hold, 0 = no limit.")
@store_option
@json_option
def import_timers(*, file: str, enable: bool, dry_run: bool, no_check: bool, as_json: bool, **given: Any) -> None:
    """Keep the timers of a CSV or JSON list, all of them or none; `-` reads the list from stdin.

    A CSV begins with a header. The columns are name, function, cron or seconds, environment, and if you like enabled,
    tz, dst, params (JSON), limit_s, misfire, overlap, delivery, breaker. --env is for lines that name no environment.
    """
    place = here(store=given["store"], environment=given["environment"], max_timers=given["max_timers"])
    config = place.config
    listed = timerlist.read(_text_of(file), environment=place.environment, tz=config.tz, limit_s=config.limit_s)
    if not no_check:
        _check_functions(place, listed, given["target"])
    if enable:
        listed = [Listed(line, replace(timer, enabled=True)) for line, timer in listed]
    if dry_run:
        if place.store_file is None or place.store_file.exists():
            with place.store() as store:
                _check_room(Timetable(store), listed, config.max_timers)
        else:
            _check_quota({}, listed, config.max_timers)
    else:
        _keep(place, listed)
    _tell(place, [timer for _, timer in listed], dry_run=dry_run, as_json=as_json)


def _text_of(file: str) -> str:
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise TimerError(f"{file}: cannot be read ({error.strerror})") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TimerError(f"{file}: line {line} is no UTF-8; save the list as UTF-8 (in Excel: CSV UTF-8)") from error


def _check_functions(place: Place, listed: Sequence[Listed], target: str | None) -> None:
    try:
        functions = functions_at_hand(place, target)
    except TargetError as error:
        if target is not None:
            raise
        click.echo(f"Warning: nobody checked whether the functions are there: {error}", err=True)
        return
    if functions is None:
        return
    problems = [Problem(line, "function", fault) for line, timer in listed if (fault := _fault(functions, timer))]
    if problems:
        raise TimerError(f"{TimerListError(problems)}\n(--no-check keeps the timers all the same)")


def _fault(functions: Functions, timer: Timer) -> str | None:
    try:
        functions.check(timer)
    except FunctionError as error:
        return str(error)
    return None


def _keep(place: Place, listed: Sequence[Listed]) -> None:
    with place.new_store() as store:
        timetable = Timetable(store)
        _check_room(timetable, listed, place.config.max_timers)
        timetable.add([timer for _, timer in listed], now=datetime.now(UTC), quota=place.config.max_timers)
        if any(timer.enabled for _, timer in listed) and not alive(store):
            click.echo(f"no daemon runs on this store; start one with:  {show.command('up')}", err=True)


def _check_room(timetable: Timetable, listed: Sequence[Listed], quota: int) -> None:
    """Say which lines the store cannot take; whoever adds at the same moment is found by the transaction."""
    kept = [entry.timer for entry in timetable.list()]
    taken = {(timer.environment, timer.name) for timer in kept}
    problems = [
        Problem(line, "name", str(DuplicateTimerError(timer.name, timer.environment)))
        for line, timer in listed
        if (timer.environment, timer.name) in taken
    ]
    if problems:
        raise TimerListError(problems)
    _check_quota(Counter(timer.environment for timer in kept), listed, quota)


def _check_quota(kept: dict[Environment, int], listed: Sequence[Listed], quota: int) -> None:
    for environment, new in Counter(timer.environment for _, timer in listed).items():
        total = kept.get(environment, 0) + new
        if quota and total > quota:
            raise TimerError(
                f"{environment} would have {total} timers, {new} of them from the list, and may have {quota}; "
                f"raise the limit with --max-timers {total} (0 = no limit), or for good in scheduler.toml: "
                f"max_timers = {total}"
            )


def _tell(place: Place, timers: Sequence[Timer], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        show.print_json([timerlist.record(timer) for timer in timers])
        return
    count = Counter(timer.environment for timer in timers)
    numbers = ", ".join(f"{number} in {environment}" for environment, number in sorted(count.items())) or "none"
    click.echo(
        f"{'would add' if dry_run else 'added'} {len(timers)} {'timer' if len(timers) == 1 else 'timers'}: {numbers}"
    )
    disabled = [timer for timer in timers if not timer.enabled]
    if disabled and not dry_run:
        example = disabled[0]
        stage = ["--env", example.environment] if example.environment != place.environment else []
        click.echo(
            f"{len(disabled)} of them disabled; enable them one by one when they shall fire here:  "
            + show.command("timers", "enable", example.name, *stage)
        )


@click.command("export")
@environment_filter
@store_option
@json_option
def export_timers(environment: str | None, store: str | None, as_json: bool) -> None:
    """Print every timer as a list that `timers import` takes: CSV, or JSON under --json."""
    place = here(store=store, environment=environment)
    with place.store() as opened:
        entries = Timetable(opened).list(Environment(environment) if environment else None)
    timers = [entry.timer for entry in entries]
    if as_json:
        show.print_json([timerlist.record(timer) for timer in timers])
    else:
        click.echo(timerlist.as_csv(timers), nl=False)
