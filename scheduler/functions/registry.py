"""Functions by name, and how one is called: bound first, coerced where annotated, run to completion.

Lives here: the registry of functions, the separate registry of hooks, the timers declared beside functions, and
`invoke`. Never here: HTTP, processes, limits (they are the caller's; only an `async def` is cancelled at the deadline
that stands in the call's context).
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import math
import threading
import time
import types
import typing
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from ..core.limits import left_s
from ..errors import ArgumentError, DuplicateFunctionError, FunctionTimedOutError, UnknownFunctionError
from .context import current_call

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class TimerDeclaration:
    """A timer declared beside its function, kept as data: the daemon validates and synchronises it later."""

    function: str
    schedule: str | None
    options: Mapping[str, Any]


class Registry:
    """Functions by name, hooks by (class, event), and the timers declared for functions.

    A hook is never found by `get`, so that it can never be called as a function (engine protocol § 2).
    """

    def __init__(self) -> None:
        self.timers: list[TimerDeclaration] = []
        self._functions: dict[str, Callable[..., Any]] = {}
        self._hooks: dict[tuple[str, str], Callable[..., Any]] = {}
        self._implied: set[str] = set()

    def define(self, function: F, *, name: str | None = None) -> F:
        """Register a function under its own name or `name`, and return it; DuplicateFunctionError if that is taken."""
        name = _name_of(function) if name is None else _checked(name)
        held = self._functions.get(name)
        if held is not None and not (held is function and name in self._implied):
            raise DuplicateFunctionError(name)
        self._functions[name] = function
        self._implied.discard(name)
        return function

    def declare_timer(self, function: F, schedule: str | None, options: Mapping[str, Any]) -> F:
        """Declare a timer for a function, which is defined under its own name unless it is defined already."""
        name = next((name for name, held in self._functions.items() if held is function), None)
        if name is None:
            name = _name_of(function)
            self.define(function)
            self._implied.add(name)
        self.timers.append(TimerDeclaration(name, schedule, types.MappingProxyType(dict(options))))
        return function

    def define_hook(self, function: F, class_name: str, event: str) -> F:
        """Register a hook, and return it; DuplicateFunctionError if the class has one for that event."""
        if (class_name, event) in self._hooks:
            raise DuplicateFunctionError(f"{event} of {class_name}")
        self._hooks[class_name, event] = function
        return function

    def get(self, name: str) -> Callable[..., Any]:
        """The function of that name, else UnknownFunctionError."""
        try:
            return self._functions[name]
        except KeyError:
            raise UnknownFunctionError(name, self._functions) from None

    def get_hook(self, class_name: str, event: str) -> Callable[..., Any]:
        """The hook of that class and event, else UnknownFunctionError."""
        try:
            return self._hooks[class_name, event]
        except KeyError:
            raise UnknownFunctionError(f"{event} of {class_name}") from None

    def names(self) -> list[str]:
        """The names of all functions, sorted."""
        return sorted(self._functions)

    def hook_names(self) -> list[tuple[str, str]]:
        """The (class, event) of all hooks, sorted."""
        return sorted(self._hooks)

    def __contains__(self, name: object) -> bool:
        return name in self._functions

    def update(self, other: Registry) -> None:
        """Take over everything of another registry, or nothing: DuplicateFunctionError if a name is in both."""
        if taken := self._functions.keys() & other._functions.keys():
            raise DuplicateFunctionError(min(taken))
        if hooks := self._hooks.keys() & other._hooks.keys():
            class_name, event = min(hooks)
            raise DuplicateFunctionError(f"{event} of {class_name}")
        self._functions.update(other._functions)
        self._hooks.update(other._hooks)
        self.timers.extend(other.timers)


def invoke(function: Callable[..., Any], params: Mapping[str, Any]) -> Any:
    """Call a function with keyword arguments and return its result; an `async def` runs to completion.

    Arguments are bound before the call: ArgumentError names the one that is missing, superfluous or of the wrong
    type, and never stands for an error inside the function.
    """
    return run(function, bind(function, params))


def bind(function: Callable[..., Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments for a function, coerced where it is annotated `str, int, float, bool, datetime`."""
    accepted = _accepted(function)
    given = params.keys()
    if missing := accepted.required - given:
        raise _argument_error("missing", missing, function)
    if not accepted.open and (superfluous := given - accepted.known):
        raise _argument_error("superfluous", superfluous, function)
    arguments = dict(params)
    for name, (kind, optional) in accepted.coerced.items():
        if name in arguments and not (optional and arguments[name] is None):
            arguments[name] = _coerce(name, arguments[name], kind)
    return arguments


def run(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """Call a function with arguments that are bound already; a coroutine is run to its end, at most to the deadline."""
    result = function(**arguments)
    return complete(result) if inspect.iscoroutine(result) else result


def complete(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end in a loop of its own, also where the calling thread runs a loop already.

    At the deadline of the call in progress it is cancelled: FunctionTimedOutError.
    """
    import asyncio  # takes longer to import than everything else here, and most functions are sync

    call = current_call.get()
    bounded = _until(call.deadline if call else None, coroutine)
    if _loop_is_running():
        return _in_thread(functools.partial(asyncio.run, bounded))
    return asyncio.run(bounded)


def _loop_is_running() -> bool:
    # On its own, so that no error of a coroutine is said to come "during handling" of this one.
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _until(deadline: float | None, coroutine: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    limit_s = None if deadline is None else left_s(time.monotonic(), deadline)
    try:
        async with asyncio.timeout(limit_s) as scope:
            return await coroutine
    except TimeoutError:
        if scope.expired():
            raise FunctionTimedOutError from None
        raise


def _in_thread(work: Callable[[], Any]) -> Any:
    outcome: list[Callable[[], Any]] = []
    context = contextvars.copy_context()

    def target() -> None:
        try:
            result = context.run(work)
            outcome.append(lambda: result)
        except BaseException as error:
            outcome.append(functools.partial(_raise, error))

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join()
    return outcome[0]()


def _raise(error: BaseException) -> None:
    raise error


@dataclass(frozen=True, slots=True)
class _Accepted:
    known: frozenset[str]
    required: frozenset[str]
    open: bool
    coerced: Mapping[str, tuple[type, bool]]


@functools.lru_cache(maxsize=4096)
def _accepted(function: Callable[..., Any]) -> _Accepted:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a builtin without a signature finds out by itself
        return _Accepted(frozenset(), frozenset(), True, {})
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    hints = _hints(function)
    kinds = {p.name: _kind(hints.get(p.name, p.annotation)) for p in named}
    return _Accepted(
        known=frozenset(p.name for p in named),
        required=frozenset(p.name for p in named if p.default is p.empty),
        open=any(p.kind is p.VAR_KEYWORD for p in parameters),
        coerced={name: kind for name, kind in kinds.items() if kind is not None},
    )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except Exception:  # a name that is imported for type checkers only must not make the function uncallable
        return {}


def _kind(annotation: Any) -> tuple[type, bool] | None:
    if isinstance(annotation, str):
        annotation = _KINDS_BY_NAME.get(annotation)
    options = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    kinds = [option for option in options if option is not type(None)]
    if len(kinds) == 1 and kinds[0] in _COERCIONS:
        return kinds[0], len(kinds) < len(options)
    return None


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _coerce(name: str, value: Any, kind: type) -> Any:
    coerced = _COERCIONS[kind](value)
    if coerced is None:
        shown = type(value).__name__ if isinstance(value, dict | list) else repr(value)[:80]
        raise ArgumentError(f"argument {name!r} must be {_WORDS[kind]}, not {shown}", argument=name)
    return coerced


def _to_str(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _to_int(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _to_float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _to_bool(value: Any) -> bool | None:
    if isinstance(value, str):
        value = value.lower()
    return _TRUTH.get(value) if isinstance(value, str | int) else None


def _to_datetime(value: Any) -> datetime | None:
    if isinstance(value, dict) and value.get("__type") == "Date":
        value = value.get("iso")
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime) and value.tzinfo is not None else None


_TRUTH: dict[Any, bool] = {"true": True, "false": False, "1": True, "0": False, 1: True, 0: False}
_COERCIONS: dict[Any, Callable[[Any], Any]] = {
    str: _to_str,
    int: _to_int,
    float: _to_float,
    bool: _to_bool,
    datetime: _to_datetime,
}
_WORDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    datetime: "an instant with its offset, as in 2026-01-05T08:00:00+08:00",
}
_KINDS_BY_NAME: dict[str, Any] = {kind.__name__: kind for kind in _COERCIONS} | {"datetime.datetime": datetime}


def _argument_error(fault: str, names: Iterable[str], function: Callable[..., Any]) -> ArgumentError:
    faulty = sorted(names)
    takes = ", ".join(sorted(_accepted(function).known)) or "no arguments"
    plural = "s" if len(faulty) > 1 else ""
    listed = ", ".join(repr(name[:80]) for name in faulty[:8])
    return ArgumentError(f"{fault} argument{plural} {listed}; the function takes {takes}", argument=faulty[0])


def _name_of(function: Callable[..., Any]) -> str:
    return _checked(getattr(function, "__name__", ""))


def _checked(name: str) -> str:
    if not isinstance(name, str) or not name or not name.isprintable() or "/" in name:
        raise ArgumentError(f"{name!r} is no name for a function; use letters, digits and underscores")
    return name
