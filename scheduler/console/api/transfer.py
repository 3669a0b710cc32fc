"""The handlers of import and export: lists of timers, all of a list or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flask import Response, request

from ...core.timer import Timer
from ...errors import DuplicateTimerError
from ...formats import timer_lists
from ...store.chains import with_known_followers
from ...store.timer_apply import Applied, ListEffect, WantedTimer, apply_timers
from ...store.timers_at_once import check_number
from ..current import console
from ..reader import reader
from .context import answer, author
from .problems import ProblemError
from .requests import ExportQuery, ImportQuery


def export(query: ExportQuery) -> Response:
    """All timers as a list that an import reads."""
    if not reader().sees("params"):
        raise ProblemError("forbidden", "the setting console_hide hides parameters from viewers")
    stored = console().timers.list(query.environment, tag=query.tag)
    timers = with_known_followers(console().store, [entry.timer for entry in stored])
    if query.format == "csv":
        return Response(timer_lists.as_csv(timers), mimetype="text/csv")
    return answer([timer_lists.as_object(timer) for timer in timers])


def import_list(query: ImportQuery) -> Response:
    """Add the timers of a list, or make the timers equal to it; with `dry_run`, only return what would change."""
    if query.prune and query.mode != "apply":
        raise ProblemError("invalid", "prune goes with mode=apply", field="prune")
    settings = console().settings
    found = timer_lists.read(_text(), environment=query.environment, tz=settings.tz, limit_s=settings.limit_s)
    check_number(len(found.timers))
    timers = [replace(timer, enabled=query.enable or timer.enabled) for timer in found.timers]
    named = [query.enable or "enabled" in line.values for line in found.lines]
    wanted = [WantedTimer(timer, states) for timer, states in zip(timers, named, strict=True)]

    def applied(*, dry_run: bool) -> Applied:
        return apply_timers(
            console().store,
            wanted,
            prune=query.prune,
            now=console().now(),
            quota=settings.max_timers,
            by=author(query.why),
            dry_run=dry_run,
        )

    if query.mode == "apply":
        return _answer(applied(dry_run=query.dry_run), dry_run=query.dry_run)
    result = applied(dry_run=True)
    _refuse_existing(timers, result)
    if not query.dry_run:
        # In its transaction, it refuses what was added since.
        console().timers.add(timers, now=console().now(), quota=settings.max_timers, by=author(query.why))
    return _answer(result, dry_run=query.dry_run)


def _text() -> str:
    try:
        return request.get_data().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProblemError("malformed", f"the list is not UTF-8, from byte {error.start} on") from None


def _refuse_existing(timers: Sequence[Timer], result: Applied) -> None:
    new = {(each.timer.environment, each.timer.name) for each in result.differences if each.effect is ListEffect.ADDED}
    for timer in timers:
        if (timer.environment, timer.name) not in new:
            raise DuplicateTimerError(timer.name, timer.environment)


def _answer(applied: Applied, *, dry_run: bool) -> Response:
    effects = [
        {"effect": each.effect, "environment": each.timer.environment, "name": each.timer.name}
        for each in applied.differences
    ]
    return answer({"dry_run": dry_run, "effects": effects, "unchanged": applied.unchanged})
