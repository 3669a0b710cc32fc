"""scheduler timers: add, list, enable, disable, edit, reset, run, rm; see also transfer.py and backfill.py."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click

from ..claims.requests import request_run
from ..core.run import Outcome, Run
from ..core.timer import Environment, Timer, check_new
from ..errors import StoreUnavailableError, TimerError, UnknownTimerError
from ..formats import display
from ..formats.json import print_json, run_json, timer_json
from ..project.function_check import check_function
from ..project.project import Project, current_project
from ..project.suggestions import did_you_mean
from ..store.database import Store
from ..store.runs import RunHistory
from ..store.statistics import alive
from ..store.timers import StoredTimer, TimerTable
from .arguments import parse_params
from .backfill import backfill_timer
from .options import environment_filter, environment_option, json_option, store_option
from .timer_options import DefinitionCommand, attributes, changed_trigger, definition_options, new_trigger
from .transfer import export_timers, import_timers

#: How often a waiting command looks whether its run has ended.
_LOOK_EVERY_S = 0.1
#: How long a run may wait for its turn before the command gives up, besides the run's own limit.
_PATIENCE_S = 30.0
_EXAMPLE = ("timers", "add", "NAME", "--function", "FUNCTION", "--cron", "0 0 8 ? * MON")


@click.group("timers")
def command() -> None:
    """Timers: what fires when, and whether it does."""


command.add_command(backfill_timer)
command.add_command(import_timers)
command.add_command(export_timers)


def _now() -> datetime:
    return datetime.now(UTC)


@contextlib.contextmanager
def _opened(project: Project) -> Iterator[Store]:
    """The store of a place; a timer that it lacks is answered with the nearest name."""
    with project.open_store() as store:
        try:
            yield store
        except UnknownTimerError as error:
            hinted = _with_hint(error, TimerTable(store).list())
            if hinted is None:
                raise
            raise hinted from error


def _with_hint(error: UnknownTimerError, entries: list[StoredTimer]) -> TimerError | None:
    """The same error with what was probably meant, None where nothing comes near."""
    timers = [entry.timer for entry in entries]
    elsewhere = [timer.environment for timer in timers if timer.name == error.name]
    if elsewhere:
        hint = f"there is one in {elsewhere[0]}: add --env {elsewhere[0]}"
    else:
        hint = did_you_mean(error.name, (timer.name for timer in timers if timer.environment == error.environment))
    return TimerError(f"no timer {error.name!r} in {error.environment}; {hint}", field="name") if hint else None


@command.command("add", cls=DefinitionCommand)
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@definition_options
@environment_option
@click.option("--enable", is_flag=True, help="Set the timer going at once.")
@click.option("--target", metavar="CLOUD.PY", help="Where the function is looked up; the folder's cloud.py unless set.")
@click.option("--no-check", is_flag=True, help="Do not look whether there is such a function.")
@click.option("--max-timers", type=int, metavar="N", help="Timers an environment may hold, 0 = no limit.")
@store_option
@json_option
def add(*, name: str, pairs: tuple[str, ...], enable: bool, no_check: bool, as_json: bool, **given: Any) -> None:
    """Keep a new timer, disabled until it is enabled.

    Parameters of the function follow the name: key=text, or key:=JSON as in n:=3.
    """
    if given["function"] is None:
        raise click.UsageError("a timer needs a function: --function NAME")
    project = current_project(store=given["store"], environment=given["environment"], max_timers=given["max_timers"])
    timer = Timer(
        name=name,
        environment=project.environment,
        enabled=enable,
        trigger=new_trigger(given, project.settings.tz),
        params=parse_params(pairs, given["params"]),
        **attributes(given, limit_s=project.settings.limit_s),
    )
    check_new(timer)
    if not no_check:
        check_function(project, timer, given["target"])
    with project.open_or_create_store() as store:
        (entry,) = TimerTable(store).add([timer], now=_now(), quota=project.settings.max_timers)
        if as_json:
            print_json(timer_json(entry, project.settings.tz))
        else:
            _tell_added(entry, project, runs=alive(store))


def _tell_added(entry: StoredTimer, project: Project, *, runs: bool) -> None:
    timer = entry.timer
    click.echo(f"added {timer.name}: calls {timer.function} in {timer.environment}, {timer.schedule}")
    if not timer.enabled:
        click.echo(f"it is disabled; enable it with:  {_enabling(timer, project)}")
        return
    _tell_next(entry, project, runs=runs)


def _tell_next(entry: StoredTimer, project: Project, *, runs: bool) -> None:
    tz = display.zone_of(entry.timer, project.settings.tz)
    click.echo(f"enabled; fires next at {display.instant(entry.next_fire, tz)}")
    if not runs:
        click.echo(f"no daemon runs on this store; start one with:  {display.command('up')}", err=True)


def _enabling(timer: Timer, project: Project) -> str:
    """The command that enables a timer, with the options that lead to it."""
    words = ["timers", "enable", timer.name]
    for option, value in (("store", project.settings.store), ("environment", timer.environment)):
        if project.settings.origin(option).startswith("the option"):
            words += ["--store" if option == "store" else "--env", value]
    return display.command(*words)


@command.command("list")
@environment_filter
@store_option
@json_option
def list_timers(environment: str | None, store: str | None, as_json: bool) -> None:
    """Show every timer: what it calls, when, and how it is."""
    project = current_project(store=store, environment=environment)
    with _opened(project) as opened:
        entries = TimerTable(opened).list(Environment(environment) if environment else None)
    if as_json:
        print_json([timer_json(entry, project.settings.tz) for entry in entries])
    elif not entries:
        click.echo("no timers yet; add one with:  " + display.command(*_EXAMPLE))
    else:
        columns = ("NAME", "ENVIRONMENT", "STATE", "BREAKER", "NEXT FIRE", "FUNCTION", "FIRES")
        display.print_table(columns, (_row(entry, project.settings.tz) for entry in entries))


def _row(entry: StoredTimer, default_tz: str) -> tuple[str, ...]:
    timer = entry.timer
    return (
        timer.name,
        timer.environment,
        "enabled" if timer.enabled else "disabled, no longer declared" if entry.has_vanished else "disabled",
        entry.breaker.state,
        display.instant(entry.next_fire, display.zone_of(timer, default_tz)),
        timer.function,
        str(timer.schedule),
    )


@command.command("enable")
@click.argument("name")
@environment_option
@store_option
@json_option
def enable_timer(name: str, environment: str | None, store: str | None, as_json: bool) -> None:
    """Set a timer going from now on; its breaker is closed."""
    project = current_project(store=store, environment=environment)
    with _opened(project) as opened:
        entry = TimerTable(opened).enable(name, project.environment, now=_now())
        if as_json:
            print_json(timer_json(entry, project.settings.tz))
        else:
            _tell_next(entry, project, runs=alive(opened))


@command.command("disable")
@click.argument("name")
@environment_option
@store_option
@json_option
def disable_timer(name: str, environment: str | None, store: str | None, as_json: bool) -> None:
    """Stop a timer from firing; a run that goes on is not touched."""
    project = current_project(store=store, environment=environment)
    with _opened(project) as opened:
        _answer(TimerTable(opened).disable(name, project.environment), f"disabled {name}", project, as_json)


@command.command("reset")
@click.argument("name")
@environment_option
@store_option
@json_option
def reset_timer(name: str, environment: str | None, store: str | None, as_json: bool) -> None:
    """Close the breaker of a timer, so that its next fire runs."""
    project = current_project(store=store, environment=environment)
    with _opened(project) as opened:
        _answer(TimerTable(opened).reset(name, project.environment), f"closed the breaker of {name}", project, as_json)


@command.command("edit", cls=DefinitionCommand, short_help="Change a timer; what is not named stays.")
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@definition_options
@click.option("--rename", metavar="NAME", help="Give the timer another name.")
@environment_option
@store_option
@json_option
def edit_timer(*, name: str, pairs: tuple[str, ...], rename: str | None, as_json: bool, **given: Any) -> None:
    """Change a timer; what is not named stays, parameters are replaced as a whole.

    The breaker is closed. Where it fires at other times than before, that is from now on; else what is due stays due.
    """
    project = current_project(store=given["store"], environment=given["environment"])
    with _opened(project) as opened:
        kept = TimerTable(opened).get(name, project.environment).timer
        changes = attributes(given)
        if (new := changed_trigger(given, kept.trigger, project.settings.tz)) is not None:
            changes["trigger"] = new
        if pairs or given["params"] is not None:
            changes["params"] = parse_params(pairs, given["params"])
        if rename is not None:
            changes["name"] = rename
        if not changes:
            raise click.UsageError("nothing to change; name at least one option, as in --limit 30")
        entry = TimerTable(opened).edit(name, project.environment, changes, now=_now())
        _answer(entry, f"changed {entry.timer.name}: {', '.join(changes)}{_then(entry, project)}", project, as_json)


def _then(entry: StoredTimer, project: Project) -> str:
    """When a timer that was changed fires next, if it does."""
    tz = display.zone_of(entry.timer, project.settings.tz)
    return f"; fires next at {display.instant(entry.next_fire, tz)}" if entry.timer.enabled else ""


@command.command("rm")
@click.argument("name")
@environment_option
@store_option
@json_option
def remove_timer(name: str, environment: str | None, store: str | None, as_json: bool) -> None:
    """Forget a timer; what it ran stays in the history."""
    project = current_project(store=store, environment=environment)
    with _opened(project) as opened:
        entry = TimerTable(opened).get(name, project.environment)
        TimerTable(opened).remove(name, project.environment)
    _answer(entry, f"removed {name}; its runs stay in the history", project, as_json)


def _answer(entry: StoredTimer, words: str, project: Project, as_json: bool) -> None:
    if as_json:
        print_json(timer_json(entry, project.settings.tz))
    else:
        click.echo(words)


@command.command("run", short_help="Run a timer once, now, off its schedule.")
@click.argument("name")
@click.option("--wait", is_flag=True, help="Wait for the outcome; exit status 1 unless it succeeded.")
@environment_option
@store_option
@json_option
def run_timer(*, name: str, wait: bool, environment: str | None, store: str | None, as_json: bool) -> None:
    """Run a timer once, now, off its schedule; an open breaker does not keep it from running."""
    project = current_project(store=store, environment=environment)
    with _opened(project) as opened:
        timer = TimerTable(opened).get(name, project.environment).timer
        runs = alive(opened)
        if wait and not runs:
            raise StoreUnavailableError(
                f"no daemon runs on {opened}, so nothing would run; start one: {display.command('up')}"
            )
        run_id = request_run(opened, name, project.environment, now=_now())
        run = _waited(opened, run_id, timer) if wait else RunHistory(opened).run(run_id)
    assert run is not None
    if as_json:
        print_json(run_json(run, display.zone_of(timer, project.settings.tz)))
    elif wait and run.outcome is not None:
        _tell_ended(run)
    else:
        # Of a run that nobody waits for, no outcome is told, even if it came at once: a script is told the same always.
        _tell_entered(run, runs=runs)
    if wait and run.outcome is not Outcome.SUCCEEDED:
        raise SystemExit(1)


def _waited(store: Store, run_id: int, timer: Timer) -> Run | None:
    """The run when it has ended, or as it is when it should have."""
    history = RunHistory(store)
    give_up_at = time.monotonic() + timer.limit_s + _PATIENCE_S
    run = history.run(run_id)
    while (run is None or run.outcome is None) and time.monotonic() < give_up_at:
        time.sleep(_LOOK_EVERY_S)
        run = history.run(run_id)
    return run


def _tell_entered(run: Run, *, runs: bool) -> None:
    click.echo(
        f"run {run.id} of {run.timer} is entered; look at it with:  {display.command('runs', '--timer', run.timer)}"
    )
    if not runs:
        click.echo(f"no daemon runs on this store; it waits for:  {display.command('up')}", err=True)


def _tell_ended(run: Run) -> None:
    what = display.plain(" ".join(part for part in (run.message, run.error and f"({run.error})") if part))
    ended = f"run {run.id} of {run.timer} {display.coloured(run.outcome or '')} in {display.seconds(run.duration_s)}"
    click.echo(f"{ended}  {what}" if what else ended)
    if run.result is not None:
        click.echo(f"result  {display.plain(run.result)}")
