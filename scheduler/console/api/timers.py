"""The handlers of timers: list, read, create, change and remove timers; and an action on several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from flask import Response, request

from ...claims.requested_runs import request_run
from ...core.environments import Environment
from ...errors import DuplicateTimerError, UnknownTimerError
from ...store.stored_timer import StoredTimer
from ...store.timer_pages import TimerFilter, TimerKey, keys_of_timers, page_of_timers
from ...store.timers_at_once import MAX_TIMERS, change_timers
from ..current import console
from ..cursors import key_of, key_text
from ..names import segment
from ..timer_warnings import timer_warnings
from ..typed_times import with_bounds
from .context import answer, author, bad_cursor, etag, instant_of, listed, timer_object
from .problems import ProblemError
from .request_keys import request_key
from .requests import BulkBody, DisableBody, FilterBody, Reason, RunBody, TimerPath, TimersQuery, WhyQuery
from .runs import requested
from .timer_fields import (
    TimerBody,
    TimerChanges,
    attributes_of,
    changed_trigger,
    differences,
    options_of,
    timer_of,
    with_state,
    zone_of,
)


def index(query: TimersQuery) -> Response:
    """A page of timers, by environment and name."""
    after = key_of(query.cursor)
    if query.cursor is not None and after is None:
        raise bad_cursor()
    wanted = TimerFilter(query.q, query.state, query.environment, query.function, query.tag)
    page = page_of_timers(console().store, wanted, after=after, limit=query.limit)
    return listed([timer_object(entry) for entry in page.items], None if page.next is None else key_text(page.next))


def show(path: TimerPath) -> Response:
    """One timer."""
    return _shown(console().timers.get(path.name, path.environment))


def put(path: TimerPath, body: TimerBody) -> Response:
    """Create a timer, or replace all of its attributes; with If-None-Match: * only create it.

    A new timer is disabled unless the body enables it; otherwise a body without `enabled` keeps the state.
    """
    new = timer_of(body, path.environment, path.name)
    by, now, table = author(body.why), console().now(), console().timers
    kept = _found(path)
    if kept is None:
        if request.if_match:
            raise ProblemError("changed", f"there is no timer {path.name!r} in {path.environment}, so no ETag matches")
        try:
            (entry,) = table.add([new], now=now, quota=console().settings.max_timers, by=by)
        except DuplicateTimerError as error:
            raise ProblemError("changed", str(error), field="name") from None
        return _shown(entry, 201, {"Location": _address(path)})
    if request.if_none_match.contains(str(kept.revision)):
        raise ProblemError("changed", str(DuplicateTimerError(path.name, path.environment)), field="name")
    expected = _expected(kept)
    if "enabled" not in body.model_fields_set:
        new = with_state(new, enabled=kept.timer.enabled)
    changed = differences(kept.timer, new)
    if changed:
        kept = table.edit(path.name, path.environment, changed, now=now, by=by, expected=expected)
    return _shown(kept)


def patch(path: TimerPath, body: TimerChanges) -> Response:
    """Change the attributes that the body has; a new name renames the timer, which keeps its history."""
    kept = console().timers.get(path.name, path.environment)
    changes = attributes_of(body)
    if options := options_of(body):
        changes["trigger"] = changed_trigger(options, kept.timer.trigger)
    changes = with_bounds(changes, now=console().now(), tz=zone_of(changes.get("trigger", kept.timer.trigger)))
    if not changes:
        raise ProblemError("invalid", "nothing to change: give at least one attribute")
    given: dict[str, Any] = {"now": console().now(), "by": author(body.why), "expected": _expected(kept)}
    if changes.keys() == {"name"}:
        entry = console().timers.rename(path.name, changes["name"], path.environment, **given)
    else:
        entry = console().timers.edit(path.name, path.environment, changes, **given)
    return _shown(entry)


def delete(path: TimerPath, query: WhyQuery) -> Response:
    """Remove a timer; its runs stay in the history."""
    kept = console().timers.get(path.name, path.environment)
    by = author(query.why)
    console().timers.remove(path.name, path.environment, now=console().now(), by=by, expected=_expected(kept))
    return Response(status=204)


def enable(path: TimerPath, body: Reason) -> Response:
    """Enable a timer from now on, and close its breaker."""
    return _changed("enable", path, body.why)


def disable(path: TimerPath, body: DisableBody) -> Response:
    """Disable a timer; a run in progress continues. With `until`, a daemon enables it again at that time."""
    return _changed("disable", path, body.why, until=instant_of(body.until, "until"))


def reset(path: TimerPath, body: Reason) -> Response:
    """Close the breaker of a timer."""
    return _changed("reset", path, body.why)


def run(path: TimerPath, body: RunBody) -> Response:
    """Request a run of a timer now; a daemon begins it. The same Idempotency-Key within 24 hours gives the same run."""
    run_id = request_run(
        console().store,
        path.name,
        path.environment,
        now=console().now(),
        params=body.params,
        by=author(body.note),
        key=request_key(),
    )
    return requested(run_id)


# Several timers


def bulk(body: BulkBody) -> Response:
    """Do the same with several timers: all of them, or none; with `dry_run`, only list them."""
    found = change_timers(
        console().store,
        _chosen(body),
        body.action,
        now=console().now(),
        by=author(body.why),
        dry_run=body.dry_run,
    )
    timers = [{"environment": entry.timer.environment, "name": entry.timer.name} for entry in found]
    return answer({"action": body.action, "dry_run": body.dry_run, "timers": timers})


def _chosen(body: BulkBody) -> list[TimerKey]:
    if (body.timers is None) == (body.filter is None):
        raise ProblemError("invalid", "give either timers, a list of names, or filter", field="timers")
    if body.timers is not None:
        return [TimerKey(key.environment.value, key.name) for key in body.timers]
    assert body.filter is not None
    return _matching(body.filter)


def _matching(given: FilterBody) -> list[TimerKey]:
    """The keys of all timers that match; ProblemError if these are too many."""
    wanted = TimerFilter(given.q, given.state, given.environment, given.function, given.tag)
    keys = keys_of_timers(console().store, wanted, limit=MAX_TIMERS + 1)
    if len(keys) > MAX_TIMERS:
        raise ProblemError("invalid", f"more than {MAX_TIMERS:,} timers match; narrow the filter", field="filter")
    return keys


# Parts


def _shown(entry: StoredTimer, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    warnings = [] if entry.has_vanished else [warning._asdict() for warning in timer_warnings(entry.timer)]
    return answer(timer_object(entry) | {"warnings": warnings}, status, {**etag(entry), **(headers or {})})


def _address(path: TimerPath) -> str:
    """The address of a timer, relative to itself."""
    return quote(segment(path.name), safe="~")


def _found(path: TimerPath) -> StoredTimer | None:
    try:
        return console().timers.get(path.name, path.environment)
    except UnknownTimerError:
        return None


def _expected(kept: StoredTimer) -> int | None:
    """The revision that the timer must still have: that of If-Match; ProblemError if it has another one already."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        return None
    # One that cannot be parsed contains nothing.
    if not request.if_match.contains(str(kept.revision)):
        raise ProblemError(
            "changed",
            f'timer {kept.timer.name!r} in {kept.timer.environment} has another ETag, "{kept.revision}": it was '
            "changed meanwhile; read it again",
            headers=etag(kept),
        )
    return kept.revision


def _changed(action: str, path: TimerPath, why: str, **further: Any) -> Response:
    table = console().timers
    kept = table.get(path.name, path.environment)
    actions: dict[str, Callable[..., StoredTimer]] = {
        "enable": table.enable,
        "disable": table.disable,
        "reset": table.reset,
    }
    entry = actions[action](
        path.name,
        Environment(path.environment),
        now=console().now(),
        by=author(why),
        expected=_expected(kept),
        **further,
    )
    return _shown(entry)
