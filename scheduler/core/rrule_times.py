"""The times of day at which a recurrence rule fires. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .rrule_text import STEPS_S, RecurrenceRule, rule_fault

_DAY_S = 86_400


def is_single(rule: RecurrenceRule) -> bool:
    """Whether a rule fires at one time of day."""
    return len(times_of_day(rule)) == 1


def times_of_day(rule: RecurrenceRule) -> list[int]:
    """The seconds of the day at which a rule fires, in order."""
    parts, start = rule.parts, rule.start
    if parts["FREQ"] in STEPS_S:
        return _within_the_day(rule)
    hours = _numbers(parts, "BYHOUR") or [start.hour]
    minutes = _numbers(parts, "BYMINUTE") or [start.minute]
    seconds = _numbers(parts, "BYSECOND") or [start.second]
    return sorted({hour * 3600 + minute * 60 + second for hour in hours for minute in minutes for second in seconds})


def _within_the_day(rule: RecurrenceRule) -> list[int]:
    """The times of a rule that repeats by hours, minutes or seconds, counted from its start."""
    parts, frequency = rule.parts, rule.parts["FREQ"]
    step, interval = STEPS_S[frequency], int(parts.get("INTERVAL", "1"))
    if _DAY_S % (step * interval):
        every = f"{interval}{ {1: 's', 60: 'm', 3600: 'h'}[step] }"
        raise rule_fault(f"INTERVAL={interval} of FREQ={frequency} does not divide the day; use --every {every}")
    if "BYSETPOS" in parts:
        raise rule_fault("BYSETPOS goes with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY")
    hours, minutes, seconds = (_numbers(parts, name) for name in ("BYHOUR", "BYMINUTE", "BYSECOND"))
    limits = [(3600, 24, hours), (60, 60, minutes), (1, 60, seconds)]
    return sorted(
        at
        for at in set(_ticks(rule, step, interval, minutes, seconds))
        if all(not only or at // unit % most in only for unit, most, only in limits)
    )


def _ticks(rule: RecurrenceRule, step: int, interval: int, minutes: list[int], seconds: list[int]) -> Iterator[int]:
    """The times before the parts limit them: those finer than the frequency are listed, or are those of the start."""
    start = rule.start
    first = start.hour * 3600 + start.minute * 60 + start.second
    of_hours: list[int | None] = [*(minutes or [start.minute])] if step > 60 else [None]
    of_minutes: list[int | None] = [*(seconds or [start.second])] if step > 1 else [None]
    for tick in range(first % (step * interval), _DAY_S, step * interval):
        for minute in of_hours:
            for second in of_minutes:
                at = tick if minute is None else tick // 3600 * 3600 + minute * 60 + tick % 60
                yield at if second is None else at // 60 * 60 + second


def _numbers(parts: Mapping[str, str], name: str) -> list[int]:
    """The numbers of a part such as BYHOUR; none if the rule does not have it."""
    most = 23 if name == "BYHOUR" else 59
    listed = [value for value in parts.get(name, "").split(",") if value]
    if not all(value.isascii() and value.isdigit() and int(value[:4]) <= most for value in listed):
        raise rule_fault(f"{name} has numbers from 0 to {most}, got {parts[name]!r:.40}")
    return [int(value) for value in listed]
