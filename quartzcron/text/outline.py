"""The times of a day as an outline: the shortest way to describe them completely, before any wording.

english.py and chinese.py have a phrase for each of the three kinds of outline.
"""

from __future__ import annotations

from ..fields import HOURS, MINUTES
from ..wall.runs import runs
from ..wall.times import TimeRule, members

_FEW_TIMES = 3
_FEW_SPANS = 4
_FEW_HOURS = 2
_DAY = 86_400
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}


class RoundTheClock:
    """Evenly spaced times of the whole day: every `step` seconds, minutes or hours, from midnight on."""

    __slots__ = ("step", "unit")

    def __init__(self, unit: str, step: int) -> None:
        self.unit, self.step = unit, step


class TimeSpans:
    """Times of day, in seconds from midnight: runs (first, last) of times `step` units apart, and single times."""

    __slots__ = ("runs", "step", "to_the_second", "unit")

    def __init__(self, unit: str, step: int, runs: list[tuple[int, int]]) -> None:
        self.unit, self.step, self.runs = unit, step, runs
        self.to_the_second = any(time % 60 for run in runs for time in run)


class FieldTimes:
    """Times that only their fields can describe: certain seconds of certain minutes of certain hours."""

    __slots__ = ("hours", "minutes", "seconds")

    def __init__(self, times: TimeRule) -> None:
        self.seconds, self.minutes, self.hours = times.seconds, times.minutes, times.hours


Outline = RoundTheClock | TimeSpans | FieldTimes


def outline(times: TimeRule, *, every_day: bool = False) -> Outline:
    """The shortest outline that describes times of day completely; on every day, a span may go on past midnight."""
    for attempt in (_round_the_clock, _a_few, _by_hours, _by_minutes, _by_seconds):
        result = attempt(times)
        if result is not None:
            if every_day and isinstance(result, TimeSpans):
                _join_at_midnight(result)
            return result
    return FieldTimes(times)


def _join_at_midnight(spans: TimeSpans) -> None:
    """Let the span at the end of the day go on with the one at its beginning: from 22:00 to 02:00."""
    step = _SECONDS[spans.unit] * spans.step
    joined: list[tuple[int, int]] = []
    for first, last in spans.runs:
        if joined and joined[-1][1] + step == first:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((first, last))
    head, tail = joined[0], joined[-1]
    values = (head[1] - head[0] + tail[1] - tail[0]) // step + 2
    if len(joined) > 1 and tail[1] + step == head[0] + _DAY and values > _FEW_TIMES:
        between = [run for run in spans.runs if head[1] < run[0] < tail[0]]
        spans.runs = [*between, (tail[0], head[1])]


def _round_the_clock(times: TimeRule) -> RoundTheClock | None:
    if times.hours != HOURS.full:
        return None
    if times.minutes == MINUTES.full:
        step = cycle(times.seconds)
        if step and times.seconds & 1:
            return RoundTheClock("second", step)
        return RoundTheClock("minute", 1) if times.seconds == 1 else None
    if times.seconds != 1:
        return None
    step = cycle(times.minutes)
    if step and times.minutes & 1:
        return RoundTheClock("minute", step)
    return RoundTheClock("hour", 1) if times.minutes == 1 else None


def _a_few(times: TimeRule) -> TimeSpans | None:
    return TimeSpans("hour", 1, _points(times)) if times.count <= _FEW_TIMES else None


def _by_hours(times: TimeRule) -> TimeSpans | None:
    """One time in each hour: 09:30, 10:30, …"""
    if times.hours == HOURS.full or times.seconds.bit_count() > 1 or times.minutes.bit_count() > 1:
        return None
    past = times.first % 3600
    hours = runs(members(times.hours))
    step = max(run[2] for run in hours)
    spans = [(first * 3600 + past, last * 3600 + past) for first, last, _ in hours]
    return TimeSpans("hour", step or 1, spans)


def _by_minutes(times: TimeRule) -> TimeSpans | None:
    """One time in each minute: regular over whole hours, or irregular in one or two."""
    if times.hours == HOURS.full or times.seconds.bit_count() > 1:
        return None
    second = times.first % 60
    step = cycle(times.minutes)
    if step:
        minutes = members(times.minutes)
        blocks = runs(members(times.hours), steps=False, pairs=True)
        if len(minutes) == 2 and len(blocks) <= _FEW_SPANS and all(first == last for first, last, _ in blocks):
            return TimeSpans("hour", 1, _points(times))
        spans = [(a * 3600 + minutes[0] * 60 + second, b * 3600 + minutes[-1] * 60 + second) for a, b, _ in blocks]
        return TimeSpans("minute", step, spans) if len(spans) <= _FEW_SPANS else None
    minute_runs = runs(members(times.minutes))
    if times.hours.bit_count() * len(minute_runs) > (_FEW_HOURS if times.hours.bit_count() > 1 else _FEW_SPANS):
        return None
    starts = [hour * 3600 + second for hour in members(times.hours)]
    spans = [(start + a * 60, start + b * 60) for start in starts for a, b, _ in minute_runs]
    return TimeSpans("minute", max(run[2] for run in minute_runs) or 1, spans)


def _by_seconds(times: TimeRule) -> TimeSpans | None:
    """Many seconds: regular over whole hours or minutes, or irregular in one minute."""
    if times.hours == HOURS.full:
        return None
    seconds, step = members(times.seconds), cycle(times.seconds)
    if step and times.minutes == MINUTES.full:
        blocks = runs(members(times.hours), steps=False, pairs=True)
        spans = [(a * 3600 + seconds[0], b * 3600 + 59 * 60 + seconds[-1]) for a, b, _ in blocks]
        return TimeSpans("second", step, spans) if len(spans) <= _FEW_SPANS else None
    if step and times.hours.bit_count() <= _FEW_HOURS:
        blocks = runs(members(times.minutes), steps=False, pairs=True)
        starts = [hour * 3600 for hour in members(times.hours)]
        spans = [(start + a * 60 + seconds[0], start + b * 60 + seconds[-1]) for start in starts for a, b, _ in blocks]
        return TimeSpans("second", step, spans) if len(spans) <= _FEW_HOURS else None
    if times.hours.bit_count() * times.minutes.bit_count() > 1:
        return None
    second_runs = runs(seconds)
    start = times.first - times.first % 60
    spans = [(start + a, start + b) for a, b, _ in second_runs]
    return TimeSpans("second", max(run[2] for run in second_runs) or 1, spans) if len(spans) <= _FEW_SPANS else None


def _points(times: TimeRule) -> list[tuple[int, int]]:
    return [(time, time) for time in map(times.nth, range(times.count))]


def cycle(values: int) -> int:
    """The distance between neighbours of a set of minutes or seconds, if it is the same all around the hour; else 0."""
    count = values.bit_count()
    if count < 2 or 60 % count:
        return 0
    step = 60 // count
    first = (values & -values).bit_length() - 1
    listed = members(values)
    return step if first < step and listed == tuple(range(first, 60, step)) else 0


def clock(time: int, *, to_the_second: bool) -> str:
    """A time of day, in seconds, as 09:30, or 09:30:05."""
    text = f"{time // 3600:02}:{time // 60 % 60:02}"
    return f"{text}:{time % 60:02}" if to_the_second else text
