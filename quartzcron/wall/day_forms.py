"""The simplest day fields that name given days: `L 3` is 31 March, and days 1-7 that are Mondays are `MON#1`.

Days are given as masks, one for each shape of year, as in days.py; so the result depends on which days fire, and never
on how they were written. Descriptions and dialects are made of these fields. No zones, no clock, no text.
"""

from __future__ import annotations

from itertools import product

from ..fields import MONTH_DAYS, MONTHS, WEEK_DAYS, YEARS, DayFields, Special
from .days import YEARS_OF_SHAPE, DayRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# The type of DayRule.key: the years in which some day fires, and the mask of each of the 14 shapes.
DayKey = tuple[int, tuple[int, ...]]

# A day in its month: month, day, day of the week (Quartz's numbers), and whether it is one of the month's last seven.
MonthDay = tuple[int, int, int, bool]

_LENGTHS = ((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31))
_ALL_SHAPES = (1 << 14) - 1
_KNOWN = 512

# A single day of the month as a set, or a special one.
Atom = tuple[int, tuple[Special, ...]]

_known_atoms: list[tuple[Atom, tuple[int, ...]]] = []
_simplest: dict[DayKey, tuple[DayFields, int] | None] = {}


def simplest_days(key: DayKey) -> tuple[DayFields, int] | None:
    """Day fields and years that name exactly these days; None if no Quartz expression does, as with most holidays.

    If there are several, the first in this order: every day, days of the week, days of the month, an nth or last day of
    the week, specials; with all months and years where that makes no difference. Equal keys have equal results.
    """
    if key not in _simplest:
        if len(_simplest) >= _KNOWN:
            _simplest.clear()
        _simplest[key] = _find(key)
    return _simplest[key]


def combined_key(parts: Sequence[Sequence[DayFields]], years: int) -> DayKey:
    """The key of the days that are in every part; a day is in a part if any of its day fields names it."""
    joined = [(1 << 366) - 1] * 14
    for part in parts:
        either = [0] * 14
        for fields in part:
            either = [one | other for one, other in zip(either, _masks(fields, _ALL_SHAPES), strict=True)]
        joined = [one & other for one, other in zip(joined, either, strict=True)]
    firing = 0
    for shape, same in enumerate(YEARS_OF_SHAPE):
        if joined[shape]:
            firing |= years & same
    return firing, tuple(mask if firing & same else 0 for mask, same in zip(joined, YEARS_OF_SHAPE, strict=True))


def _find(key: DayKey) -> tuple[DayFields, int] | None:
    years, masks = key
    if not years or len(masks) != len(YEARS_OF_SHAPE):
        return None
    month_days = sorted({day for shape, mask in enumerate(masks) for day in _month_days(mask, shape)})
    months = sum({1 << month for month, *_ in month_days})
    for wider_years, wider_months in product((YEARS.full, years), (MONTHS.full, months)):
        for days in _candidates(key, wider_months, month_days):
            fields = (wider_months, *days)
            if _masks(fields, _shapes(years)) == masks and DayRule(fields, wider_years).key == key:
                return fields, wider_years
    return None


def _candidates(
    key: DayKey, months: int, month_days: list[MonthDay]
) -> Iterator[tuple[int, tuple[Special, ...], int, tuple[int, int] | None]]:
    yield 0, (), WEEK_DAYS.full, None
    yield 0, (), sum({1 << week_day for _, _, week_day, _ in month_days}), None
    yield sum({1 << day for _, day, _, _ in month_days}), (), 0, None
    _, day, week_day, is_last = month_days[0]
    if not is_last or day <= 28:
        yield 0, (), 0, (week_day, (day + 6) // 7)
    if is_last:
        yield 0, (), 0, (week_day, 0)
    yield 0, (), 0, (week_day, 5)
    cover = _cover(key, months)
    if cover is not None:
        yield (*cover, 0, None)


def _cover(key: DayKey, months: int) -> tuple[int, tuple[Special, ...]] | None:
    """The fewest plain and special days of the month that together are the days of a key, tried in a fixed order."""
    years, target = key
    within = _masks((months, 0, (), WEEK_DAYS.full, None), _shapes(years))
    inside: list[tuple[Atom, tuple[int, ...]]] = []
    for atom, everywhere in _atoms():
        masks = tuple([mask & month_span for mask, month_span in zip(everywhere, within, strict=True)])
        if any(masks) and not any(mask & ~wanted for mask, wanted in zip(masks, target, strict=True)):
            inside.append((atom, masks))
    chosen: list[tuple[Atom, tuple[int, ...]]] = []
    for item in inside:
        if _union([*chosen, item]) != _union(chosen):
            chosen.append(item)
    if not chosen or _union(chosen) != target:
        return None
    for item in chosen[:]:
        rest = [other for other in chosen if other is not item]
        if rest and _union(rest) == target:
            chosen = rest
    return sum(atom[0] for atom, _ in chosen), tuple(sorted(special for atom, _ in chosen for special in atom[1]))


def _specials() -> list[Special]:
    """All special days, the simpler ones first: L, L-1, …; LW; 1W, 2W, …; L-1W, …."""
    from_end = [(True, n, False) for n in range(31)]
    weekdays = [(True, 0, True), *((False, n, True) for n in range(1, 32))]
    return [*from_end, *weekdays, *((True, n, True) for n in range(1, 31))]


def _union(items: list[tuple[Atom, tuple[int, ...]]]) -> tuple[int, ...]:
    union = [0] * 14
    for _, masks in items:
        union = [one | other for one, other in zip(union, masks, strict=True)]
    return tuple(union)


def _masks(fields: DayFields, shapes: int) -> tuple[int, ...]:
    """The mask of each of the shapes in a set, 0 for the others."""
    every = DayRule(fields, YEARS.full).key[1]  # not day_rule, whose cache is for expressions
    return tuple(mask if shapes >> shape & 1 else 0 for shape, mask in enumerate(every))


def _atoms() -> list[tuple[Atom, tuple[int, ...]]]:
    """All single and special days of the month with their masks, the simpler ones first."""
    if not _known_atoms:
        atoms: list[Atom] = [(1 << day, ()) for day in range(MONTH_DAYS.low, MONTH_DAYS.high + 1)]
        atoms += [(0, (special,)) for special in _specials()]
        masks = [(atom, _masks((MONTHS.full, *atom, 0, None), _ALL_SHAPES)) for atom in atoms]
        _known_atoms[:] = masks  # in one step, since other threads read it
    return _known_atoms


def _shapes(years: int) -> int:
    return sum(1 << shape for shape, same in enumerate(YEARS_OF_SHAPE) if years & same)


def _month_days(mask: int, shape: int) -> Iterator[MonthDay]:
    leap, weekday = divmod(shape, 7)
    for month, length in enumerate(_LENGTHS[leap], 1):
        for day in range(1, length + 1):
            if mask & 1:
                yield month, day, weekday + 1, day + 7 > length
            mask >>= 1
            weekday = (weekday + 1) % 7
