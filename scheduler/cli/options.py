"""The options that many commands share, each with one name and one meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..default_rules import DEFAULT_QUOTA_HELP
from ..executors import kinds
from ..project.setting_table import ENVIRONMENTS

F = TypeVar("F", bound=Callable[..., Any])


class _ExecutorChoice(click.Choice):  # type: ignore[type-arg, unused-ignore]
    """The executors in the table; also accepts those of other packages, and looks them up only when one is named."""

    def __init__(self) -> None:
        super().__init__(list(kinds.KINDS))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value not in self.choices and value in kinds.kind_names():
            return value
        return super().convert(value, param, ctx)


def executor_options(command: F) -> F:
    """--executor, and the options for the settings of executors in the table."""
    settings = {setting.name: setting for kind in kinds.KINDS.values() for setting in kind.settings if setting.help}
    for setting in reversed(settings.values()):
        option = f"--{setting.name.replace('_', '-')}"
        number = int if setting.bounds else str
        command = click.option(option, type=number, metavar=setting.metavar, help=setting.help)(command)
    return click.option(
        "--executor", type=_ExecutorChoice(), help="Where timers run their functions (default process)."
    )(command)


def store_option(command: F) -> F:
    """--store, the store to open."""
    return click.option(
        "--store", metavar="PATH|URL", help="Store: a SQLite file or a URL (default .scheduler/store.db)."
    )(command)


def json_option(command: F) -> F:
    """--json, for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON; instants are ISO 8601.")(command)


def environment_option(command: F) -> F:
    """--env of one timer."""
    return click.option(
        "--env", "environment", type=click.Choice(ENVIRONMENTS), help="Environment (default production)."
    )(command)


def environment_filter(command: F) -> F:
    """--env of a command that shows timers or runs."""
    return click.option(
        "--env", "environment", type=click.Choice(ENVIRONMENTS), help="This environment only (default both)."
    )(command)


def tag_filter(command: F) -> F:
    """--tag of a command that shows timers or runs."""
    return click.option("--tag", help="Timers with this tag only.")(command)


def served_environment_option(command: F) -> F:
    """--env of a process that serves functions."""
    return click.option(
        "--env", "environment", type=click.Choice(ENVIRONMENTS), help="Serve this environment only (default both)."
    )(command)


def since_option(command: F) -> F:
    """--since of a command that shows a time span."""
    return click.option(
        "--since",
        metavar="TIME",
        help="From this time on, as in 2026-01-05T00:00, '2 hours ago' or 'yesterday 9:00' (in the default time zone).",
    )(command)


def until_option(command: F) -> F:
    """--until of a command that shows a time span."""
    return click.option("--until", metavar="TIME", help="Before this time.")(command)


def limit_option(what: str, *, default: int = 20) -> Callable[[F], F]:
    """--limit of a command that shows the latest of many entries."""
    return click.option(
        "-n",
        "--limit",
        metavar="N",
        default=default,
        type=click.IntRange(1, 100_000),
        help=f"Most {what} shown (default {default}).",
    )


def why_option(command: F) -> F:
    """--why of a change, which is recorded with the author."""
    why = "Why; `scheduler changes` shows it."
    return click.option("--why", "--note", "why", default="", metavar="TEXT", help=why)(command)


def end_option(command: F) -> F:
    """--until of something that ends by itself."""
    return click.option(
        "--until",
        metavar="TIME",
        help="When it ends by itself, as in 2026-01-05, 'in 2 hours' or 'monday 9:00' (in the default time zone).",
    )(command)


def max_timers_option(command: F) -> F:
    """--max-timers, the quota of an environment."""
    return click.option(
        "--max-timers",
        type=int,
        metavar="N",
        help=f"Most timers an environment may have; 0 = no limit ({DEFAULT_QUOTA_HELP}).",
    )(command)


def list_check_options(command: F) -> F:
    """--stage-source and --no-check of a command that checks the functions of a list of timers."""
    unchecked = click.option("--no-check", is_flag=True, help="Do not check the functions and their parameters.")
    return click.option(
        "--stage-source", metavar="DIR", help="Folder of the functions of environment stage (default: this folder)."
    )(unchecked(command))


def target_option(command: F) -> F:
    """--target of a command that checks functions."""
    return click.option(
        "--target", metavar="CLOUD.PY", help="File of the functions (default: the folder's wsgi.py or cloud.py)."
    )(command)
