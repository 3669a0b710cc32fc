"""How long one next_fire takes, beside croniter, cronsim and APScheduler 3, over 14 expressions, naive and in New York.

    python benchmarks/bench_quartzcron.py [--rounds 9] [--json]

All contenders are asked the same questions in the same process, in interleaved rounds; a ratio is the median of the
ratios within each round. A contender that cannot say an expression is left out of it. Exit status 1 if a goal fails.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from quartzcron import CronExpression

Ask = Callable[[datetime], object]


class Question(NamedTuple):
    """An expression in Quartz's words, and, where they can say it, in those of five-field cron."""

    name: str
    quartz: str
    crontab: str | None


QUESTIONS = [
    Question("every second", "* * * * * ?", None),
    Question("every 5 minutes", "0 0/5 * * * ?", "*/5 * * * *"),
    Question("weekdays 9-17, half-hourly", "0 0/30 9-17 ? * MON-FRI", "*/30 9-17 * * mon-fri"),
    Question("daily 8:00", "0 0 8 * * ?", "0 8 * * *"),
    Question("MON 8:00", "0 0 8 ? * MON", "0 8 * * mon"),
    Question("1st", "0 0 8 1 * ?", "0 8 1 * *"),
    Question("L", "0 0 8 L * ?", "0 8 L * *"),
    Question("LW", "0 0 8 LW * ?", "0 8 LW * *"),
    Question("15W", "0 0 8 15W * ?", None),
    Question("6#3", "0 0 8 ? * 6#3", "0 8 * * 5#3"),
    Question("FRIL", "0 0 8 ? * FRIL", "0 8 * * 5L"),
    Question("29 February", "0 0 8 29 2 ?", "0 8 29 2 *"),
    Question("year 2090", "0 0 8 1 1 ? 2090", None),
    Question("MON#5 in February", "0 0 8 ? 2 MON#5", "0 8 * 2 1#5"),
]

#: The geometric mean over all expressions has to be this many times faster.
GOALS = {"croniter": 60, "cronsim": 50, "APScheduler": 30}
ASTIMEZONE_GOAL = 1.7
#: Seconds that each contender gets in each round.
BUDGET_S = 0.02
SPREAD_GOAL = 3


def ours(question: Question) -> Ask:
    """quartzcron, already parsed."""
    return CronExpression(question.quartz).next_fire


def croniter(question: Question, zone: tzinfo | None) -> Ask | None:
    """croniter, asked through its generator object as its manual does."""
    from croniter import croniter as iterator

    six = {"every second": "* * * * * *", "year 2090": "0 8 1 1 * 0 2090"}.get(question.name, question.crontab)
    if six is None or not iterator.is_valid(six):
        return None
    cron = iterator(six, datetime(2026, 1, 1, tzinfo=zone), max_years_between_matches=100)
    return lambda after: cron.get_next(datetime, start_time=after)


def cronsim(question: Question, zone: tzinfo | None) -> Ask | None:
    """cronsim has no next-after: an object is made for each start, as its manual does."""
    from cronsim import CronSim, CronSimError

    text = {"every second": "* * * * * *", "6#3": "0 8 * * fri#3", "MON#5 in February": "0 8 * 2 mon#5"}.get(
        question.name, question.crontab
    )
    if text is None:
        return None
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=zone)))
    except (CronSimError, StopIteration):
        return None
    return lambda after: next(CronSim(text, after))


def apscheduler(question: Question, zone: tzinfo | None) -> Ask | None:
    """APScheduler 3's CronTrigger, which knows no naive time: there it gets UTC."""
    from apscheduler.triggers.cron import CronTrigger

    words: dict[str, dict[str, str]] = {
        "every second": {"second": "*"},
        "every 5 minutes": {"minute": "*/5"},
        "weekdays 9-17, half-hourly": {"hour": "9-17", "minute": "*/30", "day_of_week": "mon-fri"},
        "daily 8:00": {"hour": "8"},
        "MON 8:00": {"hour": "8", "day_of_week": "mon"},
        "1st": {"hour": "8", "day": "1"},
        "L": {"hour": "8", "day": "last"},
        "6#3": {"hour": "8", "day": "3rd fri"},
        "FRIL": {"hour": "8", "day": "last fri"},
        "29 February": {"hour": "8", "day": "29", "month": "2"},
        "year 2090": {"hour": "8", "day": "1", "month": "1", "year": "2090"},
        "MON#5 in February": {"hour": "8", "day": "5th mon", "month": "2"},
    }
    if question.name not in words:
        return None
    trigger = CronTrigger(**{"minute": "0", "second": "0", **words[question.name]}, timezone=zone or UTC)
    if zone is None:
        return lambda after: trigger.get_next_fire_time(None, after.replace(tzinfo=UTC))
    return lambda after: trigger.get_next_fire_time(None, after)


CONTENDERS = {"croniter": croniter, "cronsim": cronsim, "APScheduler": apscheduler}


def starts(zone: tzinfo | None, count: int) -> list[datetime]:
    """Times spread over 2026."""
    draw = random.Random(14)
    year = [datetime(2026, 1, 1) + timedelta(seconds=draw.randrange(365 * 86_400)) for _ in range(count)]
    return [time.replace(tzinfo=zone) for time in year]


def time_of(ask: Ask, times: list[datetime], budget_s: float) -> float:
    """Seconds of processor time that a call takes, on average over the budget; other processes do not count."""
    batch = 1 if _lasts(ask, times[:3]) > 20e-6 else 100
    began = time.process_time()
    asked = 0
    while True:
        start = asked % len(times)
        for after in times[start : start + batch]:
            ask(after)
        asked += batch
        spent = time.process_time() - began
        if spent > budget_s:
            return spent / asked


def _lasts(ask: Ask, times: list[datetime]) -> float:
    began = time.process_time()
    for after in times:
        ask(after)
    return (time.process_time() - began) / len(times)


def measure(zone: tzinfo | None, rounds: int) -> dict[str, dict[str, float]]:
    """For each expression our seconds a call, and how many times slower each contender is."""
    times = starts(zone, 1_000)
    table: dict[str, dict[str, float]] = {}
    for question in QUESTIONS:
        us = ours(question)
        them = {name: make(question, zone) for name, make in CONTENDERS.items()}
        for after in times:  # every table is made
            us(after)
        seconds: list[float] = []
        ratios: dict[str, list[float]] = {name: [] for name, ask in them.items() if ask}
        for _ in range(rounds):
            seconds.append(time_of(us, times, BUDGET_S))
            for name, ratio in ratios.items():
                ask = them[name]
                assert ask is not None
                ratio.append(time_of(ask, times, BUDGET_S) / seconds[-1])
        table[question.name] = {"seconds": statistics.median(seconds)}
        table[question.name] |= {name: statistics.median(ratio) for name, ratio in ratios.items()}
    return table


def astimezone_s(rounds: int) -> float:
    """Seconds that one utc.astimezone(ZoneInfo) takes: the yardstick that every machine has."""
    times = starts(UTC, 1_000)
    zone = ZoneInfo("America/New_York")
    return statistics.median(time_of(lambda after: after.astimezone(zone), times, BUDGET_S) for _ in range(rounds))


def mean(values: list[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def report(where: str, table: dict[str, dict[str, float]], yardstick: float) -> bool:
    """Print a table and its goals; whether all were reached."""
    print(f"\nnext_fire, {where}\n{'expression':28}{'µs':>7}" + "".join(f"{name:>14}" for name in GOALS))
    for name, row in table.items():
        cells = "".join(f"{row[other]:13.0f}×" if other in row else f"{'–':>14}" for other in GOALS)
        print(f"{name:28}{row['seconds'] * 1e6:7.2f}{cells}")
    seconds = [row["seconds"] for row in table.values()]
    goals = [
        (f"{name}: {mean([row[name] for row in table.values() if name in row]):.0f}× faster, goal {goal}×", goal)
        for name, goal in GOALS.items()
    ]
    reached = [mean([row[name] for row in table.values() if name in row]) >= goal for name, goal in GOALS.items()]
    spread, share = max(seconds) / min(seconds), mean(seconds) / yardstick
    goals.append((f"slowest: {spread:.1f} times the fastest, goal {SPREAD_GOAL}", SPREAD_GOAL))
    goals.append((f"mean: {mean(seconds) * 1e6:.2f} µs, {share:.2f} × astimezone, goal {ASTIMEZONE_GOAL}", 0))
    reached += [spread <= SPREAD_GOAL, share <= ASTIMEZONE_GOAL]
    for (text, _), good in zip(goals, reached, strict=True):
        print(f"{'reached' if good else 'FAILED '}  {text}")
    return all(reached)


def main() -> int:
    """Measure, print, and say whether the goals are reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")
    options = parser.parse_args()
    tables = {
        "naive": measure(None, options.rounds),
        "America/New_York": measure(ZoneInfo("America/New_York"), options.rounds),
    }
    if options.json:
        print(json.dumps(tables, indent=2))
        return 0
    yardstick = astimezone_s(options.rounds)
    good = [report(where, table, yardstick) for where, table in tables.items()]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
