"""Common to the dialects: lists of values, ranges and steps, read into sets and written from them.

A Slot is a field of one dialect; sets are ints as in fields.py, but with the dialect's own numbers as bits.
"""

from __future__ import annotations

from ..errors import DialectError
from ..fields import FIRST_YEAR, LAST_YEAR, WEEK_DAYS, YEARS, DayFields
from ..grammar.canonical import canonical_text
from ..wall.day_forms import combined_key, simplest_days
from ..wall.days import day_rule
from ..wall.pattern import WallPattern
from ..wall.runs import runs
from ..wall.times import members, time_rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..search.compiled import CompiledExpression

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEK = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

MONTH_NAMES = {name: value for value, name in enumerate(_MONTHS, 1)}
WEEK_NAMES = {name: value for value, name in enumerate(_WEEK)}
_DIGITS = 9


class Slot:
    """A field of a dialect: its name and bounds, the names of its values, and how ranges and steps are written there.

    `dash` joins a range; `open_step` is whether `5/15` is valid, from 5 to the end; `star_step`, whether `*/15` is;
    `sunday_first`, whether 7 at the start of a range is 0, as in Spring; `width` is the number of digits.
    """

    __slots__ = ("dash", "high", "low", "name", "names", "open_step", "star_step", "sunday_first", "width")

    def __init__(
        self,
        name: str,
        low: int,
        high: int,
        *,
        names: Mapping[str, int] | None = None,
        dash: str = "-",
        open_step: bool = True,
        star_step: bool = True,
        sunday_first: bool = False,
        width: int = 1,
    ) -> None:
        self.name, self.low, self.high = name, low, high
        self.names = names or {}
        self.dash, self.open_step, self.star_step, self.width = dash, open_step, star_step, width
        self.sunday_first = sunday_first

    def read(self, dialect: str, text: str) -> int:
        """The set of a list of values, ranges and steps."""
        values = 0
        for item in text.split(","):
            values |= self._item(dialect, item)
        return values

    def value(self, dialect: str, text: str) -> int:
        """A number or a name."""
        if text.upper() in self.names:
            return self.names[text.upper()]
        if not (text.isascii() and text.isdigit()):
            raise DialectError(dialect, self.name, f"{text!r} is not a value")
        number = int(text) if len(text) <= _DIGITS else self.high + 1
        if not self.low <= number <= self.high:
            raise DialectError(dialect, self.name, f"{text} is not within {self.low} to {self.high}")
        return number

    def _item(self, dialect: str, item: str) -> int:
        base, slash, step_text = item.partition("/")
        step = self._step(dialect, step_text) if slash else 1
        if base == "*":
            if slash and not self.star_step:
                raise DialectError(dialect, self.name, f"{item} is not valid; write {self.low}/{step_text}")
            return self._progression(self.low, self.high, step)
        first_text, dash, last_text = base.partition(self.dash)
        first = self.value(dialect, first_text)
        if not dash:
            if slash and not self.open_step:
                reason = f"not every cron accepts {item}; write {first}-{self.high}/{step}"
                raise DialectError(dialect, self.name, reason)
            return self._progression(first, self.high if slash else first, step)
        last = self.value(dialect, last_text)
        if self.sunday_first and first == self.high:
            first = self.low
        if last < first:
            raise DialectError(dialect, self.name, f"{base} runs backwards")
        return self._progression(first, last, step)

    def _step(self, dialect: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text)):
            raise DialectError(dialect, self.name, f"{text!r} is not a step")
        return int(text)

    def _progression(self, first: int, last: int, step: int) -> int:
        return sum(1 << value for value in range(first, last + 1, step))

    @property
    def full(self) -> int:
        """The set of all values."""
        return (1 << self.high + 1) - (1 << self.low)

    def write(self, values: int, *, ranges: bool = True) -> str:
        """The text of a set; without `ranges` a list, which keeps an expression one of fixed times."""
        if not ranges:
            return ",".join(self._number(value) for value in members(values))
        if values == self.full:
            return "*"
        listed = members(values)
        step = listed[1] - listed[0] if len(listed) > 2 else 1
        if step > 1 and listed == tuple(range(listed[0], listed[-1] + 1, step)):
            return self._run(listed[0], listed[-1], step)
        return ",".join(self._run(first, last, step) for first, last, step in runs(listed, steps=False))

    def _run(self, first: int, last: int, step: int) -> str:
        start, end = self._number(first), self._number(last)
        if not step:
            return start
        if step == 1:
            return f"{start}{self.dash}{end}"
        if last + step <= self.high:
            return f"{start}{self.dash}{end}/{step}"
        if first == self.low and self.star_step:
            return f"*/{step}"
        return f"{start}/{step}" if self.open_step else f"{start}-{self.high}/{step}"

    def write_stepped(self, values: int) -> str:
        """The text of at least two values, with a step between the first of them."""
        listed = members(values)
        step, count = listed[1] - listed[0], 2
        while count < len(listed) and listed[count] == listed[count - 1] + step:
            count += 1
        rest = listed[count:]
        if rest and listed[count - 1] + step <= self.high:
            run = f"{self._number(listed[0])}{self.dash}{self._number(listed[count - 1])}/{step}"
        else:
            run = self._run(listed[0], listed[count - 1], step)
        return ",".join([run, *map(self._number, rest)])

    def _number(self, value: int) -> str:
        return f"{value:0{self.width}}"


class Reading:
    """A parsed text of a dialect: sets in Quartz's numbers. A day fires if every part of `days` names it."""

    __slots__ = ("days", "hours", "interval", "minutes", "seconds", "years")

    def __init__(
        self,
        *,
        seconds: int = 1,
        minutes: int,
        hours: int,
        days: Sequence[Sequence[DayFields]],
        years: int = YEARS.full,
        interval: bool,
    ) -> None:
        self.seconds, self.minutes, self.hours = seconds, minutes, hours
        self.days, self.years, self.interval = days, years, interval


def quartz_text(dialect: str, reading: Reading, what: str) -> str:
    """The Quartz expression with the same meaning; `what` describes the days, for the error if there is none."""
    simplest = simplest_days(combined_key(reading.days, reading.years))
    if simplest is None:
        every = combined_key(reading.days, YEARS.full)
        reason = f"no Quartz expression has {what}" if every[0] else "it never fires"
        raise DialectError(dialect, "days", reason)
    pattern = WallPattern(day_rule(*simplest), time_rule(reading.seconds, reading.minutes, reading.hours))
    return canonical_text(pattern, interval=reading.interval)


def simplest_of(expression: CompiledExpression, dialect: str) -> tuple[DayFields, int]:
    """The days and years of an expression in their simplest form; raises DialectError if there is none."""
    simplest = simplest_days(expression._days.key)
    if simplest is None:
        what = "goes by working days" if expression._days.is_rolled else "leaves out the days of a calendar"
        what = "never fires" if expression.never_fires else what
        raise DialectError(dialect, None, f"the expression {what}, which it cannot express")
    return simplest


def is_interval(*texts: str) -> bool:
    """Whether times are written as an interval expression; the same rule as in parser.py."""
    return any(char in text for text in texts for char in "*-/")


def times_of(expression: CompiledExpression, dialect: str, slots: Sequence[Slot]) -> list[str]:
    """Minutes and hours, or seconds too, as texts: fixed times as lists, intervals with at least a range or a step."""
    times, interval = expression._pattern.times, expression._interval
    values = [times.seconds, times.minutes, times.hours]
    if len(slots) == 2:
        if times.seconds != 1:
            raise DialectError(dialect, "seconds", "it has whole minutes only")
        del values[0]
    texts = [slot.write(value, ranges=interval) for slot, value in zip(slots, values, strict=True)]
    if interval and not is_interval(*texts):
        for place in range(len(slots) - 1, -1, -1):
            if "," in texts[place]:
                texts[place] = slots[place].write_stepped(values[place])
                return texts
        texts[-1] = f"{texts[-1]}-{texts[-1]}"
    return texts


def from_sunday_0(values: int) -> int:
    """Days of the week from a set that counts from Sunday = 0, or 7, to Quartz's."""
    return (values | values >> 7) << 1 & WEEK_DAYS.full


def week_text(week_days: int, names: Sequence[str], dash: str) -> str:
    """Quartz's days of the week by name, Sunday's first, in a week that begins on Monday."""
    days = sorted((day + 5) % 7 for day in members(week_days))
    return ",".join(
        f"{names[(first + 1) % 7]}{dash}{names[(last + 1) % 7]}" if step else names[(first + 1) % 7]
        for first, last, step in runs(days, steps=False)
    )


def years_within(dialect: str, values: int) -> int:
    """Years from a set of plain numbers, bit by bit, to Quartz's."""
    years = values >> FIRST_YEAR
    if values & ((1 << FIRST_YEAR) - 1) or not years & YEARS.full or years & ~YEARS.full:
        raise DialectError(dialect, "year", f"Quartz's years go from {FIRST_YEAR} to {LAST_YEAR}")
    return years
