"""The errors: the tree that their module draws, and the texts that the specification fixes."""

from __future__ import annotations

import re

import pytest

from scheduler import errors

#: A line of the drawing: the branches before it, the class, its other base.
LINE = re.compile(r"(?P<branches>[│├└─ ]*)(?P<name>\w+Error)(?:\((?P<builtin>\w+)\))?(?:  |$)")


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """Each class in the drawing: the class above it and its other base."""
    tree: dict[str, tuple[str | None, str | None]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if parts := LINE.match(line):
            depth = len(parts["branches"]) // len("├── ")
            path[depth:] = [parts["name"]]
            tree[parts["name"]] = (path[depth - 1] if depth else None, parts["builtin"])
    return tree


def defined() -> dict[str, tuple[str | None, str | None]]:
    """The same, from the classes themselves."""
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    tree: dict[str, tuple[str | None, str | None]] = {}
    for cls in classes:
        ours = [base.__name__ for base in cls.__bases__ if base in classes]
        builtin = [base.__name__ for base in cls.__bases__ if base not in (*classes, Exception)]
        above, others = ours[:1], [*ours[1:], *builtin]
        assert len(others) <= 1, cls
        tree[cls.__name__] = (next(iter(above), None), next(iter(others), None))
    return tree


def test_the_drawn_tree_is_that_of_the_classes() -> None:
    """Each class is drawn once, below its base, with the built-in exception that a caller may catch instead."""
    assert drawn() == defined()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (errors.TIMED_OUT, "timerAction timed-out and no fallback available."),
        (errors.SHORT_CIRCUITED, "timerAction short-circuited and no fallback available."),
        (errors.FAILED, "timerAction failed and no fallback available."),
        (errors.NOT_QUEUED, "timerAction could not be queued for execution and no fallback available."),
        (str(errors.FunctionTimedOutError()), "The request timed out on the server."),
    ],
)
def test_the_texts_of_the_specification_are_kept_to_the_letter(text: str, expected: str) -> None:
    """Programs compare them."""
    assert text == expected
