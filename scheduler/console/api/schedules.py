"""The handlers of fire times: of a timer, of several timers, and of a trigger that is not saved; and of backfills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from flask import Response

from quartzcron import CronSyntaxError

from ...claims.requested_runs import Backfill, backfill, cancel_backfill, plan_backfill
from ...core.forecast import forecast
from ...core.timer import Timer
from ...core.trigger_kinds import UnreadableTrigger
from ...core.zone_names import zone
from ...errors import TimerError
from ...formats.display import iso, zone_of
from ...store.calendars import CalendarTable
from ...store.timer_pages import TimerFilter, page_of_timers
from ..current import console
from ..preview import MAX_TEXT, faults_of, fires_by_day, next_fires, preview
from ..typed_times import with_bounds
from ..words import text
from .context import answer, author, default_zone, instant_of, past_instant_of
from .problems import ProblemError, syntax_items
from .requests import (
    MAX_LIMIT,
    AllFiresQuery,
    BackfillBody,
    BackfillQuery,
    CronBody,
    FiresQuery,
    TimerPath,
    WhyQuery,
)
from .timer_fields import options_of, trigger_of

_FAR = timedelta(days=366 * 10)


# Fire times


def fires(path: TimerPath, query: FiresQuery) -> Response:
    """The fire times of a timer, enabled or not."""
    entry = console().timers.get(path.name, path.environment)
    return _fires([entry.timer], query)


def all_fires(query: AllFiresQuery) -> Response:
    """The fire times of all enabled timers that match."""
    wanted = TimerFilter(text=query.q, environment=query.environment, function=query.function, tag=query.tag)
    page = page_of_timers(console().store, wanted, limit=MAX_LIMIT)
    if page.next is not None:
        raise ProblemError(
            "invalid", f"more than {MAX_LIMIT:,} timers match; narrow them by environment, function or tag"
        )
    return _fires([entry.timer for entry in page.items if entry.timer.enabled], query)


def _fires(timers: Sequence[Timer], query: FiresQuery) -> Response:
    start = instant_of(query.from_, "from") or console().now()
    end = instant_of(query.to, "to") or start + _FAR
    if end <= start:
        raise ProblemError("invalid", "from must be before to", field="to")
    readable = [timer for timer in timers if not isinstance(timer.trigger, UnreadableTrigger)]
    found = list(islice(forecast(readable, start.astimezone(UTC), end.astimezone(UTC)), query.limit + 1))
    tz = console().settings.tz
    items = [
        {
            "fire_time": iso(firing.fire_time, zone_of(firing.timer, tz)),
            "timer": firing.timer.name,
            "environment": firing.timer.environment,
        }
        for firing in found[: query.limit]
    ]
    following = iso(found[query.limit].fire_time, default_zone()) if len(found) > query.limit else None
    return answer({"items": items, "next": following})


# The meaning of a trigger


def cron(body: CronBody) -> Response:
    """What a trigger means: words, fire times, clock changes, advice, a year of fires; or what is wrong with it."""
    _check_expression(getattr(body, "cron", None))
    trigger = trigger_of(options_of(body))
    now = console().now()
    timer = _with_calendar(_timer(body, trigger)).anchored(now)
    schedule, tz = timer.schedule, zone(trigger.tz or console().settings.tz)
    seen = preview(timer.trigger, schedule, now=now, limit_s=timer.limit_s)
    year = body.year or now.astimezone(tz).year
    days = fires_by_day(schedule, year, tz)
    shown: dict[str, Any] = {
        "words": seen.words,
        "canonical": seen.canonical,
        "tz": trigger.tz,
        "fires": [iso(fire, tz) for fire in next_fires(schedule, now, body.count)],
        "shortest_s": _seconds(seen.shortest),
        "longest_s": _seconds(seen.longest),
        "per_year": seen.per_year,
        "clock_changes": [
            {
                "at": iso(change.at, tz),
                "fires": [iso(fire, tz) for fire in change.fires],
                "other_dst": change.other_policy,
                "other_fires": [iso(fire, tz) for fire in change.other_fires],
            }
            for change in seen.clock_changes
        ],
        "advice": [
            {"code": piece.key.removeprefix("advice."), "text": text("en", piece.key, **piece.values)}
            for piece in seen.advice
        ],
        "year": {"year": year, "days": days, "total": sum(days)},
    }
    return answer(shown)


def _check_expression(given: str | None) -> None:
    """Refuse an invalid expression, with what was probably meant."""
    if given is None:
        return
    if len(given) > MAX_TEXT:
        raise ProblemError(
            "invalid", f"an expression has at most {MAX_TEXT} characters, got {len(given):,}", field="cron"
        )
    faults = faults_of(given.strip())
    if faults is None:
        return
    try:
        trigger_of({"cron": given.strip()})
    except TimerError as error:
        cause = error.__cause__
        items = syntax_items(cause) if isinstance(cause, CronSyntaxError) else []
        pasted = [{"dialect": dialect, "expression": quartz} for dialect, quartz in faults.pasted]
        raise ProblemError("invalid", str(error), field="cron", problems=items, fix=faults.fix, pasted=pasted) from None


def _timer(body: CronBody, trigger: Any) -> Timer:
    decide = ("jitter_s", "starts_at", "ends_at", "calendar", "roll", "environment", "name")
    limit_s = body.limit_s or console().settings.limit_s
    given = {name: getattr(body, name) for name in decide}
    given = with_bounds(given, now=console().now(), tz=zone(trigger.tz or console().settings.tz))
    return Timer(function="f", trigger=trigger, limit_s=limit_s, **given)


def _with_calendar(timer: Timer) -> Timer:
    if timer.calendar is None:
        return timer
    return replace(timer, working_days=CalendarTable(console().store).get(timer.calendar).working_days)


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


# Backfills


def plan(path: TimerPath, query: BackfillQuery) -> Response:
    """The fire times of a past span that have no run, which a backfill would enter."""
    return _backfilled(plan_backfill, path, query, entered=False)


def enter(path: TimerPath, body: BackfillBody) -> Response:
    """Enter a run for each fire time of a past span that has none; a daemon begins them."""
    return _backfilled(partial(backfill, by=author(body.why)), path, body, entered=True)


def take_back(path: TimerPath, query: WhyQuery) -> Response:
    """Delete the backfilled runs of a timer that have not begun."""
    by, now = author(query.why), console().now()
    return answer({"cancelled": cancel_backfill(console().store, path.name, path.environment, now=now, by=by)})


def _backfilled(
    made: Callable[..., Backfill], path: TimerPath, given: BackfillQuery | BackfillBody, *, entered: bool
) -> Response:
    now = console().now()
    start = past_instant_of(given.from_, "from")
    assert start is not None
    span: tuple[datetime, datetime] = (start, past_instant_of(given.to, "to") or now)
    result = made(console().store, path.name, path.environment, span, now=now, cap=given.limit)
    timer = console().timers.get(path.name, path.environment).timer
    tz = zone_of(timer, console().settings.tz)
    shown = {
        "timer": path.name,
        "environment": path.environment,
        "entered": entered,
        "fire_times": [iso(fire_time, tz) for fire_time in result.fire_times],
        "have_run": result.have_run,
        "still_due": result.still_due,
    }
    return answer(shown, 202 if entered else 200)
