"""The times of everything except next_fire: parsing, counting, matching, iterating, importing, many timers.

Each function returns one number, in the unit of its goal.
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

from contenders import QUESTIONS

from quartzcron import CronExpression, expression
from quartzcron.calendars import WorkingDays
from quartzcron.grammar import parser
from quartzcron.wall import layered_days

NEW_YORK = ZoneInfo("America/New_York")
TEXTS = [question.quartz for question in QUESTIONS]
SPANS = [timedelta(hours=1), timedelta(days=30), timedelta(days=7_300)]


def starts(zone: tzinfo | None, count: int) -> list[datetime]:
    """Times spread over 2026."""
    draw = random.Random(14)
    year = [datetime(2026, 1, 1) + timedelta(seconds=draw.randrange(365 * 86_400)) for _ in range(count)]
    return [time.replace(tzinfo=zone) for time in year]


def mean(values: Iterable[float]) -> float:
    """The geometric mean."""
    return statistics.geometric_mean(values)


def per_call(ask: Callable[[], object], calls: int) -> float:
    """Microseconds of processor time per call, if `ask` makes that many calls."""
    began = time.process_time()
    ask()
    return (time.process_time() - began) / calls * 1e6


def median(ask: Callable[[], float], rounds: int) -> float:
    """The median of some rounds."""
    return statistics.median(ask() for _ in range(rounds))


def cold_parse(rounds: int) -> float:
    """µs to parse a text with empty caches, mean of the 14."""

    def once() -> float:
        spent = 0.0
        for text in TEXTS:
            for memo in (expression._known, parser._days, *parser._MEMOS):
                memo.clear()
            spent += per_call(lambda text=text: CronExpression(text), 1)  # type: ignore[misc]
        return spent / len(TEXTS)

    return median(once, rounds)


def distinct_texts(count: int) -> list[str]:
    """Expressions as users write them: most at one time of day, some at intervals, on days of every kind."""
    draw = random.Random(2)
    texts: dict[str, None] = {}
    while len(texts) < count:
        day = draw.choice(
            ["* * ?", "? * MON", "? * MON-FRI", "? * 6#3", "? * FRIL", "1 * ?", "15 * ?", "L * ?", "LW * ?"]
        )
        hours = f"{draw.randrange(60)} {draw.randrange(24)}"
        if draw.random() < 0.2:
            hours = f"{draw.randrange(60)}/{draw.choice([5, 10, 15])} {draw.choice(['*', '9-17'])}"
        texts[f"{draw.randrange(60)} {hours} {day}"] = None
    return list(texts)


def known_parse(rounds: int) -> float:
    """µs to parse a new text whose fields are cached."""
    texts = distinct_texts(20_000)
    deque(map(CronExpression, texts), 0)
    return median(lambda: per_call(lambda: deque(map(CronExpression, texts), 0), len(texts)), rounds)


def same_parse(rounds: int) -> float:
    """µs to parse a text that is cached."""
    texts = TEXTS * 500
    return median(lambda: per_call(lambda: deque(map(CronExpression, texts), 0), len(texts)), rounds)


def of_each(zone: tzinfo | None, name: str, rounds: int) -> list[float]:
    """µs of a method that takes a time, for each of the 14 expressions."""
    times = starts(zone, 1_000)
    medians = []
    for text in TEXTS:
        ask = getattr(CronExpression(text), name)
        deque(map(ask, times), 0)
        medians.append(median(lambda ask=ask: per_call(lambda: deque(map(ask, times), 0), len(times)), rounds))  # type: ignore[misc]
    return medians


def on_working_days(zone: tzinfo | None, rounds: int) -> float:
    """next_fire of expressions on working days ÷ next_fire of the same without, mean of the in-round ratios."""
    times, ratios, calendar = starts(zone, 1_000), [], holidays()
    for text in TEXTS:
        plain = CronExpression(text)
        moved = plain.on(calendar, "modified_following")
        if moved.never_fires:
            continue
        asks = moved.next_fire, plain.next_fire
        for ask in asks:
            deque(map(ask, times), 0)

        def once(asks: tuple[Callable[[datetime], object], ...] = asks) -> float:
            with_calendar, without = (per_call(lambda ask=ask: deque(map(ask, times), 0), 1) for ask in asks)  # type: ignore[misc]
            return with_calendar / without

        ratios.append(median(once, rounds))
    return mean(ratios)


def holidays() -> WorkingDays:
    """A calendar with 20 holidays and 6 worked Saturdays in each of the 130 years."""
    draw = random.Random(6)
    off, worked = set(), set()
    for year in range(1970, 2100):
        off |= {date(year, 1, 1) + timedelta(days=draw.randrange(365)) for _ in range(20)}
        days = [date(year, 1, 1) + timedelta(days=draw.randrange(365)) for _ in range(40)]
        worked |= {day for day in days if day.weekday() == 5 and day not in off}
    return WorkingDays(holidays=off, worked=worked - off)


def calendar_ms(rounds: int) -> float:
    """ms for a calendar of 130 years, and the masks of an expression on it in all of them."""
    calendar, plain = holidays(), CronExpression("0 0 17 L * ?")
    off, worked = list(calendar.holidays), list(calendar.worked)
    plain.count(datetime(1970, 1, 1), datetime(2100, 1, 1))

    def once() -> float:
        layered_days._rules.clear()
        began = time.process_time()
        moved = plain.on(WorkingDays(holidays=off, worked=worked), "modified_preceding")
        for year in range(1970, 2100):
            moved._days.mask(year)
        return (time.process_time() - began) * 1e3

    return median(once, rounds)


def prev_beside_next(zone: tzinfo | None, rounds: int) -> float:
    """prev_fire ÷ next_fire, geometric mean of the medians of in-round ratios."""
    times, ratios = starts(zone, 1_000), []
    for text in TEXTS:
        asks = CronExpression(text).prev_fire, CronExpression(text).next_fire
        for ask in asks:
            deque(map(ask, times), 0)

        def once(asks: tuple[Callable[[datetime], object], ...] = asks) -> float:
            prev, after = (per_call(lambda ask=ask: deque(map(ask, times), 0), 1) for ask in asks)  # type: ignore[misc]
            return prev / after

        ratios.append(median(once, rounds))
    return mean(ratios)


def slowest_count(zone: tzinfo | None, rounds: int) -> float:
    """µs of count, for the slowest expression and span."""
    times, worst = starts(zone, 300), 0.0
    for text in TEXTS:
        count = CronExpression(text).count
        for span in SPANS:
            ends = [start + span for start in times]
            deque(map(count, times, ends), 0)
            spent = median(lambda: per_call(lambda: deque(map(count, times, ends), 0), len(times)), rounds)  # noqa: B023
            worst = max(worst, spent)
    return worst


def slowest_nth(zone: tzinfo | None, rounds: int) -> float:
    """µs of nth, for the slowest expression and number."""
    times, worst = starts(zone, 300), 0.0
    for text in TEXTS:
        nth = CronExpression(text).nth
        for n in (2, 30, 1_000):
            numbers = [n] * len(times)
            nth(n, times[0])
            nth(n, times[0])
            CronExpression(text).count(times[0], times[1])
            deque(map(nth, numbers, times), 0)
            spent = median(lambda: per_call(lambda: deque(map(nth, numbers, times), 0), len(times)), rounds)  # noqa: B023
            worst = max(worst, spent)
    return worst


def iteration(zone: tzinfo | None, rounds: int) -> float:
    """fires() ÷ a generator that does `d += td`, for the worst of four expressions with several fires a day."""
    start, step, count = datetime(2026, 1, 1, tzinfo=zone), timedelta(minutes=5), 5_000

    def plain() -> Iterator[datetime]:
        time = start
        while True:
            time += step
            yield time

    def ratio(text: str) -> float:
        walk = CronExpression(text).fires
        ours = per_call(lambda: deque(islice(walk(start), count), 0), count)
        return ours / per_call(lambda: deque(islice(plain(), count), 0), count)

    texts = ["* * * * * ?", "0 0/5 * * * ?", "0 0/30 9-17 ? * MON-FRI", "0 0 8,20 * * ?"]
    return max(median(lambda text=text: ratio(text), rounds) for text in texts)  # type: ignore[misc]


def size() -> float:
    """Bytes of an expression before its first use, without its text."""
    texts = distinct_texts(20_000)
    deque(map(CronExpression, texts), 0)
    kept: list[CronExpression | None] = [None] * len(texts)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for index, text in enumerate(texts):
        kept[index] = CronExpression(text)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return used / len(texts)


def timers(rounds: int) -> tuple[float, float]:
    """ms to parse 100,000 distinct texts, and ms to call next_fire of each once, in New York."""
    texts, now = distinct_texts(100_000), datetime(2026, 6, 1, 12, tzinfo=NEW_YORK)
    parsed, asked = [], []
    for _ in range(rounds):
        began = time.process_time()
        expressions = [CronExpression(text) for text in texts]
        loaded = time.process_time()
        for one in expressions:
            one.next_fire(now)
        asked.append((time.process_time() - loaded) * 1e3)
        parsed.append((loaded - began) * 1e3)
        del expressions
    return statistics.median(parsed), statistics.median(asked)


IMPORT = "import quartzcron"
FIRST_ANSWER = """
from datetime import datetime
from quartzcron import CronExpression
CronExpression("0 0 8 ? * MON").next_fire(datetime(2026, 1, 1))
"""


def import_ms(code: str, rounds: int) -> float:
    """ms of processor time that code with an import of quartzcron, already compiled, adds to a bare interpreter."""
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def once(code: str) -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], check=True, env=environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3

        once(code)
        return statistics.median(once(code) - once("pass") for _ in range(rounds * 3))
