"""Whether a function is there: asked of the cloud.py at hand before a timer for it is kept."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import click

from ..errors import FunctionError, TargetError
from ..functions import Registry, bind
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


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions at hand, and what they are called after."""

    target: str
    registry: Registry

    def check(self, timer: Timer) -> None:
        """FunctionError when a timer's function is not there, or does not take the timer's parameters."""
        if timer.function not in self.registry:
            raise unknown_function(timer.function, self.target, self.registry.names())
        bind(self.registry.get(timer.function), timer.params)


def functions_at_hand(place: Place, target: str | None) -> Functions | None:
    """The functions that are named, or those of the folder, None where there are none; TargetError if they are bad."""
    found = place.target_name(target)
    if found is None:
        return None
    with printing_to_stderr():
        return Functions(found, place.load(found).registry)


def check_function(place: Place, timer: Timer, target: str | None) -> None:
    """FunctionError when the functions at hand lack a timer's function, or it does not take the timer's parameters.

    Functions that do not load are only a warning, unless they were named.
    """
    try:
        functions = functions_at_hand(place, target)
    except TargetError as error:
        if target is not None:
            raise
        click.echo(f"Warning: nobody checked that there is a function {timer.function!r}: {error}", err=True)
        return
    try:
        if functions is not None:
            functions.check(timer)
    except FunctionError as error:
        raise FunctionError(f"{error} (--no-check keeps the timer all the same)") from error
