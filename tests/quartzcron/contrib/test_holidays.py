"""Working days by the package holidays; China's against the notices of its State Council."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

pytest.importorskip("holidays")

from quartzcron import CronError, CronExpression
from quartzcron.contrib.holidays import working_days

DAY = timedelta(days=1)
#: The notices of the State Council: the first and the last day of each holiday, with the weekends that belong to it,
#: and the Saturdays and Sundays that are worked.
NOTICES = {
    2024: (
        ["01-01 01-01", "02-10 02-17", "04-04 04-06", "05-01 05-05", "06-10 06-10", "09-15 09-17", "10-01 10-07"],
        ["02-04", "02-18", "04-07", "04-28", "05-11", "09-14", "09-29", "10-12"],
    ),
    2025: (
        ["01-01 01-01", "01-28 02-04", "04-04 04-06", "05-01 05-05", "05-31 06-02", "10-01 10-08"],
        ["01-26", "02-08", "04-27", "09-28", "10-11"],
    ),
    2026: (
        ["01-01 01-03", "02-15 02-23", "04-04 04-06", "05-01 05-05", "06-19 06-21", "09-25 09-27", "10-01 10-07"],
        ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"],
    ),
}


@pytest.mark.parametrize("year", NOTICES)
def test_china_works_and_rests_as_the_state_council_says(year: int) -> None:
    """Each day of the year."""
    spans, worked = NOTICES[year]
    ends = [[date.fromisoformat(f"{year}-{day}") for day in span.split()] for span in spans]
    china = working_days("CN", years=year)
    assert china.known_until == date(year, 12, 31)
    assert [f"{day:%m-%d}" for day in china.worked] == worked
    for day in (date(year, 1, 1) + n * DAY for n in range((date(year + 1, 1, 1) - date(year, 1, 1)).days)):
        is_off = any(first <= day <= last for first, last in ends)
        expected = not is_off and (day.weekday() < 5 or f"{day:%m-%d}" in worked)
        assert china.is_working(day) == expected, day


def test_the_last_working_day_of_the_month_in_china() -> None:
    """The last day of February 2026 is a Saturday that is worked; that of May is a Sunday that is not."""
    payday = CronExpression("0 0 17 L * ?", tz="Asia/Shanghai").on(working_days("CN", name="China"), roll="preceding")
    fires = payday.between(datetime(2026, 1, 1), datetime(2026, 11, 1))
    assert [f"{fire:%m-%d}" for fire in fires] == [
        *("01-30", "02-28", "03-31", "04-30", "05-29", "06-30", "07-31", "08-31", "09-30", "10-30"),
    ]
    assert payday.describe().endswith("or the working day before it (China)")


def test_what_a_yearly_notice_decides_is_known_as_far_as_there_are_notices() -> None:
    """After that the week is assumed; a law goes on."""
    china = working_days("cn")
    assert china.known_until is not None
    assert china.known_until.year in range(2026, 2035)
    assert china.is_working(date(2098, 10, 1))  # a Wednesday
    assert working_days("CN", years=range(2024, 2090)).known_until == china.known_until
    assert working_days("DE", years=range(2024, 2031)).known_until == date(2030, 12, 31)
    assert working_days("DE").known_until == date(2099, 12, 31)
    with pytest.raises(CronError, match="knows 'CN' from 1950 to"):
        working_days("CN", years=[2090, 2091])


def test_parts_of_countries_and_exchanges_have_calendars() -> None:
    """By the codes of the package."""
    epiphany = date(2026, 1, 6)
    assert working_days("DE", years=2026).is_working(epiphany)
    assert not working_days("DE", "BY", years=2026).is_working(epiphany)
    assert working_days("DE", "BY", years=2026).name == "DE-BY"
    assert not working_days("XNYS", years=2026).is_working(date(2026, 4, 3))  # Good Friday
    israel = working_days("IL", years=2026)
    assert (israel.is_working(date(2026, 1, 4)), israel.is_working(date(2026, 1, 2))) == (True, False)
    assert working_days("CN", years=2026, language="zh_CN").holidays[date(2026, 1, 1)] == "元旦"


def test_a_week_that_has_changed_is_the_right_one_in_each_year() -> None:
    """The Emirates worked from Sunday to Thursday until 2021."""
    emirates = working_days("AE", years=range(2020, 2024))
    assert emirates.week == "MON-FRI"
    assert [emirates.is_working(date(2021, 3, day)) for day in (5, 6, 7)] == [False, False, True]  # from Friday on
    assert [emirates.is_working(date(2023, 3, day)) for day in (3, 4, 5)] == [True, False, False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"country": "XX"}, "does not know 'XX'; write a code"),
        ({"country": "China"}, "does not know 'CHINA'"),
        ({"country": "DE", "subdivision": "Bayer"}, "DE has no part 'Bayer' in the package holidays; it has .*BY"),
        ({"country": "CN", "language": "tlh"}, "has 'CN' in these languages: .*zh_CN"),
        ({"country": "CN", "years": []}, "years must be from 1970 to 2099"),
        ({"country": "CN", "years": 1900}, "years must be from 1970 to 2099"),
    ],
)
def test_what_the_package_does_not_know_is_refused(arguments: dict[str, str], message: str) -> None:
    """With the codes that it has."""
    with pytest.raises(CronError, match=message):
        working_days(**arguments)  # type: ignore[arg-type]
