"""The options that many commands share, each with one name and one meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..project.settings import ENVIRONMENTS

F = TypeVar("F", bound=Callable[..., Any])


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
    """--env where it restricts what is shown."""
    return click.option(
        "--env", "environment", type=click.Choice(ENVIRONMENTS), help="This environment only (default both)."
    )(command)


def served_environment_option(command: F) -> F:
    """--env of a process that serves functions."""
    return click.option(
        "--env", "environment", type=click.Choice(ENVIRONMENTS), help="Serve this environment only (default both)."
    )(command)


def target_option(command: F) -> F:
    """--target of a command that looks at functions."""
    return click.option(
        "--target", metavar="CLOUD.PY", help="File of the functions (default: the folder's wsgi.py or cloud.py)."
    )(command)
