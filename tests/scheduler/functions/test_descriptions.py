"""The descriptions of functions for people, whatever a function is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from scheduler.functions.descriptions import MAX_LENGTH, MOST, FunctionDescription, described, from_report
from scheduler.functions.registry import Registry


class Hostile:
    """A value whose every method raises."""

    def __call__(self) -> None:
        pass

    def __repr__(self) -> str:
        raise AssertionError("code of the user runs")

    @property
    def __signature__(self) -> Any:
        raise AssertionError("no signature")

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        raise AssertionError("no documentation")


def plain(to: str, copies: int = 1, *, note: str | None = None, where=Hostile(), **others) -> None:  # type: ignore[no-untyped-def] # noqa: B008
    """Send the report.

    More about it.
    """


@pytest.mark.parametrize(
    ("function", "signature", "doc"),
    [
        (plain, "(to: str, copies: int = 1, *, note: str | None = None, where=…, **others)", "Send the report."),
        (functools.partial(plain, "you"), "(copies: int = 1, *, note: str | None = None, where=…, **others)", None),
        (Hostile(), "(…)", ""),
        (lambda *values, last="'": None, """(*values, last="'")""", ""),
        (dict, None, None),
    ],
    ids=["a function", "a partial one", "a hostile object", "a lambda", "a builtin"],
)
def test_a_function_is_described(function: Callable[..., Any], signature: str | None, doc: str | None) -> None:
    """By its signature and the first line of its documentation; without running code of the user's values."""
    registry = Registry()
    registry.define(function, name="f")
    (found,) = described(registry)
    assert found.name == "f"
    assert signature is None or found.signature == signature
    assert doc is None or found.doc == doc


def test_descriptions_are_bounded() -> None:
    """Very long ones are cut, control characters are blanks, and of very many functions the first ones are kept."""
    registry = Registry()

    def long(text: str = "x" * 10_000) -> None:
        pass

    long.__doc__ = "a\x1b[31m\u202e" + "b" * 10_000
    for number in range(MOST + 1):
        registry.define(long, name=f"f{number:05}")
    found = described(registry)
    assert len(found) == MOST
    assert {len(found[0].signature), len(found[0].doc)} == {MAX_LENGTH}
    assert found[0].doc.startswith("a [31m b")


def test_a_report_of_another_process_is_not_trusted() -> None:
    """Values become bounded texts, and a name is there once; what is no report is a TypeError."""
    assert from_report([["f", None, "d" * 1000, 3], ["f", "()", "", ""]]) == [FunctionDescription("f", "()")]
    for forged in ([1], [["f", "", "", "", ""]], 5):
        with pytest.raises(TypeError):
            from_report(forged)  # type: ignore[arg-type]
