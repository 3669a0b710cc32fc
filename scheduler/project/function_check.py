"""Checks that the function of a timer exists among the project's functions and accepts the timer's parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..core.timer import Environment, Timer
from ..errors import ArgumentError, FunctionError, TargetError, listed
from ..functions.binding import bind
from ..functions.registry import Registry
from .missing_target import missing_target
from .project import Project, printing_to_stderr
from .slow_loading import reporting_while_loading
from .suggestions import did_you_mean

if TYPE_CHECKING:
    from ..functions.loading import Target
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
    #: The functions of the module that are not defined as cloud functions.
    undefined: Collection[str] = ()

    def check(self, name: str, params: Mapping[str, Any] | None) -> None:
        """FunctionError if the function is missing, or does not accept the parameters; None skips the parameters."""
        if name not in self.registry:
            raise unknown_function(name, self.target, self.registry.names(), self.undefined)
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


def undefined_functions(loaded: Target) -> set[str]:
    """The names of a module's own functions that are not among its cloud functions."""
    registry = loaded.registry
    defined = [registry.get(name) for name in registry.names()] + [
        registry.get_hook(*of) for of in registry.hook_names()
    ]
    ids = {id(function) for function in defined}
    # By their types, because an attribute of any other value may run code of its own.
    own = {name: value for name, value in vars(loaded.module).items() if type(value) is FunctionType}
    return {name for name, value in own.items() if value.__module__ == loaded.module.__name__ and id(value) not in ids}


def unknown_function(name: str, target: str, known: list[str], undefined: Collection[str] = ()) -> FunctionError:
    """The error for a function that a target does not define; `undefined` are those that lack the decorator."""
    if name in undefined:
        return FunctionError(f"{target} has a function {name!r}, but without @engine.define above it")
    hint = did_you_mean(name, known) or (
        f"it has {listed(known)}" if known else "it defines none; put @engine.define above one"
    )
    return FunctionError(f"{target} has no function {name!r}; {hint}")


def load_functions(project: Project, target: str | None) -> ProjectFunctions | None:
    """The functions of the target, or of the project's; None if it has none, TargetError if they do not load."""
    name = project.target_name(target)
    if name is None:
        return None
    with printing_to_stderr(), reporting_while_loading(name):
        loaded = project.load(name)
        return ProjectFunctions(name, loaded.registry, undefined_functions(loaded))


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
    if functions is None:
        _warn_of_no_target(project, timer)
        return
    try:
        functions.check(timer.function, timer.params)
    except FunctionError as error:
        raise FunctionError(f"{error} (use --no-check to {instead} anyway)") from error


def _warn_of_no_target(project: Project, timer: Timer) -> None:
    """Warn that a function was not checked, unless it is one of a remote engine."""
    if project.settings.for_environment(timer.environment).runs_what_is_served:
        missing = missing_target(project.settings.folder)
        click.echo(f"Warning: the function {timer.function!r} was not checked: {missing}", err=True)


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
