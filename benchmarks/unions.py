"""Unions of expressions: what an answer costs, as a multiple of what the same answer of all parts costs.

    python benchmarks/unions.py

Times are of the processor, and the least of several repetitions.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice

from quartzcron import CronExpression
from quartzcron.schedules import Union, union

START = datetime(2026, 1, 1)
REPETITIONS = 7
SIZES = (2, 10, 100, 400)

Expression = CronExpression | Union


def daily(chance: random.Random) -> str:
    return f"0 {chance.randrange(60)} {chance.randrange(24)} ? * MON-FRI"


def yearly(chance: random.Random) -> str:
    return f"0 0 {chance.randrange(24)} {chance.randrange(1, 29)} {chance.randrange(1, 13)} ?"


def frequent(chance: random.Random) -> str:
    return f"{chance.randrange(60)} 0/{chance.choice([5, 6, 10, 15])} * * * ?"


#: The days of the span that is asked about, for each kind of parts.
DAYS = {daily: 60, yearly: 1_500, frequent: 2}


def answers(days: int) -> dict[str, Callable[[Expression], object]]:
    end = START + timedelta(days=days)
    return {
        "next_fire": lambda schedule: schedule.next_fire(START),
        "first 50 fires": lambda schedule: list(islice(schedule.fires(START), 50)),
        "nth(20)": lambda schedule: schedule.nth(20, START),
        "between": lambda schedule: schedule.between(START, end),
        "count": lambda schedule: schedule.count(START, end),
    }


def least_s(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(REPETITIONS):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    chance = random.Random(1)
    for make, days in DAYS.items():
        for size in SIZES:
            parts = [CronExpression(make(chance), tz="Europe/Berlin") for _ in range(size)]
            together = union(*parts)
            ratios = []
            for name, ask in answers(days).items():
                alone_s = least_s(lambda ask=ask, parts=parts: [ask(part) for part in parts])
                together_s = least_s(lambda ask=ask, together=together: ask(together))
                ratios.append(f"{name} {together_s / alone_s:.2f} x")
            print(f"{make.__name__}, {size} parts: {', '.join(ratios)}")


if __name__ == "__main__":
    main()
