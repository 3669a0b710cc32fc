"""Descriptions: the golden ones, which people have read, and that they match the fires exactly."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings

from quartzcron import CronError, CronExpression
from quartzcron.text.describe import LANGUAGES
from quartzcron.wall.day_forms import simplest_days
from tests.example_counts import examples
from tests.strategies import expressions, sparse_expressions

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(language: str) -> dict[str, str]:
    lines = (GOLDEN / f"descriptions.{language}.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


def realworld() -> list[str]:
    lines = (GOLDEN / "realworld.txt").read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[3] for line in lines if not line.startswith("#")]


def meaning(expression: CronExpression) -> object:
    """Equal for expressions that fire at the same wall times."""
    times = expression._pattern.times
    return None if expression.never_fires else (times.seconds, times.minutes, times.hours, expression._pattern.days.key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_expression_that_people_wrote_has_its_golden_description(language: str) -> None:
    """All accepted ones of realworld.txt, in both languages."""
    accepted = [text for text in realworld() if CronExpression.is_valid(text)]
    assert golden(language) == {text: CronExpression(text).describe(language) for text in accepted}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_fires_differently_is_described_differently(language: str) -> None:
    """Among all that people wrote, one description belongs to one meaning."""
    meanings = defaultdict(set)
    for text, description in golden(language).items():
        meanings[description].add(meaning(CronExpression(text)))
    assert [description for description, found in meanings.items() if len(found) > 1] == []


@given(one=expressions() | sparse_expressions(), other=expressions() | sparse_expressions())
@settings(max_examples=examples(60), deadline=None)
def test_descriptions_are_the_same_exactly_if_the_fires_are(one: str, other: str) -> None:
    """Random pairs: no description is shared by two meanings, and no meaning has two descriptions."""
    left, right = CronExpression(one), CronExpression(other)
    for language in LANGUAGES:
        assert (left.describe(language) == right.describe(language)) == (meaning(left) == meaning(right))


@pytest.mark.parametrize("language", LANGUAGES)
def test_neighbours_are_told_apart(language: str) -> None:
    """A few thousand expressions that differ slightly."""
    seconds = ["0", "30", "*", "*/15", "5/15", "0-5", "7,8,20"]
    minutes = ["0", "15", "*", "*/20", "5/20", "0-30", "0-30/3", "58-4", "7,51"]
    hours = ["0", "9", "*", "*/2", "1/2", "9-17", "22-2", "0-6,12,20-22", "3,5,8,20"]
    days = ["* * ?", "? * MON-FRI", "? * MON", "1 * ?", "1,L * ?", "? 1 FRI#5", "* 6-9 ? 2030", "29-31 * ? 2030/2"]
    texts = [f"{s} {m} {h} {d}" for s in seconds for m in minutes for h in hours for d in days]
    described = {CronExpression(text).describe(language): meaning(CronExpression(text)) for text in texts}
    assert len(described) == len({meaning(CronExpression(text)) for text in texts})


@given(text=expressions())
@settings(max_examples=examples(40), deadline=None)
def test_the_spelling_makes_no_difference(text: str) -> None:
    """The normal form of an expression is described as the expression is."""
    expression = CronExpression(text)
    for language in LANGUAGES:
        assert CronExpression(expression.canonical).describe(language) == expression.describe(language)


@given(text=expressions())
@settings(max_examples=examples(40), deadline=None)
def test_the_simplest_days_are_the_same_days(text: str) -> None:
    """The simplest form of days is equal to them."""
    from quartzcron.wall.days import day_rule

    key = CronExpression(text)._pattern.days.key
    found = simplest_days(key)
    assert (found is None) == (not key[0])
    assert found is None or day_rule(*found).key == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0 0 8 L 3 ?", "0 0 8 31 3 ?"),
        ("0 0 8 31 * ?", "0 0 8 31 1,3,5,7,8,10,12 ?"),
        ("0 0 8 29 2 ? 2020-2030", "0 0 8 29 2 ? 2020,2024,2028"),
        ("0 0 8 L,LW,L-1,L-2 * ?", "0 0 8 L-2,L-1,L * ?"),
        ("0 0 8 ? 3 MON#1 2026", "0 0 8 2 3 ? 2026"),
        ("0 0 8 30 2 ?", "1 2 3 31 2,4,6,9,11 ?"),
        ("0 0 8 ? * MON,TUE,WED", "0 0 8 ? * 2-4 *"),
    ],
)
def test_what_fires_alike_is_described_alike(one: str, other: str) -> None:
    """However differently it is written."""
    for language in LANGUAGES:
        assert CronExpression(one).describe(language) == CronExpression(other).describe(language)


@pytest.mark.parametrize(
    ("text", "english", "chinese"),
    [
        (
            "0 0 8 15W,L-2 * ?",  # not "nearest the 15th and the third-to-last day"
            "At 08:00 on the third-to-last day and the weekday nearest the 15th of every month",
            "每月离 15 日最近的工作日（周一至周五）和倒数第 3 天 08:00",
        ),
        (
            "0 0,45 8-12,14 ? * MON",  # not "from 08:00 to 12:00 and 14:00"
            "At 0 and 45 minutes past every hour from 08:00 to 12:00 and past 14:00, on Mondays",
            "每周一 8 至 12、14 时，每小时的第 0、45 分",
        ),
        (
            "* 0/2 * ? * MON 2030/2",  # not "every second in every second year"
            "Every second during every other minute from minute 0 to minute 58 of every hour on Mondays in every other "
            "year from 2030 to 2098",
            "2030 年至 2098 年（每 2 年）每周一，每小时的第 0、2、4……58 分，每秒一次",
        ),
        ("0 0 8 ? 5 TUE-FRI 2027", "At 08:00, Tuesday to Friday, in May 2027", "2027 年 5 月的每周二至周五 08:00"),
        (
            "0 0 8 ? * MON 2008,2012-2015",
            "At 08:00 on Mondays in 2008 and from 2012 to 2015",
            "2008 年、2012 年至 2015 年每周一 08:00",
        ),
        ("0 0 8 29 2 ?", "At 08:00 on 29 February of every leap year", "每个闰年 2 月 29 日 08:00"),
    ],
)
def test_no_description_is_ambiguous(text: str, english: str, chinese: str) -> None:
    """Phrases that were ambiguous once."""
    expression = CronExpression(text)
    assert (expression.describe(), expression.describe("zh")) == (english, chinese)


def test_what_never_fires_says_so() -> None:
    """30 February."""
    never = CronExpression("0 0 8 30 2 ?")
    assert (never.describe(), never.describe("zh")) == ("Never", "永不触发")


def test_a_zone_of_its_own_is_named() -> None:
    """At the end, by its name."""
    weekly = CronExpression("0 0 8 ? * MON", tz="Asia/Shanghai")
    assert weekly.describe() == "At 08:00 on Mondays, Asia/Shanghai time"
    assert weekly.describe("zh") == "每周一 08:00（Asia/Shanghai 时间）"


def test_another_language_is_refused() -> None:
    """The error lists the languages."""
    with pytest.raises(CronError, match="languages are en and zh"):
        CronExpression("0 0 8 ? * MON").describe("fr")


@pytest.mark.parametrize(
    ("text", "english", "chinese"),
    [
        (
            "0 0,30 9,12,15 ? * MON",
            "At 09:00, 09:30, 12:00, 12:30, 15:00 and 15:30 on Mondays",
            "每周一 09:00、09:30、12:00、12:30、15:00、15:30",
        ),
        ("0 0 22-2 * * ?", "Every hour from 22:00 to 02:00 every day", "每天 22:00 至次日 02:00，每小时一次"),
        (
            "0 0/10 23-0 * * ?",
            "Every 10 minutes from 23:00 to 00:50 every day",
            "每天 23:00 至次日 00:50，每 10 分钟一次",
        ),
        (
            "0 0 22-2 ? * MON",
            "Every hour from 00:00 to 02:00, and at 22:00 and 23:00, on Mondays",
            "每周一 00:00 至 02:00（每小时一次）、22:00、23:00",
        ),
        (
            "0 0 0 ? 1/6 7#5 2026/2",
            "At 00:00 on the fifth Saturday of January and July, when there is one, "
            "in every other year from 2026 to 2098",
            "2026 年至 2098 年（每 2 年）1 月、7 月的第五个星期六（如有）00:00",
        ),
    ],
)
def test_what_is_regular_is_said_so(text: str, english: str, chinese: str) -> None:
    """A night goes past midnight on every day; on Mondays it does not, since those hours are all Monday's."""
    expression = CronExpression(text)
    assert (expression.describe(), expression.describe("zh")) == (english, chinese)
