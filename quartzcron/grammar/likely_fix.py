"""The expression that an invalid text probably means, if every reading of the text leads to the same one.

A text with five fields is a crontab line, one in `cron(…)` is Amazon EventBridge's; both number fields differently from
Quartz. Where two readings differ, such as `cron(0 8 * * 1 *)` (Sunday there, Monday in a crontab), there is no fix.
"""

from __future__ import annotations

import re

from ..fields import MONTH_NAMES, WEEK_DAY_NAMES
from .parser import FieldFault, parse, read_field
from .spelling import (
    BRACKETS,
    QUOTES,
    blank_in_list,
    plain,
    separator,
    without_separator,
    without_stray_commas,
)
from .week_day_numbers import has_digit, is_by_name, is_nth_by_name, named_week_days, numbers

_LONGEST = 500
_MONTH_DAY, _MONTH, _WEEK_DAY = 3, 4, 5

_MACROS = {
    "@yearly": "0 0 0 1 1 ?",
    "@annually": "0 0 0 1 1 ?",
    "@monthly": "0 0 0 1 * ?",
    "@weekly": "0 0 0 ? * SUN",
    "@daily": "0 0 0 * * ?",
    "@midnight": "0 0 0 * * ?",
    "@hourly": "0 0 * * * ?",
}

ZONES = ("TZ=", "CRON_TZ=")
_COMMENT = re.compile(r"(?:^|\s)(#)")

# A zone as a last word: `Asia/Shanghai`, `UTC`, `+08:00`. A year or a day of the week never looks like one.
_ZONE = re.compile(
    r"(?:CRON_)?TZ=\S+|[A-Za-z]+/[A-Za-z][\w/+-]*|(?:UTC|GMT)(?:[+-]\d\d?(?::?\d\d)?)?|Z|[+-]\d\d:?\d\d", re.ASCII
)
# After the days of the week, where only a year is valid, an abbreviation such as CST is a zone too.
_SHORT_ZONE = re.compile(rf"(?!(?:{'|'.join(WEEK_DAY_NAMES + MONTH_NAMES)})\b)[A-Z]{{3,5}}", re.ASCII)

# An interval, in the words of EventBridge, of Go's cron, of people, of ISO 8601: rate(5 minutes), @every 5m, PT5M.
_INTERVAL = re.compile(
    r"(?:@?every +|rate\( *|R\d*/)?(?:PT)?(\d{0,6}) *(s|sec|seconds?|m|min|minutes?|h|hours?) *\)?",
    re.IGNORECASE | re.ASCII,
)
_DURATION = re.compile(r"(?:R\d*/)?P(?:T?\d+[YMWDHS])+", re.IGNORECASE | re.ASCII)
_UNITS = {"s": ("0/{} * * * * ?", 60), "m": ("0 0/{} * * * ?", 60), "h": ("0 0 0/{} * * ?", 24)}
# Instants, as in EventBridge's: at(2026-12-24T18:00:00).
_INSTANT = re.compile(r"(?:at\( *)?(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))? *\)?", re.IGNORECASE | re.ASCII)
_TIME = re.compile(r"([01]?\d|2[0-3])[:：]([0-5]\d)(?:[:：]([0-5]\d))?", re.ASCII)
_ON_CALENDAR = re.compile(
    r"(?:\S+ )?(?:\*|\d{4})-(?:\*|\d\d?)[-~](?:\*|\d\d?)(?: .*)?"
    r"|(?:minute|hour|dai|week|month|quarter|year|annual|semi-?annual)ly",
    re.IGNORECASE,
)

_COMMAND = re.compile(r"^[./~$]|\w/|\w\.\w+$", re.ASCII)
_SPLIT_NTH = re.compile(r"\S# +[1-5]|\S +# *[1-5]", re.ASCII)
_BETWEEN_EXPRESSIONS = re.compile(r"[;|\n]+|&&|\b(?:and|or)\b", re.IGNORECASE), re.compile(",")
_WRITTEN_AS_WEEK_DAY = re.compile(r"(?:\d|[*?,/#LW-]|SUN|MON|TUE|WED|THU|FRI|SAT)+", re.IGNORECASE)


def likely_fix(text: str) -> str | None:
    """The valid expression that is probably meant; None if it would be a guess.

    >>> likely_fix("0 8 * * 1-5"), likely_fix("cron(0 8 * * * *)"), likely_fix("cron(0 8 * * 1 *)")
    ('0 0 8 ? * MON-FRI', '0 0 8 * * ? *', None)
    """
    if len(text) > _LONGEST:
        return None
    place = comment_place(text)
    bare = text if place is None else text[:place]
    if (sign := separator(bare.strip().strip(QUOTES))) is not None:
        if sign == "," and " " not in bare.strip() and bare.count(",") > 4:
            return None  # some of the commas may be those of a list
        bare = without_separator(bare.strip().strip(QUOTES), sign)
    if is_broken_list(bare):
        return None
    bare = plain(bare).strip().strip(QUOTES).rstrip(QUOTES + ",; \t\r\n").strip()
    if bare[:1] in BRACKETS:
        bare = bare.strip(BRACKETS + QUOTES).strip()
    if bare.upper().startswith(ZONES):
        bare = bare.partition(" ")[2].strip()
    if bare.lower() in _MACROS:
        return _MACROS[bare.lower()]
    if bare.lower().startswith("cron(") and bare.endswith(")"):
        candidate = _from_eventbridge(bare[5:-1].split())
    else:
        words = bare.split()
        candidate = _from_interval(bare) or _from_instant(bare) or _from_time(bare) or _from_words(words)
    return candidate if candidate is not None and candidate != text and _is_right(candidate) else None


def comment_place(text: str) -> int | None:
    """The index of the `#` that begins a comment; `#3` in the place of the days of the week is none."""
    found = _COMMENT.search(text)
    if found is None or nth_place(text) is not None:
        return None
    place = found.start(1)
    is_week_day = text[place + 1 : place + 2].isdigit() and len(text[:place].split()) == _WEEK_DAY
    return None if is_week_day else place


def nth_place(text: str) -> int | None:
    """The index of the blank in `FRI #3` or `6# 3`, behind the fields; #3 may be a comment, or the third Friday."""
    if len(text) > _LONGEST:
        return None
    found = _SPLIT_NTH.search(text)
    if found is None or text[found.end() :].strip() or len(text[: found.start() + 1].split()) != _WEEK_DAY + 1:
        return None
    return text.index(" ", found.start())


def are_several(text: str) -> bool:
    """Whether a text is several expressions in a row, as in `0 0 8 * * ?; 0 0 9 * * ?`."""
    if len(text) > _LONGEST:
        return False
    splits = (sign.split(text) for sign in _BETWEEN_EXPRESSIONS)
    return any(len(parts) > 1 and all(_is_right(part.strip().strip(QUOTES)) for part in parts) for parts in splits)


def is_split_list(text: str) -> bool:
    """Whether blanks divide a list, as in `MON, FRI`, which makes two fields of it."""
    return len(text) <= _LONGEST and blank_in_list(text) is not None and not is_broken_list(text)


def is_broken_list(text: str) -> bool:
    """Whether a comma beside a blank may also be superfluous: `0 0 8, * * ?`."""
    return blank_in_list(text) is not None and _is_right(without_stray_commas(text))


def is_interval(text: str) -> bool:
    """Whether a text is an interval, such as `rate(5 minutes)`, `@every 5m`, `every 5 minutes` or `PT5M`."""
    bare = text.strip()
    if len(bare) > _LONGEST or bare.isdigit():
        return False
    begins = bare.lower().startswith(("@every", "rate("))
    return begins or _INTERVAL.fullmatch(bare) is not None or _DURATION.fullmatch(bare) is not None


def is_instant(text: str) -> bool:
    """Whether a text is one instant, as in `at(2026-12-24T18:00:00)`."""
    return len(text) <= _LONGEST and _INSTANT.fullmatch(text.strip()) is not None


def is_time(text: str) -> bool:
    """Whether a text is a time of day, as in `8:30`."""
    return len(text) <= _LONGEST and _from_time(text.strip()) is not None


def is_on_calendar(text: str) -> bool:
    """Whether a text is systemd's, as in `Mon *-*-* 08:00`."""
    return len(text) <= _LONGEST and _ON_CALENDAR.fullmatch(text.strip()) is not None


def _from_interval(text: str) -> str | None:
    """The expression of an interval that divides the minute, the hour or the day, aligned to full ones."""
    found = _INTERVAL.fullmatch(text)
    if found is None:
        return None
    pattern, whole = _UNITS[found[2][0].lower()]
    length = int(found[1] or 1)
    if not length or whole % length or length == whole:
        return None
    return pattern.format(length) if length > 1 else pattern.replace("0/{}", "*")


def _from_instant(text: str) -> str | None:
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    return f"{second} {minute} {hour} {day} {month} ? {year}"


def _from_time(text: str) -> str | None:
    """The expression of a time of day, which is every day's."""
    found = _TIME.fullmatch(text)
    return f"{int(found[3] or 0)} {int(found[2])} {int(found[1])} * * ?" if found else None


def _from_words(words: list[str]) -> str | None:
    if has_command(words):
        return _from_crontab(words[:5])
    return _completed(words if trailing_zone(words) is None else words[:-1])


def has_command(words: list[str]) -> bool:
    """Whether these are five fields and a command, as in a line of a crontab: `0 22 * * 1-5 root /usr/bin/backup`."""
    if len(words) <= _WEEK_DAY or not any(char.isalpha() for char in words[_WEEK_DAY]) or trailing_zone(words[:6]):
        return False
    if len(words) == _WEEK_DAY + 1 and (words[_WEEK_DAY][0] == "?" or not _COMMAND.search(words[_WEEK_DAY])):
        return False  # `0 0 8 * * Montag` and `0 0 8 * * ?|UTC` may be Quartz's with a wrong day of the week
    candidate = _from_crontab(words[:5])
    return candidate is not None and _is_right(candidate) and not _is_week_day(words[_WEEK_DAY])


def _is_week_day(word: str) -> bool:
    """Whether a word is written as a weekday is, in any dialect: `0,MON` is one where 0 is Sunday."""
    return _WRITTEN_AS_WEEK_DAY.fullmatch(word) is not None


def trailing_zone(words: list[str]) -> str | None:
    """The last word of at least six if it is a time zone."""
    if len(words) > _WEEK_DAY and _ZONE.fullmatch(words[-1]):
        return words[-1]
    return words[-1] if len(words) > _WEEK_DAY + 1 and _SHORT_ZONE.fullmatch(words[-1]) else None


def is_eventbridge(words: list[str]) -> bool:
    """Whether six words without brackets are EventBridge's: minutes, hours, day of month, month, day of week, year.

    `0 0 8 * ? *` is not: it is the 8th of each month there, but may be Quartz's 8 o'clock with the ? in a wrong place.
    """
    if len(words) != 6 or "?" in (words[_MONTH_DAY], words[_WEEK_DAY]):
        return False
    return words[2] == "?" or (words[4] == "?" and words[2] == "*")


def _is_right(text: str) -> bool:
    try:
        parse(text)
    except FieldFault:
        return False
    return True


def _completed(words: list[str]) -> str | None:
    """Words without surrounding brackets, completed and converted to Quartz's forms."""
    if len(words) == 5:
        return _from_crontab(words)
    if len(words) not in (6, 7):
        return None
    if is_eventbridge(words):
        return " ".join(["0", *words])
    if may_lack_seconds(words):
        return None
    return _with_a_question_mark(words)


def _with_a_question_mark(words: list[str]) -> str | None:
    """Six or seven fields from the seconds on, in which exactly one of the day fields becomes `?`."""
    by_month, by_week = words[_MONTH_DAY], words[_WEEK_DAY]
    if by_month == by_week == "?":
        return _with_days(words, "*", "?")
    # A day 0 exists only if the week counts from Sunday = 0, as in crontab and Spring.
    named = named_week_days(by_week) if "0" in numbers(by_week) else None
    if "?" in (by_month, by_week):
        return _with_days(words, by_month, named) if named else " ".join(words)
    if by_week == "*":
        return _with_days(words, by_month, "?")
    if by_month == "*":
        by_name = by_week if is_by_name(by_week) else named
        return _with_days(words, "?", by_name) if by_name else None
    return None


def may_lack_seconds(words: list[str]) -> bool:
    """Whether six fields may begin with minutes: `0 8 * * * *`, at 8 past every hour in Spring, may mean 8 o'clock."""
    if len(words) != 6 or "?" in words:
        return False
    minutes, hours, months = words[1], words[2], words[_MONTH]
    if hours != "*" or (minutes == "0" and months == "*"):
        return False
    given = numbers(minutes)
    return bool(given) and not set("*/") & set(minutes) and all(int(number[-9:]) < 24 for number in given)


def _from_eventbridge(words: list[str]) -> str | None:
    """The fields of `cron(…)`, which begin with minutes; Quartz's own if only so the ? is in a day field."""
    if len(words) == 5:
        return _from_crontab(words) if is_by_name(words[4]) else None
    if len(words) != 6:
        return _completed(words)
    if "?" in (words[3], words[5]) and "?" not in (words[2], words[4]):
        return " ".join(words)
    return _with_a_question_mark(["0", *words])


def _from_crontab(words: list[str]) -> str | None:
    """An expression of the five fields of a crontab line; None if both day fields are given, which Quartz lacks."""
    minutes, hours, by_month, months, by_week = words
    named = named_week_days(by_week)
    if may_lack_another_field(words):
        return None
    if "?" in (by_month, by_week):
        # With a ? the fields may be Quartz's without the seconds, which counts days from Sunday = 1.
        return None if named is not None and has_digit(by_week) else " ".join(["0", *words])
    if by_week == "*":
        return f"0 {minutes} {hours} {by_month} {months} ?"
    by_name = by_week if is_nth_by_name(by_week) else named
    return f"0 {minutes} {hours} ? {months} {by_name}" if by_month == "*" and by_name else None


def may_lack_another_field(words: list[str]) -> bool:
    """Whether five fields with `?` last may begin with seconds: `0 0 8 * ?`, else the 8th, may be 8 o'clock."""
    if len(words) != 5 or words[4] != "?" or words[2] == "*":
        return False
    try:
        return bool(read_field(2, words[2]))
    except FieldFault:
        return False


def _with_days(words: list[str], by_month: str, by_week: str) -> str:
    return " ".join([*words[:_MONTH_DAY], by_month, words[_MONTH], by_week, *words[_WEEK_DAY + 1 :]])
