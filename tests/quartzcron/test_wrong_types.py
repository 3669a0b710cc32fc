"""Any argument of the public functions: a result, a CronError, or a TypeError that names what is expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Any

import pytest

from quartzcron import CronError, CronExpression, dialects
from quartzcron.calendars import Calendar, WorkingDays, excluding
from quartzcron.dialects.rrule import to_rrule
from quartzcron.grammar.hashed import hashed_text
from quartzcron.schedules import Schedule, overlap, union
from quartzcron.text.describe import describe

NAIVE, AWARE = datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)
WEEKLY, IN_A_ZONE = CronExpression("0 0 8 ? * MON"), CronExpression("0 0 8 ? * MON", tz="America/New_York")
UNION, OVERLAP = union(WEEKLY, CronExpression("0 0 9 1 * ?")), overlap(WEEKLY, CronExpression("0 0 8 1/2 * ?"))
HOLIDAYS = Calendar([date(2026, 1, 1)], name="holidays")
WORKING = WorkingDays(holidays=HOLIDAYS)
TEXTS = {"crontab": "@daily", "spring": "@daily", "eventbridge": "cron(0 8 ? * MON *)", "oncalendar": "daily"}


class Unprintable:
    """Its repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Nowhere(tzinfo):
    """A zone without an offset."""


WRONG: list[object] = [
    *(None, True, 3, -1, 10**30, 1.5, float("nan"), int, len, object(), Unprintable(), tzinfo(), Nowhere()),
    *("", "x", "x" * 100_000, "a\ud800\x1b[31mb", b"0 0 8 ? * MON", "0 0 8 ? * MON", "en"),
    *([], (), {}, {"a": 1}, [1], ["x"], [None], iter([1])),
    *(
        date(2026, 1, 1),
        time(8),
        timedelta(1),
        NAIVE,
        AWARE,
        datetime.max,
        datetime.min,
        NAIVE.replace(tzinfo=Nowhere()),
    ),
    *(WEEKLY, UNION, OVERLAP, HOLIDAYS, WORKING, CronExpression),
]

Call = Callable[[Any], object]


def first(fires: Iterator[datetime]) -> list[datetime]:
    return list(islice(fires, 3))


def questions() -> Iterator[tuple[str, Call]]:
    """The methods of expressions and schedules that take a time."""
    for name, asked in (("text", WEEKLY), ("zone", IN_A_ZONE), ("union", UNION), ("overlap", OVERLAP)):
        yield f"next_fire, {name}", asked.next_fire
        yield f"prev_fire, {name}", asked.prev_fire
        yield f"matches, {name}", asked.matches
        yield f"fires from, {name}", lambda wrong, asked=asked: first(asked.fires(wrong))
        yield f"fires to, {name}", lambda wrong, asked=asked: first(asked.fires(NAIVE, wrong))
        yield f"between from, {name}", lambda wrong, asked=asked: asked.between(wrong, wrong)
        yield f"between to, {name}", lambda wrong, asked=asked: asked.between(NAIVE, wrong or NAIVE)
    for name, asked in (("text", WEEKLY), ("zone", IN_A_ZONE)):
        yield f"count from, {name}", lambda wrong, asked=asked: asked.count(wrong, NAIVE)
        yield f"count to, {name}", lambda wrong, asked=asked: asked.count(NAIVE, wrong)
        yield f"nth, {name}", lambda wrong, asked=asked: asked.nth(wrong, NAIVE)
        yield f"nth after, {name}", lambda wrong, asked=asked: asked.nth(2, wrong)


CALLS: dict[str, Call] = {
    "CronExpression": CronExpression,
    "is_valid": CronExpression.is_valid,
    "tz": lambda wrong: CronExpression("0 0 8 ? * MON", tz=wrong).next_fire(NAIVE),
    "dst": lambda wrong: CronExpression("0 0 8 ? * MON", dst=wrong),
    **dict(questions()),
    "describe": WEEKLY.describe,
    "text.describe": describe,
    "excluding": WEEKLY.excluding,
    "calendars.excluding": excluding,
    "hashed": lambda wrong: CronExpression.hashed(wrong, key="k"),
    "hashed key": lambda wrong: CronExpression.hashed("0 H * * * ?", key=wrong),
    "hashed tz": lambda wrong: CronExpression.hashed("0 H * * * ?", key="k", tz=wrong),
    "hashed_text": lambda wrong: hashed_text(wrong, "k"),
    "from_json": CronExpression.from_json,
    "from_json tz": lambda wrong: CronExpression.from_json({"expression": "0 0 8 ? * MON", "tz": wrong}),
    "from_json dst": lambda wrong: CronExpression.from_json({"expression": "0 0 8 ? * MON", "dst": wrong}),
    "to_rrule": WEEKLY.to_rrule,
    "rrule.to_rrule": to_rrule,
    **{f"from_{name}": getattr(CronExpression, f"from_{name}") for name in TEXTS},
    "from_dialect": lambda wrong: CronExpression.from_dialect(wrong, "@daily"),
    "to_dialect": WEEKLY.to_dialect,
    **{f"dialects.read {name}": lambda wrong, name=name: dialects.read(name, wrong) for name in TEXTS},
    **{f"dialects.write {name}": lambda wrong, name=name: dialects.write(name, wrong) for name in TEXTS},
    **{
        f"from_{name} tz": lambda wrong, name=name: getattr(CronExpression, f"from_{name}")(TEXTS[name], tz=wrong)
        for name in TEXTS
    },
    **{
        f"from_{name} dst": lambda wrong, name=name: getattr(CronExpression, f"from_{name}")(TEXTS[name], dst=wrong)
        for name in TEXTS
    },
    "Calendar": Calendar,
    "Calendar name": lambda wrong: repr(Calendar([date(2026, 1, 1)], name=wrong)),
    "Calendar.weekly": Calendar.weekly,
    "Calendar.of": Calendar.of,
    "Calendar.mask": HOLIDAYS.mask,
    "in a Calendar": lambda wrong: wrong in HOLIDAYS,
    "on": WEEKLY.on,
    "on roll": lambda wrong: WEEKLY.on(WORKING, wrong),
    "on, union": UNION.on,
    "on, overlap": OVERLAP.on,
    "from_json on": lambda wrong: CronExpression.from_json({"expression": "0 0 8 ? * MON", "on": wrong}),
    "WorkingDays": WorkingDays,
    "WorkingDays holidays": lambda wrong: WorkingDays(holidays=wrong),
    "WorkingDays worked": lambda wrong: WorkingDays(worked=wrong),
    "WorkingDays known_until": lambda wrong: WorkingDays(known_until=wrong),
    "WorkingDays name": lambda wrong: repr(WorkingDays(name=wrong)),
    "WorkingDays.from_json": WorkingDays.from_json,
    "is_working": WORKING.is_working,
    "next_working": WORKING.next_working,
    "previous_working": WORKING.previous_working,
    "WorkingDays.count": lambda wrong: WORKING.count(wrong, wrong),
    "rolled": lambda wrong: WORKING.rolled(wrong, "following"),
    "rolled roll": lambda wrong: WORKING.rolled(date(2026, 1, 1), wrong),
    "less": WORKING.less,
    "plus": WORKING.plus,
    "union": lambda wrong: union(WEEKLY, wrong),
    "overlap": lambda wrong: overlap(wrong, WEEKLY),
    "==": lambda wrong: [value == wrong for value in (WEEKLY, UNION, OVERLAP, HOLIDAYS, WORKING)],
}


def refusal(call: Call, wrong: object) -> Exception | None:
    """The error of a call, None if it has a result; any other exception is not caught."""
    try:
        call(wrong)
    except (CronError, TypeError) as error:
        return error
    return None


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_refused_in_one_clear_line(name: str) -> None:
    """Never an AttributeError, and never a long message, or one that does not name what is expected."""
    for wrong in WRONG:
        error = refusal(CALLS[name], wrong)
        message = str(error or "")
        assert len(message) < 300
        assert message.isprintable()
        assert not isinstance(error, TypeError) or re.search(r"must be .*, got \w+$|both naive", message), message


def test_every_public_method_is_among_them() -> None:
    """A new one has to be added here."""
    public = {
        name
        for kind in (CronExpression, Schedule, Calendar, WorkingDays)
        for name in dir(kind)
        if not name.startswith("_") and callable(getattr(kind, name))
    }
    asked = {word.rpartition(".")[2].rstrip(",") for name in CALLS for word in name.split()}
    without_arguments = {"inverted", "to_json", *(f"to_{name}" for name in TEXTS)}
    assert public - asked - without_arguments == set()
