"""Names of timers on the command line: an error about an unknown one gets a hint with a similar name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import click

from ..core.timer import Environment
from ..errors import TimerError, UnknownTimerError
from ..project.project import Project
from ..project.suggestions import did_you_mean
from ..store.database import Store
from ..store.stored_timer import StoredTimer
from ..store.timers import TimerTable


def _each_once(_: click.Context, __: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


#: The names of one timer or of several.
names_argument = click.argument("names", nargs=-1, required=True, metavar="NAME...", callback=_each_once)


def check_known(store: Store, names: Sequence[str], environment: Environment) -> list[StoredTimer]:
    """The timers of these names; UnknownTimerError before any is changed."""
    table = TimerTable(store)
    return [table.get(name, environment) for name in names]


@contextlib.contextmanager
def store_with_hints(project: Project) -> Iterator[Store]:
    """The project's store; an error about an unknown timer that leaves the block gets a hint."""
    with project.open_store() as store:
        try:
            yield store
        except UnknownTimerError as error:
            hinted = _with_hint(error, TimerTable(store).list())
            if hinted is None:
                raise
            raise hinted from error


def _with_hint(error: UnknownTimerError, entries: list[StoredTimer]) -> TimerError | None:
    """The same error with a hint; None if there is no similar name."""
    timers = [entry.timer for entry in entries]
    others = [timer.environment for timer in timers if timer.name == error.name]
    if others:
        hint = f"there is one in {others[0]}: add --env {others[0]}"
    else:
        hint = did_you_mean(error.name, (timer.name for timer in timers if timer.environment == error.environment))
    return TimerError(f"no timer {error.name!r} in {error.environment}; {hint}", field="name") if hint else None
