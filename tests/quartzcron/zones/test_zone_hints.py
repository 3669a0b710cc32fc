"""What is proposed for an unknown zone: never a zone hours away."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import pytz
from hypothesis import given, settings
from hypothesis import strategies as st

from quartzcron import UnknownZoneError
from quartzcron.zones.lookup import named_zone
from quartzcron.zones.zone_hints import windows_names, zone_meant

# What an abbreviation promises, in hours: those that the IANA database itself uses, and the usual ones besides.
OFFSETS = {
    **{"PST": -8, "PDT": -7, "MDT": -6, "CDT": -5, "EDT": -4, "AKST": -9, "JST": 9, "KST": 9, "HKT": 8, "SGT": 8},
    **{"CEST": 2, "EEST": 3, "WEST": 1, "MSK": 3, "TRT": 3, "AEST": 10, "AEDT": 11, "ACST": 9.5, "AWST": 8, "NZST": 12},
    **{"NZDT": 13, "SAST": 2, "WAT": 1, "CAT": 2, "EAT": 3, "PKT": 5, "NPT": 5.75, "ICT": 7, "WIB": 7, "BRT": -3},
    **{"ART": -3, "COT": -5, "PET": -5, "NST": -3.5, "NDT": -2.5, "ADT": -3, "HDT": -9, "ACDT": 10.5, "AKDT": -8},
}
WINDOWS = {
    **{"Pacific Standard Time": -8, "W. Europe Standard Time": 1, "China Standard Time": 8, "Tokyo Standard Time": 9},
    **{
        "Eastern Standard Time": -5,
        "GMT Standard Time": 0,
        "India Standard Time": 5.5,
        "AUS Eastern Standard Time": 10,
    },
    **{
        "Romance Standard Time": 1,
        "Russian Standard Time": 3,
        "Central Standard Time": -6,
        "UTC-11": -11,
        "UTC+12": 12,
    },
    **{"E. South America Standard Time": -3, "SA Pacific Standard Time": -5, "New Zealand Standard Time": 12},
}


def hours(name: str) -> set[float]:
    """The offsets of a zone in winter and in summer."""
    zone = named_zone(name)
    return {zone.utcoffset(datetime(2026, month, 10)) / timedelta(hours=1) for month in (1, 7)}  # type: ignore[operator]


@pytest.mark.parametrize(("name", "offset"), [*OFFSETS.items(), *WINDOWS.items()])
def test_abbreviations_and_names_of_windows_lead_to_a_zone_with_their_offset(name: str, offset: float) -> None:
    """In winter or in summer."""
    meant = zone_meant(name)
    assert meant is not None
    assert offset in hours(meant)
    with (
        pytest.raises(UnknownZoneError, match=f"did you mean {meant!r}")
        if "UTC" not in name
        else pytest.raises(UnknownZoneError)
    ):
        named_zone(name)


def test_all_zones_of_windows_are_in_the_database() -> None:
    """There are about 140."""
    names = windows_names()
    assert len(names) == 138
    assert set(names.values()) <= set(pytz.all_timezones)


@pytest.mark.parametrize(
    "name", ["CST", "IST", "BST", "AST", "GST", "SST", "Mars", "GMT8", "Etc/GMT8", "", "Lunch Time"]
)
def test_what_is_short_for_several_or_for_none_gets_no_hint(name: str) -> None:
    """Rather than the name that happens to be spelled most alike."""
    assert zone_meant(name) is None


@given(st.sampled_from([name for name in pytz.common_timezones if "/" in name]), st.data())
@settings(max_examples=300)
def test_a_slip_of_the_pen_leads_to_the_same_time_or_nowhere(name: str, data: st.DataObject) -> None:
    """One letter left out, doubled or changed in the city."""
    city = name.rpartition("/")[2]
    place = len(name) - len(city) + data.draw(st.integers(0, len(city) - 1))
    change = data.draw(st.sampled_from(["", name[place] * 2, "e", "_"]))
    slip = name[:place] + change + name[place + 1 :]
    if slip.lower() in {known.lower() for known in pytz.all_timezones}:
        return  # Tomsk without its first letter is Omsk
    meant = zone_meant(slip)
    assert meant is None or hours(meant) == hours(name)
