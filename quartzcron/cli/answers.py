"""The results of the commands explain, convert and diff as plain values. commands.py prints them, as text or JSON."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any

from ..dialects import DialectError, write
from ..expression import CronExpression
from ..text.describe import describe


def explanation(expression: CronExpression, language: str) -> dict[str, Any]:
    """An expression in words and in normal form, and its shortest and longest gaps, in seconds.

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
        "canonical": expression.canonical,
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

    Computed by excluding each from the other, so that a first difference in 2090 takes no longer than one tomorrow.

    >>> daily, but_for_2099 = CronExpression("0 0 8 * * ?"), CronExpression("0 0 8 * * ? 1970-2098")
    >>> answer = difference(daily, but_for_2099, datetime(2026, 1, 1), 1)
    >>> answer["equal"], answer["only_first"], answer["only_second"]
    (False, [datetime.datetime(2099, 1, 1, 8, 0)], [])
    """
    pairs = ((one, other), (other, one))
    only = [list(islice(left.excluding(right).fires(after), count)) for left, right in pairs]
    return {"equal": one == other, "only_first": only[0], "only_second": only[1]}
