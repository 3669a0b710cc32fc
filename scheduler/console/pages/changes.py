"""The page of changes: who changed what, when and why."""

from __future__ import annotations

from typing import Any

from flask import request

from ...store.change_pages import ChangeFilter, ChangeHistory, ChangeRecord
from ...store.change_recording import Action, Subject, Way
from ..change_words import differences, kind_of, object_of
from ..current import console
from ..links import link
from ..reader import reader
from ..rendering import render
from ..undoing import can_undo
from .position import position

#: What has parameters, which the setting console_hide may hide.
WITH_PARAMS = (Subject.TIMER, Subject.FUNCTION)
_TEXTS = ("name", "environment", "author")


def show() -> str:
    """A page of changes, the latest first."""
    given: Any = {name: request.args.get(name, "")[:200] or None for name in _TEXTS}
    way = request.args.get("way")
    wanted = ChangeFilter(**given, way=Way(way) if way in list(Way) else None)
    before = request.args.get("before", type=position)
    page = ChangeHistory(console().store).page(wanted, before=before)
    return render(
        "changes.html",
        wanted=wanted,
        is_filtered=wanted != ChangeFilter(),
        page=page,
        rows=[_row(record) for record in page.items],
        is_first=before is None,
        ways=list(Way),
    )


def _undo(record: ChangeRecord) -> str | None:
    """The address of the page that undoes a change; None if there is none."""
    if can_undo(record):
        return link("undo", change_id=record.id)
    if record.action is not Action.ADDED:
        return None
    if record.subject is Subject.TIMER:
        return link("remove_timer", environment=record.environment, name=record.name)
    return link("pauses") if record.subject is Subject.PAUSE else None


def _row(record: ChangeRecord) -> dict[str, Any]:
    is_timer = record.subject is Subject.TIMER
    is_seen = reader().sees("params") or record.subject not in WITH_PARAMS
    return {
        "record": record,
        "is_timer": is_timer,
        "name": object_of(record),
        "kind": kind_of(record),
        "text": differences(record) if is_seen else "",
        "why": record.why if is_seen else "",
        "undo": _undo(record) if reader().is_operator else None,
    }
