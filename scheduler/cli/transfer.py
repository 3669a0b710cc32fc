"""scheduler timers import and export: lists of timers, all or none."""

from __future__ import annotations

import codecs
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..core.timer import Environment, Timer
from ..core.trigger_kinds import UnreadableTrigger
from ..errors import DuplicateTimerError, TargetError, TimerError
from ..formats import display, timer_columns, timer_lists
from ..formats.json import print_json
from ..formats.list_problems import FileProblem, TimerListError
from ..formats.timer_lists import Listed
from ..project.function_check import FunctionProblem, ProjectFunctions, load_functions
from ..project.preview_sources import CallToCheck, PreviewSource
from ..project.project import Project, current_project
from ..store.chains import with_known_followers
from ..store.change_recording import Author
from ..store.statistics import has_live_daemon
from ..store.stored_timer import StoredTimer
from ..store.timers import TimerTable
from .author import by_user
from .options import (
    environment_filter,
    environment_option,
    json_option,
    list_check_options,
    max_timers_option,
    store_option,
    tag_filter,
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

_REQUIRED = ("name", "function", "cron", "seconds")
_IMPORT_HELP = f"""Add the timers of a CSV or JSON list, all of them or none; `-` reads the list from stdin.

A CSV list begins with a header. Its columns are name, function, and cron or seconds; optional ones are
{", ".join(column for column in timer_columns.COLUMNS if column not in _REQUIRED)}. --env is the environment of lines
that name none.
"""


@click.command("import", short_help="Add the timers of a CSV or JSON list.", help=_IMPORT_HELP)
@click.argument("file", metavar="FILE|-")
@environment_option
@click.option("--enable", is_flag=True, help="Enable every timer, whatever its line says.")
@click.option("--dry-run", is_flag=True, help="Check the list, and add no timer.")
@target_option
@list_check_options
@max_timers_option
@why_option
@store_option
@json_option
def import_timers(*, file: str, enable: bool, dry_run: bool, no_check: bool, as_json: bool, **given: Any) -> None:
    project = current_project(store=given["store"], environment=given["environment"], max_timers=given["max_timers"])
    settings = project.settings
    timer_list = read_list(project, file)
    lines, stored = timer_list.lines, _stored_timers(project)
    problems = [*timer_list.problems, *_duplicates(stored, lines), *_over_quota(stored, lines, settings.max_timers)]
    of_functions = [] if no_check else function_problems(project, lines, given["target"], given["stage_source"])
    if of_functions:
        text = hint(of_functions, lines, given["stage_source"])
        raise TimerError(f"{TimerListError(problems + of_functions)}{text}")
    if problems:
        raise TimerListError(problems)
    timers = [replace(timer, enabled=enable or timer.enabled) for timer in timer_list.timers]
    if not dry_run:
        _add(project, timers, by_user(given["why"]))
    _print_added(project, timers, dry_run=dry_run, as_json=as_json)
    if print_zones(lines):
        warn_of_other_zone(project)
    warn_of_private_pings(project, timers)
    warn_of_no_effect(timers)
    # Disabled ones too: they are enabled next.
    warn_of_unserved(project, [replace(timer, enabled=True) for timer in timers])


#: More than a list of a million timers has.
_MOST_BYTES = 500_000_000


def read_list(project: Project, file: str) -> timer_lists.TimerList:
    """The timers of a list; `-` reads it from stdin. Lines have their defaults from the project's settings."""
    settings = project.settings
    return timer_lists.read(_read_text(file), environment=project.environment, tz=settings.tz, limit_s=settings.limit_s)


def _read_text(file: str) -> str:
    try:
        with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as source:
            data = source.read(_MOST_BYTES + 1)
    except OSError as error:
        raise TimerError(f"{file}: cannot be read ({error.strerror})") from error
    if len(data) > _MOST_BYTES:
        raise TimerError(f"{file}: more than {_MOST_BYTES // 1_000_000} MB; import several lists")
    if data.startswith(b"PK\x03\x04"):
        raise TimerError(f"{file}: a workbook; save the list as text (in Excel: CSV UTF-8)")
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # Excel's "Unicode text"
            text = data.decode("utf-16")
        else:
            text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TimerError(f"{file}: line {line} is not UTF-8; save the list as UTF-8 (in Excel: CSV UTF-8)") from error
    if "\0" in text[:100]:  # UTF-16 without a mark, UTF-32
        raise TimerError(f"{file}: is not UTF-8; save the list as UTF-8 (in Excel: CSV UTF-8)")
    return text


def function_problems(
    project: Project, lines: Sequence[Listed], target: str | None, stage_source: str | None
) -> list[FileProblem]:
    """The lines whose function is missing in its environment, or does not accept the line's parameters."""
    of_stage: list[Listed] = []
    others: list[Listed] = []
    for listed in lines:
        if "function" in listed.values and "environment" in listed.values:
            is_of_preview = stage_source is not None and listed.values["environment"] is Environment.STAGE
            (of_stage if is_of_preview else others).append(listed)
    problems: list[FunctionProblem | None] = []
    if of_stage:
        source = PreviewSource.find(project, stage_source, target)
        problems += source.check(project, [_call_to_check(listed) for listed in of_stage])
    if others and (functions := _load_functions(project, target)):
        problems += [functions.problem(*_call_to_check(listed)) for listed in others]
    checked = zip([*of_stage, *others], problems, strict=False)
    return [FileProblem(listed.line, problem.column, problem.text) for listed, problem in checked if problem]


def _call_to_check(listed: Listed) -> CallToCheck:
    return listed.values["function"], listed.values.get("params")


def _load_functions(project: Project, target: str | None) -> ProjectFunctions | None:
    try:
        return load_functions(project, target)
    except TargetError as error:
        if target is not None:
            raise
        click.echo(f"Warning: the functions were not checked: {error}", err=True)
        return None


def _stored_timers(project: Project) -> list[StoredTimer]:
    """The timers of the store; empty if there is no store yet."""
    if project.store_file is not None and not project.store_file.exists():
        return []
    with project.open_store() as store:
        return TimerTable(store).list()


def _duplicates(stored: Sequence[StoredTimer], lines: Sequence[Listed]) -> list[FileProblem]:
    """The lines whose names are in the store; a timer that is added concurrently fails in the transaction."""
    taken = {(entry.timer.environment, entry.timer.name) for entry in stored}
    return [
        FileProblem(listed.line, "name", str(DuplicateTimerError(listed.key[1], listed.key[0])))
        for listed in lines
        if listed.key in taken and listed.key
    ]


def _over_quota(stored: Sequence[StoredTimer], lines: Sequence[Listed], quota: int) -> list[FileProblem]:
    """The first line that exceeds the quota, for each environment; lines whose timers exist add none."""
    if not quota:
        return []
    problems = []
    taken = {(entry.timer.environment, entry.timer.name) for entry in stored}
    before = Counter(entry.timer.environment for entry in stored if entry.timer.enabled or not entry.has_vanished)
    for environment in Environment:
        of_environment = [listed for listed in lines if listed.values.get("environment") is environment]
        new = [listed.line for listed in of_environment if listed.key not in taken]
        if new and (total := before[environment] + len(new)) > quota:
            text = (
                f"{environment} would have {total} timers, {len(new)} of them from the list; "
                f"at most {quota} are allowed; raise the limit with --max-timers {total} (0 = no limit), "
                f"or for good in scheduler.toml: max_timers = {total}"
            )
            problems.append(FileProblem(new[max(0, quota - before[environment])], "environment", text))
    return problems


def hint(problems: Sequence[FileProblem], lines: Sequence[Listed], stage_source: str | None) -> str:
    """The options with which to import the list although functions are missing."""
    failed = {problem.line for problem in problems if problem.column in ("function", "params")}
    environments = {listed.values.get("environment") for listed in lines if listed.line in failed}
    ways = ["use --no-check to add them anyway"]
    if Environment.STAGE in environments and stage_source is None:
        ways.append("--stage-source DIR checks those of stage against the sources of the preview")
    return f"\n({'; '.join(ways)})"


def _add(project: Project, timers: Sequence[Timer], by: Author) -> None:
    with opened_or_new(project) as store:
        TimerTable(store).add(timers, now=datetime.now(UTC), quota=project.settings.max_timers, by=by)
        hint_at_daemon(is_needed=any(timer.enabled for timer in timers) and not has_live_daemon(store))


def _print_added(project: Project, timers: Sequence[Timer], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json([timer_lists.as_object(timer) for timer in timers])
        return
    count = Counter(timer.environment for timer in timers)
    numbers = ", ".join(f"{number} in {environment}" for environment, number in sorted(count.items())) or "none"
    click.echo(f"{'would add' if dry_run else 'added'} {display.number(len(timers), 'timer')}: {numbers}")
    disabled = [timer for timer in timers if not timer.enabled]
    if disabled and not dry_run:
        example = disabled[0]
        stage = ["--env", example.environment] if example.environment != project.environment else []
        enable = display.command("timers", "enable", example.name, *stage)
        click.echo(f"{len(disabled)} of them disabled; enable each one that is to fire here:  {enable}")


def print_zones(lines: Sequence[Listed]) -> bool:
    """Report on stderr the zones of the timers whose lines name none; returns whether there are any."""
    assumed = Counter(
        listed.timer.trigger.tz
        for listed in lines
        if not listed.names_zone and listed.timer and listed.timer.trigger.tz
    )
    for tz, number in sorted(assumed.items()):
        click.echo(f"{display.number(number, 'timer')} whose line names no zone: {tz}", err=True)
    return bool(assumed)


@click.command("export", short_help="Print all timers as CSV or JSON.")
@environment_filter
@tag_filter
@store_option
@json_option
def export_timers(environment: str | None, tag: str | None, store: str | None, as_json: bool) -> None:
    """Print all timers as a list that `timers import` reads: CSV, or JSON with --json."""
    project = current_project(store=store, environment=environment)
    with project.open_store() as opened:
        stored = TimerTable(opened).list(Environment(environment) if environment else None, tag=tag)
        timers = with_known_followers(opened, [entry.timer for entry in stored])
    for entry, timer in zip(stored, timers, strict=True):
        for name in sorted({*entry.timer.then} - {*timer.then}):
            click.echo(f"{timer.name} in {timer.environment} is exported without {name}, which was removed", err=True)
    for timer in timers:
        if isinstance(timer.trigger, UnreadableTrigger):
            reason = timer.trigger.reason
            click.echo(f"{timer.name} in {timer.environment} is exported without its trigger: {reason}", err=True)
    if as_json:
        print_json([timer_lists.as_object(timer) for timer in timers])
    else:
        click.echo(timer_lists.as_csv(timers), nl=False)
