"""Instants and durations as pages show them: every instant with its offset."""

from __future__ import annotations

from datetime import datetime, tzinfo

from .words import text

_MINUS = "\N{MINUS SIGN}"
#: Units of durations: the least number of seconds to which each is applied, its seconds, and its key.
_UNITS = ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min"), (1, 1, "s"))


def instant(at: datetime, tz: tzinfo) -> str:
    """An instant in a zone, to the second.

    >>> from datetime import UTC
    >>> instant(datetime(2026, 11, 30, 7, 30, tzinfo=UTC), UTC)
    '2026-11-30 07:30:00 +00:00'
    """
    local = at.astimezone(tz)
    return f"{local:%Y-%m-%d %H:%M:%S} {offset(local)}"


def offset(local: datetime) -> str:
    """The offset of a time, with a minus sign that is as wide as the plus sign."""
    text_of = local.isoformat()[-6:] if local.utcoffset() is not None else "+00:00"
    if text_of[0] not in "+-":  # an offset with seconds, of before 1900
        text_of = local.strftime("%z")
    return text_of.replace("-", _MINUS)


def weekday(at: datetime, tz: tzinfo, language: str) -> str:
    """The short name of the day of the week."""
    return text(language, f"weekday.{at.astimezone(tz).weekday()}")


def duration(seconds: float | None, language: str) -> str:
    """A duration: 3 ms, 1.25 s, 12 min, 5 h, 40 d; a dash for None."""
    if seconds is None:
        return "–"
    if abs(seconds) < 1:
        return text(language, "unit.ms", n=round(seconds * 1000))
    if abs(seconds) < 120:
        return text(language, "unit.s", n=f"{seconds:.2f}".rstrip("0").rstrip("."))
    _, size, key = next(unit for unit in _UNITS if abs(seconds) >= unit[0])
    return text(language, f"unit.{key}", n=round(seconds / size))


def relative(at: datetime, now: datetime, language: str) -> str:
    """How far an instant lies ahead, or back."""
    seconds = (at - now).total_seconds()
    if abs(seconds) < 1:
        return text(language, "moment.now")
    shown = duration(float(round(abs(seconds))), language)
    return text(language, "moment.in" if seconds > 0 else "moment.ago", duration=shown)


def short(number: int) -> str:
    """A number in a few digits.

    >>> short(999), short(12_345), short(2_500_000)
    ('999', '12.3k', '2.5M')
    """
    for size, sign in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.1f}".removesuffix(".0") + sign
    return str(number)
