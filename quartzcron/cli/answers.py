"""The results of the commands explain, convert and diff as plain values. commands.py prints them, as text or JSON."""

from __future__ import annotations

from datetime import datetime
from itertools import chain, islice
from typing import Any

from ..dialects import DialectError, write
from ..expression import CronExpression
from ..search.bitsets import AFTER_ALL, BitTable, DaySpan, span_at, table_of, without
from ..search.joint_fires import JointFires, instant_of
from ..text.describe import describe
from ..zones.lookup import zone_of


def explanation(expression: CronExpression, language: str) -> dict[str, Any]:
    """An expression in words and in normal form, and its shortest and longest gaps, in seconds.

    The normal form is that of the expression alone, without its calendar of working days.

    >>> explanation(CronExpression("0 0 8 ? * 2"), "en")["description"]
    'At 08:00 on Mondays'
    """
    gaps = {
        name: None if gap is None else gap.total_seconds()
        for name, gap in (("min_gap_s", expression.min_gap), ("max_gap_s", expression.max_gap))
    }
    return {
        "expression": expression.text,
        "description": describe(expression, language),
        "canonical": CronExpression(expression.text).canonical,
        "never_fires": expression.never_fires,
        **gaps,
    }


def conversions(text: str, dialect: str, targets: list[str]) -> list[dict[str, Any]]:
    """A text of one dialect in others: for each the text, or the reason why there is none.

    Raises CronError if the text is invalid in its own dialect.

    >>> conversions("0 8 * * 1-5", "crontab", ["quartz"])
    [{'dialect': 'quartz', 'text': '0 0 8 ? * MON-FRI', 'refused': None}]
    """
    expression = CronExpression.from_dialect(dialect, text)
    rows: list[dict[str, Any]] = []
    for target in targets:
        try:
            rows.append({"dialect": target, "text": write(target, expression), "refused": None})
        except DialectError as error:
            reason = f"{error.part}: {error.reason}" if error.part else error.reason
            rows.append({"dialect": target, "text": None, "refused": reason})
    return rows


def difference(one: CronExpression, other: CronExpression, after: datetime, count: int) -> dict[str, Any]:
    """Whether two expressions are equal, and the first fire times that only one of them has.

    The fires of a span of days are compared at once, so a first difference in 2090 takes hardly longer than one
    tomorrow; they are instants, so those that differ only where clocks change are found too.

    >>> daily, but_for_2099 = CronExpression("0 0 8 * * ?"), CronExpression("0 0 8 * * ? 1970-2098")
    >>> answer = difference(daily, but_for_2099, datetime(2026, 1, 1), 1)
    >>> answer["equal"], answer["only_first"], answer["only_second"]
    (False, [datetime.datetime(2099, 1, 1, 8, 0)], [])
    """
    only = [_only_in(left, right, after, count) for left, right in ((one, other), (other, one))]
    return {"equal": one == other, "only_first": only[0], "only_second": only[1]}


def _only_in(left: CronExpression, right: CronExpression, after: datetime, count: int) -> list[datetime]:
    zone = zone_of(after.tzinfo)
    own, others = (zone_of(one.tz or after.tzinfo) for one in (left, right))

    def around(day: int) -> tuple[DaySpan, BitTable]:
        span = span_at(day, list({zone: None, own: None, others: None}))
        return span, without(table_of(left, own, span), table_of(right, others, span))

    batches = JointFires(zone, around).batches(instant_of(after) + 1, AFTER_ALL)
    return list(islice(chain.from_iterable(batches), count))
