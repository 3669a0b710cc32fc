"""The time of next_fire compared with other calculators, and the times of all other operations, each with its goal.

    python benchmarks/bench_quartzcron.py [--rounds 9] [--json]

All contenders compute the same fire times in the same run, in interleaved rounds on one core; a ratio is the median of
the ratios within each round, in processor time. Java's Quartz runs in a JVM of its own on the same core. A contender
that cannot express an expression, or is not installed, is left out. Exit status 1 if a goal is not reached.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

import operations
from contenders import CONTENDERS, INSTALLED, NEVER, QUESTIONS, Ask, Java, Question, java
from operations import NEW_YORK, mean, starts

from quartzcron import CronExpression

#: Seconds that each contender gets in each round, and that a JVM gets to warm up.
BUDGET_S = 0.02
WARM_UP_S = 1.0
JAVA = "Quartz (Java)"

Table = dict[str, dict[str, float]]


class Goal(NamedTuple):
    """A result in words and numbers, and whether it reaches the goal."""

    text: str
    reached: bool


def at_most(name: str, value: float, limit: float, unit: str) -> Goal:
    """A goal that is an upper bound."""
    return Goal(f"{name}: {value:.2f} {unit}, goal ≤ {limit:g} {unit}", value <= limit)


def at_least(name: str, value: float, limit: float) -> Goal:
    """A goal that is a minimal factor of speed."""
    return Goal(f"{name}: {value:.1f} × faster, goal ≥ {limit:g} ×", value >= limit)


def time_of(ask: Ask, times: list[datetime], budget_s: float) -> float:
    """Seconds of processor time per call, the mean over the budget."""
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


def measure(zone: tzinfo | None, jvm: Java | None, rounds: int) -> Table:
    """For each expression our seconds per call, and the factor by which each contender is slower."""
    times = starts(zone, 1_000)
    return {question.name: _row(question, zone, times, jvm, rounds) for question in [*QUESTIONS, NEVER]}


def _row(
    question: Question, zone: tzinfo | None, times: list[datetime], jvm: Java | None, rounds: int
) -> dict[str, float]:
    us = CronExpression(question.quartz).next_fire
    makers = [] if question is NEVER else [(name, make) for name, _, make, _ in INSTALLED]
    them = {name: ask for name, make in makers if (ask := make(question, zone))}
    key = getattr(zone, "key", "UTC")
    if jvm:
        jvm.seconds(question, key, WARM_UP_S)
    for after in times:  # so that every table is computed
        us(after)
    seconds: list[float] = []
    ratios: dict[str, list[float]] = {name: [] for name in [*them, *([JAVA] if jvm else [])]}
    for _ in range(rounds):
        seconds.append(time_of(us, times, BUDGET_S))
        for name, ratio in ratios.items():
            spent = (
                jvm.seconds(question, key, BUDGET_S) if jvm and name == JAVA else time_of(them[name], times, BUDGET_S)
            )
            ratio.append(spent / seconds[-1])
    return {"seconds": statistics.median(seconds)} | {name: statistics.median(ratio) for name, ratio in ratios.items()}


def astimezone_ratio(rounds: int) -> float:
    """next_fire in New York ÷ utc.astimezone(ZoneInfo), a unit that every machine has."""
    asks = [CronExpression(question.quartz).next_fire for question in QUESTIONS]
    utc, local = starts(UTC, 1_000), starts(NEW_YORK, 1_000)
    zone = ZoneInfo("America/New_York")
    ratios = []
    for ask in asks:
        for after in local:
            ask(after)
        in_rounds = [
            time_of(ask, local, BUDGET_S) / time_of(lambda after: after.astimezone(zone), utc, BUDGET_S)
            for _ in range(rounds)
        ]
        ratios.append(statistics.median(in_rounds))
    return mean(ratios)


def goals_of(table: Table) -> list[Goal]:
    """The goals for a table."""
    counted = {name: row for name, row in table.items() if name != NEVER.name}
    seconds = [row["seconds"] for row in counted.values()]
    goals = [Goal(f"mean: {mean(seconds) * 1e6:.2f} µs", reached=True)]
    goals.append(at_most("slowest ÷ fastest", max(seconds) / min(seconds), 3, "×"))
    for name, _, _, limit in INSTALLED:
        goals.append(at_least(name, mean(row[name] for row in counted.values() if name in row), limit))
    if JAVA in table[NEVER.name]:
        goals.append(at_least(f"{JAVA}, mean", mean(row[JAVA] for row in counted.values()), 4))
        goals.append(at_least(f"{JAVA}, where it is best", min(row[JAVA] for row in table.values()), 1))
        for name in ("MON#5 in February", NEVER.name):
            goals.append(at_least(f"{JAVA}, {name}", table[name][JAVA], 40))
    return goals


def operation_goals(rounds: int) -> list[Goal]:
    """The goals for all operations but next_fire."""
    few = max(3, rounds // 2)
    parsed, asked = operations.timers(3)
    return [
        at_most("parse, cold", operations.cold_parse(rounds), 12, "µs"),
        at_most("parse, known fields", operations.known_parse(few), 2, "µs"),
        at_most("parse, same text", operations.same_parse(rounds), 0.2, "µs"),
        *(
            goal
            for where, zone in (("naive", None), ("New York", NEW_YORK))
            for goal in (
                at_most(f"count, slowest, {where}", operations.slowest_count(zone, few), 5, "µs"),
                at_most(f"nth, slowest, {where}", operations.slowest_nth(zone, few), 5, "µs"),
                at_most(f"matches, mean, {where}", mean(operations.of_each(zone, "matches", few)), 0.5, "µs"),
                at_most(f"prev_fire ÷ next_fire, {where}", operations.prev_beside_next(zone, few), 1.3, "×"),
                at_most(
                    f"next_fire on working days ÷ without, {where}", operations.on_working_days(zone, few), 1.3, "×"
                ),
                at_most(f"iteration ÷ d += td, slowest, {where}", operations.iteration(zone, rounds), 2, "×"),
            )
        ),
        at_most("a calendar of working days and its masks", operations.calendar_ms(rounds), 5, "ms"),
        at_most("next_fire ÷ astimezone", astimezone_ratio(few), 1.7, "×"),
        at_most("import", operations.import_ms(operations.IMPORT, rounds), 5, "ms"),
        at_most("import and a first answer", operations.import_ms(operations.FIRST_ANSWER, rounds), 5, "ms"),
        at_most("an expression before use", operations.size(), 250, "bytes"),
        at_most("100,000 timers, one next each", asked, 150, "ms"),
        at_most("100,000 timers, parsed and one next each", parsed + asked, 150, "ms"),
    ]


def print_table(where: str, table: Table) -> None:
    """Our microseconds, and the factors by which the others are slower."""
    names = [*(name for name, *_ in INSTALLED), JAVA]
    print(f"\nnext_fire, {where}\n{'expression':28}{'µs':>7}" + "".join(f"{name:>15}" for name in names))
    for name, row in table.items():
        cells = "".join(f"{row[other]:14.1f}×" if other in row else f"{'–':>15}" for other in names)
        print(f"{name:28}{row['seconds'] * 1e6:7.2f}{cells}")


def print_goals(goals: list[Goal]) -> bool:
    """A line for each goal; returns whether all are reached."""
    for text, reached in goals:
        print(f"{'reached' if reached else 'FAILED '}  {text}")
    return all(reached for _, reached in goals)


def stay_on_one_core() -> None:
    """So that no ratio depends on the core that was used; the JVM inherits the setting."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main() -> int:
    """Measure and print; exit status 1 if a goal is not reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")
    options = parser.parse_args()
    stay_on_one_core()
    with java(starts(UTC, 1_000)) as jvm:
        left_out = [name for name, *_ in CONTENDERS if name not in [row[0] for row in INSTALLED]]
        left_out += [] if jvm else [JAVA]
        tables = {"naive": measure(None, jvm, options.rounds), NEW_YORK.key: measure(NEW_YORK, jvm, options.rounds)}
    if options.json:
        print(json.dumps(tables, indent=2))
        return 0
    print(f"CPython {sys.version.split()[0]}; not installed: {', '.join(left_out) or 'none'}")
    good = []
    for where, table in tables.items():
        print_table(where, table)
        good.append(print_goals(goals_of(table)))
    print("\neverything else")
    good.append(print_goals(operation_goals(options.rounds)))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
