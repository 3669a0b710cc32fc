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

from ..core.timer import Environment, Timer
from ..errors import DuplicateTimerError, TargetError, TimerError
from ..formats import display, timer_files
from ..formats.json import print_json
from ..formats.timer_files import FileProblem, Listed, TimerListError
from ..project.function_check import ProjectFunctions, load_functions
from ..project.preview_sources import CallToCheck, PreviewSource
from ..project.project import Project, current_project
from ..store.statistics import alive
from ..store.timers import TimerTable
from .options import environment_filter, environment_option, json_option, store_option


@click.command("import", short_help="Keep the timers of a CSV or JSON list.")
@click.argument("file", metavar="FILE|-")
@environment_option
@click.option("--enable", is_flag=True, help="Set every timer going, whatever its line says.")
@click.option("--dry-run", is_flag=True, help="Look whether the list can be taken, and keep nothing.")
@click.option("--target", metavar="CLOUD.PY", help="Where functions are looked up; the folder's cloud.py unless set.")
@click.option(
    "--stage-source", metavar="DIR", help="Where those of stage are looked up; where the others are unless set."
)
@click.option("--no-check", is_flag=True, help="Do not look whether there are such functions.")
@click.option("--max-timers", type=int, metavar="N", help="Timers an environment may hold, 0 = no limit.")
@store_option
@json_option
def import_timers(*, file: str, enable: bool, dry_run: bool, no_check: bool, as_json: bool, **given: Any) -> None:
    """Keep the timers of a CSV or JSON list, all of them or none; `-` reads the list from stdin.

    A CSV begins with a header. The columns are name, function, cron or seconds, environment, and if you like enabled,
    tz, dst, params (JSON), limit_s, misfire, overlap, delivery, breaker, jitter_s, retries, retry_backoff_s. --env is
    for lines that name no environment.
    """
    project = current_project(store=given["store"], environment=given["environment"], max_timers=given["max_timers"])
    settings = project.settings
    found = timer_files.read(_text_of(file), environment=project.environment, tz=settings.tz, limit_s=settings.limit_s)
    kept = _kept(project)
    problems = [*found.problems, *_taken(kept, found.lines), *_over_quota(kept, found.lines, settings.max_timers)]
    lost = [] if no_check else _lost_functions(project, found.lines, given["target"], given["stage_source"])
    if lost:
        raise TimerError(f"{TimerListError(problems + lost)}{_hint(lost, found.lines, given['stage_source'])}")
    if problems:
        raise TimerListError(problems)
    timers = [replace(timer, enabled=enable or timer.enabled) for timer in found.timers]
    if not dry_run:
        _keep(project, timers)
    _tell(project, timers, dry_run=dry_run, as_json=as_json)


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


def _lost_functions(
    project: Project, lines: Sequence[Listed], target: str | None, source: str | None
) -> list[FileProblem]:
    """The lines whose functions, each in its own environment, are not there or do not take the line's parameters."""
    of_stage: list[Listed] = []
    others: list[Listed] = []
    for listed in lines:
        if "function" in listed.values and "environment" in listed.values:
            elsewhere = source is not None and listed.values["environment"] is Environment.STAGE
            (of_stage if elsewhere else others).append(listed)
    questions = [_question(listed) for listed in of_stage]
    faults = PreviewSource.find(project, source, target).check(project, questions) if questions else []
    if others and (functions := _functions(project, target)):
        faults += [functions.problem(*_question(listed)) for listed in others]
    found = zip([*of_stage, *others], faults, strict=False)
    return [FileProblem(listed.line, fault.column, fault.text) for listed, fault in found if fault is not None]


def _question(listed: Listed) -> CallToCheck:
    return listed.values["function"], listed.values.get("params")


def _functions(project: Project, target: str | None) -> ProjectFunctions | None:
    try:
        return load_functions(project, target)
    except TargetError as error:
        if target is not None:
            raise
        click.echo(f"Warning: nobody checked whether the functions are there: {error}", err=True)
        return None


def _kept(project: Project) -> list[Timer]:
    """The timers that the store has; none where there is no store yet."""
    if project.store_file is not None and not project.store_file.exists():
        return []
    with project.open_store() as store:
        return [entry.timer for entry in TimerTable(store).list()]


def _taken(kept: Sequence[Timer], lines: Sequence[Listed]) -> list[FileProblem]:
    """The lines whose names the store has already; whoever adds at the same moment is found by the transaction."""
    taken = {(timer.environment, timer.name) for timer in kept}
    return [
        FileProblem(listed.line, "name", str(DuplicateTimerError(listed.key[1], listed.key[0])))
        for listed in lines
        if listed.key in taken and listed.key
    ]


def _over_quota(kept: Sequence[Timer], lines: Sequence[Listed], quota: int) -> list[FileProblem]:
    """For each environment that would be over its limit, the first line that is too much."""
    if not quota:
        return []
    problems = []
    had = Counter(timer.environment for timer in kept)
    for environment in Environment:
        new = [listed.line for listed in lines if listed.values.get("environment") is environment]
        if new and (total := had[environment] + len(new)) > quota:
            text = (
                f"{environment} would have {total} timers, {len(new)} of them from the list, and may have {quota}; "
                f"raise the limit with --max-timers {total} (0 = no limit), or for good in scheduler.toml: "
                f"max_timers = {total}"
            )
            problems.append(FileProblem(new[max(0, quota - had[environment])], "environment", text))
    return problems


def _hint(problems: Sequence[FileProblem], lines: Sequence[Listed], source: str | None) -> str:
    """How to take the list all the same where a function is not at hand."""
    lost = {problem.line for problem in problems if problem.column in ("function", "params")}
    environments = {listed.values.get("environment") for listed in lines if listed.line in lost}
    ways = ["--no-check keeps the timers all the same"]
    if Environment.STAGE in environments and source is None:
        ways.append("--stage-source DIR looks for those of stage in the sources of the preview")
    return f"\n({'; '.join(ways)})"


def _keep(project: Project, timers: Sequence[Timer]) -> None:
    with project.open_or_create_store() as store:
        TimerTable(store).add(timers, now=datetime.now(UTC), quota=project.settings.max_timers)
        if any(timer.enabled for timer in timers) and not alive(store):
            click.echo(f"no daemon runs on this store; start one with:  {display.command('up')}", err=True)


def _tell(project: Project, timers: Sequence[Timer], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json([timer_files.record(timer) for timer in timers])
        return
    count = Counter(timer.environment for timer in timers)
    numbers = ", ".join(f"{number} in {environment}" for environment, number in sorted(count.items())) or "none"
    click.echo(
        f"{'would add' if dry_run else 'added'} {len(timers)} {'timer' if len(timers) == 1 else 'timers'}: {numbers}"
    )
    disabled = [timer for timer in timers if not timer.enabled]
    if disabled and not dry_run:
        example = disabled[0]
        stage = ["--env", example.environment] if example.environment != project.environment else []
        click.echo(
            f"{len(disabled)} of them disabled; enable them one by one when they shall fire here:  "
            + display.command("timers", "enable", example.name, *stage)
        )


@click.command("export", short_help="Print all timers as CSV or JSON.")
@environment_filter
@store_option
@json_option
def export_timers(environment: str | None, store: str | None, as_json: bool) -> None:
    """Print every timer as a list that `timers import` takes: CSV, or JSON under --json."""
    project = current_project(store=store, environment=environment)
    with project.open_store() as opened:
        entries = TimerTable(opened).list(Environment(environment) if environment else None)
    timers = [entry.timer for entry in entries]
    if as_json:
        print_json([timer_files.record(timer) for timer in timers])
    else:
        click.echo(timer_files.as_csv(timers), nl=False)
