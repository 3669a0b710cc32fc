"""quartzcron against brute force around every transition of every zone. Runs for minutes; pytest does not collect it.

    python -m tests.quartzcron.long_oracle [--budget 600] [--seed 1] [--last 2099]

For each zone of the bundled database and each change of its offset from 1970 on, expressions that fire near the change
are iterated, counted, matched and iterated backwards. The results are compared with a simple computation: convert each
second around the change to wall time, and apply the definition of the policy. Prints what was covered and all
differences; exit status 1 if there are any.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import NamedTuple

import pytz

from quartzcron import CronExpression
from quartzcron.zones.lookup import named_zone
from tests.quartzcron.oracle import Oracle

SECOND = timedelta(seconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400
AROUND = 900
_YEAR_2038 = (datetime(2038, 1, 1, tzinfo=UTC) - EPOCH) // SECOND
DAYS = ["* * ?", "? * *", "? * MON-FRI", "1-31 * ?", "? * SUN,SAT", "L,15,1W * ?", "? * SUNL", "? * 1#1", "LW * ?"]


class Change(NamedTuple):
    """A change of a zone's offset: the first second of the new one, as seconds since 1970, and both offsets."""

    zone: str
    at: int
    before: int
    after: int


def offset(zone: tzinfo, instant: int) -> int:
    """The offset of a zone from UTC, in seconds."""
    found = (EPOCH + timedelta(seconds=instant)).astimezone(zone).utcoffset()
    assert found is not None
    return found // SECOND


def changes(name: str, first: int, last: int) -> Iterator[Change]:
    """The changes of a zone's offset: as pytz lists them up to 2037, then found by asking every day and halving."""
    zone = named_zone(name)
    start, end = (
        (datetime(first, 1, 1, tzinfo=UTC) - EPOCH) // SECOND,
        (datetime(last, 12, 31, tzinfo=UTC) - EPOCH) // SECOND,
    )
    listed = [at.replace(tzinfo=UTC) for at in getattr(pytz.timezone(name), "_utc_transition_times", [])]
    for at in [(when - EPOCH) // SECOND for when in listed if when > EPOCH - timedelta(days=1)]:
        before, after = offset(zone, at - 1), offset(zone, at)
        if before != after and start <= at < min(end, _YEAR_2038):
            yield Change(name, at, before, after)
    if any(when.year > 2035 for when in listed):
        yield from _later_changes(name, zone, max(start, _YEAR_2038), end)


def _later_changes(name: str, zone: tzinfo, start: int, end: int) -> Iterator[Change]:
    earlier, before = start, offset(zone, start)
    for later in range(start, end, DAY):
        after = offset(zone, later)
        if after != before:
            low, high = earlier, later
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
            yield Change(name, high, before, after)
        earlier, before = later, after


def texts(change: Change, draw: random.Random) -> list[str]:
    """Expressions that fire near a change: one fixed time, many fixed times, and intervals."""
    wall = change.at + draw.choice([change.before, change.after]) + draw.randrange(-1_200, 1_200)
    hour, minute, second = wall % DAY // 3600, wall % 3600 // 60, wall % 60
    every_hour = ",".join(map(str, range(24)))
    edge = (change.at + draw.choice([change.before, change.after]) + draw.choice([-1, 0, 1])) % DAY
    return [
        f"{second} {minute} {hour} {draw.choice(DAYS)}",
        f"{edge % 60} {edge % 3600 // 60} {edge // 3600},{hour} * * ?",
        f"{second} {minute % 20},{minute % 20 + 20},{minute % 20 + 40} {every_hour} {draw.choice(DAYS)}",
        f"{draw.randrange(60)}/{draw.randrange(20, 59)} {draw.randrange(60)}/{draw.randrange(2, 23)} * * * ?",
    ]


class Readings:
    """The wall time in a zone at each second around a change."""

    def __init__(self, zone: tzinfo, start: int, end: int) -> None:
        time = EPOCH + timedelta(seconds=start)
        self.start = start
        self.walls: list[int] = []
        for instant in range(start, end):
            found = time.astimezone(zone).utcoffset()
            assert found is not None
            self.walls.append(instant + found.days * DAY + found.seconds)
            time += SECOND
        self.last = {wall: place for place, wall in enumerate(self.walls)}
        self.first = {wall: place for place, wall in reversed([*enumerate(self.walls)])}
        #: Where clocks jumped forward, and what they never read.
        self.skipped = {
            place: range(earlier + 1, later)
            for place, (earlier, later) in enumerate(pairwise(self.walls), 1)
            if later > earlier + 1
        }


def expected(text: str, dst: str, readings: Readings) -> list[int]:
    """The seconds that fire, in order, by the definition of the policy."""
    oracle = Oracle(text)
    times = bytearray(DAY)
    for hour in oracle.hours:
        for minute in oracle.minutes:
            for second in oracle.seconds:
                times[hour * 3600 + minute * 60 + second] = 1
    first, last = min(readings.walls) // DAY, max(readings.walls) // DAY
    days = {day: oracle.is_day(date(1970, 1, 1) + timedelta(days=day)) for day in range(first, last + 1)}
    named = [place for place, wall in enumerate(readings.walls) if times[wall % DAY] and days[wall // DAY]]
    if dst == "quartz":
        fires = {place for place in named if readings.last[readings.walls[place]] == place}
    elif oracle.interval:
        fires = set(named)
    else:
        fires = {place for place in named if readings.first[readings.walls[place]] == place}
        for place, skipped in readings.skipped.items():
            if any(times[wall % DAY] and days[wall // DAY] for wall in skipped):
                fires.add(place)
    return [readings.start + place for place in sorted(fires)]


def differences(change: Change, draw: random.Random) -> Iterator[str]:
    """The differences between quartzcron and the expected fires around a change."""
    zone = named_zone(change.zone)
    width = AROUND + abs(change.after - change.before)
    start, end = change.at - width, change.at + width
    readings = Readings(zone, start, end + 1)
    first, last = (EPOCH + timedelta(seconds=instant) for instant in (start, end))
    for text in texts(change, draw):
        dst = draw.choice(["vixie", "quartz"])
        expression = CronExpression(text, tz=change.zone, dst=dst)
        right = expected(text, dst, readings)
        label = f"{change} {text!r} {dst}"
        ask = (first - SECOND).astimezone(zone)
        if [(fire - EPOCH) // SECOND for fire in expression.fires(ask, last)] != right:
            yield f"fires {label}"
        if expression.count(ask, last) != len(right):
            yield f"count {label}"
        fire, backwards = expression.prev_fire((last + SECOND).astimezone(zone)), []
        while fire is not None and (fire - EPOCH) // SECOND >= start:
            backwards.append((fire - EPOCH) // SECOND)
            fire = expression.prev_fire(fire)
        if backwards[::-1] != right:
            yield f"prev {label}"
        nth = expression.nth(len(right), ask) if right else None
        if nth is not None and (nth - EPOCH) // SECOND != right[-1]:
            yield f"nth {label}"
        for instant in [change.at - 1, change.at, change.at + 1, *draw.sample(range(start, end), 4), *right[:2]]:
            time = (EPOCH + timedelta(seconds=instant)).astimezone(zone)
            if expression.matches(time) != (instant in right):
                yield f"matches {label} {time}"


def main() -> int:
    """Run for the budget, and print what was covered."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--budget", type=float, default=600, help="seconds of processor time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=1970)
    parser.add_argument("--last", type=int, default=2099)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    names = sorted(pytz.all_timezones)
    found = [change for name in names for change in changes(name, options.first, options.last)]
    draw.shuffle(found)
    print(f"{len(names)} zones, {len(found):,} changes {options.first}-{options.last}", flush=True)
    done = wrong = seconds = 0
    zones: set[str] = set()
    for change in found:
        if time.process_time() > options.budget:
            break
        for difference in differences(change, draw):
            wrong += 1
            print(difference, flush=True)
        done += 1
        seconds += 8 * (AROUND + abs(change.after - change.before))
        zones.add(change.zone)
    print(f"{done:,} changes in {len(zones)} zones, {seconds:,} seconds compared, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
