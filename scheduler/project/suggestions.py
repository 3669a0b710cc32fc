"""did_you_mean: proposes a known name for a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'port'?` for the most similar known name; empty if none is similar."""
    similar = most_similar(name, known)
    return f"did you mean {similar!r}?" if similar is not None else ""


def most_similar(name: str, known: Iterable[str]) -> str | None:
    """The most similar known name; None if none is similar."""
    by_lower = {one.lower(): one for one in reversed(list(known))}
    return next((by_lower[lower] for lower in difflib.get_close_matches(name.lower(), by_lower, n=1)), None)
