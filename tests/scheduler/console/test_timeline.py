"""The timeline: its spans, and the changes of the clocks on it."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta

import pytest

pytest.importorskip("flask")

from scheduler.console import drawing
from scheduler.console.clock_shifts import clock_shifts
from scheduler.console.current import EXTENSION
from scheduler.console.pages.timeline import SPANS
from scheduler.core.timer import Timer
from scheduler.core.triggers import Cron, Every

from .conftest import START, Place
from .test_digest import add_runs, run_values

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


def _moves(page: str) -> dict[str, str]:
    """The links that move the axis: the words of each, and where it leads."""
    moves = page[page.index('class="choices moves"') :].partition("</nav>")[0]
    return {
        " ".join(text.split()): html.unescape(to) for to, text in re.findall(r'href="([^"]*)"[^>]*>([^<]*)<', moves)
    }


def _ends(page: str) -> tuple[str, ...]:
    """The ends of the axis, as its label says them."""
    found = re.findall(r'viewBox="0 0 960 16" role="img" aria-label="([^"]*) – ([^"]*)"', page)
    assert len(found) == 1
    return tuple(found[0])


def test_the_axis_moves_by_links(place: Place) -> None:
    """An hour and a day, earlier and later, and back to now; span and filter stay."""
    place.fill()
    browser = place.browser()
    page = browser.get("/timeline", span="hour", text="report").text
    assert _ends(page) == ("2026-11-30 15:00:00 +08:00", "2026-11-30 17:00:00 +08:00")
    links = _moves(page)
    assert list(links)[:5] == ["‹ 1 d earlier", "‹ 1 h earlier", "Now", "1 h later ›", "1 d later ›"]
    earlier = browser.get(links["‹ 1 d earlier"].removeprefix(".")).text
    assert _ends(earlier) == ("2026-11-29 15:00:00 +08:00", "2026-11-29 17:00:00 +08:00")
    assert "text=report" in links["‹ 1 d earlier"]
    # Now is not on this axis, and neither are fire times.
    assert 'class="now"' not in earlier
    assert 'class="now"' in page
    later = browser.get(_moves(earlier)["1 h later ›"].removeprefix(".")).text
    assert _ends(later)[0] == "2026-11-29 16:00:00 +08:00"
    assert _ends(browser.get(_moves(later)["Now"].removeprefix(".")).text) == _ends(page)


def test_the_axis_moves_to_an_instant_that_is_typed(place: Place) -> None:
    """In words, in the zone of the reader; another text is refused beside its field, and the axis stays at now."""
    place.fill()
    browser = place.browser()
    assert _ends(browser.get("/timeline", span="hour", at="yesterday 8:00").text)[0] == "2026-11-29 07:00:00 +08:00"
    wrong = browser.get("/timeline", span="hour", at="<b>").text
    assert 'aria-invalid="true" aria-describedby="at-wrong"' in wrong
    assert _ends(wrong)[0] == "2026-11-30 15:00:00 +08:00"
    assert (
        browser.get("/timeline", at="0001-01-01").status_code == browser.get("/timeline", at="9999-12-31").status_code
    )


def test_a_moved_axis_shows_the_runs_and_fires_of_its_span(place: Place) -> None:
    """Those of the past though there are many later ones; and only the fire times that are to come."""
    place.timers.add([Timer(name="a", function="f", trigger=Every(60), enabled=True)], now=START)
    # One every seven minutes, for 70 hours.
    add_runs(place.store, *(run_values(n, "a") for n in range(600)))
    place.wait(hours=72)
    while place.app.extensions[EXTENSION].digest.step():
        pass
    page = place.browser().get("/timeline", span="hour", at=(START + timedelta(hours=1)).isoformat()).text
    assert "18 runs from 2026-11-30 16:00:00 +08:00, 0 fire times until 2026-11-30 18:00:00 +08:00" in page
    assert 'class="bar running"' in page
    assert 'class="load"' not in page
    coming = place.browser().get("/timeline", span="hour", at=(place.now + timedelta(hours=3)).isoformat()).text
    assert "0 runs from 2026-12-03 18:00:00 +08:00, 119 fire times until" in coming


def test_the_page_says_that_it_does_not_draw_all_runs(place: Place) -> None:
    """Where the span of the axis has more than it reads."""
    place.timers.add([Timer(name="a", function="f", trigger=Every(60), enabled=True)], now=START)
    add_runs(place.store, *(run_values(n, "a") for n in range(600)))
    place.wait(hours=72)
    while place.app.extensions[EXTENSION].digest.step():
        pass
    said = "Of a timer with more runs, the latest 300 are drawn."
    assert said in place.browser().get("/timeline", span="days").text
    assert said not in place.browser().get("/timeline", span="half").text
