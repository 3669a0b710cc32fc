"""Advice about a trigger that is valid but perhaps not intended. Each piece of advice is a key of words.py, with its
values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ..core.triggers import Cron, Trigger


class Advice(NamedTuple):
    """One piece of advice: the key of its words, and values for them."""

    key: str
    values: dict[str, Any]


def advice(trigger: Trigger, *, limit_s: float, fires: list[datetime]) -> list[Advice]:
    """All advice about a trigger; `fires` are the next fire times."""
    found = list(_of_gap(trigger, limit_s))
    if isinstance(trigger, Cron):
        found += _of_expression(trigger.expression)
    if len(fires) == 1:
        found.append(Advice("advice.once", {}))
    return found


def _of_gap(trigger: Trigger, limit_s: float) -> Iterator[Advice]:
    gap = trigger.gap
    if gap is None:
        return
    if gap <= timedelta(seconds=1):
        yield Advice("advice.every_second", {})
    elif gap < timedelta(seconds=limit_s):
        yield Advice("advice.shorter_than_limit", {"gap": f"{gap.total_seconds():g}", "limit": f"{limit_s:g}"})


def _of_expression(expression: str) -> Iterator[Advice]:
    fields = expression.upper().split()
    if len(fields) < 6:
        return
    _, minutes, _, month_days, months, week_days = fields[:6]
    if re.fullmatch(r"(29|30|31)", month_days):
        leap = month_days == "29" and months in ("2", "FEB")
        yield Advice("advice.leap_day" if leap else "advice.short_months", {"day": month_days})
    if re.search(r"(?<![#/])\b[1-7]\b", week_days):
        yield Advice("advice.weekday_digits", {})
    for field, size in ((fields[0], 60), (minutes, 60)):
        step = re.fullmatch(r"(?:\*|0)/(\d+)", field)
        if step and int(step[1]) and size % int(step[1]):
            yield Advice("advice.uneven_step", {"step": int(step[1]), "size": size})
