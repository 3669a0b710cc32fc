"""The registry, and how a function is bound and run."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.errors import ArgumentError, DuplicateFunctionError, FunctionTimedOutError, UnknownFunctionError
from scheduler.functions.calling import invoke
from scheduler.functions.context import Call, current_call
from scheduler.functions.registry import Registry

if TYPE_CHECKING:
    from nowhere import Nothing


def test_a_decorated_function_is_returned_and_found_by_name() -> None:
    """Decorating changes nothing about the function."""
    registry = Registry()

    @registry.define
    def hello() -> str:
        return "hi"

    assert hello() == "hi"
    assert registry.get("hello") is hello
    assert "hello" in registry
    assert registry.names() == ["hello"]


def test_a_name_is_taken_once() -> None:
    """A second function of a name is a RuntimeError, and the first one stays."""
    registry = Registry()
    registry.define(len, name="size")
    with pytest.raises(DuplicateFunctionError, match="'size' is defined twice"):
        registry.define(len, name="size")
    assert issubclass(DuplicateFunctionError, RuntimeError)


def test_an_unknown_name_says_which_are_known() -> None:
    """The error lists the functions that there are."""
    registry = Registry()
    registry.define(len, name="size")
    with pytest.raises(UnknownFunctionError, match=r"no function 'sise'; known functions: size"):
        registry.get("sise")


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "\x00"])
def test_a_name_must_fit_into_a_path_and_a_log_line(name: str) -> None:
    """Slashes and control characters are refused when the function is defined."""
    with pytest.raises(ArgumentError, match="is no name for a function"):
        Registry().define(len, name=name)


def test_a_hook_is_never_a_function() -> None:
    """What is registered by class and event is not found by name."""
    registry = Registry()
    registry.define_hook(len, "Todo", "before_save")
    assert registry.get_hook("Todo", "before_save") is len
    assert registry.names() == []
    for name in ("Todo", "before_save", "beforeSave", "__before_save_for_Todo", ("Todo", "before_save")):
        assert name not in registry
    with pytest.raises(DuplicateFunctionError):
        registry.define_hook(len, "Todo", "before_save")


def test_a_timer_is_declared_beside_its_function() -> None:
    """The declaration is data, and both orders of the decorators mean the same."""
    registry = Registry()

    def report() -> None: ...

    def sweep() -> None: ...

    registry.define(registry.declare_timer(report, "0 0 8 ? * MON", {"tz": "Asia/Shanghai"}))
    registry.declare_timer(registry.define(sweep, name="clean"), None, {"every": 60})
    assert registry.names() == ["clean", "report"]
    assert [(t.function, t.schedule, dict(t.options)) for t in registry.timers] == [
        ("report", "0 0 8 ? * MON", {"tz": "Asia/Shanghai"}),
        ("clean", None, {"every": 60}),
    ]
    with pytest.raises(DuplicateFunctionError):
        registry.define(report)


def test_update_takes_everything_or_nothing() -> None:
    """A name in both registries leaves the first one as it was."""
    one, other = Registry(), Registry()
    one.define(len, name="a")
    other.define(len, name="a")
    other.define(len, name="b")
    with pytest.raises(DuplicateFunctionError, match="'a'"):
        one.update(other)
    assert one.names() == ["a"]


def test_update_refuses_a_hook_that_is_there() -> None:
    """Hooks of the same class and event are duplicates too."""
    one, other = Registry(), Registry()
    for registry in (one, other):
        registry.define_hook(len, "Todo", "before_save")
    with pytest.raises(DuplicateFunctionError, match="before_save of Todo"):
        one.update(other)


def annotated(name: str, count: int = 0, when: datetime | None = None) -> tuple[Any, ...]:
    return name, count, when


@pytest.mark.parametrize(
    ("params", "message", "argument"),
    [
        ({}, "missing argument 'name'", "name"),
        ({"name": "x", "nam": 1}, "superfluous argument 'nam'", "nam"),
        ({"name": "x", "count": "many"}, "argument 'count' must be a whole number, not 'many'", "count"),
        ({"name": None}, "argument 'name' must be a text, not None", "name"),
        ({"name": "x", "when": "tomorrow"}, "argument 'when' must be an instant", "when"),
        ({"name": "x", "when": "2026-01-05T08:00:00"}, "argument 'when' must be an instant", "when"),
    ],
)
def test_a_wrong_argument_is_named(params: dict[str, Any], message: str, argument: str) -> None:
    """The error says which argument is wrong, and the function is not called."""
    with pytest.raises(ArgumentError, match=message) as raised:
        invoke(annotated, params)
    assert raised.value.argument == argument


EIGHT = datetime(2026, 1, 5, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (str, "x", "x"),
        (str, 5, "5"),
        (int, 5, 5),
        (int, "-5", -5),
        (int, 5.0, 5),
        (float, 1, 1.0),
        (float, "1.5", 1.5),
        (bool, True, True),
        (bool, "False", False),
        (bool, 1, True),
        (datetime, "2026-01-05T08:00:00Z", EIGHT),
        (datetime, {"__type": "Date", "iso": "2026-01-05T08:00:00.000Z"}, EIGHT),
        (datetime, EIGHT, EIGHT),
        (Optional[int], None, None),  # noqa: UP045
        (int | None, "7", 7),
        ("int", "7", 7),
        (int | str, "7", "7"),
        (list[int], "7", "7"),
    ],
)
def test_annotated_arguments_are_coerced(kind: Any, value: Any, expected: Any) -> None:
    """Five types are made of what JSON and a command line can say; other annotations are left alone."""

    def function(x: Any) -> Any:
        return x

    function.__annotations__["x"] = kind
    found = invoke(function, {"x": value})
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (str, True),
        (str, {}),
        (int, True),
        (int, 1.5),
        (int, "1.0"),
        (int, float("inf")),
        (int, []),
        (float, "nan"),
        (float, "x"),
        (float, 10**400),
        (bool, 2),
        (bool, "yes"),
        (bool, None),
        (datetime, 0),
        (datetime, {"__type": "Date"}),
        (int | None, "x"),
    ],
)
def test_what_cannot_be_coerced_is_refused(kind: Any, value: Any) -> None:
    """A value is never bent into something that the caller did not mean."""

    def function(x: Any) -> Any:
        return x

    function.__annotations__["x"] = kind
    with pytest.raises(ArgumentError, match="argument 'x' must be"):
        invoke(function, {"x": value})


def test_an_annotation_that_cannot_be_resolved_does_no_harm() -> None:
    """A name that only a type checker sees leaves the other annotations of the function in force."""

    def function(x: int, y: Nothing = None) -> Any:
        return x, y

    assert invoke(function, {"x": "1", "y": 2}) == (1, 2)


def test_a_type_error_inside_the_function_is_its_own() -> None:
    """Only binding raises ArgumentError."""

    def function(x: int) -> Any:
        return annotated()  # type: ignore[call-arg]

    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        invoke(function, {"x": 1})


@pytest.mark.parametrize(
    ("function", "params", "result"),
    [
        (lambda **params: params, {"a": 1, "__type": "x"}, {"a": 1, "__type": "x"}),
        (functools.partial(annotated, count=3), {"name": "x"}, ("x", 3, None)),
        (dict, {"a": 1}, {"a": 1}),
        (lambda *, a, b=2: a + b, {"a": 1}, 3),
    ],
)
def test_any_callable_can_be_a_function(function: Callable[..., Any], params: dict[str, Any], result: Any) -> None:
    """Open keyword arguments, partials and builtins are called with what was given."""
    assert invoke(function, params) == result


async def double(x: int) -> int:
    await asyncio.sleep(0)
    return 2 * x


def test_an_async_function_runs_to_completion() -> None:
    """The caller gets the result, not a coroutine."""
    assert invoke(double, {"x": "21"}) == 42


def test_an_async_function_can_be_called_from_an_async_function() -> None:
    """A running loop in the calling thread is no obstacle, and the context goes along."""

    async def asks() -> Any:
        return invoke(double, {"x": 1}), invoke(named, {})

    async def named() -> str | None:
        call = current_call.get()
        return call.function if call else None

    token = current_call.set(Call("asks", "r"))
    try:
        assert invoke(asks, {}) == (2, "asks")
    finally:
        current_call.reset(token)


def test_an_async_function_raises_into_the_async_function_that_called_it() -> None:
    """Across the thread that runs its loop."""

    async def fails() -> None:
        raise KeyError("mine")

    async def asks() -> Any:
        return invoke(fails, {})

    with pytest.raises(KeyError, match="mine"):
        invoke(asks, {})


def test_an_async_function_is_cancelled_at_its_deadline() -> None:
    """The deadline in the context ends it, and its own TimeoutErrors stay its own."""

    async def hangs() -> None:
        await asyncio.sleep(60)

    async def raises() -> None:
        raise TimeoutError("mine")

    token = current_call.set(Call("hangs", "r", deadline=time.monotonic() + 0.05))
    try:
        with pytest.raises(FunctionTimedOutError):
            invoke(hangs, {})
        current_call.set(Call("raises", "r", deadline=time.monotonic() + 5))
        with pytest.raises(TimeoutError, match="mine"):
            invoke(raises, {})
    finally:
        current_call.reset(token)


def test_no_call_is_in_progress_outside_one() -> None:
    """The context is empty by itself, in every thread."""
    seen: list[Call | None] = []
    thread = threading.Thread(target=lambda: seen.append(current_call.get()))
    thread.start()
    thread.join()
    assert [current_call.get(), *seen] == [None, None]


def test_the_session_token_is_not_shown() -> None:
    """A call can be logged without giving its session away."""
    assert "secret" not in repr(Call("f", "r", session_token="secret"))


values = st.integers() | st.text() | st.none() | st.lists(st.integers())


@given(st.dictionaries(st.text(max_size=5) | st.sampled_from(["name", "count", "when"]), values, max_size=4))
def test_binding_ends_in_arguments_or_in_an_argument_error(params: dict[str, Any]) -> None:
    """Whatever JSON brings, a function is called with what it takes or not at all."""
    try:
        name, count, when = invoke(annotated, params)
    except ArgumentError:
        return
    assert isinstance(name, str)
    assert isinstance(count, int)
    assert when is None
