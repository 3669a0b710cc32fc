"""The list of timers, and changing several of them at once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, abort, request

from ...errors import TimerError
from ...store.statistics import read_statistics
from ...store.stored_timer import StoredTimer
from ...store.timer_pages import TimerFilter, TimerKey, TimerState, existing_keys, keys_of_timers, page_of_timers
from ...store.timers_at_once import MAX_TIMERS, BulkAction, change_timers
from .. import drawing
from ..current import author, console
from ..cursors import key_of, key_text
from ..digest import queries
from ..digest.reading import unread_before
from ..links import go
from ..page_queries import count_in_trouble
from ..reader import reader
from ..rendering import render
from ..trigger_words import words_of

ACTIONS = tuple(action.value for action in BulkAction)
#: The most timers whose names the page before a change lists.
MAX_LISTED = 1_000
_TEXTS = ("text", "environment", "function", "tag")
_MAX_TEXT_LENGTH = 200


def show() -> str:
    """A page of timers."""
    wanted = filter_of(request.args)
    page = page_of_timers(console().store, wanted, after=key_of(request.args.get("after")))
    keys = [TimerKey(entry.timer.environment.value, entry.timer.name) for entry in page.items]
    with console().digest.reading() as digest:
        latest = queries.latest(digest, keys, each=drawing.STRIP_RUNS)
        unread = unread_before(digest)
    now = console().now()
    statistics = read_statistics(console().store, now)
    return render(
        "timers.html",
        wanted=wanted,
        wanted_texts={name: request.args.get(name) for name in ("state", *_TEXTS)},
        is_filtered=wanted != TimerFilter(),
        states=list(TimerState),
        rows=[_row(entry, key, latest[key]) for entry, key in zip(page.items, keys, strict=True)],
        after=None if page.next is None else key_text(page.next),
        in_trouble=count_in_trouble(console().store),
        daemons=len(statistics.live_daemons(now)),
        overdue=statistics.overdue,
        pauses=[pause for pause in statistics.pauses if pause.timer_id is None],
        drawing=drawing,
        unread=unread,
        actions=ACTIONS,
    )


def _row(entry: StoredTimer, key: TimerKey, runs: Sequence[queries.Mark]) -> dict[str, Any]:
    timer = entry.timer
    return {
        "entry": entry,
        "timer": timer,
        "key": key_text(key),
        "words": words_of(timer.trigger, reader().language),
        "strip": drawing.strip(runs, limit_s=timer.limit_s),
        "runs": len(runs),
        "outcomes": Counter(run.outcome or "open" for run in runs),
    }


def filter_of(given: Mapping[str, str]) -> TimerFilter:
    """The filter of an address or a form."""
    state = given.get("state")
    texts = {name: given.get(name, "")[:_MAX_TEXT_LENGTH] or None for name in _TEXTS}
    return TimerFilter(state=TimerState(state) if state in list(TimerState) else None, **texts)


def change() -> Response | str:
    """Change the checked timers, or all that match: all of them, or none; a page first shows which these are."""
    action = request.form.get("action", "")
    if action not in ACTIONS:
        abort(400)
    wanted = filter_of(request.form) if request.form.get("all") == "yes" else None
    keys = _checked() if wanted is None else _matching(wanted)
    if request.form.get("confirmed") != "yes":
        return _shown(action, keys, wanted)
    if wanted is not None and request.form.get("digest") != _digest(keys):
        return _shown(action, keys, wanted, is_other=True)
    try:
        by = author(request.form.get("why", ""))
        change_timers(console().store, keys, BulkAction(action), now=console().now(), by=by)
    except TimerError as error:
        return _shown(action, keys, wanted, fault=str(error))
    return go("timers", did="requested_all" if action == BulkAction.RUN else "changed")


def _shown(
    action: str,
    keys: Sequence[TimerKey],
    wanted: TimerFilter | None,
    *,
    is_other: bool = False,
    fault: str | None = None,
) -> str:
    """The page that lists what will change; of very many, the first ones."""
    return render(
        "change.html",
        action=action,
        keys=[(key, key_text(key)) for key in keys],
        listed=MAX_LISTED,
        wanted=None if wanted is None else {name: getattr(wanted, name) or "" for name in ("state", *_TEXTS)},
        why=request.form.get("why", ""),
        digest=_digest(keys),
        is_other=is_other,
        fault=fault,
        most=MAX_TIMERS,
    )


def _digest(keys: Sequence[TimerKey]) -> str:
    """A digest of timers, by which a confirmed change is of those that the page has listed."""
    return hashlib.sha256("\0".join(map(key_text, keys)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _matching(wanted: TimerFilter) -> list[TimerKey]:
    """The timers that match, at most as many as are changed at once."""
    return keys_of_timers(console().store, wanted, limit=MAX_TIMERS)


def _checked() -> list[TimerKey]:
    """The checked timers; those that were removed meanwhile are left out."""
    keys = [key_of(given) for given in request.form.getlist("timer")[:MAX_TIMERS]]
    if None in keys:
        abort(400)
    return existing_keys(console().store, [key for key in keys if key is not None])
