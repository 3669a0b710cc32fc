"""Checks that the function of a timer exists among the project's functions and accepts the timer's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..core.timer import Environment, Timer
from ..errors import ArgumentError, FunctionError, TargetError
from ..functions.binding import bind
from ..functions.registry import Registry
from .project import Project, printing_to_stderr
from .slow_loading import reporting_while_loading
from .suggestions import did_you_mean

if TYPE_CHECKING:
    from ..store.stored_timer import StoredTimer


class FunctionProblem(NamedTuple):
    """Why a timer's function cannot be called; `column` is the attribute to change: `function` or `params`."""

    column: str
    text: str


@dataclass(frozen=True, slots=True)
class ProjectFunctions:
    """The functions of a loaded target."""

    target: str
    registry: Registry

    def check(self, name: str, params: Mapping[str, Any] | None) -> None:
        """FunctionError if the function is missing, or does not accept the parameters; None skips the parameters."""
        if name not in self.registry:
            raise unknown_function(name, self.target, self.registry.names())
        if params is not None:
            bind(self.registry.get(name), params)

    def problem(self, name: str, params: Mapping[str, Any] | None) -> FunctionProblem | None:
        """The problem that `check` would raise; None if there is none."""
        try:
            self.check(name, params)
        except ArgumentError as error:
            return FunctionProblem("params", str(error))
        except FunctionError as error:
            return FunctionProblem("function", str(error))
        return None


def unknown_function(name: str, target: str, known: list[str]) -> FunctionError:
    """The error for a function that a target does not define."""
    listed = f"it has {', '.join(known[:8])}" + (f" and {len(known) - 8} more" if len(known) > 8 else "")
    hint = did_you_mean(name, known) or (listed if known else "it defines none")
    return FunctionError(f"{target} has no function {name!r}; {hint}")


def load_functions(project: Project, target: str | None) -> ProjectFunctions | None:
    """The functions of the target, or of the project's; None if it has none, TargetError if they do not load."""
    name = project.target_name(target)
    if name is None:
        return None
    with printing_to_stderr(), reporting_while_loading(name):
        return ProjectFunctions(name, project.load(name).registry)


def check_function(project: Project, timer: Timer, target: str | None, *, instead: str = "add it") -> None:
    """FunctionError if the timer's function is missing, or does not accept the timer's parameters.

    A target that does not load causes only a warning, unless it was given. `instead` is the effect of --no-check.
    """
    try:
        functions = load_functions(project, target)
    except TargetError as error:
        if target is not None:
            raise
        click.echo(f"Warning: the function {timer.function!r} was not checked: {error}", err=True)
        return
    try:
        if functions is not None:
            functions.check(timer.function, timer.params)
    except FunctionError as error:
        raise FunctionError(f"{error} (use --no-check to {instead} anyway)") from error


def missing_functions(
    stored: Sequence[StoredTimer], known: Mapping[Environment, tuple[Sequence[str], str]]
) -> list[str]:
    """A warning for each timer whose function is missing; `known` has an environment's functions and its target.

    Timers of other environments are left out, for example those of a remote engine, whose functions are unknown here.
    """
    warnings = []
    for entry in stored:
        timer = entry.timer
        if timer.environment not in known or entry.has_vanished:
            continue
        names, target = known[timer.environment]
        if timer.function not in names:
            hint = did_you_mean(timer.function, names)
            missing = f"timer {timer.name!r} calls {timer.function!r}, which {target} does not define"
            warnings.append(f"{missing}; {hint}" if hint else missing)
    return warnings
