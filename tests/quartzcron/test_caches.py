"""The shared caches are bounded, and dropping entries changes no result."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import pytz

from quartzcron import CronExpression, expression
from quartzcron.grammar import parser
from quartzcron.search import iterate, year_rows
from quartzcron.wall import days, times
from quartzcron.zones import lookup, zone

AFTER = datetime(2026, 5, 5, 5, 5)


def test_texts_and_rules_are_bounded() -> None:
    """5,000 distinct expressions do not grow the caches beyond their bounds."""
    for n in range(5_000):
        text = f"{n % 60} {n * 7 % 60} {n % 24} {n % 28 + 1}-{n % 3 + 28} {n % 12 + 1} ? {1970 + n % 130}"
        CronExpression(text).next_fire(AFTER)
        CronExpression(text).prev_fire(AFTER)
    assert len(expression._known) <= 512
    assert all(len(memo) <= 4096 for memo in parser._MEMOS)
    assert len(parser._days) <= 1024
    assert len(days._rules) <= 1024
    assert len(times._rules) <= 4096
    assert max(map(len, (times._ahead, times._behind, times._members))) <= 1024
    assert len(year_rows._recent) <= 8192
    assert len(iterate._day_deltas) <= 64


def test_parsed_fields_are_bounded() -> None:
    """5,000 distinct texts of each field, and of all days together, do not grow the memos beyond their bounds."""
    for n in range(5_000):
        minutes = f"{n % 60},{n // 60 % 60},{n // 3600}"
        text = (
            f"{minutes} {minutes} {n % 24},{n // 24 % 24},{n // 576} {n % 31 + 1},{n // 31 % 31 + 1},L-{n // 961} * ?"
        )
        CronExpression(text)
    assert len(parser._days) <= 1024
    assert max(map(len, parser._MEMOS)) <= 4096


def test_an_unused_rule_has_no_tables() -> None:
    """100,000 timers on different days take memory for the tables of those that are used."""
    rule = CronExpression("0 0 8 29 2 ? 2096,2088")._days
    kept = [getattr(rule, name) for name in ("_masks", "_ahead", "_behind", "_ranks", "rows_ahead", "rows_behind")]
    assert all(table is days._NOTHING for table in kept)
    assert not days._NOTHING


def test_zones_and_years_are_bounded() -> None:
    """Half of the database in several years: at most 512 tables of midnights, and no row outlives its midnights."""
    daily = CronExpression("0 0 8 * * ?")
    for name in pytz.all_timezones[::2]:
        tz = ZoneInfo(name)
        for year in (1975, 2026, 2080):
            daily.next_fire(datetime(year, 6, 1, 12, tzinfo=tz))
    assert len(zone._recent) <= 512
    assert len(daily._pattern.days.rows_ahead) <= 64
    assert len(lookup._zones) <= 2048


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_dropping_entries_changes_no_result(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for a few entries only, iterating over 130 years and two zones has the same result."""
    expected = [fire.year for fire in CronExpression("0 0 8 29 2 ?").fires(datetime(1970, 1, 1))]
    monkeypatch.setattr(zone, "_ZONE_YEARS", limit)
    monkeypatch.setattr(year_rows, "_ROWS", limit)
    yearly = CronExpression("0 0 8 29 2 ?", dst="quartz")
    for tz in (UTC, ZoneInfo("Asia/Tokyo"), None):
        assert [fire.year for fire in yearly.fires(datetime(1970, 1, 2, tzinfo=tz))] == expected
        latest = yearly.prev_fire(datetime(2099, 1, 1, tzinfo=tz))
        assert latest == datetime(2096, 2, 29, 8, tzinfo=tz)
    weekly = CronExpression("0 0 8 ? * MON", dst="quartz")
    for n in range(200):
        after = AFTER + timedelta(days=300 * (n % 7))
        assert weekly.next_fire(after.replace(tzinfo=UTC)) == weekly.next_fire(after).replace(tzinfo=UTC)  # type: ignore[union-attr]
