"""The methods of CronExpression that speak other languages, each imported when it is first called."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .expression import CronExpression


def describe(self: CronExpression, language: str = "en") -> str:
    """What the expression says, in English ("en") or 简体中文 ("zh"); see words.py.

    >>> from quartzcron import CronExpression
    >>> CronExpression("0 0 8 ? * MON").describe(), CronExpression("0 0 8 ? * MON").describe("zh")
    ('At 08:00 on Mondays', '每周一 08:00')
    """
    from . import words

    return words.describe(self, language)
