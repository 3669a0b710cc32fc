"""The times of a day that fire, as seconds of the day. No dates, no zones, no text.

Three tables give the next second, minute or hour: for each value, itself if it fires, else the next one that does, else
NONE_LEFT. They are shared by all expressions with the same field.
"""

from __future__ import annotations

from datetime import timedelta

# "No more such second, minute or hour": greater than the largest of each.
NONE_LEFT = 60

DAY = 86_400
_TABLES = 1024
_RULES = 4096

SECONDS = tuple([timedelta(0, second) for second in range(60)])
_EARLIER = tuple([-second for second in SECONDS])

# A time from one second of a set to another, for each second of a minute.
Leaps = tuple[timedelta | None, ...]

MINUTE_DELTAS: list[tuple[timedelta, ...] | None] = [None] * 60
_ahead: dict[int, tuple[int, ...]] = {}
_behind: dict[int, tuple[int, ...]] = {}
_members: dict[int, tuple[int, ...]] = {}
_ranks: dict[int, tuple[int, ...]] = {}


class TimeValues:
    """The values of a time field: a set of seconds, minutes or hours; shared by all expressions with the same text.

    `interval` is whether the text has a `*`, `-` or `/`: under the vixie policy an expression with such a field fires
    in both passes of an overlap, one of fixed times only once.
    """

    __slots__ = ("_ahead", "_behind", "_since_first", "_until_last", "first", "interval", "last", "mask", "several")

    def __init__(self, mask: int, *, interval: bool) -> None:
        self.mask, self.interval = mask, interval
        self.first, self.last = lowest(mask), mask.bit_length() - 1
        self.several = self.first != self.last
        self._ahead: tuple[int, ...] | None = None
        self._behind: tuple[int, ...] | None = None
        self._since_first: Leaps | None = None
        self._until_last: Leaps | None = None

    def ahead(self) -> tuple[int, ...]:
        """The result of the function `ahead`, stored here."""
        table = self._ahead
        if table is None:
            table = self._ahead = ahead(self.mask)
        return table

    def behind(self) -> tuple[int, ...]:
        """The result of the function `behind`, stored here."""
        table = self._behind
        if table is None:
            table = self._behind = behind(self.mask)
        return table

    def since_first(self) -> Leaps:
        """For each second from 0 to 60, the time from the first of the set to it or the next; None if none is left."""
        table = self._since_first
        if table is None:
            table = self._since_first = tuple(
                [None if value == NONE_LEFT else SECONDS[value - self.first] for value in self.ahead()]
            )
        return table

    def until_last(self) -> Leaps:
        """For each second from 0 to 59, the negative time from the last of the set to it or the one before it.

        The last entry is None, so that index -1 is the second before 0.
        """
        table = self._until_last
        if table is None:
            table = self._until_last = tuple(
                [None if value == NONE_LEFT else _EARLIER[self.last - value] for value in self.behind()]
            )
        return table


class TimeRule:
    """The times of day of an expression: sets of seconds, minutes and hours, as in fields.py."""

    __slots__ = ("count", "first", "hours", "last", "minutes", "seconds")

    def __init__(self, seconds: int, minutes: int, hours: int) -> None:
        self.seconds, self.minutes, self.hours = seconds, minutes, hours
        self.first = lowest(hours) * 3600 + lowest(minutes) * 60 + lowest(seconds)
        self.last = (hours.bit_length() - 1) * 3600 + (minutes.bit_length() - 1) * 60 + seconds.bit_length() - 1
        self.count = hours.bit_count() * minutes.bit_count() * seconds.bit_count()

    def fires(self, time: int) -> bool:
        """Whether this second of the day is one of the times."""
        hour, rest = divmod(time, 3600)
        return bool(self.hours >> hour & self.minutes >> rest // 60 & self.seconds >> rest % 60 & 1)

    def at_or_after(self, time: int) -> int | None:
        """The first of the times that is not before this second of the day."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1:
                second = ahead(self.seconds)[second]
                if second < NONE_LEFT:
                    return hour * 3600 + minute * 60 + second
            minute = ahead(self.minutes)[minute + 1]
            if minute < NONE_LEFT:
                return hour * 3600 + minute * 60 + self.first % 60
        hour = ahead(self.hours)[hour + 1]
        return hour * 3600 + self.first % 3600 if hour < NONE_LEFT else None

    def at_or_before(self, time: int) -> int | None:
        """The last of the times that is not after this second of the day."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        if self.hours >> hour & 1:
            if self.minutes >> minute & 1:
                second = behind(self.seconds)[second]
                if second < NONE_LEFT:
                    return hour * 3600 + minute * 60 + second
            minute = behind(self.minutes)[minute - 1]
            if minute < NONE_LEFT:
                return hour * 3600 + minute * 60 + self.last % 60
        hour = behind(self.hours)[hour - 1]
        return hour * 3600 + self.last % 3600 if hour < NONE_LEFT else None

    def before(self, time: int) -> int:
        """The number of times before this second of the day; `time` may be a whole day, 86,400."""
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        a_minute = self.seconds.bit_count()
        a_hour = self.minutes.bit_count() * a_minute
        count = _below(self.hours, hour) * a_hour
        if self.hours >> hour & 1:
            count += _below(self.minutes, minute) * a_minute
            if self.minutes >> minute & 1:
                count += _below(self.seconds, second)
        return count

    def nth(self, n: int) -> int:
        """The n-th of the times, n from 0 to count - 1."""
        a_minute = self.seconds.bit_count()
        hour, n = divmod(n, self.minutes.bit_count() * a_minute)
        minute, second = divmod(n, a_minute)
        return members(self.hours)[hour] * 3600 + members(self.minutes)[minute] * 60 + members(self.seconds)[second]

    def gaps(self) -> tuple[int, int] | None:
        """The shortest and the longest time between two successive times of one day; None if there is only one."""
        seconds, minutes, hours = members(self.seconds), members(self.minutes), members(self.hours)
        gaps = _steps(seconds)
        gaps += [60 * step - (seconds[-1] - seconds[0]) for step in _steps(minutes)]
        gaps += [3600 * step - (self.last % 3600 - self.first % 3600) for step in _steps(hours)]
        return (min(gaps), max(gaps)) if gaps else None


_rules: dict[tuple[int, int, int], TimeRule] = {}


def time_rule(seconds: int, minutes: int, hours: int) -> TimeRule:
    """The rule of these sets, shared by the expressions that have the same ones."""
    key = (seconds, minutes, hours)
    rule = _rules.get(key)
    if rule is None:
        if len(_rules) >= _RULES:
            _rules.clear()
        rule = _rules[key] = TimeRule(seconds, minutes, hours)
    return rule


def ahead(values: int) -> tuple[int, ...]:
    """For each value from 0 to 60, itself if it is in the set, else the next that is, else NONE_LEFT."""
    table = _ahead.get(values)
    if table is None:
        entries = [NONE_LEFT] * 61
        for value in range(59, -1, -1):
            entries[value] = value if values >> value & 1 else entries[value + 1]
        table = _remember(_ahead, values, entries)
    return table


def behind(values: int) -> tuple[int, ...]:
    """For each value from 0 to 59, itself if it is in the set, else the one before it that is, else NONE_LEFT.

    The last entry is NONE_LEFT, so that index -1 is the value before 0.
    """
    table = _behind.get(values)
    if table is None:
        entries = [NONE_LEFT] * 61
        latest = NONE_LEFT
        for value in range(60):
            latest = value if values >> value & 1 else latest
            entries[value] = latest
        table = _remember(_behind, values, entries)
    return table


def ranks(values: int) -> tuple[int, ...]:
    """For each value from 0 to 60, the number of smaller ones in the set."""
    table = _ranks.get(values)
    if table is None:
        entries = [0] * 61
        for value in range(60):
            entries[value + 1] = entries[value] + (values >> value & 1)
        table = _remember(_ranks, values, entries)
    return table


def minute_deltas(second: int) -> tuple[timedelta, ...]:
    """For each of the 1,440 minutes of a day, the time from midnight to that second of it."""
    deltas = MINUTE_DELTAS[second]
    if deltas is None:
        if second:  # additions take a fifth of the time
            deltas = tuple(map(timedelta(0, second).__add__, minute_deltas(0)))
        else:
            deltas = tuple([timedelta(0, time) for time in range(0, DAY, 60)])
        MINUTE_DELTAS[second] = deltas
    return deltas


def members(values: int) -> tuple[int, ...]:
    """The values in a set, in order."""
    listed = _members.get(values)
    if listed is None:
        listed = tuple([value for value in range(values.bit_length()) if values >> value & 1])
        if len(_members) >= _TABLES:
            _members.clear()
        _members[values] = listed
    return listed


def _remember(tables: dict[int, tuple[int, ...]], values: int, entries: list[int]) -> tuple[int, ...]:
    if len(tables) >= _TABLES:
        tables.clear()
    table = tables[values] = tuple(entries)
    return table


def lowest(values: int) -> int:
    """The smallest value in a set."""
    return (values & -values).bit_length() - 1


def _below(values: int, value: int) -> int:
    return (values & ((1 << value) - 1)).bit_count()


def _steps(values: tuple[int, ...]) -> list[int]:
    return [values[place + 1] - values[place] for place in range(len(values) - 1)]
