"""describe(expression, language): what an expression says, in words. Made from the sets that next_fire uses, never from
the text, so that the two cannot disagree.

Here is what to say: the days in their simplest form, and the times of a day as an outline. How to say it is in
words_en.py and words_zh.py, which have the same three functions.
"""

from __future__ import annotations

from ..errors import CronError, check_type, echoed
from ..expression import CronExpression
from ..wall.day_forms import simplest_days
from ..zones.lookup import zone_name
from .outline import outline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


LANGUAGES: Final = ("en", "zh")


def describe(expression: CronExpression, language: str = "en") -> str:
    """What an expression says, in English ("en") or 简体中文 ("zh").

    Expressions that fire at the same wall times are described alike, all others differently. A zone of the
    expression's own is named at the end. Raises CronError for another language.

    >>> from quartzcron import CronExpression
    >>> describe(CronExpression("0 0/30 9-17 ? * MON-FRI"))
    'Every 30 minutes from 09:00 to 17:30, Monday to Friday'
    >>> describe(CronExpression("0 0/30 9-17 ? * MON-FRI"), "zh")
    '每周一至周五 09:00 至 17:30，每 30 分钟一次'
    """
    check_type(expression, CronExpression, "what is described is a CronExpression")
    check_type(language, str, f"a language is {' or '.join(map(repr, LANGUAGES))}")
    if language == "en":
        from .english import NEVER, sentence
    elif language == "zh":
        from .chinese import NEVER, sentence
    else:
        raise CronError(f"no descriptions in {echoed(language)}; languages are {' and '.join(LANGUAGES)}")
    pattern = expression._pattern
    simplest = simplest_days(pattern.days.key)
    if simplest is None:
        return NEVER
    zone = zone_name(expression.tz) or (str(expression.tz) if expression.tz else None)
    return sentence(outline(pattern.times), *simplest, zone)


def with_exception(text: str, name: str | None, language: str) -> str:
    """A description with the calendar that is taken out, by its name."""
    if language == "zh":
        name = name or "其日历中的日期"
        return f"{text}（{name}{' ' if name[-1].isascii() else ''}除外）"
    return f"{text}, except on {name or 'the days of its calendar'}"
