"""The diagnosis of an invalid text: every problem with its column; the fix is that of likely_fix.py.

It runs only after the parser has raised FieldFault, so it need not be fast, but its time is linear in the text.
"""

from __future__ import annotations

from ..errors import CronSyntaxError, Problem, echoed
from ..fields import FIELDS
from .likely_fix import (
    ZONES,
    are_several,
    comment_place,
    has_command,
    is_eventbridge,
    is_instant,
    is_interval,
    is_on_calendar,
    is_split_list,
    is_time,
    likely_fix,
    may_lack_another_field,
    may_lack_seconds,
    nth_place,
    trailing_zone,
)
from .parser import FieldFault, read_field
from .spelling import BRACKETS, QUOTES, blank_in_list, separator
from .week_day_numbers import day_in_quartz, day_in_spring, first_number, is_by_name, named_week_days

_SHAPE = "seconds minutes hours day-of-month month day-of-week [year]"
_HASHED = "a key picks a value for H in CronExpression.hashed(text, key=…)"
_MONTH_DAY, _MONTH, _WEEK_DAY = 3, 4, 5

Word = tuple[int, str]


def syntax_error(text: str) -> CronSyntaxError:
    """The error for a text for which parse raises FieldFault."""
    words = _words(text)
    problem = (
        _other_kind_of_text(text) or _list_problem(text, words) or _foreign_problem(words) or _comment_problem(text)
    )
    fix = likely_fix(text)
    if problem is not None:
        problems = [problem]
    elif len(words) in (6, 7):
        problems = _sorted(_field_problems(words))
    else:
        problems = [_count_problem(text, words)]
    if fix is None and (fields := _fields_without_seconds(words)):
        problems += _sorted(_field_problems(fields))
    return CronSyntaxError(text, tuple(problems), fix)


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: problem.column)


def _fields_without_seconds(words: list[Word]) -> list[Word]:
    """The fields of a crontab line or of `cron(…)`, with seconds in front; none if most are not such fields."""
    count = 5
    if len(words) > 1 and words[0][1].lower().startswith("cron(") and words[-1][1].endswith(")"):
        (column, first), (last_column, last) = words[0], words[-1]
        words, count = [(column + 5, first[5:]), *words[1:-1], (last_column, last[:-1])], 6
    if len(words) != count or any(not word or _is_hash(word) for _, word in words):
        return []
    fields = [(words[0][0], "0"), *words]
    return fields if len(_wrong_fields(fields)) <= count // 2 else []


def _is_hash(word: str) -> bool:
    """Whether a field has Jenkins' H."""
    return word.upper() == "H" or word.upper().startswith(("H/", "H("))


def _other_kind_of_text(text: str) -> Problem | None:
    """The only problem of a text that is not a cron expression, or that is more than one."""
    bare = text.strip().strip(QUOTES)
    start = len(text) - len(text.lstrip()) + 1
    message, hint = "", ""
    if "||" in bare:
        message, hint = "these are several expressions", "quartzcron.schedules.from_text reads them"
    elif are_several(bare):
        message, hint = (
            "these are several expressions",
            "quartzcron.schedules.from_text reads them with || between them",
        )
    elif is_interval(bare):
        message = "this is an interval of EventBridge" if bare[:5].lower() == "rate(" else "this is an interval"
        hint = "a cron expression names times; a timer takes an interval as every=SECONDS"
    elif is_instant(bare):
        message, hint = "this is one instant", "as a cron expression it has a year"
    elif is_on_calendar(bare):
        message, hint = "this is systemd's OnCalendar", "CronExpression.from_oncalendar reads it"
    elif (sign := separator(bare)) is not None:
        message, hint = f"blanks separate the fields, not {echoed(sign)}", f"fields are {_SHAPE}"
        start, bare = text.index(sign) + 1, sign
    elif is_time(bare):
        message, hint = "this is a time of day", f"fields are {_SHAPE}"
    elif bare[:7].upper().startswith(("FREQ=", "RRULE", "DTSTART")):
        message, hint = "this is a recurrence rule of iCalendar", f"fields are {_SHAPE}"
    return Problem(field=None, text=bare, column=start, message=message, hint=hint) if message else None


def _foreign_problem(words: list[Word]) -> Problem | None:
    """The only problem that is reported for a text in another dialect, instead of one for each field."""
    if not words:
        return None
    column, first = words[0]
    if first[0] in QUOTES:
        message = "quotes are not part of the expression"
        return Problem(field=None, text=first[0], column=column, message=message, hint="remove them")
    if first[0] in BRACKETS:
        message = "brackets are not part of the expression"
        return Problem(field=None, text=first[0], column=column, message=message, hint="remove them")
    if first.upper().startswith(ZONES):
        message, zone = "a time zone is not part of the expression", first.partition("=")[2]
        return Problem(field=None, text=first, column=column, message=message, hint=f"give it as tz={echoed(zone)}")
    if first.startswith("@"):
        message, hint = f"{first} is a macro of crontab", f"fields are {_SHAPE}"
        return Problem(field=None, text=first, column=column, message=message, hint=hint)
    if first.lower().startswith(("cron(", "rate(")):
        message, hint = "this is an EventBridge schedule", f"fields are {_SHAPE}, without brackets"
        return Problem(field=None, text=first[:5], column=column, message=message, hint=hint)
    last = trailing_zone([word for _, word in words])
    if last is not None:
        message = "a time zone is not part of the expression"
        hint = f"give it as tz={echoed(last.rpartition('=')[2])}"
        return Problem(field=None, text=last, column=words[-1][0], message=message, hint=hint)
    if has_command([word for _, word in words]):
        message, hint = "a command is not part of the expression", "this is a crontab line"
        return Problem(field=None, text=words[5][1], column=words[5][0], message=message, hint=hint)
    if is_eventbridge([word for _, word in words]):
        message, hint = "minutes come first, as in an EventBridge schedule", "seconds field missing"
        return Problem(field="seconds", text="", column=column, message=message, hint=hint)
    return None


def _list_problem(text: str, words: list[Word]) -> Problem | None:
    """The problem of a list that blanks divide, where the other words need not be wrong."""
    place = blank_in_list(text) if is_split_list(text) and not has_command([word for _, word in words]) else None
    if place is None or words[0][1][0] in QUOTES or comment_place(text[: place + 1]) is not None:
        return None
    message, hint = "a blank ends a field", "a list is written without blanks, as in MON,FRI"
    return Problem(field=None, text=text[place], column=place + 1, message=message, hint=hint)


def _comment_problem(text: str) -> Problem | None:
    """The problem of a comment, after a blank and `#`, or of `FRI #3`, which without the blank is a day of the week."""
    place = nth_place(text)
    if place is not None:
        message, hint = "a blank ends a field", "the third Friday is written without blanks, as in FRI#3"
        return Problem(field=None, text=text[place], column=place + 1, message=message, hint=hint)
    place = comment_place(text)
    if place is None:
        return None
    message, hint = "a comment is not part of the expression", "remove it"
    return Problem(field=None, text=text[place:].rstrip(), column=place + 1, message=message, hint=hint)


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
        if may_lack_another_field([word for _, word in words]):
            hint = f"they are {_SHAPE}"
        if any(_is_hash(word) for _, word in words):
            hint = f"seconds field missing, as in Jenkins; {_HASHED}"
        return Problem(field="seconds", text="", column=words[0][0], message=message, hint=hint)
    message = f"{len(words)} field{'s' * (len(words) > 1)}, a Quartz expression has 6 or 7"
    return Problem(field=None, text="", column=len(text.rstrip()) + 1, message=message, hint=f"they are {_SHAPE}")


def _field_problems(words: list[Word]) -> list[Problem]:
    return _wrong_fields(words) + _day_problems(words)


def _wrong_fields(words: list[Word]) -> list[Problem]:
    problems = []
    for index, (column, word) in enumerate(words):
        if word == "?" and index in (_MONTH_DAY, _WEEK_DAY):
            continue
        try:
            read_field(index, word)
        except FieldFault as fault:
            text = word[fault.start : fault.start + len(fault.text)]
            message = fault.message.replace(fault.text, text) if text else fault.message  # as the user wrote it
            at, hint = column + fault.start, fault.hint
            if _is_hash(text):
                hint = _HASHED
            problems.append(Problem(field=FIELDS[index].name, text=text, column=at, message=message, hint=hint))
    return problems


def _day_problems(words: list[Word]) -> list[Problem]:
    """Exactly one of the two day fields has to be `?`."""
    (by_month_at, by_month), (by_week_at, by_week) = words[_MONTH_DAY], words[_WEEK_DAY]
    if _is_broken(by_month) or _is_broken(by_week):
        return []
    if (by_month == "?") != (by_week == "?"):
        return []
    if by_month == "?":
        message, hint = "both day fields are ?", "write * for every day"
        return [Problem(field=FIELDS[_MONTH_DAY].name, text="?", column=by_month_at, message=message, hint=hint)]
    message = "both day fields are given"
    if by_week == "*" or by_month != "*":
        first = "; seconds come first" if may_lack_seconds([word for _, word in words]) else ""
        hint = (
            f"put ? here{first}"
            if by_week == "*"
            else "put ? in one of them; for days of either kind use two expressions"
        )
        return [Problem(field=FIELDS[_WEEK_DAY].name, text=by_week, column=by_week_at, message=message, hint=hint)]
    hint = "put ? here" if is_by_name(by_week) else f"put ? here; {_numbering(words)}"
    return [Problem(field=FIELDS[_MONTH_DAY].name, text=by_month, column=by_month_at, message=message, hint=hint)]


def _is_broken(word: str) -> bool:
    """Whether a word was meant as `?`: in the wide form of Chinese and Japanese keyboards, or with text after it."""
    return word != "?" and word[0] in "?\N{FULLWIDTH QUESTION MARK}"


def _numbering(words: list[Word]) -> str:
    """Spring and crontab number the days of the week from Sunday = 0, Quartz from Sunday = 1."""
    by_week = words[_WEEK_DAY][1]
    named, number = named_week_days(by_week), first_number(by_week)
    if number == 0:
        return f"0 is Sunday in Spring and crontab; write {named}" if named else "1 is Sunday"
    if named is None or number is None or number > 7:
        return "1 is Sunday"
    return (
        f"mind that {number} is {day_in_quartz(number)}: if it was {day_in_spring(number)}, as in Spring, write {named}"
    )
