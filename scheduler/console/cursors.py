"""Cursors: the timer or the log line after which a page begins, as text in addresses and forms."""

from __future__ import annotations

from ..store.log_lines import LinePosition
from ..store.timer_pages import TimerKey


def key_text(key: TimerKey) -> str:
    """A timer as text: `production:report`."""
    return f"{key.environment}:{key.name}"


def key_of(given: str | None) -> TimerKey | None:
    """The timer of a `key_text`; None if it is invalid."""
    environment, colon, name = (given or "").partition(":")
    return TimerKey(environment, name) if colon and environment in ("production", "stage") else None


def position_text(position: LinePosition) -> str:
    """A position among log lines as text: `120-34`."""
    return f"{position.run_line}-{position.call_line}"


def position_of(given: str | None) -> LinePosition | None:
    """The position of a `position_text`; None if it is invalid."""
    parts = (given or "").split("-")
    if len(parts) == 2 and all(part.isascii() and part.isdecimal() and len(part) < 19 for part in parts):
        return LinePosition(int(parts[0]), int(parts[1]))
    return None
