"""The diagnosis of an invalid text: every problem with its column, and a fix where one is likely.

It runs only after the parser has raised FieldFault, so it need not be fast, but its time is linear in the text.
"""

from __future__ import annotations

from ..errors import CronSyntaxError, Problem, echoed
from ..fields import FIELDS, WEEK_DAY_NAMES
from .parser import FieldFault, parse, read_field

_SHAPE = "seconds minutes hours day-of-month month day-of-week [year]"
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

# Copied along with an expression from a shell, a program or a crontab.
_QUOTES = "\"'`"
_ZONES = ("TZ=", "CRON_TZ=")

Word = tuple[int, str]


def syntax_error(text: str) -> CronSyntaxError:
    """The error for a text for which parse raises FieldFault."""
    words = _words(text)
    problem = _foreign_problem(words)
    if problem is not None:
        problems = [problem]
    elif len(words) in (6, 7):
        problems = sorted(_field_problems(words), key=lambda problem: problem.column)
    else:
        problems = [_count_problem(text, words)]
    return CronSyntaxError(text, tuple(problems), _fix(text))


def _foreign_problem(words: list[Word]) -> Problem | None:
    """The only problem that is reported for a text in another dialect, instead of one for each field."""
    if not words:
        return None
    column, first = words[0]
    if first[0] in _QUOTES:
        message = "quotes are not part of the expression"
        return Problem(field=None, text=first[0], column=column, message=message, hint="remove them")
    if first.upper().startswith(_ZONES):
        message, zone = "a time zone is not part of the expression", first.partition("=")[2]
        return Problem(field=None, text=first, column=column, message=message, hint=f"pass it as tz={echoed(zone)}")
    if first.startswith("@"):
        message, hint = f"{first} is a macro of crontab", f"fields are {_SHAPE}"
        return Problem(field=None, text=first, column=column, message=message, hint=hint)
    if first.lower().startswith(("cron(", "rate(")):
        message, hint = "this is an EventBridge schedule", f"fields are {_SHAPE}, without brackets"
        return Problem(field=None, text=first[:5], column=column, message=message, hint=hint)
    if len(words) == 6 and "?" in (words[2][1], words[4][1]) and "?" not in (words[3][1], words[5][1]):
        message, hint = "minutes come first, as in an EventBridge schedule", "seconds field missing"
        return Problem(field="seconds", text="", column=column, message=message, hint=hint)
    return None


def _words(text: str) -> list[Word]:
    """The first eight words with their columns; the eighth is the whole rest of the text."""
    words, place = [], 0
    for word in text.split(None, 7):
        place = text.index(word, place)
        words.append((place + 1, word))
        place += len(word)
    return words


def _count_problem(text: str, words: list[Word]) -> Problem:
    if not words:
        return Problem(field=None, text="", column=1, message="the expression is empty", hint=f"fields are {_SHAPE}")
    if len(words) > 7:
        column, rest = words[7]
        message = f"{7 + len(rest.split())} fields, a Quartz expression has 6 or 7"
        return Problem(field=None, text=rest.rstrip(), column=column, message=message, hint=f"they are {_SHAPE}")
    if len(words) == 5:
        message, hint = "5 fields, a Quartz expression has 6 or 7", "seconds field missing, as in a crontab line"
        return Problem(field="seconds", text="", column=words[0][0], message=message, hint=hint)
    message = f"{len(words)} field{'s' * (len(words) > 1)}, a Quartz expression has 6 or 7"
    return Problem(field=None, text="", column=len(text.rstrip()) + 1, message=message, hint=f"they are {_SHAPE}")


def _field_problems(words: list[Word]) -> list[Problem]:
    problems = []
    for index, (column, word) in enumerate(words):
        if word == "?" and index in (_MONTH_DAY, _WEEK_DAY):
            continue
        try:
            read_field(index, word)
        except FieldFault as fault:
            text = word[fault.start : fault.start + len(fault.text)]
            message = fault.message.replace(fault.text, text) if text else fault.message  # as it was written
            at, hint = column + fault.start, fault.hint
            if text.upper() == "H" or text.upper().startswith(("H(", "H/")):
                hint = "a key picks a value for H in CronExpression.hashed(text, key=…)"
            problems.append(Problem(field=FIELDS[index].name, text=text, column=at, message=message, hint=hint))
    return problems + _day_problems(words)


def _day_problems(words: list[Word]) -> list[Problem]:
    """Exactly one of the two day fields has to be `?`."""
    (by_month_at, by_month), (by_week_at, by_week) = words[_MONTH_DAY], words[_WEEK_DAY]
    if (by_month == "?") != (by_week == "?"):
        return []
    if by_month == "?":
        message, hint = "both day fields are ?", "write * for every day"
        return [Problem(field=FIELDS[_MONTH_DAY].name, text="?", column=by_month_at, message=message, hint=hint)]
    message = "both day fields are given"
    if by_week == "*" or by_month != "*":
        hint = "put ? here" if by_week == "*" else "put ? in one of them; for days of either kind use two expressions"
        return [Problem(field=FIELDS[_WEEK_DAY].name, text=by_week, column=by_week_at, message=message, hint=hint)]
    hint = "put ? here" if not _has_digit(by_week) else f"put ? here; {_numbering(words)}"
    return [Problem(field=FIELDS[_MONTH_DAY].name, text=by_month, column=by_month_at, message=message, hint=hint)]


def _has_digit(text: str) -> bool:
    return any(char in "0123456789" for char in text)


def _numbering(words: list[Word]) -> str:
    """Spring and crontab number the days of the week from Sunday = 0, Quartz from Sunday = 1."""
    by_week = words[_WEEK_DAY][1]
    named = _named_week_days(by_week)
    return f"1 is Sunday: if it was Monday, as in Spring, write {named}" if named else "1 is Sunday"


def _fix(text: str) -> str | None:
    """A valid expression that was probably meant; None if it would be a guess."""
    if len(text) > 500:
        return None
    bare = _narrow(text).strip().strip(_QUOTES).strip()
    if bare.upper().startswith(_ZONES):
        bare = bare.partition(" ")[2].strip()
    if bare.lower() in _MACROS:
        return _MACROS[bare.lower()]
    if bare.lower().startswith("cron(") and bare.endswith(")"):
        bare = bare[5:-1]
    words = bare.split()
    candidate = _completed(words) if len(words) in (5, 6, 7) else None
    if candidate is None or candidate == text:
        return None
    try:
        parse_quietly(candidate)
    except FieldFault:
        return None
    return candidate


def _narrow(text: str) -> str:
    """The text without the wide forms that Chinese and Japanese keyboards produce: `？` for `?`, `１` for `1`."""
    if text.isascii():
        return text
    from unicodedata import normalize

    return normalize("NFKC", text)


def parse_quietly(text: str) -> None:
    """Raise FieldFault unless every field of the text reads well and exactly one day field is `?`."""
    words = _words(text)
    if len(words) not in (6, 7) or _field_problems(words):
        raise FieldFault("not an expression", text, 0)
    parse(text)


def _completed(words: list[str]) -> str | None:
    if len(words) == 5:
        return _from_crontab(words)
    if len(words) == 6 and "?" in (words[2], words[4]):
        return " ".join(["0", *words])  # EventBridge: minutes hours day-of-month month day-of-week year
    by_month, by_week = words[_MONTH_DAY], words[_WEEK_DAY]
    if by_month == by_week == "?":
        return _with_days(words, "*", "?")
    if "?" in (by_month, by_week):
        # A week that begins with 0 is crontab's: it numbers the days from Sunday = 0.
        named = _named_week_days(by_week) if by_week[0] == "0" else None
        return _with_days(words, by_month, named) if named else " ".join(words)
    if by_week == "*":
        return _with_days(words, by_month, "?")
    if by_month == "*" and not _has_digit(by_week):
        return _with_days(words, "?", by_week)
    return None


def _with_days(words: list[str], by_month: str, by_week: str) -> str:
    return " ".join([*words[:_MONTH_DAY], by_month, words[_MONTH], by_week, *words[_WEEK_DAY + 1 :]])


def _from_crontab(words: list[str]) -> str | None:
    """An expression of the five fields of a crontab line; None if both day fields are given, which Quartz lacks."""
    minutes, hours, by_month, months, by_week = words
    if "?" in (by_month, by_week):
        return " ".join(["0", *words])
    if by_week == "*":
        return f"0 {minutes} {hours} {by_month} {months} ?"
    named = _named_week_days(by_week)
    if by_month != "*" or named is None:
        return None
    return f"0 {minutes} {hours} ? {months} {named}"


def _named_week_days(text: str) -> str | None:
    """Days of the week numbered from Sunday = 0 or 7, by name; None if names cannot express them."""
    items = [_named_item(item) for item in text.split(",")]
    return None if None in items else ",".join(item for item in items if item)


def _named_item(item: str) -> str | None:
    base, slash, step = item.partition("/")
    first, dash, last = base.partition("-")
    if (first, last) == ("0", "7") and not slash:
        return "*"
    if (slash and not dash and base != "*") or not base or (dash and not (first and last)):
        return None
    names = [_day_name(day) for day in (first, last) if day]
    return None if None in names else "-".join(name for name in names if name) + slash + step


def _day_name(day: str) -> str | None:
    if len(day) == 1 and day in "01234567":
        return WEEK_DAY_NAMES[int(day) % 7]
    return None if _has_digit(day) else day
