"""Descriptions in 简体中文: days before times, the larger unit before the smaller one."""

from __future__ import annotations

from ..fields import HOURS, MINUTES, MONTHS, WEEK_DAYS, YEARS, DayFields, Nth, Special
from ..wall.runs import ValueRun, runs, wrapped_runs
from ..wall.times import members
from .outline import FieldTimes, Outline, RoundTheClock, TimeSpans, clock, cycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NEVER = "永不触发"

_UNITS = {"second": "秒", "minute": "分钟", "hour": "小时"}
_WEEK = ("", "日", "一", "二", "三", "四", "五", "六")
_NTH = ("最后一个", "第一个", "第二个", "第三个", "第四个", "第五个")
_MONDAY_TO_FRIDAY = "（周一至周五）"
_WEEKDAY = f"工作日{_MONDAY_TO_FRIDAY}"
_IF_ANY = "（如有）"
_EVERY_SO_MANY = "（每 "
_ROLLS = {
    "skip": "仅工作日",
    "following": "遇休息日顺延至下一个工作日",
    "preceding": "遇休息日提前至上一个工作日",
    "modified_following": "遇休息日顺延至下一个工作日，跨月则提前至上一个工作日",
    "modified_preceding": "遇休息日提前至上一个工作日，跨月则顺延至下一个工作日",
    "only_off": "仅休息日",
}
_FEW = 4
_LISTED = 6


def sentence(outline: Outline, days: DayFields, years: int, zone: str | None) -> str:
    """The whole description."""
    around = isinstance(outline, RoundTheClock) or (isinstance(outline, FieldTimes) and outline.hours == HOURS.full)
    day = _days(days, years, around=around)
    times = _times(outline)
    joint = "，" if day and (around or times[0] == "每") else " " if day else ""
    text = f"{day}{joint}{times}".replace("） ", "）")
    return f"{text}（{zone} 时间）" if zone else text


def with_exception(text: str, name: str | None) -> str:
    """A description with the name of the calendar whose days are excluded."""
    name = name or "其日历中的日期"
    return f"{text}（{name}{' ' if name[-1].isascii() else ''}除外）"


def with_roll(text: str, convention: str, name: str | None) -> str:
    """A description with the roll convention and the name of the calendar of working days."""
    return f"{text}（{_ROLLS[convention]}{f'，{name}' if name else ''}）"


# -- times --


def _times(outline: Outline) -> str:
    if isinstance(outline, RoundTheClock):
        return "每小时整点" if outline.unit == "hour" else _once_every(outline.unit, outline.step)
    return _spans(outline) if isinstance(outline, TimeSpans) else _field_times(outline)


def _once_every(unit: str, step: int) -> str:
    """`每分钟一次`, `每 5 分钟一次`."""
    return f"每{_UNITS[unit]}一次" if step == 1 else f"每 {step} {_UNITS[unit]}一次"


def _spans(spans: TimeSpans) -> str:
    """`08:00、09:30`, `14:00 至 14:55、18:00 至 18:55，每 5 分钟一次`."""
    every = _once_every(spans.unit, spans.step)
    texts = []
    for first, last in spans.runs:
        start, end = (clock(time, to_the_second=spans.to_the_second) for time in (first, last))
        texts.append(start if first == last else f"{start} 至 {end}" if first < last else f"{start} 至次日 {end}")
    if all(first == last for first, last in spans.runs):
        return _listed(texts)
    if all(first != last for first, last in spans.runs):
        return f"{_listed(texts)}，{every}"
    return _listed(
        [text if first == last else f"{text}（{every}）" for text, (first, last) in zip(texts, spans.runs, strict=True)]
    )


def _field_times(times: FieldTimes) -> str:
    if times.seconds.bit_count() > 1:
        return _field_seconds(times)
    second = members(times.seconds)[0]
    if times.minutes == MINUTES.full:
        return f"{_hours(times)}每分钟" + (f"的第 {second} 秒" if second else "一次")
    if times.minutes.bit_count() == 1:
        return f"{_of_hours(times)}第 {members(times.minutes)[0]} 分" + (f" {second} 秒" if second else "")
    at = f"（在第 {second} 秒）" if second else ""
    step = cycle(times.minutes)
    if step and times.minutes & 1 and times.hours == HOURS.full:
        return f"{_once_every('minute', step)}{at}"
    groups = runs(members(times.minutes))
    if len(groups) == 1 and groups[0][2]:
        first, last, step = groups[0]
        return f"{_of_hours(times)}第 {first} 分至第 {last} 分，{_once_every('minute', step)}{at}"
    return f"{_of_hours(times)}第 {_labels(times.minutes)} 分{at}"


def _field_seconds(times: FieldTimes) -> str:
    if times.minutes == MINUTES.full:
        return _hours(times) + _seconds(times.seconds, "每分钟的第")
    if times.minutes.bit_count() * times.hours.bit_count() <= _FEW:
        starts = [hour * 3600 + minute * 60 for hour in members(times.hours) for minute in members(times.minutes)]
        minutes = _listed([clock(start, to_the_second=False) for start in starts])
        return f"{minutes} {_seconds(times.seconds, '的第')}"
    return f"{_of_hours(times)}第 {_labels(times.minutes)} 分，{_seconds(times.seconds, '每分钟的第')}"


def _seconds(seconds: int, nth: str) -> str:
    """`每 15 秒一次`, `每分钟的第 20 秒至第 30 秒，每秒一次`, `每分钟的第 5、35 秒`."""
    step = cycle(seconds)
    if step and seconds & 1:
        return ("这几分钟内，" if nth == "的第" else "") + _once_every("second", step)
    groups = runs(members(seconds))
    if len(groups) == 1 and groups[0][2]:
        first, last, step = groups[0]
        return f"{nth} {first} 秒至第 {last} 秒，{_once_every('second', step)}"
    return f"{nth} {_labels(seconds)} 秒"


def _hours(times: FieldTimes) -> str:
    return "" if times.hours == HOURS.full else f"{_labels(times.hours)} 时，"


def _of_hours(times: FieldTimes) -> str:
    return f"{_labels(times.hours)} 时的" if times.hours.bit_count() == 1 else f"{_hours(times)}每小时的"


def _labels(values: int) -> str:
    """`5、20`, `10 至 20`; evenly spaced ones, if many, `0、5、10……55`."""
    groups = runs(members(values))
    if len(groups) == 1 and groups[0][2] > 1:
        listed = [str(value) for value in members(values)]
        return _listed(listed) if len(listed) <= _LISTED else f"{_listed(listed[:3])}……{listed[-1]}"
    return _listed([f"{first} 至 {last}" if step else str(first) for first, last, step in groups])


# -- days --


def _days(days: DayFields, years: int, *, around: bool) -> str:
    """The days and years; empty if all of them fire and the times go round the clock."""
    months, month_days, specials, week_days, nth = days
    year = "" if years == YEARS.full else _years(years)
    if week_days == WEEK_DAYS.full:
        if months == MONTHS.full:
            return year if around else f"{year}每天"
        return _months(months, years, year) + ("" if around else "每天")
    if week_days:
        month, week = year if months == MONTHS.full else _months(months, years, year), _week_days(week_days)
        return f"{month}{'' if months == MONTHS.full or week[0] == '除' else '的'}{week}"
    item = _nth(nth) if nth else _month_days(month_days, specials, every=months == MONTHS.full)
    if months == MONTHS.full:
        return f"{year}每月{_spaced(item)}"
    if not year and (months, month_days, specials, nth) == (1 << 2, 1 << 29, (), None):
        return "每个闰年 2 月 29 日"
    of = _of(months, years).removesuffix("的" if item[0] == "离" else "")
    return f"{_months(months, years, year)}{of}{_spaced(item)}"


def _of(months: int, years: int) -> str:
    if months.bit_count() == 1:
        return ""
    return "每月" if any(step for _, _, step in _month_runs(months, years)) else "的"


def _months(months: int, years: int, year: str) -> str:
    """`每年 3 月`, `2026 年 3 月`, `每年 6 月至 9 月`, `每年 11 月至次年 2 月`."""
    texts = []
    for first, last, step in _month_runs(months, years):
        texts.append(f"{first} 月" if not step else f"{first} 月至{'次年' if last < first else ''} {last} 月")
    joint = " " if not year or years.bit_count() == 1 or _EVERY_SO_MANY in year else "，每年 "
    return f"{year or '每年'}{joint}{_listed(texts)}"


def _month_runs(months: int, years: int) -> list[ValueRun]:
    return wrapped_runs(months, 1, 12, wrap=years == YEARS.full)


def _week_days(values: int) -> str:
    """`每周一、周三`, `每周一至周五`, `每周五至次周一`, `除周三外的每天`; a week begins on Monday."""
    if values.bit_count() == 6 and values != _MONDAY_TO_SATURDAY:
        return f"除周{_WEEK[members(WEEK_DAYS.full & ~values)[0]]}外的每天"
    from_monday = sum(1 << (day + 5) % 7 + 1 for day in members(values))
    texts = []
    for first, last, step in wrapped_runs(from_monday, 1, 7, wrap=True):
        start, end = f"周{_WEEK[first % 7 + 1]}", f"周{_WEEK[last % 7 + 1]}"
        texts.append(start if not step else f"{start}至{'次' if last < first else ''}{end}")
    return f"每{_listed(texts)}"


def _month_days(month_days: int, specials: tuple[Special, ...], *, every: bool) -> str:
    groups = runs(members(month_days))
    texts = []
    for first, last, step in groups:
        if not step:
            texts.append(f"{first} 日")
        else:
            texts.append(f"{first} 日至 {last} 日" + (f"（每 {step} 天）" if step > 1 else ""))
    alone = every and month_days.bit_count() + len(specials) == 1
    if alone and not specials and groups[0][0] > 28:
        return f"{texts[0]}{_IF_ANY}"
    texts += [_special(special, alone=alone) for special in specials]
    if specials and len(texts) > 1:
        texts[-2:] = ["和".join(texts[-2:])]
    return _with_note_once(_listed(texts), _MONDAY_TO_FRIDAY)


def _with_note_once(text: str, note: str) -> str:
    """A text in which only the last occurrence of a note is left."""
    before, last, after = text.rpartition(note)
    return before.replace(note, "") + last + after


def _special(special: Special, *, alone: bool) -> str:
    from_end, n, nearest_weekday = special
    if from_end and not n:
        return f"最后一个{_WEEKDAY}" if nearest_weekday else "最后一天"
    if nearest_weekday and n == 1 and not from_end:
        return f"第一个{_WEEKDAY}"
    day = f"倒数第 {n + 1} 天" if from_end else f"{n} 日"
    day += _IF_ANY if alone and n > (27 if from_end else 28) else ""
    return f"离{_spaced(day)}最近的{_WEEKDAY}" if nearest_weekday else day


def _nth(nth: Nth) -> str:
    return f"{_NTH[nth[1]]}星期{_WEEK[nth[0]]}" + (_IF_ANY if nth[1] == 5 else "")


def _years(years: int) -> str:
    """`2050 年`, `2030 年、2032 年`, `2012 年至 2099 年`, `2017 年至 2099 年（每 2 年）`."""
    texts = []
    for first, last, step in runs([year + YEARS.base for year in members(years)]):
        every = f"{_EVERY_SO_MANY}{step} 年）" if step > 1 else ""
        texts.append(f"{first} 年至 {last} 年{every}" if step else f"{first} 年")
    return _listed(texts)


# -- words --


def _spaced(text: str) -> str:
    return f" {text}" if text[0].isdigit() else text


def _listed(items: Sequence[str]) -> str:
    return "、".join(items)


_MONDAY_TO_SATURDAY = WEEK_DAYS.full & ~2


def joined(texts: list[str], how: str) -> str:
    """The parts of a union or of an overlap as one text."""
    return f"{'以下任一' if how == 'union' else '以下同时满足'}：{'；'.join(texts)}"
