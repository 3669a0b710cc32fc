"""scheduler demo: four timers on a store of their own, watched until all that should happen has happened."""

from __future__ import annotations

import logging
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from ..core.run import Outcome, Run
from ..core.timer import Environment, Timer
from ..core.triggers import Cron, Every
from ..daemon.loop import Daemon
from ..errors import SHORT_CIRCUITED, TIMED_OUT
from ..formats import display
from ..formats.json import print_json, run_json
from ..project.project import current_project
from ..store.database import Store
from ..store.runs import RunHistory
from ..store.timers import TimerTable
from ..workers.executor import ProcessExecutor
from .options import json_option

TARGET = "scheduler.cli.demo_cloud:engine"
#: The shortest and the longest that the demo takes, once its workers are ready.
LEAST_S, MOST_S = 12.0, 25.0
_LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Story:
    """A timer of the demo, and what should become of it: outcome → how many fires at least."""

    timer: Timer
    about: str
    expected: dict[Outcome, int]


def stories() -> list[Story]:
    """What the demo shows."""
    return [
        Story(
            Timer(name="readings", function="take_reading", trigger=Every(2), enabled=True),
            "every 2 s, succeeds",
            {Outcome.SUCCEEDED: 4},
        ),
        Story(
            Timer(name="report", function="write_report", trigger=Cron("*/5 * * * * ?"), enabled=True),
            "a cron timer: seconds 0, 5, 10 … of each minute",
            {Outcome.SUCCEEDED: 1},
        ),
        Story(
            Timer(
                name="primes",
                function="find_primes",
                trigger=Every(2),
                enabled=True,
                limit_s=1.0,
                breaker_threshold=2,
            ),
            "over-runs its limit of 1 s and is killed; after 2 time-outs its breaker opens",
            {Outcome.TIMED_OUT: 2, Outcome.SHORT_CIRCUITED: 1},
        ),
        Story(
            Timer(name="invoices", function="send_invoice", trigger=Every(3), enabled=True),
            "raises a KeyError each time",
            {Outcome.FAILED: 2},
        ),
    ]


@click.command("demo")
@json_option
def command(*, as_json: bool) -> None:
    """See it all work in about fifteen seconds, on a temporary store.

    Exit status 0 only if everything happened that should.
    """
    tz = current_project().settings.tz
    told = stories()
    with tempfile.TemporaryDirectory(prefix="scheduler-demo-") as folder, Store(f"{folder}/store.db") as store:
        if not as_json:
            _introduce(told, folder)
        with _running(store, Path(folder)):
            TimerTable(store).add([story.timer for story in told], now=datetime.now(UTC))
            history = RunHistory(store)
            _watch(lambda: history.runs(limit=1_000), told, tz, quiet=as_json)
        runs = history.runs(limit=1_000)
    missing = [fault for story in told for fault in faults(story, runs)]
    if as_json:
        print_json(
            {
                "ok": not missing,
                "missing": missing,
                "runs": [run_json(run, display.zone(tz)) for run in runs[::-1]],
            }
        )
    else:
        _conclude(told, runs, missing)
    raise SystemExit(1 if missing else 0)


@contextmanager
def _running(store: Store, folder: Path) -> Iterator[None]:
    """A daemon with its workers in a thread, as `scheduler up` has it in a process."""
    logging.getLogger("scheduler").addHandler(logging.NullHandler())
    executor = ProcessExecutor(TARGET, environ={"SCHEDULER_DEMO_FOLDER": str(folder)})
    daemon = Daemon(store, {Environment.PRODUCTION: executor})
    thread = threading.Thread(target=daemon.run, name="daemon")
    try:
        executor.start()
        thread.start()
        yield
    finally:
        if thread.ident is not None:
            daemon.stop()
            daemon.stop()
            thread.join()
        executor.stop()


def _watch(runs: Callable[[], list[Run]], told: list[Story], tz: str, *, quiet: bool) -> None:
    """Look on until everything has happened, but neither too short nor for ever."""
    started = time.monotonic()
    with _progress(quiet=quiet, tz=tz) as tell:
        while (passed := time.monotonic() - started) < MOST_S:
            found = runs()
            tell(found, passed)
            if passed >= LEAST_S and not any(faults(story, found) for story in told):
                return
            time.sleep(_LOOK_EVERY_S)


Tell = Callable[[list[Run], float], None]


@contextmanager
def _progress(*, quiet: bool, tz: str) -> Iterator[Tell]:
    """A function that tells of what is new: a line for each run, on a terminal above a bar that moves."""
    seen: set[int] = set()
    if quiet:
        yield lambda _found, _passed: None
    elif not sys.stdout.isatty():
        yield lambda found, _passed: _tell_new(found, seen, tz, click.echo)
    else:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.text import Text

        with Progress(TextColumn("watching"), BarColumn(), TimeElapsedColumn(), transient=True) as progress:
            task = progress.add_task("watching", total=LEAST_S)

            def tell(found: list[Run], passed: float) -> None:
                progress.update(task, completed=min(passed, LEAST_S))
                _tell_new(found, seen, tz, lambda line: progress.print(Text.from_ansi(line), soft_wrap=True))

            yield tell


def _tell_new(found: list[Run], seen: set[int], tz: str, echo: Callable[[str], object]) -> None:
    for run in reversed(found):
        if run.outcome is None or run.id in seen:
            continue
        seen.add(run.id)
        at = display.instant(run.ended_at, display.zone(tz))
        echo(f"{at}  {run.timer:<9} {display.coloured(run.outcome, width=16)} {display.plain(_what(run))}".rstrip())


def _what(run: Run) -> str:
    if run.outcome is Outcome.SUCCEEDED:
        return f"in {display.seconds(run.duration_s)}, {display.seconds(run.lateness_s)} late, returned {run.result}"
    return " ".join(part for part in (run.message, run.error and f"({run.error})") if part)


def faults(story: Story, runs: list[Run]) -> list[str]:
    """What should have become of a timer and has not."""
    counted = _counted(story, runs)
    return [
        f"{story.timer.name}: {counted[outcome]} × {outcome}, expected at least {least}"
        for outcome, least in story.expected.items()
        if counted[outcome] < least
    ] + [
        f"{story.timer.name}: {run.outcome} says {run.message!r}"
        for run in runs
        if run.timer == story.timer.name and run.message != _MESSAGES.get(run.outcome, run.message)
    ]


_MESSAGES: dict[Outcome | None, str] = {Outcome.TIMED_OUT: TIMED_OUT, Outcome.SHORT_CIRCUITED: SHORT_CIRCUITED}


def _counted(story: Story, runs: list[Run]) -> Counter[Outcome]:
    counted: Counter[Outcome] = Counter()
    for run in runs:
        if run.timer == story.timer.name and run.outcome is not None:
            counted[run.outcome] += run.count
    return counted


def _introduce(told: list[Story], folder: str) -> None:
    click.echo(f"Four timers on a store of their own, in {folder}; it is removed at the end.\n")
    display.print_table(
        ("TIMER", "FIRES", "WHAT IT DOES"),
        [(story.timer.name, str(story.timer.trigger), story.about) for story in told],
    )
    click.echo("")


def _conclude(told: list[Story], runs: list[Run], missing: list[str]) -> None:
    click.echo("\nWhat happened:\n")
    display.print_table(("TIMER", "FIRES", "OUTCOMES", "MOST LATE", "LAST MESSAGE"), [_summary(s, runs) for s in told])
    if missing:
        click.echo("\nNot everything happened that should have:", err=True)
        for fault in missing:
            click.echo(f"  {fault}", err=True)
        return
    click.echo(
        _NEXT.format(
            up=display.command("up"),
            add=display.command(*["timers", "add", "greeting", "--function", "hello", "--every", "10", "--enable"]),
            runs=display.command("runs"),
        )
    )


def _summary(story: Story, runs: list[Run]) -> tuple[str, ...]:
    counted = _counted(story, runs)
    own = [run for run in runs if run.timer == story.timer.name and run.outcome is not None]
    late = [run.lateness_s for run in own if run.lateness_s is not None]
    message = next((_what(run) for run in own), "")
    return (
        story.timer.name,
        str(counted.total()),
        ", ".join(f"{count} {outcome}" for outcome, count in counted.items()),
        display.seconds(max(late, default=None)),
        message,
    )


_NEXT = """
Everything happened as it should. Now your own function:

  1. cloud.py     from scheduler.engine import Engine

                  engine = Engine()

                  @engine.define
                  def hello(name="world"):
                      return "hello, " + name

  2. {up}
  3. {add}
  4. {runs}
"""
