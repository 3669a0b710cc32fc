"""Recurrence rules: dateutil computes the same times from them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings

from quartzcron import CronExpression
from quartzcron.dialects import DialectError
from tests.example_counts import examples
from tests.strategies import convertible_expressions, expressions

NEW_YEAR = datetime(2026, 1, 1)


def first(expression: CronExpression, n: int = 5) -> list[datetime]:
    """The fires from New Year 2026 on, that moment included."""
    found = list(islice(expression.fires(NEW_YEAR), n))
    return [NEW_YEAR, *found][:n] if expression.matches(NEW_YEAR) else found


@given(text=convertible_expressions() | expressions())
@settings(max_examples=examples(50), deadline=None)
def test_a_rule_recurs_when_the_expression_fires(text: str) -> None:
    """The first five times from 2026 on, as a rule and as its text read again; or it is refused."""
    expression = CronExpression(text)
    try:
        rule = expression.to_rrule(NEW_YEAR)
    except DialectError:
        return
    assert list(islice(rule, 5)) == first(expression)
    assert list(islice(rrulestr(str(rule)), 5)) == first(expression)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("0 0 8 * * ?", "FREQ=DAILY;UNTIL=20991231T235959;BYHOUR=8;BYMINUTE=0;BYSECOND=0"),
        ("0 0 8 ? * MON,FRI", "FREQ=WEEKLY;UNTIL=20991231T235959;BYDAY=MO,FR;BYHOUR=8;BYMINUTE=0;BYSECOND=0"),
        ("0 0 8 ? * FRIL", "FREQ=MONTHLY;UNTIL=20991231T235959;BYDAY=-1FR;BYHOUR=8;BYMINUTE=0;BYSECOND=0"),
        ("0 0 8 1,L * ?", "FREQ=MONTHLY;UNTIL=20991231T235959;BYMONTHDAY=1,-1;BYHOUR=8;BYMINUTE=0;BYSECOND=0"),
        (
            "0 0 8 1 1 ? 2026/2",
            "FREQ=YEARLY;INTERVAL=2;UNTIL=20981231T235959;BYMONTH=1;BYMONTHDAY=1;BYHOUR=8;BYMINUTE=0;BYSECOND=0",
        ),
    ],
)
def test_rules_are_written_as_calendars_write_them(text: str, rule: str) -> None:
    """With the shortest frequency that suffices."""
    expression = CronExpression(text)
    begin = f"DTSTART:{expression.next_fire(NEW_YEAR - timedelta(seconds=1)):%Y%m%dT%H%M%S}"
    assert str(expression.to_rrule(NEW_YEAR)) == f"{begin}\nRRULE:{rule}"


@pytest.mark.parametrize(
    "text",
    [
        "0 0 8 * * ? 2026/2",
        "0 0 8 * 3,6 ? 2026/2",
        "0 0 8 LW * ?",
        "0 0/20 8-9 1W * ?",
        "0 0 8 ? 2 MON#5",
        "0 0 8 ? * MON 2027/4",
        "0 0 8 29 2 ? 2024-2040",
    ],
)
def test_the_hard_ones_recur_as_they_fire(text: str) -> None:
    """First and last weekdays at several times, fifth Mondays, years in steps, leap days."""
    expression = CronExpression(text)
    assert list(islice(expression.to_rrule(NEW_YEAR), 7)) == first(expression, 7)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("0 0 8 15W * ?", "day of month"),
        ("0 0 8 1W,15 * ?", "day of month"),
        ("* * * LW * ?", "day of month"),
        ("0 0 8 * * ? 2026,2027,2029", "year"),
        ("0 0 8 LW * ? 2026/2", "year"),
        ("0 0 8 * * ? 2020", "start"),
        ("0 0 8 30 2 ?", None),
    ],
)
def test_what_no_rule_expresses_is_refused(text: str, part: str | None) -> None:
    """With the part that is the reason."""
    with pytest.raises(DialectError, match="RRULE") as caught:
        CronExpression(text).to_rrule(NEW_YEAR)
    assert caught.value.part == part


def test_a_rule_begins_with_a_naive_time() -> None:
    """In 1970 by default."""
    assert next(iter(CronExpression("0 0 8 * * ?").to_rrule())) == datetime(1970, 1, 1, 8)
    with pytest.raises(DialectError, match="naive"):
        CronExpression("0 0 8 * * ?").to_rrule(datetime(2026, 1, 1, tzinfo=UTC))


@given(convertible_expressions())
@settings(max_examples=examples(60), deadline=None)
def test_a_rule_begins_at_its_first_time(text: str) -> None:
    """Calendars show an event at DTSTART even where the rule has none."""
    try:
        rule = CronExpression(text).to_rrule(NEW_YEAR)
    except DialectError:
        return
    begin = datetime.strptime(str(rule).splitlines()[0], "DTSTART:%Y%m%dT%H%M%S")
    assert begin == next(iter(rule)) == first(CronExpression(text), 1)[0]
