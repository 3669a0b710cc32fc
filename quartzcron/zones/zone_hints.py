"""The name that an unknown zone name probably means. Imported when a name is unknown.

A hint never names a zone that is hours away: an abbreviation or a name of Windows is looked up in a table, and a
similar name must have a similar city in the same region. For CST, IST and BST, which mean several zones, it lists them
and chooses none.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from unicodedata import normalize

import pytz

from .machine import local_name

_LENGTH = 64
_SIMILAR = 0.8
_OFFSET = re.compile(
    r"(?:(?:Etc/)?UTC|GMT|UTC/GMT)?\s*([+-])([01]?\d|2[0-3])(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII
)
# A rule for the variable TZ, such as CST-8 or CET-1CEST,M3.5.0,M10.5.0/3, counts hours to the west.
_POSIX = re.compile(r"(?:[A-Z]{3,6}|<[+-]?\w+>)([+-]?)(\d\d?)(?::?([0-5]\d))?(?P<daylight>.*)", re.ASCII)
# A zone in the settings of Windows: (UTC+01:00) Amsterdam, Berlin, Bern, Rome.
_SHOWN_BY_WINDOWS = re.compile(r"\(UTC([+-]\d\d:\d\d)?\) *(.*)", re.IGNORECASE | re.ASCII)
_EAST_OF_GREENWICH = re.compile(r"([东西])([一二三四五六七八九]|十[一二]?)区")
_NUMERALS = {
    "一": 1,
    "二": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
    "十": 10,
    "十一": 11,
    "十二": 12,
}
# Prefixes of the name in the variable TZ, in a path, in a list of zones.
_PREFIX = re.compile(r":|(?:.*/)?zoneinfo/(?:posix/|right/)?|posix/|right/")
_MACHINES = ("local", "localtime", "system", "default", "/etc/localtime")

_ABBREVIATIONS = {
    "America/Los_Angeles": "PST PDT",
    "America/Denver": "MDT",
    "America/Chicago": "CDT",
    "America/New_York": "EDT",
    "America/Anchorage": "AKST AKDT",
    "America/Adak": "HDT",
    "America/Halifax": "ADT",
    "America/St_Johns": "NST NDT",
    "America/Sao_Paulo": "BRT",
    "America/Argentina/Buenos_Aires": "ART",
    "America/Bogota": "COT",
    "America/Lima": "PET",
    "Europe/Lisbon": "WEST",
    "Europe/Paris": "CEST MEST",
    "Europe/Athens": "EEST",
    "Europe/Moscow": "MSK",
    "Europe/Istanbul": "TRT",
    "Africa/Lagos": "WAT",
    "Africa/Maputo": "CAT",
    "Africa/Nairobi": "EAT",
    "Africa/Johannesburg": "SAST",
    "Asia/Karachi": "PKT",
    "Asia/Kathmandu": "NPT",
    "Asia/Bangkok": "ICT",
    "Asia/Jakarta": "WIB",
    "Asia/Singapore": "SGT",
    "Asia/Hong_Kong": "HKT",
    "Asia/Seoul": "KST",
    "Asia/Tokyo": "JST",
    "Australia/Perth": "AWST",
    "Australia/Adelaide": "ACST ACDT",
    "Australia/Sydney": "AEST AEDT",
    "Pacific/Auckland": "NZST NZDT",
}

# Abbreviations of several zones; a hint chooses none of them.
_AMBIGUOUS = {
    "CST": ("America/Chicago", "Asia/Shanghai", "America/Havana"),
    "IST": ("Asia/Kolkata", "Europe/Dublin", "Asia/Jerusalem"),
    "BST": ("Europe/London", "Asia/Dhaka", "Pacific/Bougainville"),
    "AST": ("America/Halifax", "Asia/Riyadh"),
    "GST": ("Asia/Dubai", "Atlantic/South_Georgia"),
    "SST": ("Pacific/Pago_Pago", "Asia/Singapore"),
    "AMT": ("America/Manaus", "Asia/Yerevan"),
    "WST": ("Australia/Perth", "Pacific/Apia"),
    "ECT": ("America/Guayaquil", "Europe/Paris"),
    "PYT": ("America/Asuncion", "Asia/Pyongyang"),
}

# Large cities that the database has under another name, and names of China's zone.
_CITIES = {
    "Asia/Shanghai": "beijing peking china 北京 上海 中国 北京时间 中国标准时间 guangzhou shenzhen hangzhou nanjing "
    "wuhan chengdu tianjin suzhou dalian qingdao xiamen hefei fuzhou zhengzhou changsha shenyang",
    "Asia/Taipei": "taiwan 台北 台湾",
    "Asia/Hong_Kong": "香港",
    "Asia/Tokyo": "osaka kyoto yokohama 东京",
    "Asia/Kolkata": "india mumbai delhi new_delhi bangalore bengaluru chennai hyderabad pune",
    "Asia/Ho_Chi_Minh": "hanoi",
    "Europe/Berlin": "germany frankfurt munich hamburg cologne stuttgart münchen köln",
    "Europe/Madrid": "barcelona valencia",
    "Europe/Rome": "milan",
    "Europe/London": "manchester edinburgh uk england",
    "Europe/Zurich": "geneva basel bern",
    "America/New_York": "boston washington philadelphia miami atlanta",
    "America/Chicago": "houston dallas austin",
    "America/Los_Angeles": "san_francisco seattle san_diego silicon_valley las_vegas",
    "America/Toronto": "ottawa",
    "America/Sao_Paulo": "rio_de_janeiro brasilia",
}

# The names of Windows, which Quartz.NET takes, by the zones of CLDR (windowsZones.xml, territory 001). `~` stands for
# "Standard Time".
_WINDOWS = """
Dateline ~=Etc/GMT+12 UTC-11=Etc/GMT+11 Aleutian ~=America/Adak Hawaiian ~=Pacific/Honolulu
Marquesas ~=Pacific/Marquesas Alaskan ~=America/Anchorage UTC-09=Etc/GMT+9 Pacific ~ (Mexico)=America/Tijuana
UTC-08=Etc/GMT+8 Pacific ~=America/Los_Angeles US Mountain ~=America/Phoenix
Mountain ~ (Mexico)=America/Mazatlan Mountain ~=America/Denver Yukon ~=America/Whitehorse
Central America ~=America/Guatemala Central ~=America/Chicago Easter Island ~=Pacific/Easter
Central ~ (Mexico)=America/Mexico_City Canada Central ~=America/Regina SA Pacific ~=America/Bogota
Eastern ~ (Mexico)=America/Cancun Eastern ~=America/New_York Haiti ~=America/Port-au-Prince Cuba ~=America/Havana
US Eastern ~=America/Indiana/Indianapolis Turks And Caicos ~=America/Grand_Turk Paraguay ~=America/Asuncion
Atlantic ~=America/Halifax Venezuela ~=America/Caracas Central Brazilian ~=America/Cuiaba SA Western ~=America/La_Paz
Pacific SA ~=America/Santiago Newfoundland ~=America/St_Johns Tocantins ~=America/Araguaina
E. South America ~=America/Sao_Paulo SA Eastern ~=America/Cayenne Argentina ~=America/Argentina/Buenos_Aires
Greenland ~=America/Godthab Montevideo ~=America/Montevideo Magallanes ~=America/Punta_Arenas
Saint Pierre ~=America/Miquelon Bahia ~=America/Bahia UTC-02=Etc/GMT+2 Azores ~=Atlantic/Azores
Cape Verde ~=Atlantic/Cape_Verde GMT ~=Europe/London Greenwich ~=Atlantic/Reykjavik Sao Tome ~=Africa/Sao_Tome
Morocco ~=Africa/Casablanca W. Europe ~=Europe/Berlin Central Europe ~=Europe/Budapest Romance ~=Europe/Paris
Central European ~=Europe/Warsaw W. Central Africa ~=Africa/Lagos Jordan ~=Asia/Amman GTB ~=Europe/Bucharest
Middle East ~=Asia/Beirut Egypt ~=Africa/Cairo E. Europe ~=Europe/Chisinau Syria ~=Asia/Damascus
West Bank ~=Asia/Hebron South Africa ~=Africa/Johannesburg FLE ~=Europe/Kiev Israel ~=Asia/Jerusalem
South Sudan ~=Africa/Juba Kaliningrad ~=Europe/Kaliningrad Sudan ~=Africa/Khartoum Libya ~=Africa/Tripoli
Namibia ~=Africa/Windhoek Arabic ~=Asia/Baghdad Turkey ~=Europe/Istanbul Arab ~=Asia/Riyadh Belarus ~=Europe/Minsk
Russian ~=Europe/Moscow E. Africa ~=Africa/Nairobi Volgograd ~=Europe/Volgograd Iran ~=Asia/Tehran
Arabian ~=Asia/Dubai Astrakhan ~=Europe/Astrakhan Azerbaijan ~=Asia/Baku Russia Time Zone 3=Europe/Samara
Mauritius ~=Indian/Mauritius Saratov ~=Europe/Saratov Georgian ~=Asia/Tbilisi Caucasus ~=Asia/Yerevan
Afghanistan ~=Asia/Kabul West Asia ~=Asia/Tashkent Ekaterinburg ~=Asia/Yekaterinburg Pakistan ~=Asia/Karachi
Qyzylorda ~=Asia/Qyzylorda India ~=Asia/Kolkata Sri Lanka ~=Asia/Colombo Nepal ~=Asia/Kathmandu
Central Asia ~=Asia/Bishkek Bangladesh ~=Asia/Dhaka Omsk ~=Asia/Omsk Myanmar ~=Asia/Yangon SE Asia ~=Asia/Bangkok
Altai ~=Asia/Barnaul W. Mongolia ~=Asia/Hovd North Asia ~=Asia/Krasnoyarsk N. Central Asia ~=Asia/Novosibirsk
Tomsk ~=Asia/Tomsk China ~=Asia/Shanghai North Asia East ~=Asia/Irkutsk Singapore ~=Asia/Singapore
W. Australia ~=Australia/Perth Taipei ~=Asia/Taipei Ulaanbaatar ~=Asia/Ulaanbaatar
Aus Central W. ~=Australia/Eucla Transbaikal ~=Asia/Chita Tokyo ~=Asia/Tokyo North Korea ~=Asia/Pyongyang
Korea ~=Asia/Seoul Yakutsk ~=Asia/Yakutsk Cen. Australia ~=Australia/Adelaide AUS Central ~=Australia/Darwin
E. Australia ~=Australia/Brisbane AUS Eastern ~=Australia/Sydney West Pacific ~=Pacific/Port_Moresby
Tasmania ~=Australia/Hobart Vladivostok ~=Asia/Vladivostok Lord Howe ~=Australia/Lord_Howe
Bougainville ~=Pacific/Bougainville Russia Time Zone 10=Asia/Srednekolymsk Magadan ~=Asia/Magadan
Norfolk ~=Pacific/Norfolk Sakhalin ~=Asia/Sakhalin Central Pacific ~=Pacific/Guadalcanal
Russia Time Zone 11=Asia/Kamchatka New Zealand ~=Pacific/Auckland UTC+12=Etc/GMT-12 Fiji ~=Pacific/Fiji
Chatham Islands ~=Pacific/Chatham UTC+13=Etc/GMT-13 Tonga ~=Pacific/Tongatapu Samoa ~=Pacific/Apia
Line Islands ~=Pacific/Kiritimati
"""


def windows_names() -> dict[str, str]:
    """The zones of the names of Windows, in lower case."""
    pairs = re.findall(r"\s*(.+?)=(\S+)", " ".join(_WINDOWS.split()))
    return {name.replace("~", "Standard Time").lower(): zone for name, zone in pairs}


def zone_hint(name: str) -> str:
    """The hint of an error about a name that is not in the database.

    >>> zone_hint("Asia/Shangai"), zone_hint("AST")
    ("did you mean 'Asia/Shanghai'?", 'AST is short for America/Halifax and Asia/Riyadh: name one of them')
    """
    meant = zone_meant(name)
    if meant is not None:
        return f"did you mean {meant!r}?"
    short = _tidy(name).upper()
    if several := _AMBIGUOUS.get(short):
        return f"{short} is short for {', '.join(several[:-1])} and {several[-1]}: name one of them"
    if hours := re.fullmatch(r"(?:UTC|GMT)?(\d|1[0-4])", short):
        return f"east of Greenwich it is +{hours[1]:0>2}:00, west of it -{hours[1]:0>2}:00"
    return "a zone is a name such as 'Asia/Shanghai', or an offset such as '+08:00'"


def zone_meant(name: str) -> str | None:
    """The name in the database that was probably meant; None rather than a guess that may be hours away.

    For `GMT+8` it is +08:00, which is what people mean: Etc/GMT+8 is eight hours behind UTC. For Beijing, which is not
    in the database, it is Asia/Shanghai; for `local`, the zone of this machine.

    >>> zone_meant("Asia/Shangai"), zone_meant("PST"), zone_meant("W. Europe Standard Time"), zone_meant("CST")
    ('Asia/Shanghai', 'America/Los_Angeles', 'Europe/Berlin', None)
    """
    if name.strip().lower() in _MACHINES:
        return _of_this_machine()
    name = _tidy(name)
    found = _offset_meant(name) or _of_china(name) or _short_or_large(name)
    return found or _of_windows(name) or _similar(name.lower().replace(" ", "_"))


def _tidy(name: str) -> str:
    """The name without what keyboards and other programs add to it: wide signs, blanks, quotes, `posix/`."""
    name = normalize("NFKC", name[: 4 * _LENGTH]).replace("\N{MINUS SIGN}", "-").replace("\\", "/")
    name = "".join(char for char in name if char.isprintable()).strip().strip("\"'").strip()
    return _PREFIX.sub("", name, count=1)[:_LENGTH] if _PREFIX.match(name) else name[:_LENGTH]


def _of_this_machine() -> str | None:
    name = local_name()
    return name if name in pytz.all_timezones_set else None


def _offset_meant(name: str) -> str | None:
    """The offset of `GMT+8`, `UTC +8`, `+0800`; that of a rule for TZ without daylight saving, such as `CST-8`."""
    if name.lower() == "z":
        return "UTC"
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        return f"{sign}{int(hours):02}:{minutes or '00'}"
    rule = _POSIX.fullmatch(name)
    if rule is None or rule["daylight"] or int(rule[2]) > 14 or name[:3] in ("UTC", "GMT"):
        return None
    return f"{'+' if rule[1] == '-' else '-'}{int(rule[2]):02}:{rule[3] or '00'}"


def _of_china(name: str) -> str | None:
    """The offset of 东八区 and its like."""
    zone = _EAST_OF_GREENWICH.fullmatch(name)
    return zone and f"{'+' if zone[1] == '东' else '-'}{_NUMERALS[zone[2]]:02}:00"


def _short_or_large(name: str) -> str | None:
    """The zone of an abbreviation, or of a large city that the database does not name."""
    short, city = name.upper(), name.rpartition("/")[2].lower().replace(" ", "_")
    abbreviated = (zone for zone, names in _ABBREVIATIONS.items() if short in names.split())
    return next(abbreviated, None) or next((zone for zone, names in _CITIES.items() if city in names.split()), None)


def _of_windows(name: str) -> str | None:
    """The zone of a name of Windows; daylight time is named there by users, although Windows has no such names."""
    if shown := _SHOWN_BY_WINDOWS.fullmatch(name):
        return _of_cities(shown[2].split(","), shown[1] or "+00:00")
    names = windows_names()
    wanted = " ".join(name.lower().replace("daylight time", "standard time").split())
    return names.get(wanted)


def _of_cities(cities: list[str], offset: str) -> str | None:
    """The zone of the first of some cities which has an offset, in January or July."""
    for city in cities:
        name = _short_or_large(city.strip()) or _similar(city.strip().lower().replace(" ", "_"))
        if name and any(_as_text(at) == offset for at in _offsets(name)):
            return name
    return None


def _as_text(offset: timedelta | None) -> str:
    minutes = (offset or timedelta(0)) // timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _similar(wanted: str) -> str | None:
    """A name that is spelled alike: the same region, and nearly the same city; or a city without its region."""
    by_lower = {known.lower(): known for known in pytz.all_timezones}
    if wanted in by_lower:
        return by_lower[wanted]
    region, slash, city = wanted.rpartition("/")
    if not slash:
        return _without_its_region(wanted, by_lower)
    if region == "etc":  # Etc/GMT8 is near to Etc/GMT+8, which is eight hours behind UTC
        return None
    near = {lower[len(region) + 1 :]: known for lower, known in by_lower.items() if lower.startswith(f"{region}/")}
    likeness = {known: SequenceMatcher(None, lower, city).ratio() for lower, known in near.items()}
    close = [known for known, ratio in likeness.items() if ratio >= _SIMILAR]
    if not close or len({_offsets(known) for known in close}) > 1:  # Tomsk and Omsk are an hour apart
        return None
    return max(close, key=likeness.__getitem__)


def _without_its_region(wanted: str, by_lower: dict[str, str]) -> str | None:
    """The zone of a city, or of region and city separated by another sign; ignores blanks."""
    bare = re.sub(r"[_.\- ]", "", wanted)
    for lower, known in by_lower.items():
        if bare and bare in (lower.rpartition("/")[2].replace("_", ""), re.sub(r"[/_\-]", "", lower)):
            return known if "/" in known or lower == wanted else None
    return None


def _offsets(name: str) -> tuple[timedelta | None, ...]:
    """The offsets of a zone in January and in July."""
    zone = pytz.timezone(name)
    return tuple(zone.utcoffset(datetime(2026, month, 10, 12)) for month in (1, 7))
