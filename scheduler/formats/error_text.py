"""How an exception reads as one line for users."""

from __future__ import annotations


def explained(error: BaseException) -> str:
    """An error's message; one about a broken expression with the drawing that shows the place."""
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        if drawing := getattr(cause, "drawing", None):
            return f"{error}\n{drawing}"
        seen.add(id(cause))
        cause = cause.__cause__
    return str(error)
