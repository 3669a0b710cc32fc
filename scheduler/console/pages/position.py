"""position: the row of a query at which a page begins."""

from __future__ import annotations

#: The largest integer of SQLite and PostgreSQL.
_MOST = 2**63 - 1


def position(text: str) -> int:
    """The number of a row; ValueError, which Flask takes for no number, for any other text."""
    number = int(text)
    if not 0 <= number <= _MOST:
        raise ValueError(f"{number} is not the number of a row")
    return number
