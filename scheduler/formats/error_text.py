"""The message of an exception for users."""

from __future__ import annotations


def explained(error: BaseException) -> str:
    """An error's message; for an invalid expression, with a drawing that marks the place."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if drawing := getattr(cause, "drawing", None):
            return f"{error}\n{drawing}"
        seen.add(id(cause))
        cause = cause.__cause__
    return str(error)
