"""What the property-based tests draw from, one section a room. Texts, not objects: the parser is under test as well."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytz
from dateutil import tz as dateutil_tz
from hypothesis import strategies as st

from scheduler.core.any_of import AnyOf
from scheduler.core.at import At
from scheduler.core.calendrical import Calendrical
from scheduler.core.timer import Timer
from scheduler.core.triggers import Cron, Every, Trigger
from tests.scheduler.engine.wsgi_client import APP_ID, APP_KEY, HOOK_KEY, MASTER_KEY

# -- quartzcron: expressions --

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEK = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


def _items(low: int, high: int, names: list[str] | None = None) -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str)
    step = st.integers(1, min(high, 59)).map(str)
    forms = [
        st.just("*"),
        number,
        st.builds("{}-{}".format, number, number),
        st.builds("{}-{}/{}".format, number, number, step),
        st.builds("{}/{}".format, number, step),
        st.builds("*/{}".format, step),
        st.builds("/{}".format, step),
    ]
    if names:
        name = st.sampled_from(names).flatmap(lambda word: st.sampled_from([word, word.lower(), word.title()]))
        forms += [name, st.builds("{}-{}".format, name, name)]
    return st.one_of(forms)


def _lists(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(items, min_size=1, max_size=3).map(",".join)


def _specials() -> st.SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(["L", "LW", "l", "lw"]),
        st.integers(0, 30).map("L-{}".format),
        st.integers(1, 31).map("{}W".format),
        st.integers(0, 30).map("L-{}W".format),
    )


def _by_month() -> st.SearchStrategy[str]:
    return _lists(_items(1, 31) | _specials())


def _by_week() -> st.SearchStrategy[str]:
    day = st.integers(1, 7).map(str) | st.sampled_from(WEEK)
    return st.one_of(
        _lists(_items(1, 7, WEEK)),
        st.just("L"),
        st.builds("{}L".format, day),
        st.builds("{}#{}".format, day, st.integers(1, 5)),
    )


def _years() -> st.SearchStrategy[str]:
    year = st.integers(1970, 2099)
    spans = st.tuples(year, year).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    return _lists(st.one_of(st.just("*"), year.map(str), spans, year.map("{}/3".format)))


@st.composite
def expressions(draw: st.DrawFn, *, with_years: bool = True) -> str:
    """Texts of the whole grammar, the specials included."""
    months = draw(_lists(_items(1, 12, MONTHS)) | st.just("*"))
    days = draw(st.one_of(_by_month().map(lambda day: (day, "?")), _by_week().map(lambda day: ("?", day))))
    fields = [draw(_lists(_items(0, 59))), draw(_lists(_items(0, 59))), draw(_lists(_items(0, 23)))]
    fields += [days[0], months, days[1]]
    if with_years and draw(st.integers(0, 4)) == 0:
        fields.append(draw(_years()))
    return draw(st.sampled_from([" ", "  ", "\t", " \n"])).join(fields)


def sparse_expressions() -> st.SearchStrategy[str]:
    """Texts of at most a few fires a day, most of them around the hours at which clocks change."""
    times = st.tuples(
        st.sampled_from(["0", "0", "30", "59"]),
        st.sampled_from(["0", "30", "59", "0/15", "5,35", "50-10", "*/20"]),
        st.sampled_from(["*", "0", "1", "2", "3", "23", "22-3", "1-3", "0/2", "1,2,3"]),
    ).map(" ".join)
    days = st.sampled_from(["* * ?", "? * SUN", "? * MON-FRI", "L * ?", "? * SAT,SUN", "1 * ?", "LW * ?"])
    return st.builds("{} {}".format, times, days)


def invalid_texts() -> st.SearchStrategy[str]:
    """Texts near to expressions, most of which are none: cut, spliced, or with a character changed."""

    def spoil(text: str, place: int, junk: str, keep: int) -> str:
        place %= len(text) + 1
        return text[:place] + junk + text[place + keep :]

    junk = st.text(alphabet="0123456789*?-/,LWC#MONFRIlwx.:;!\u00b2\u0131\u017f\u3000 \t", max_size=6)
    near = st.builds(spoil, expressions(), st.integers(0, 200), junk, st.integers(0, 8))
    return st.one_of(near, st.text(max_size=40), st.lists(junk, max_size=8).map(" ".join))


# -- quartzcron: calendars of working days --


@st.composite
def working_weeks(draw: st.DrawFn, first: int = 1970, last: int = 2099) -> dict[str, Any]:
    """The arguments of a calendar of working days: a week, holidays and worked days, often in runs and at year ends."""
    week = draw(st.sampled_from(["MON-FRI", "SUN-THU", "MON-SAT", "SAT-WED", "FRI", "TUE,THU", "1-7"]))
    any_day = st.dates(date(first, 1, 1), date(last, 12, 31))
    day = any_day | any_day.map(lambda day: day.replace(month=12, day=31)) | any_day.map(lambda day: day.replace(day=1))

    def run(start: date, length: int) -> list[date]:
        return [start + timedelta(days=n) for n in range(min(length, (date(last, 12, 31) - start).days + 1))]

    holidays = {one for days in draw(st.lists(st.builds(run, day, st.integers(1, 40)), max_size=6)) for one in days}
    worked = set(draw(st.lists(day, max_size=6))) - holidays
    return {"week": week, "holidays": holidays, "worked": worked}


# -- quartzcron: zones and times --

# Zones with odd shifts, at odd hours, in odd years.
ZONE_NAMES = [
    "UTC",
    "America/New_York",
    "Europe/London",
    "Europe/Dublin",
    "Asia/Shanghai",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Amman",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kwajalein",
]

FIXED_ZONES: list[tzinfo] = [
    UTC,
    timezone(timedelta(hours=8)),
    timezone(timedelta(hours=-3, minutes=-30), "odd"),
    pytz.FixedOffset(345),
    dateutil_tz.tzoffset("odd", -12_345),
]


def zones() -> st.SearchStrategy[tzinfo]:
    """Zones of every kind: zoneinfo, pytz, dateutil, fixed offsets."""
    names = st.sampled_from(ZONE_NAMES)
    return st.one_of(
        names.map(ZoneInfo), names.map(pytz.timezone), names.map(dateutil_tz.gettz), st.sampled_from(FIXED_ZONES)
    )


def naive_times(first: int = 1970, last: int = 2099) -> st.SearchStrategy[datetime]:
    """Wall times, with and without microseconds, often at an end of a day, month or year."""
    any_time = st.datetimes(datetime(first, 1, 1), datetime(last, 12, 31, 23, 59, 59, 999_999))
    whole = any_time.map(lambda time: time.replace(microsecond=0))
    midnights = any_time.map(lambda time: time.replace(hour=0, minute=0, second=0, microsecond=0))
    year_ends = any_time.map(lambda time: time.replace(month=12, day=31, hour=23, minute=59, second=59))
    return st.one_of(any_time, whole, midnights, year_ends)


def instants(first: int = 1970, last: int = 2099) -> st.SearchStrategy[datetime]:
    """Times in UTC."""
    return naive_times(first, last).map(lambda time: time.replace(tzinfo=UTC))


def in_zone(instant: datetime, zone: tzinfo) -> datetime:
    """An instant as that zone shows it, pytz's normalisation included."""
    return zone.fromutc(instant.astimezone(UTC).replace(tzinfo=zone))


# -- quartzcron: other dialects --


def _plain_items(low: int, high: int) -> st.SearchStrategy[str]:
    """`*`, `*/n`, a value, a range that does not wrap, with or without a step."""
    pair = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    return st.one_of(
        st.just("*"),
        st.integers(1, high).map("*/{}".format),
        st.integers(low, high).map(str),
        pair.map(lambda ends: f"{ends[0]}-{ends[1]}"),
        st.tuples(pair, st.integers(1, 9)).map(lambda found: f"{found[0][0]}-{found[0][1]}/{found[1]}"),
    )


def crontabs() -> st.SearchStrategy[str]:
    """Lines of five fields; seldom with both day fields."""
    day, week = _lists(_plain_items(1, 31)), _lists(_plain_items(0, 7))
    days = st.one_of(st.tuples(day, st.just("*")), st.tuples(st.just("*"), week), st.tuples(day, week))
    times = st.tuples(_lists(_plain_items(0, 59)), _lists(_plain_items(0, 23)))
    months = st.just("*") | _lists(_plain_items(1, 12))
    return st.builds(lambda time, day, month: f"{time[0]} {time[1]} {day[0]} {month} {day[1]}", times, days, months)


def convertible_expressions() -> st.SearchStrategy[str]:
    """Whole minutes, at most one special: what most other dialects can say."""
    times = st.tuples(_lists(_items(0, 59)), _lists(_items(0, 23))).map("0 {0[0]} {0[1]}".format)
    months = st.just("*") | _lists(_items(1, 12, MONTHS))
    by_month = st.builds("{} {} ?".format, _lists(_items(1, 31)) | _specials(), months)
    by_week = st.builds("? {} {}".format, months, _by_week())
    return st.builds("{} {}".format, times, by_month | by_week)


# -- scheduler: timers --

_triggers = st.sampled_from(
    [
        Cron("0/9 * * * * ?", "UTC"),
        Cron("*/20 * * * * ?", "Europe/Berlin"),
        Cron("0 0 8 ? * MON", "America/New_York", "quartz"),
        Cron("0 * * * * ?"),
    ]
) | st.builds(
    Every,
    st.integers(1, 90),
    st.integers(-100, 100).map(lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)),
)


_ZONES = st.sampled_from(
    ["Pacific/Apia", "Australia/Lord_Howe", "Africa/Casablanca", "Africa/Cairo", "America/New_York", "+05:45"]
)
_POLICIES = st.sampled_from(["vixie", "quartz"])


def calendricals() -> st.SearchStrategy[Calendrical]:
    """Intervals by the calendar, in zones with every kind of clock change, often at a time that a change touches."""
    units = st.one_of(
        st.fixed_dictionaries({"days": st.integers(1, 40)}),
        st.fixed_dictionaries({"weeks": st.integers(1, 9)}),
        st.fixed_dictionaries({"months": st.integers(1, 30)}),
        st.fixed_dictionaries({"years": st.integers(1, 5), "months": st.integers(0, 11)}),
        st.fixed_dictionaries({"weeks": st.integers(1, 2), "days": st.integers(0, 3)}),
    )
    at = st.sampled_from([time(0), time(0, 30), time(1, 59, 59), time(2), time(2, 30), time(3), time(9)]) | st.builds(
        time, st.integers(0, 23), st.integers(0, 59), st.integers(0, 59)
    )
    start = st.dates(date(1990, 1, 1), date(2030, 12, 31)) | st.sampled_from(
        [date(2024, 2, 29), date(2026, 12, 31), date(1970, 1, 1)]
    )
    return st.builds(
        lambda units, **others: Calendrical(**units, **others), units, at=at, start=start, tz=_ZONES, dst=_POLICIES
    )


def triggers() -> st.SearchStrategy[Trigger]:
    """Triggers of every kind that is built in."""
    instants = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
    listed = st.builds(lambda instants, tz: At(*instants, tz=tz), st.lists(instants, min_size=1, max_size=5), _ZONES)
    cron = st.builds(
        Cron, st.sampled_from(["0 0 8 ? * MON", "*/5 * * * * ?", "0 0,30 9-17 L * ? 2026-2090"]), _ZONES, _POLICIES
    )
    single = st.one_of(st.builds(Every, st.integers(5, 10**6)), cron, calendricals(), listed)
    return single | st.builds(lambda several: AnyOf(*several), st.lists(single, min_size=1, max_size=4))


def timers() -> st.SearchStrategy[Timer]:
    """Timers with everything that decides when they fire."""

    def timer(name: str, trigger: Cron | Every, jitter_s: int) -> Timer:
        gap = trigger.gap or timedelta(0)
        return Timer(name=name, function="f", trigger=trigger, jitter_s=min(jitter_s, int(gap.total_seconds())))

    return st.builds(timer, st.text("abc", min_size=1, max_size=5), _triggers, st.integers(0, 5_000))


def windows() -> st.SearchStrategy[tuple[datetime | None, datetime | None]]:
    """Bounds near the fire times of `timers`, at least one of them, the first before the second."""
    bound = st.none() | st.integers(-300_000_000, 300_000_000).map(
        lambda microseconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    )
    return st.tuples(bound, bound).filter(
        lambda pair: pair != (None, None) and (pair[0] is None or pair[1] is None or pair[0] < pair[1])
    )


# -- the engine: requests as old or hostile clients may send them --

_segments = st.sampled_from(
    ["functions", "call", "_ops", "metadatas", "echo", "fails", "ping", "1", "1.1", "__engine", "Todo", "beforeSave",
     "afterSave", "beforeFoo", "onVerified", "sms", "_User", "onLogin", "onAuthData", "BigQuery", "onComplete",
     "_messageReceived", "%00", "%FF", "..", "", "%0D%0AX:1"]
) | st.text(st.characters(codec="ascii", exclude_characters="?#\x7f", min_codepoint=33), max_size=6)  # fmt: skip
_sound_paths = st.builds(
    "{}/{}/{}".format,
    st.sampled_from(["", "/__engine", "//"]),
    st.sampled_from(["1", "1.1"]),
    st.sampled_from(
        ["functions/echo", "call/echo", "functions/fails", "functions/Todo/beforeSave", "functions/Todo/afterSave",
         "functions/_User/onAuthData", "functions/_messageReceived", "functions/_ops/metadatas", "ping"]
    ),
)  # fmt: skip
request_paths = _sound_paths | st.lists(_segments, max_size=5).map(lambda parts: "/" + "/".join(parts))

request_methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])

_values = (
    st.sampled_from([APP_ID, APP_KEY, MASTER_KEY, HOOK_KEY, f"{MASTER_KEY},master", "a,1,master", "None", "", "0", "1"])
    | st.text(st.characters(codec="latin-1", min_codepoint=32), max_size=20)
)  # fmt: skip
_header_names = st.sampled_from(
    ["X-LC-Id", "X-LC-Key", "X-LC-Sign", "X-LC-Session", "X-LC-Prod", "X-LC-Hook-Key", "X-AVOSCloud-Master-Key",
     "X-Uluru-Application-Id", "X-Request-Id", "X-Timer-Name", "X-Timer-Scheduled-Time", "X-Timer-Attempt", "Origin",
     "X-Real-IP", "X-Forwarded-For", "Content-Type"]
)  # fmt: skip
_loose_headers = st.dictionaries(_header_names, _values, max_size=6)
_sound_headers = st.just({"X-LC-Id": APP_ID, "X-LC-Key": f"{MASTER_KEY},master", "X-LC-Hook-Key": HOOK_KEY})
request_headers = _loose_headers | st.builds(lambda sound, loose: loose | sound, _sound_headers, _loose_headers)

_keys = st.sampled_from(["object", "user", "authData", "__type", "iso", "className", "_updatedKeys", "name", "_x"])
_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["Date", "Object"])
)
_json_values: st.SearchStrategy[Any] = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
_objects = st.dictionaries(_keys | st.text(max_size=3), _json_values, max_size=4)
request_bodies = (
    _objects.map(lambda value: json.dumps(value).encode())
    | _json_values.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=40)
    | st.integers(1, 3000).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth)
    | st.sampled_from([b'{"a": 1e999}', b'{"a": 1, "a": 2}', b'{"\\ud800": "\\udfff"}', b"a=b"])
)
