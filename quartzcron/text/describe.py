"""describe(expression, language): an expression in words, made from the sets that next_fire uses and not from the text,
so that the words and the fires agree.

Lives here: what a description contains, namely the days in their simplest form and the times of a day as an outline.
Never here: its words (english.py and chinese.py, which have the same functions).
"""

from __future__ import annotations

from itertools import pairwise
from math import gcd

from ..errors import CronError, check_type, echoed
from ..fields import MONTH_DAYS, MONTHS, WEEK_DAYS, YEARS, DayFields
from ..lazy import Lazy
from ..search.compiled import CompiledExpression
from ..wall.day_forms import simplest_days
from ..wall.days import day_rule
from ..wall.rolls import Roll
from ..wall.times import members
from ..zones.lookup import zone_name
from .outline import outline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


#: The module that writes the sentences of a language, by its code: `NEVER`, `sentence`, `with_exception`, `with_roll`.
LANGUAGES: Final = {"en": Lazy("text.english"), "zh": Lazy("text.chinese")}


def describe(expression: CompiledExpression, language: str = "en") -> str:
    """An expression in words, in English ("en") or 简体中文 ("zh").

    Expressions that fire at the same wall times have the same description, all others different ones. If the
    expression has a zone, the description ends with it; if calendars change its days to those of no expression without
    a calendar, with what each does and its name. Raises CronError for another language.

    >>> from quartzcron import CronExpression
    >>> describe(CronExpression("0 0/30 9-17 ? * MON-FRI"))
    'Every 30 minutes from 09:00 to 17:30, Monday to Friday'
    >>> describe(CronExpression("0 0/30 9-17 ? * MON-FRI"), "zh")
    '每周一至周五 09:00 至 17:30，每 30 分钟一次'
    """
    check_type(expression, CompiledExpression, "the expression must be a CronExpression")
    check_type(language, str, f"a language must be {' or '.join(map(repr, LANGUAGES))}")
    if language not in LANGUAGES:
        raise CronError(f"no descriptions in {echoed(language)}; languages are {' and '.join(LANGUAGES)}")
    text: str
    writer = LANGUAGES[language]
    days, times = expression._days, expression._pattern.times
    zone = zone_name(expression.tz) or (str(expression.tz) if expression.tz else None)
    simplest = simplest_days(days.key)
    if simplest is not None:
        fields, years = simplest[0], _regular_years(*simplest)
        text = writer.sentence(outline(times, every_day=_is_every_day(*simplest)), fields, years, zone)
        return text
    whole = simplest_days(day_rule(days.fields, days.given_years).key)
    if expression.never_fires or whole is None:
        text = writer.NEVER
        return text
    text = writer.sentence(outline(times), *whole, zone)
    for layer in days.layers:
        if isinstance(layer, Roll):
            text = writer.with_roll(text, layer.convention, layer.name)
        else:
            text = writer.with_exception(text, layer.name)
    return text


def _is_every_day(fields: DayFields, years: int) -> bool:
    months, month_days, _, week_days, _ = fields
    every = month_days == MONTH_DAYS.full or week_days == WEEK_DAYS.full
    return every and months == MONTHS.full and years == YEARS.full


def _regular_years(fields: DayFields, years: int) -> int:
    """Every other year, say, for those of them that have such a day; else the years themselves."""
    listed = members(years)
    steps = {later - earlier for earlier, later in pairwise(listed)}
    if len(steps) < 2:
        return years
    step = gcd(*steps)
    regular = sum(1 << year for year in range(listed[0], YEARS.size, step))
    return regular if step > 1 and regular & day_rule(fields, YEARS.full).firing_years == years else years


def joined(texts: list[str], how: str, language: str) -> str:
    """The descriptions of the parts of a schedule in one: `how` is "union" or "overlap".

    >>> joined(["At 08:00 on Mondays", "Every hour, every day"], "union", "en")
    'Any of: at 08:00 on Mondays; every hour, every day'
    """
    text: str = LANGUAGES[language].joined(texts, how)
    return text
