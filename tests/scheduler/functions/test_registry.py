"""The registry of functions, hooks and declared timers."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from scheduler.errors import ArgumentError, DuplicateFunctionError, UnknownFunctionError
from scheduler.functions.registry import Registry


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


def test_the_error_for_an_unknown_name_lists_the_known_ones() -> None:
    """A misspelt name is then easy to see."""
    registry = Registry()
    registry.define(len, name="size")
    with pytest.raises(UnknownFunctionError, match=r"no function 'sise'; known functions: size"):
        registry.get("sise")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: 1, "a lambda has no name of its own; define it under a name"),
        (partial(len, "x"), "an object of partial has no name of its own"),
        ("report", "only a function can be defined, got 'report'"),
        (None, "only a function can be defined, got None"),
        ("x" * 100_000, "only a function can be defined, got 'xxx"),
    ],
)
def test_what_is_no_function_or_has_no_name_is_refused(function: Any, message: str) -> None:
    """With what it is, and a lambda is defined under a name only."""
    with pytest.raises(ArgumentError, match=message):
        Registry().define(function)
    registry = Registry()
    if callable(function):
        registry.define(function, name="report")
        assert registry.get("report") is function


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "\x00", ".", ".."])
def test_a_name_must_fit_into_a_path_and_a_log_line(name: str) -> None:
    """Slashes and control characters are refused when the function is defined."""
    with pytest.raises(ArgumentError, match="invalid function name"):
        Registry().define(len, name=name)


def test_a_hook_is_never_a_function() -> None:
    """It is registered by class and event, and not found by name."""
    registry = Registry()
    registry.define_hook(len, "Todo", "before_save")
    assert registry.get_hook("Todo", "before_save") is len
    assert registry.names() == []
    for name in ("Todo", "before_save", "beforeSave", "__before_save_for_Todo", ("Todo", "before_save")):
        assert name not in registry
    with pytest.raises(DuplicateFunctionError):
        registry.define_hook(len, "Todo", "before_save")


def test_a_timer_is_declared_beside_its_function() -> None:
    """The declaration is data, and the decorators may stand in either order."""
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


def test_update_refuses_a_hook_that_is_defined_already() -> None:
    """Hooks of the same class and event are duplicates too."""
    one, other = Registry(), Registry()
    for registry in (one, other):
        registry.define_hook(len, "Todo", "before_save")
    with pytest.raises(DuplicateFunctionError, match="before_save of Todo"):
        one.update(other)
