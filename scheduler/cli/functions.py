"""Whether a function is there: asked of the cloud.py at hand before a timer for it is kept."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click

from ..errors import FunctionError, TargetError
from ..functions import bind
from ..timer import Timer
from .place import Place, printing_to_stderr


def closest(name: str, known: Iterable[str]) -> str:
    """A question that offers the known name most like another one, empty when none is like it."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def unknown_function(name: str, target: str, known: list[str]) -> FunctionError:
    """The error for a function that a target lacks."""
    listed = f"it has {', '.join(known[:8])}" + (f" and {len(known) - 8} more" if len(known) > 8 else "")
    what = closest(name, known) or (listed if known else "it defines none")
    return FunctionError(f"{target} has no function {name!r}; {what}")


def check_function(place: Place, timer: Timer, target: str | None) -> None:
    """FunctionError when the functions at hand lack a timer's function, or it does not take the timer's parameters.

    Functions that do not load are only a warning, unless they were named.
    """
    found = place.target_name(target)
    if found is None:
        return
    try:
        with printing_to_stderr():
            registry = place.load(found).registry
    except TargetError as error:
        if target is not None:
            raise
        click.echo(f"Warning: nobody checked that there is a function {timer.function!r}: {error}", err=True)
        return
    try:
        if timer.function not in registry:
            raise unknown_function(timer.function, found, registry.names())
        bind(registry.get(timer.function), timer.params)
    except FunctionError as error:
        raise FunctionError(f"{error} (--no-check keeps the timer all the same)") from error
