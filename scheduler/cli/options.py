"""TODO-DOC"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..project.settings import ENVIRONMENTS

if TYPE_CHECKING:
    pass


F = TypeVar("F", bound=Callable[..., Any])


def store_option(command: F) -> F:
    """--store, with its meaning everywhere the same."""
    return click.option("--store", metavar="PATH|URL", help="The store; .scheduler/store.db unless set.")(command)


def json_option(command: F) -> F:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, with instants in ISO 8601.")(command)


def environment_option(command: F) -> F:
    """--env."""
    return click.option(
        "--env", "environment", type=click.Choice(ENVIRONMENTS), help="The environment; production unless set."
    )(command)


def environment_filter(command: F) -> F:
    """--env, where it narrows what is shown."""
    return click.option(
        "--env", "environment", type=click.Choice(ENVIRONMENTS), help="One environment only; both unless set."
    )(command)
