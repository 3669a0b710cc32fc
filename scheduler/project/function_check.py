"""Whether a function is there: asked of the cloud.py at hand before a timer for it is kept."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import click

from ..core.timer import Environment, Timer
from ..errors import ArgumentError, FunctionError, TargetError
from ..functions.binding import bind
from ..functions.registry import Registry
from ..store.timers import StoredTimer
from .project import Project, printing_to_stderr


def closest(name: str, known: Iterable[str]) -> str:
    """A question that offers the known name most like another one, empty when none is like it."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def unknown_function(name: str, target: str, known: list[str]) -> FunctionError:
    """The error for a function that a target lacks."""
    listed = f"it has {', '.join(known[:8])}" + (f" and {len(known) - 8} more" if len(known) > 8 else "")
    what = closest(name, known) or (listed if known else "it defines none")
    return FunctionError(f"{target} has no function {name!r}; {what}")


class Fault(NamedTuple):
    """What is wrong with the function of a timer: the function, or the parameters for it."""

    column: str
    text: str


@dataclass(frozen=True, slots=True)
class Functions:
    """The functions at hand, and what they are called after."""

    target: str
    registry: Registry

    def check(self, name: str, params: Mapping[str, Any] | None) -> None:
        """FunctionError when a function is not there, or does not take the parameters; None stands for any."""
        if name not in self.registry:
            raise unknown_function(name, self.target, self.registry.names())
        if params is not None:
            bind(self.registry.get(name), params)

    def fault(self, name: str, params: Mapping[str, Any] | None) -> Fault | None:
        """What `check` would say, None where all is well."""
        try:
            self.check(name, params)
        except ArgumentError as error:
            return Fault("params", str(error))
        except FunctionError as error:
            return Fault("function", str(error))
        return None


def functions_at_hand(place: Project, target: str | None) -> Functions | None:
    """The functions that are named, or those of the folder, None where there are none; TargetError if they are bad."""
    found = place.target_name(target)
    if found is None:
        return None
    with printing_to_stderr():
        return Functions(found, place.load(found).registry)


def check_function(place: Project, timer: Timer, target: str | None) -> None:
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
            functions.check(timer.function, timer.params)
    except FunctionError as error:
        raise FunctionError(f"{error} (--no-check keeps the timer all the same)") from error


def lost_timers(entries: Sequence[StoredTimer], known: Mapping[Environment, tuple[Sequence[str], str]]) -> list[str]:
    """A warning for each timer whose function nobody defines; `known` has an environment's functions and its target.

    What a remote engine defines is not known here.
    """
    warnings = []
    here = (entry for entry in entries if entry.timer.environment in known and not entry.has_vanished)
    for timer in (entry.timer for entry in here):
        names, target = known[timer.environment]
        if timer.function not in names:
            hint = closest(timer.function, names)
            lost = f"timer {timer.name!r} calls {timer.function!r}, which {target} does not define"
            warnings.append(f"{lost}; {hint}" if hint else lost)
    return warnings
