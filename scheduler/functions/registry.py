"""The registry: functions by name, hooks by class and event, and the timers declared beside functions.

Lives here: defining and looking up. Never here: calling a function (calling.py).
"""

from __future__ import annotations

import inspect
import reprlib
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ..errors import ArgumentError, DuplicateFunctionError, UnknownFunctionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.triggers import Trigger

F = TypeVar("F", bound=Callable[..., Any])
_LAMBDA = "<lambda>"
#: What `@engine.timer` takes without a name: an expression, a trigger, or several of them.
Schedule: TypeAlias = "str | Trigger | Sequence[str | Trigger] | None"


@dataclass(frozen=True, slots=True)
class TimerDeclaration:
    """A timer declared beside its function, as data: declarations.py validates it."""

    function: str
    schedule: Schedule
    options: Mapping[str, Any]
    #: The file and line of the function, as in `cloud.py:12`.
    place: str = ""


class Registry:
    """Functions by name, hooks by (class, event), and the timers declared for functions.

    A hook is never found by `get`, so that it can never be called as a function (engine protocol § 2).
    """

    def __init__(self) -> None:
        self.timers: list[TimerDeclaration] = []
        self._functions: dict[str, Callable[..., Any]] = {}
        self._hooks: dict[tuple[str, str], Callable[..., Any]] = {}
        #: Functions that `declare_timer` defined; an `@engine.define` above it may still define them.
        self._implied: set[str] = set()

    def define(self, function: F, *, name: str | None = None) -> F:
        """Register a function under its own name or `name`, and return it; DuplicateFunctionError if that is taken."""
        if not callable(function):
            raise ArgumentError(f"only a function can be defined, got {reprlib.repr(function)}")
        name = _name_of(function) if name is None else _checked(name)
        held = self._functions.get(name)
        if held is not None and not (held is function and name in self._implied):
            raise DuplicateFunctionError(name)
        self._functions[name] = function
        self._implied.discard(name)
        return function

    def declare_timer(self, function: F, schedule: Schedule, options: Mapping[str, Any]) -> F:
        """Declare a timer for a function, and define the function under its own name unless it is defined already."""
        name = next((name for name, held in self._functions.items() if held is function), None)
        if name is None:
            name = _name_of(function)
            self.define(function)
            self._implied.add(name)
        declared = TimerDeclaration(name, schedule, types.MappingProxyType(dict(options)), place_of(function))
        self.timers.append(declared)
        return function

    def define_hook(self, function: F, class_name: str, event: str) -> F:
        """Register a hook, and return it; DuplicateFunctionError if the class has one for that event."""
        if (class_name, event) in self._hooks:
            raise DuplicateFunctionError(f"{event} of {class_name}")
        self._hooks[class_name, event] = function
        return function

    def get(self, name: str) -> Callable[..., Any]:
        """The function of that name; UnknownFunctionError if there is none."""
        try:
            return self._functions[name]
        except KeyError:
            raise UnknownFunctionError(name, self._functions) from None

    def get_hook(self, class_name: str, event: str) -> Callable[..., Any]:
        """The hook of that class and event; UnknownFunctionError if there is none."""
        try:
            return self._hooks[class_name, event]
        except KeyError:
            raise UnknownFunctionError(f"{event} of {class_name}") from None

    def names(self) -> list[str]:
        """The names of all functions, sorted."""
        return sorted(self._functions)

    def defined_names(self) -> list[str]:
        """The names of all functions, in the order in which they were defined."""
        return list(self._functions)

    def hook_names(self) -> list[tuple[str, str]]:
        """The (class, event) of all hooks, sorted."""
        return sorted(self._hooks)

    def __contains__(self, name: object) -> bool:
        return name in self._functions

    def update(self, other: Registry) -> None:
        """Add everything of another registry, or nothing: DuplicateFunctionError if a name is in both."""
        if taken := self._functions.keys() & other._functions.keys():
            raise DuplicateFunctionError(min(taken))
        if hooks := self._hooks.keys() & other._hooks.keys():
            class_name, event = min(hooks)
            raise DuplicateFunctionError(f"{event} of {class_name}")
        self._functions.update(other._functions)
        self._hooks.update(other._hooks)
        self.timers.extend(other.timers)


def _name_of(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", "")
    if not name or name == _LAMBDA:
        what = "a lambda" if name else f"an object of {type(function).__name__}"
        raise ArgumentError(f"{what} has no name of its own; define it under a name")
    return _checked(name)


def place_of(function: Callable[..., Any]) -> str:
    """The file and line of a function, as in `cloud.py:12`; empty for one that has none."""
    try:
        code = getattr(inspect.unwrap(function), "__code__", None)
    except ValueError:  # it wraps itself
        return ""
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}" if isinstance(code, types.CodeType) else ""


def _checked(name: str) -> str:
    if not isinstance(name, str) or not name or not name.isprintable() or "/" in name or name in (".", ".."):
        raise ArgumentError(f"invalid function name {name!r}; use letters, digits and underscores")
    return name
