"""The first page: whether everything fires, what went wrong, what comes next."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ...core.run import Outcome, Run
from ...store.alert_queue import AlertQueue
from ...store.calendars import CalendarTable
from ...store.runs import RunHistory
from ...store.statistics import Statistics, read_statistics
from .. import drawing
from ..current import console
from ..digest import queries
from ..digest.reading import unread_before
from ..page_queries import due_next
from ..reader import reader
from ..rendering import render, t
from ..trigger_words import words_of

_HOURS = 24
_LISTED = 8
#: How far back what went wrong is listed.
_WRONG_SINCE = timedelta(days=7)


def show() -> str:
    """The page."""
    now = console().now()
    statistics = read_statistics(console().store, now)
    with console().digest.reading() as digest:
        hours = queries.hours(digest, now - timedelta(hours=_HOURS - 1), now + timedelta(microseconds=1))
        wrong = queries.went_wrong(digest, since=now - _WRONG_SINCE, most=_LISTED)
        unread = unread_before(digest)
    return render(
        "overview.html",
        facts=_facts(statistics),
        has_timers=bool(statistics.timers),
        daemons=len(statistics.live_daemons(now)),
        overdue=statistics.overdue,
        advice=_advice(now),
        pauses=[pause for pause in statistics.pauses if pause.timer_id is None],
        hours=hours,
        sums=queries.sums_of(hours),
        bars=drawing.sums([hour.fires for hour in hours]),
        due=[{"entry": entry, "words": words_of(entry.timer.trigger, reader().language)} for entry in _due()],
        wrong=[_failing(failing) for failing in wrong],
        outcomes=list(Outcome),
        drawing=drawing,
        unread=unread,
    )


def _due() -> list[Any]:
    return due_next(console().store, _LISTED)


def _advice(now: datetime) -> list[tuple[str, str]]:
    """What will go wrong unless somebody looks after it: the text, and the page about it."""
    undelivered = AlertQueue(console().store).count_undelivered()
    advice = [(t("overview.undelivered", n=undelivered), "alerts")] if undelivered else []
    today = now.astimezone(reader().tz).date()
    for calendar in CalendarTable(console().store).list():
        if calendar.timers and calendar.ends_soon(today):
            advice.append((t("overview.calendar_ends", name=calendar.name), "calendars"))
    return advice


def _facts(statistics: Statistics) -> list[dict[str, Any]]:
    """The numbers on top: the word, the number, whether it is bad, and the filter of the list with these timers."""
    enabled = sum(count for (_, is_enabled), count in statistics.timers.items() if is_enabled)
    now = console().now()
    daemons = len(statistics.live_daemons(now))
    return [
        {"key": "enabled", "n": enabled - statistics.finished, "is_bad": False, "state": "enabled"},
        {"key": "daemons", "n": daemons, "is_bad": not daemons, "state": None},
        {"key": "overdue", "n": statistics.overdue, "is_bad": bool(statistics.overdue), "state": "enabled"},
        {
            "key": "breakers",
            "n": _open_breakers(statistics),
            "is_bad": bool(_open_breakers(statistics)),
            "state": "in_trouble",
        },
        {"key": "held", "n": statistics.held, "is_bad": bool(statistics.held), "state": "enabled"},
    ]


def _open_breakers(statistics: Statistics) -> int:
    return sum(count for state, count in statistics.breakers.items() if state != "closed")


def _failing(failing: queries.Failing) -> dict[str, Any]:
    """A failing timer, with the message of its last failure."""
    run = RunHistory(console().store).run(failing.last_run_id)
    return {"failing": failing, "said": _last_line(run)}


def _last_line(run: Run | None) -> str:
    """The last line of an error: of a traceback, it names the exception."""
    lines = "" if run is None else (run.error or run.message).strip()
    return lines.splitlines()[-1] if lines else ""
