"""The timeline: its spans, and the changes of the clocks on it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("flask")

from scheduler.console import drawing
from scheduler.console.clock_shifts import clock_shifts
from scheduler.console.pages.timeline import SPANS
from scheduler.core.timer import Timer
from scheduler.core.triggers import Cron, Every

from .conftest import Place

AUTUMN = datetime(2026, 10, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize("word", SPANS)
def test_the_axis_is_as_long_as_its_name_says(word: str) -> None:
    """Now in the middle, and the span on both sides."""
    span = timedelta(hours=SPANS[word])
    axis = drawing.timeline([], [], now=AUTUMN, span=span, limit_s=1)
    assert axis.end - axis.start == 2 * span
    assert [axis.x_of(axis.start), axis.x_of(axis.end)] == [0, drawing.LINE_WIDTH]


def test_one_zooms_step_by_step(place: Place) -> None:
    """Each span leads to the next narrower and the next wider one; the filter stays."""
    place.fill()
    browser = place.browser()
    words = list(SPANS)
    for narrower, word, wider in zip([None, *words], words, [*words[1:], None], strict=False):
        page = browser.get("/timeline", span=word, text="report").text
        found = {key: address for address, key in re.findall(r'href="([^"]*)" data-key="([+-])"', page)}
        assert found.keys() == {key for key, to in (("+", narrower), ("-", wider)) if to}
        assert all("text=report" in address for address in found.values())
        assert narrower is None or f"span={narrower}" in found["+"]
        assert wider is None or f"span={wider}" in found["-"]


def test_changes_of_clocks_are_marked(place: Place) -> None:
    """In the rows of the timers whose zone changes, and in words below; not where the zone has none."""
    place.now = AUTUMN
    timers = [("berlin", Cron("0 0 8 * * ?", "Europe/Berlin")), ("shanghai", Cron("0 0 8 * * ?", "Asia/Shanghai"))]
    timers += [("seven", Every(7))]
    place.timers.add([Timer(name=name, function="f", trigger=trigger) for name, trigger in timers], now=place.now)
    page = place.browser().get("/timeline", span="days").text
    assert "The clock of Europe/Berlin changes at 2026-10-25" in page
    assert "from +02:00 to +01:00" in page
    rows = {name: row for row in page.split("<tr") for name, _ in timers if f">{name}</a>" in row}
    assert {name for name, row in rows.items() if 'class="shift"' in row} == {"berlin"}
    assert "changes at" not in place.browser().get("/timeline", span="hour").text


def test_an_unknown_zone_changes_no_clock() -> None:
    """One that was renamed, or a fixed offset."""
    assert clock_shifts(["Mars/X", "+08:00", "UTC"], AUTUMN, AUTUMN + timedelta(days=365)) == []
