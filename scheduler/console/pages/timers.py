"""The list of timers, and changing several of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response, abort, request

from ...core.attributes import Environment
from ...errors import TimerError
from ...store.statistics import read_statistics
from ...store.stored_timer import StoredTimer
from ...store.timer_pages import TimerFilter, TimerKey, TimerState, page_of_timers
from .. import drawing
from ..current import author, console
from ..digest import queries
from ..digest.reading import unread_before
from ..history import count_in_trouble, key_of, key_text
from ..links import go
from ..reader import reader
from ..rendering import render
from ..trigger_words import words_of

ACTIONS = ("enable", "disable", "reset", "remove")
#: The most timers that are changed at once.
MAX_CHANGED = 1_000
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
        "runs": runs,
    }


def filter_of(given: Mapping[str, str]) -> TimerFilter:
    """The filter of an address or a form."""
    state = given.get("state")
    texts = {name: given.get(name, "")[:_MAX_TEXT_LENGTH] or None for name in _TEXTS}
    return TimerFilter(state=TimerState(state) if state in list(TimerState) else None, **texts)


def change() -> Response | str:
    """Change the checked timers, or all that match; a page first shows which these are."""
    action = request.form.get("action", "")
    if action not in ACTIONS:
        abort(400)
    chosen = _chosen()
    if request.form.get("confirmed") != "yes":
        return render("change.html", action=action, chosen=chosen, most=MAX_CHANGED)
    faults = []
    for entry in chosen:
        try:
            _apply(action, entry)
        except TimerError as error:
            faults.append((entry.timer, str(error)))
    if faults:
        return render("changed.html", done_count=len(chosen) - len(faults), faults=faults)
    return go("timers", did="changed")


def _chosen() -> list[StoredTimer]:
    if request.form.get("all") == "yes":
        return list(page_of_timers(console().store, filter_of(request.form), limit=MAX_CHANGED).items)
    chosen = []
    for given in request.form.getlist("timer")[:MAX_CHANGED]:
        if (key := key_of(given)) is None:
            abort(400)
        try:
            chosen.append(console().timers.get(key.name, Environment(key.environment)))
        except TimerError:
            continue  # it was removed meanwhile
    return chosen


def _apply(action: str, entry: StoredTimer) -> None:
    table, now = console().timers, console().now()
    change_of: dict[str, Callable[..., object]] = {
        "enable": table.enable,
        "disable": table.disable,
        "reset": table.reset,
        "remove": table.remove,
    }
    why = request.form.get("why", "")
    change_of[action](entry.timer.name, entry.timer.environment, now=now, by=author(why))
