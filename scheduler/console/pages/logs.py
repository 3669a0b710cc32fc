"""The page of lines that functions printed."""

from __future__ import annotations

from typing import Any

from flask import abort, request

from ...store.log_lines import LEVELS, LineFilter, LogLines
from ..current import console
from ..cursors import position_of, position_text
from ..reader import reader
from ..rendering import render

_TEXTS = ("timer", "environment", "function", "text", "request_id")
_LINES = 200


def show() -> str:
    """A page of the latest lines, newest last, so that a traceback is in order."""
    if not reader().sees("lines"):
        abort(403)
    texts: Any = {name: request.args.get(name, "")[:500] or None for name in _TEXTS}
    level = request.args.get("level")
    wanted = LineFilter(**texts, level=level if level in LEVELS else None)
    before = position_of(request.args.get("before"))
    page = LogLines(console().store).page(wanted, before=before, limit=_LINES)
    return render(
        "logs.html",
        wanted=wanted,
        is_filtered=wanted != LineFilter(),
        page=page,
        before=None if page.next is None else position_text(page.next),
        is_first=before is None,
        levels=LEVELS,
    )
