"""Which arguments a function accepts, and what is coerced."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.errors import ArgumentError
from scheduler.functions.calling import invoke

if TYPE_CHECKING:
    from nowhere import Nothing


def by_position(name: str, /, count: int = 0) -> tuple[Any, ...]:
    return name, count


@pytest.mark.parametrize("params", [{}, {"count": 1}, {"name": "x"}])
def test_an_argument_that_has_no_name_cannot_be_given(params: dict[str, Any]) -> None:
    """Whatever the parameters are."""
    with pytest.raises(ArgumentError, match="argument 'name' is taken by position, and parameters are given by name"):
        invoke(by_position, params)


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
    """Five types are made from the values of JSON and of a command line; other annotations are left alone."""

    def function(x: Any) -> Any:
        return x

    function.__annotations__["x"] = kind
    coerced = invoke(function, {"x": value})
    assert (type(coerced), coerced) == (type(expected), expected)


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
def test_a_value_that_cannot_be_coerced_is_refused(kind: Any, value: Any) -> None:
    """A value is never changed into one that the caller did not mean."""

    def function(x: Any) -> Any:
        return x

    function.__annotations__["x"] = kind
    with pytest.raises(ArgumentError, match="argument 'x' must be"):
        invoke(function, {"x": value})


def test_an_annotation_that_cannot_be_resolved_is_ignored() -> None:
    """A name that is imported for type checking only leaves the other annotations in force."""

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
    """Functions with `**params`, partials and builtins are called with the given arguments."""
    assert invoke(function, params) == result


values = st.integers() | st.text() | st.none() | st.lists(st.integers())


@given(st.dictionaries(st.text(max_size=5) | st.sampled_from(["name", "count", "when"]), values, max_size=4))
def test_binding_ends_in_arguments_or_in_an_argument_error(params: dict[str, Any]) -> None:
    """For any JSON, a function is called with what it accepts or not at all."""
    try:
        name, count, when = invoke(annotated, params)
    except ArgumentError:
        return
    assert isinstance(name, str)
    assert isinstance(count, int)
    assert when is None
