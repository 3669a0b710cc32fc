"""A year as a calendar: every day in its place, shaded by what fires, in a terminal and as SVG."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from quartzcron import CronExpression
from quartzcron.cli.commands import main
from quartzcron.cli.heatmap import Heatmap, as_svg, as_text
from quartzcron.zones.lookup import named_zone

SHANGHAI = ["--tz", "Asia/Shanghai", "--year", "2026"]
SVG = "{http://www.w3.org/2000/svg}"


def heatmap(text: str, year: int = 2026, zone: str = "America/New_York") -> Heatmap:
    return Heatmap(CronExpression(text, tz=zone), year, named_zone(zone))


@pytest.mark.parametrize(("text", "short", "long"), [("0 0/15 * * * ?", 92, 100), ("0 30 1,2 * * ?", 2, 2)])
def test_days_are_those_of_the_zone(text: str, short: int, long: int) -> None:
    """The days on which clocks change have 23 and 25 hours; fixed times fire once on each."""
    counts = heatmap(text).counts
    assert counts[date(2026, 3, 8).timetuple().tm_yday - 1] == short
    assert counts[date(2026, 11, 1).timetuple().tm_yday - 1] == long
    assert len(heatmap(text, 2028).counts) == 366


def test_each_day_has_its_column_and_its_row() -> None:
    """Weeks are columns and begin on Monday."""
    places = {day: (column, row) for day, column, row, _ in heatmap("0 0 8 * * ?").days()}
    assert places[date(2026, 1, 1)] == (0, 3)
    assert places[date(2026, 1, 5)] == (1, 0)
    assert places[date(2026, 12, 31)] == (52, 3)


def test_the_text_is_narrow_and_without_colour(capsys: pytest.CaptureFixture[str]) -> None:
    """When not printed to a terminal there are no escape sequences; it fits into 58 columns, except for its title."""
    assert main(["next", "0 0 8 L * ?", *SHANGHAI, "--calendar"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2026 · 0 0 8 L * ? · Asia/Shanghai"
    assert lines[2] == "    Jan Feb Mar  Apr May  Jun Jul Aug  Sep Oct Nov  Dec"
    assert sum(line.count("█") for line in lines[3:10]) == 12
    assert "12 fire times on 12 days   · none  █ 1 a day" in lines[-1]
    assert max(map(len, lines)) <= 58
    assert not any("\x1b" in line for line in lines)


def test_colour_adds_nothing_to_density() -> None:
    """Without its escape sequences the coloured calendar is the plain one."""
    plain, coloured = (as_text(heatmap("0 0 1-8 ? * MON"), coloured=coloured) for coloured in (False, True))
    for code in ("\x1b[38;5;245m", "\x1b[38;5;32m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == plain


def test_more_fires_are_a_darker_shade() -> None:
    """Four shades up to the busiest day, and one for none."""
    drawn = heatmap("0 0/15 * * * ?")
    assert [drawn.shade(count) for count in (0, 1, 25, 26, 51, 76, 92, 96, 100)] == [0, 1, 1, 2, 3, 4, 4, 4, 4]
    assert heatmap("0 0 8 30 2 ?").legend() == [(0, "none")]


def test_the_svg_is_well_formed_and_has_a_tooltip_a_day(tmp_path: Path) -> None:
    """Text is escaped; it has a light and a dark scheme."""
    path = tmp_path / "year.svg"
    assert main(["next", "0 0 8 ? * MON", *SHANGHAI, "--svg", str(path)]) == 0
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    tips = [title.text for title in root.iter(f"{SVG}title")]
    assert len(tips) == 365 + 2
    assert "Mon 2026-01-05: 1" in tips
    assert "prefers-color-scheme: dark" in as_svg(heatmap("0 0 8 ? * MON"))


def test_json_and_failures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The days that fire as an object; status 1 if none does, 2 for invalid arguments."""
    assert main(["next", "0 0 8 1 1 ?", *SHANGHAI, "--json"]) == 0
    assert capsys.readouterr().out == '{"2026-01-01": 1}\n'
    assert main(["next", "0 0 8 30 2 ?", *SHANGHAI, "--svg", "-"]) == 1
    assert main(["next", "0 0 8 1 1 ?", *SHANGHAI, "--svg", str(tmp_path / "no" / "year.svg")]) == 2
    with pytest.raises(SystemExit):
        main(["next", "0 0 8 1 1 ?", "--year", "2100"])


@pytest.mark.parametrize(
    ("zone", "year"),
    [
        ("Africa/Cairo", 2026),
        ("Africa/Cairo", 2028),
        ("Pacific/Apia", 2011),
        ("Atlantic/Azores", 2026),
        ("America/Havana", 2026),
        ("Europe/Berlin", 2026),
        ("America/St_Johns", 2006),
        ("Asia/Kathmandu", 1986),
    ],
)
@pytest.mark.parametrize("text", ["0 0/15 * * * ?", "0 0/30 23,0 ? * THU,FRI,SUN", "0 0 8 * * ?"])
@pytest.mark.parametrize("dst", ["vixie", "quartz"])
def test_each_day_has_the_fires_that_the_clock_shows_on_it(zone: str, year: int, text: str, dst: str) -> None:
    """Days that end in a repeated hour, or begin in one, and days that do not exist."""
    tz = named_zone(zone)
    expression = CronExpression(text, tz=zone, dst=dst)
    start, end = datetime(year - 1, 12, 31, 23, 59, 59, tzinfo=tz), datetime(year, 12, 31, 23, 59, 59, tzinfo=tz)
    expected = Counter(fire.date() for fire in expression.fires(start, end))
    counted = {day: fires for day, _, _, fires in Heatmap(expression, year, tz).days() if fires}
    assert counted == expected
