"""The call that `scheduler up` shows: which function it calls."""

from __future__ import annotations

from scheduler.functions import Registry
from scheduler.up.example_call import example_function


def _named(*names: str) -> Registry:
    registry = Registry()
    for name in names:

        def function() -> None: ...

        function.__name__ = name
        registry.define(function)
    return registry


def test_the_first_function_of_the_file_is_called() -> None:
    """Not the first one by its name; `hello` before all others."""
    assert example_function(_named("show", "exit")) == "show"
    assert example_function(_named("show", "hello")) == "hello"
    assert example_function(Registry()) is None


def test_a_function_that_needs_no_parameters_comes_first() -> None:
    """The call has none."""
    registry = Registry()

    @registry.define
    def send(to: str) -> str:
        return to

    assert example_function(registry) == "send"

    @registry.define
    def report() -> None: ...

    assert example_function(registry) == "report"
