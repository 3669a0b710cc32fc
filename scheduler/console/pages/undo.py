"""Undoing a recorded change: a page shows what it would set, and its button does it."""

from __future__ import annotations

from flask import Response, abort, make_response, request

from ...errors import TimerChangedError, TimerError
from ...store.change_pages import ChangeHistory, ChangeRecord
from ..change_words import attribute_text, differences, object_of
from ..current import author, console
from ..links import go
from ..rendering import render, t
from ..undoing import Undoing, can_undo, undo, undoing


def show(change_id: int) -> str:
    """A page of the values that would be set, beside the present ones."""
    return _page(undoing(_record(change_id), console().timers))


def undo_post(change_id: int) -> Response:
    """Undo the change, if the timer still has the revision that the page has shown."""
    record = _record(change_id)
    undone = undoing(record, console().timers)
    try:
        environment, name = undo(
            undone,
            console().timers,
            now=console().now(),
            quota=console().settings.max_timers,
            by=author(request.form.get("why", "")),
            expected=request.form.get("was", -1, type=int),
        )
    except TimerChangedError:
        return make_response(_page(undone, is_other=True), 409)
    except TimerError as error:
        return make_response(_page(undone, fault=str(error)), 422)
    return go("timer", environment=environment, name=name, did="undone")


def _record(change_id: int) -> ChangeRecord:
    record = ChangeHistory(console().store).get(change_id) if change_id < 2**63 else None
    if record is None or not can_undo(record):
        abort(404)
    return record


def _page(undone: Undoing, *, fault: str | None = None, is_other: bool = False) -> str:
    record = undone.record
    rows = [
        (one.name, attribute_text(one.name, one.now), attribute_text(one.name, one.before)) for one in undone.attributes
    ]
    return render(
        "undo.html",
        record=record,
        what=object_of(record),
        text=differences(record),
        undone=undone,
        rows=rows,
        fault=fault,
        is_other=is_other,
        why=request.form.get("why", t("undo.why", id=record.id)),
    )
