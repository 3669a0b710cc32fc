"""scheduler demo: four timers on a temporary store, watched until each has the expected outcomes."""

from __future__ import annotations

import logging
import signal
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
from ..core.zone_names import zone
from ..daemon.loop import Daemon
from ..default_rules import assumed_tz
from ..errors import SHORT_CIRCUITED, TIMED_OUT, ConfigError
from ..formats import display
from ..formats.json import print_json, run_json
from ..project.project import current_project
from ..store.database import Store
from ..store.runs import RunHistory
from ..store.timers import TimerTable
from ..workers.executor import ProcessExecutor
from .options import json_option

TARGET = "scheduler.cli.demo_cloud:engine"
#: The shortest and the longest time that the timers are watched.
MIN_WATCH_S, MAX_WATCH_S = 12.0, 25.0
_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class DemoTimer:
    """A timer of the demo; `expected` has the least number of fires with each outcome."""

    timer: Timer
    about: str
    expected: dict[Outcome, int]


def demo_timers() -> list[DemoTimer]:
    """One that succeeds, one on a cron expression, one that exceeds its limit, one that fails."""
    return [
        DemoTimer(
            Timer(name="readings", function="take_reading", trigger=Every(2), enabled=True),
            "every 2 s, succeeds",
            {Outcome.SUCCEEDED: 4},
        ),
        DemoTimer(
            Timer(name="report", function="write_report", trigger=Cron("*/5 * * * * ?"), enabled=True),
            "a cron timer: seconds 0, 5, 10 … of each minute",
            {Outcome.SUCCEEDED: 1},
        ),
        DemoTimer(
            Timer(
                name="primes",
                function="find_primes",
                trigger=Every(2),
                enabled=True,
                limit_s=1.0,
                breaker_threshold=2,
            ),
            "exceeds its limit of 1 s and is killed; after 2 time-outs its breaker opens",
            {Outcome.TIMED_OUT: 2, Outcome.SHORT_CIRCUITED: 1},
        ),
        DemoTimer(
            Timer(name="invoices", function="send_invoice", trigger=Every(3), enabled=True),
            "raises a KeyError each time",
            {Outcome.FAILED: 2},
        ),
    ]


@click.command("demo")
@json_option
def command(*, as_json: bool) -> None:
    """See timers at work for about fifteen seconds, on a temporary store.

    Exit status 1 if a timer does not have the expected outcomes.
    """
    tz = _default_tz()
    demo = demo_timers()
    # So that it ends its workers and removes its folder; process 1 would ignore the signal.
    signal.signal(signal.SIGTERM, _stop)
    with tempfile.TemporaryDirectory(prefix="scheduler-demo-") as folder, Store(f"{folder}/store.db") as store:
        if not as_json:
            _print_introduction(demo, folder)
        with _running_daemon(store, Path(folder)):
            TimerTable(store).add([one.timer for one in demo], now=datetime.now(UTC))
            history = RunHistory(store)
            _watch(lambda: history.runs(limit=1_000), demo, tz, quiet=as_json)
        runs = history.runs(limit=1_000)
    missing = [text for one in demo for text in missing_outcomes(one, runs)]
    if as_json:
        print_json(
            {
                "ok": not missing,
                "missing": missing,
                "runs": [run_json(run, zone(tz)) for run in runs[::-1]],
            }
        )
    else:
        _print_summary(demo, runs, missing)
    raise SystemExit(1 if missing else 0)


def _default_tz() -> str:
    """The time zone in the settings; the machine's if this user may not read them, because the demo needs none."""
    try:
        return current_project().settings.tz
    except (ConfigError, PermissionError) as error:
        if not isinstance(error.__cause__ or error, PermissionError):
            raise
        return assumed_tz()


def _stop(number: int, _: object) -> None:
    raise SystemExit(128 + number)


@contextmanager
def _running_daemon(store: Store, folder: Path) -> Iterator[None]:
    """A daemon with its worker processes, in a thread of this process."""
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


def _watch(runs: Callable[[], list[Run]], demo: list[DemoTimer], tz: str, *, quiet: bool) -> None:
    """Show runs as they end, until no expected outcome is missing, or for MAX_WATCH_S."""
    started = time.monotonic()
    with _progress(quiet=quiet, tz=tz) as show:
        while (passed_s := time.monotonic() - started) < MAX_WATCH_S:
            so_far = runs()
            show(so_far, passed_s)
            if passed_s >= MIN_WATCH_S and not any(missing_outcomes(one, so_far) for one in demo):
                return
            time.sleep(_POLL_S)


#: Shows the runs so far; the second argument is the elapsed time in seconds.
Show = Callable[[list[Run], float], None]


@contextmanager
def _progress(*, quiet: bool, tz: str) -> Iterator[Show]:
    """A function that prints each run that has ended; on a terminal, above a progress bar."""
    shown: set[int] = set()
    if quiet:
        yield lambda _runs, _passed_s: None
    elif not sys.stdout.isatty():
        yield lambda runs, _passed_s: _print_new(runs, shown, tz, click.echo)
    else:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.text import Text

        with Progress(TextColumn("watching"), BarColumn(), TimeElapsedColumn(), transient=True) as progress:
            task = progress.add_task("watching", total=MIN_WATCH_S)

            def show(runs: list[Run], passed_s: float) -> None:
                progress.update(task, completed=min(passed_s, MIN_WATCH_S))
                _print_new(runs, shown, tz, lambda line: progress.print(Text.from_ansi(line), soft_wrap=True))

            yield show


def _print_new(runs: list[Run], shown: set[int], tz: str, echo: Callable[[str], object]) -> None:
    for run in reversed(runs):
        if run.outcome is None or run.id in shown:
            continue
        shown.add(run.id)
        at = display.instant(run.ended_at, zone(tz))
        outcome = display.coloured(run.outcome, width=16)
        echo(f"{at}  {run.timer:<9} {outcome} {display.plain(_message(run))}".rstrip())


def _message(run: Run) -> str:
    if run.outcome is Outcome.SUCCEEDED:
        return f"in {display.seconds(run.duration_s)}, {display.seconds(run.lateness_s)} late, returned {run.result}"
    return " ".join(part for part in (run.message, run.error and f"({run.error})") if part)


def missing_outcomes(demo_timer: DemoTimer, runs: list[Run]) -> list[str]:
    """The missing outcomes, and the runs whose message differs from the specification; empty if there are none."""
    name = demo_timer.timer.name
    counts = _outcome_counts(name, runs)
    return [
        f"{name}: {counts[outcome]} × {outcome}, expected at least {least}"
        for outcome, least in demo_timer.expected.items()
        if counts[outcome] < least
    ] + [
        f"{name}: {run.outcome}: unexpected message {run.message!r}"
        for run in runs
        if run.timer == name and run.message != _MESSAGES.get(run.outcome, run.message)
    ]


_MESSAGES: dict[Outcome | None, str] = {Outcome.TIMED_OUT: TIMED_OUT, Outcome.SHORT_CIRCUITED: SHORT_CIRCUITED}


def _outcome_counts(name: str, runs: list[Run]) -> Counter[Outcome]:
    counts: Counter[Outcome] = Counter()
    for run in runs:
        if run.timer == name and run.outcome is not None:
            counts[run.outcome] += run.count
    return counts


def _print_introduction(demo: list[DemoTimer], folder: str) -> None:
    click.echo(f"Four timers on a temporary store in {folder}, which is removed at the end.\n")
    display.print_table(
        ("TIMER", "FIRES", "WHAT IT DOES"),
        [(one.timer.name, str(one.timer.trigger), one.about) for one in demo],
    )
    click.echo("")


def _print_summary(demo: list[DemoTimer], runs: list[Run], missing: list[str]) -> None:
    click.echo("\nWhat happened:\n")
    columns = ("TIMER", "FIRES", "OUTCOMES", "MAX LATENESS", "LAST MESSAGE")
    display.print_table(columns, [_summary(one.timer.name, runs) for one in demo])
    if missing:
        click.echo("\nExpected, but missing:", err=True)
        for text in missing:
            click.echo(f"  {text}", err=True)
        return
    click.echo(
        _NEXT_STEPS.format(
            up=display.command_anywhere("up"),
            add=display.command_anywhere(
                *["timers", "add", "greeting", "--function", "hello", "--every", "10", "--enable"]
            ),
            runs=display.command_anywhere("runs"),
        )
    )


def _summary(name: str, runs: list[Run]) -> tuple[str, ...]:
    counts = _outcome_counts(name, runs)
    ended = [run for run in runs if run.timer == name and run.outcome is not None]
    lateness_s = [run.lateness_s for run in ended if run.lateness_s is not None]
    return (
        name,
        str(counts.total()),
        ", ".join(f"{count} {outcome}" for outcome, count in counts.items()),
        display.seconds(max(lateness_s, default=None)),
        next((_message(run) for run in ended), ""),
    )


_NEXT_STEPS = """
Everything happened as expected. Now your own function:

  1. cloud.py     from scheduler.engine import Engine

                  engine = Engine()

                  @engine.define
                  def hello(name="world"):
                      return "hello, " + name

  2. {up}
  3. {add}
  4. {runs}
"""
