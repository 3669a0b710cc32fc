"""The name that was probably meant by one that is not in the database. Imported when a name is unknown.

A hint never leads hours away: an abbreviation or a name of Windows is looked up in a table, and what is only similar to
a name has to be so in its city, within its region. CST, IST and BST, which are short for several zones, get no hint.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from difflib import SequenceMatcher

import pytz

_LENGTH = 64
_SIMILAR = 0.8
_OFFSET = re.compile(r"(?:UTC|GMT)?\s*([+-])([01]?\d|2[0-3])(?::?([0-5]\d))?", re.IGNORECASE | re.ASCII)
_BEIJING = ("beijing", "peking", "北京", "上海", "china")

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


def zone_meant(name: str) -> str | None:
    """The name in the database that was probably meant; None rather than a guess that may be hours away.

    For `GMT+8` it is +08:00, which is what people mean: Etc/GMT+8 is eight hours behind UTC. For Beijing, which is not
    in the database, it is Asia/Shanghai.

    >>> zone_meant("Asia/Shangai"), zone_meant("PST"), zone_meant("W. Europe Standard Time"), zone_meant("CST")
    ('Asia/Shanghai', 'America/Los_Angeles', 'Europe/Berlin', None)
    """
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        sign, hours, minutes = offset.groups()
        return f"{sign}{int(hours):02}:{minutes or '00'}"
    name = name.strip()[:_LENGTH]
    if name.rpartition("/")[2].lower() in _BEIJING:
        return "Asia/Shanghai"
    abbreviated = next((zone for zone, short in _ABBREVIATIONS.items() if name.upper() in short.split()), None)
    return abbreviated or _of_windows(name) or _similar(name.lower().replace(" ", "_"))


def _of_windows(name: str) -> str | None:
    """The zone of a name of Windows; daylight time is named there by users, although Windows has no such names."""
    names = windows_names()
    wanted = " ".join(name.lower().replace("daylight time", "standard time").split())
    return names.get(wanted)


def _similar(wanted: str) -> str | None:
    """A name that is spelled alike: the same region, and nearly the same city; or a city without its region."""
    by_lower = {known.lower(): known for known in pytz.all_timezones}
    if wanted in by_lower:
        return by_lower[wanted]
    region, slash, city = wanted.rpartition("/")
    if not slash:
        return next((known for lower, known in by_lower.items() if wanted and lower.endswith(f"/{wanted}")), None)
    if region == "etc":  # Etc/GMT8 is near to Etc/GMT+8, which is eight hours behind UTC
        return None
    near = {lower[len(region) + 1 :]: known for lower, known in by_lower.items() if lower.startswith(f"{region}/")}
    likeness = {known: SequenceMatcher(None, lower, city).ratio() for lower, known in near.items()}
    close = [known for known, ratio in likeness.items() if ratio >= _SIMILAR]
    if not close or len({_offsets(known) for known in close}) > 1:  # Tomsk and Omsk are an hour apart
        return None
    return max(close, key=likeness.__getitem__)


def _offsets(name: str) -> tuple[timedelta | None, ...]:
    """The offsets of a zone in January and in July."""
    zone = pytz.timezone(name)
    return tuple(zone.utcoffset(datetime(2026, month, 10, 12)) for month in (1, 7))
