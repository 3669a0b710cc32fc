"""Pauses as text and as JSON."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from ..store.pauses import Pause
from .display import instant, iso


def pause_text(pause: Pause, tz: tzinfo, *, what: str | None = None) -> str:
    """A pause in one line: its scope, its beginning and end, its author, and the reason."""
    until = f" until {instant(pause.until, tz)}" if pause.until is not None else ""
    note = f": {' '.join(pause.note.split())}" if pause.note else ""
    return f"{what or pause.scope + ' is paused'} since {instant(pause.since, tz)}{until}, by {pause.by}{note}"


def pause_json(pause: Pause, tz: tzinfo) -> dict[str, Any]:
    """A pause as a JSON object."""
    return {
        "environment": pause.environment,
        "tag": pause.tag,
        "since": iso(pause.since, tz),
        "until": iso(pause.until, tz),
        "by": pause.by,
        "note": pause.note,
    }
