"""What is proposed for an unknown zone: never a zone hours away."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import pytz
from hypothesis import given, settings
from hypothesis import strategies as st

from quartzcron import UnknownZoneError
from quartzcron.zones.lookup import named_zone
from quartzcron.zones.zone_hints import _AMBIGUOUS, _CITIES, windows_names, zone_meant
from tests.example_counts import examples

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
    "name",
    [
        *(
            "CST",
            "IST",
            "BST",
            "AST",
            "GST",
            "SST",
            "Mars",
            "GMT8",
            "Etc/GMT8",
            "",
            "Lunch Time",
            "Asia",
            "../etc/passwd",
        ),
        *("CET-1CEST,M3.5.0,M10.5.0/3", "+24:00", "08:00", "(UTC+08:00) Nowhere, Elsewhere", "(UTC+09:00) Berlin"),
    ],
)
def test_what_is_short_for_several_or_for_none_gets_no_proposal(name: str) -> None:
    """Rather than the name that happens to be spelled most alike."""
    assert zone_meant(name) is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CST", "CST is short for America/Chicago, Asia/Shanghai and America/Havana: name one of them"),
        ("ist", "IST is short for Asia/Kolkata, Europe/Dublin and Asia/Jerusalem: name one of them"),
        ("UTC8", "east of Greenwich it is +08:00, west of it -08:00"),
        ("12", "east of Greenwich it is +12:00, west of it -12:00"),
        ("", "a zone is a name such as 'Asia/Shanghai', or an offset such as '+08:00'"),
        ("Mars/Phobos", "a zone is a name such as 'Asia/Shanghai', or an offset such as '+08:00'"),
    ],
)
def test_the_error_for_a_name_without_a_proposal_says_what_to_write(name: str, hint: str) -> None:
    """All that it may be short for, or what a zone is."""
    with pytest.raises(UnknownZoneError) as refused:
        named_zone(name)
    assert refused.value.hint == hint


@pytest.mark.parametrize("name", _AMBIGUOUS)
def test_what_an_abbreviation_is_short_for_is_in_the_database(name: str) -> None:
    """Zones with different offsets, or it would not be ambiguous."""
    assert len({frozenset(hours(zone)) for zone in _AMBIGUOUS[name]}) > 1


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        # as TZ, a path or another program has it
        (":Europe/Berlin", "Europe/Berlin"),
        ("posix/Asia/Tokyo", "Asia/Tokyo"),
        ("/usr/share/zoneinfo/right/Asia/Tokyo", "Asia/Tokyo"),
        ("(UTC+08:00) Beijing, Chongqing, Hong Kong, Urumqi", "Asia/Shanghai"),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Amsterdam"),
        ("(UTC-05:00) Eastern Time (US & Canada), New York", "America/New_York"),
        # a rule for TZ counts to the west
        ("CST-8", "+08:00"),
        ("<+0545>-5:45", "+05:45"),
        ("EST5", "-05:00"),
        # with other signs
        ("Asia\\Shanghai", "Asia/Shanghai"),
        ("Asia Shanghai", "Asia/Shanghai"),
        ("asia-shanghai", "Asia/Shanghai"),
        ("NewYork", "America/New_York"),
        ("'Asia/Tokyo'", "Asia/Tokyo"),
        ("\ufeffAsia/Tokyo", "Asia/Tokyo"),
        ("＋08:00", "+08:00"),
        ("−08:00", "-08:00"),
        ("UTC/GMT +08:00", "+08:00"),
        ("Etc/UTC+8", "+08:00"),
        ("z", "UTC"),
        # in Chinese
        ("东八区", "+08:00"),
        ("西十一区", "-11:00"),
        ("北京时间", "Asia/Shanghai"),
        ("中国标准时间", "Asia/Shanghai"),
        # cities that the database has under another name
        ("Shenzhen", "Asia/Shanghai"),
        ("Asia/Guangzhou", "Asia/Shanghai"),
        ("San Francisco", "America/Los_Angeles"),
        ("Europe/München", "Europe/Berlin"),
    ],
)
def test_a_zone_in_another_spelling_is_proposed(name: str, meant: str) -> None:
    """The proposal is one that is taken."""
    assert zone_meant(name) == meant
    named_zone(meant)


def test_the_cities_have_zones_and_none_of_their_own() -> None:
    """Each once; one that the database has would hide the city there."""
    cities = [city for names in _CITIES.values() for city in names.split()]
    assert len(cities) == len(set(cities))
    assert set(_CITIES) <= set(pytz.all_timezones)
    known = {name.rpartition("/")[2].lower() for name in pytz.all_timezones}
    assert known & set(cities) == set()


@pytest.mark.parametrize("name", ["local", "localtime", "system", "/etc/localtime"])
@pytest.mark.parametrize("tz", ["Asia/Tokyo", "local", "CST"])
def test_the_zone_of_this_machine_is_proposed_by_its_name(name: str, tz: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has one."""
    monkeypatch.setenv("TZ", tz)
    assert zone_meant(name) == ("Asia/Tokyo" if "/" in tz else None)


@given(st.sampled_from([name for name in pytz.common_timezones if "/" in name]), st.data())
@settings(max_examples=examples(300))
def test_a_misspelt_name_leads_to_the_same_time_or_nowhere(name: str, data: st.DataObject) -> None:
    """One letter left out, doubled or changed in the city."""
    city = name.rpartition("/")[2]
    place = len(name) - len(city) + data.draw(st.integers(0, len(city) - 1))
    change = data.draw(st.sampled_from(["", name[place] * 2, "e", "_"]))
    slip = name[:place] + change + name[place + 1 :]
    if slip.lower() in {known.lower() for known in pytz.all_timezones}:
        return  # Tomsk without its first letter is Omsk
    meant = zone_meant(slip)
    assert meant is None or hours(meant) == hours(name)
